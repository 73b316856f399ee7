"""The stub agrees with the compiled module: names, signatures, constants, docstrings.

Nothing else compares them: mypy believes the stub, the interpreter never reads it.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from relay import _fastpath

STUB = ast.parse((Path(__file__).parent.parent / "relay" / "_fastpath.pyi").read_text())
Owner = ModuleType | type


def definitions(body: list[ast.stmt], owner: Owner) -> Iterator[tuple[ast.FunctionDef, Owner]]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node, owner
        elif isinstance(node, ast.ClassDef):
            yield from definitions(node.body, getattr(_fastpath, node.name))


CLASSES = [node for node in STUB.body if isinstance(node, ast.ClassDef)]
FUNCTIONS = list(definitions(STUB.body, _fastpath))
NAMES = [f"{owner.__name__}.{node.name}" for node, owner in FUNCTIONS]


def is_property(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in node.decorator_list
    )


def parameters(node: ast.FunctionDef) -> list[tuple[str, object]]:
    """Names and defaults, keyword-only ones marked."""
    arguments = node.args
    empty: list[object] = [inspect.Parameter.empty] * (len(arguments.args) - len(arguments.defaults))
    defaults = empty + [ast.literal_eval(default) for default in arguments.defaults]
    keywords = [None if value is None else ast.literal_eval(value) for value in arguments.kw_defaults]
    return [(argument.arg, default) for argument, default in zip(arguments.args, defaults, strict=True)] + [
        (f"*{argument.arg}", default)
        for argument, default in zip(arguments.kwonlyargs, keywords, strict=True)
    ]


def compiled_parameters(function: object) -> list[tuple[str, object]]:
    assert callable(function)
    return [
        ("*" * (parameter.kind is parameter.KEYWORD_ONLY) + parameter.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
    ]


def compiled_return(thing: object) -> str:
    """What the compiled function or property gives back, as its source says."""
    if callable(thing):
        return str(inspect.signature(thing).return_annotation)
    return (inspect.getdoc(thing) or "").partition("\n")[0].rpartition(": ")[2]


def doc(thing: object) -> str:
    """The docstring without the signature that Cython puts first."""
    text = inspect.getdoc(thing) or ""
    signature, _, rest = text.partition("\n\n")
    return rest if re.match(r"[\w.]+[(:]", signature) else text


def public(owner: Owner) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


def test_every_public_name_stands_in_the_stub_and_the_other_way_round() -> None:
    constants = {
        node.target.id
        for node in STUB.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    functions = {node.name for node, owner in FUNCTIONS if owner is _fastpath}
    assert constants | functions | {node.name for node in CLASSES} == public(_fastpath)


@pytest.mark.parametrize("node", CLASSES, ids=lambda node: node.name)
def test_every_member_of_a_class_stands_in_the_stub(node: ast.ClassDef) -> None:
    named = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
    assert {name for name in named if not name.startswith("_")} == public(getattr(_fastpath, node.name))


def test_constants_have_the_values_the_stub_says() -> None:
    for node in STUB.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            assert getattr(_fastpath, node.target.id) == ast.literal_eval(node.value)


@pytest.mark.parametrize(("node", "owner"), FUNCTIONS, ids=NAMES)
def test_parameters_are_those_of_the_stub(node: ast.FunctionDef, owner: Owner) -> None:
    compiled = vars(owner)[node.name]
    if is_property(node):
        assert inspect.isgetsetdescriptor(compiled)
    elif node.name.startswith("__"):
        # Slots of a type tell no names; the test after this one looks at __init__.
        assert callable(compiled)
    else:
        assert parameters(node) == compiled_parameters(compiled)


def test_the_decoder_takes_the_options_of_the_stub() -> None:
    (init,) = [
        node for node, owner in FUNCTIONS if owner is _fastpath.DataDecoder and node.name == "__init__"
    ]
    names = [name for name, _ in parameters(init)]
    assert names == ["self", "*refuse_bare_lf", "*max_line", "*limit"]
    shown = (_fastpath.DataDecoder.__doc__ or "").partition("\n")[0]
    for name, default in parameters(init)[1:]:
        assert f"{name.lstrip('*')}={default}" in shown


@pytest.mark.parametrize(("node", "owner"), FUNCTIONS, ids=NAMES)
def test_results_are_those_of_the_stub(node: ast.FunctionDef, owner: Owner) -> None:
    if not node.name.startswith("__"):
        assert node.returns is not None
        assert ast.unparse(node.returns) == compiled_return(vars(owner)[node.name])


@pytest.mark.parametrize(("node", "owner"), FUNCTIONS, ids=NAMES)
def test_docstrings_are_those_of_the_stub(node: ast.FunctionDef, owner: Owner) -> None:
    if not node.name.startswith("__"):
        assert doc(vars(owner)[node.name]) == ast.get_docstring(node)


@pytest.mark.parametrize("node", CLASSES, ids=lambda node: node.name)
def test_classes_are_described_as_in_the_stub(node: ast.ClassDef) -> None:
    assert doc(getattr(_fastpath, node.name)) == ast.get_docstring(node)
