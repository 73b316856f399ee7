"""What is wrong with a configuration, in an administrator's words.

A problem names the key, the value (never a secret), and what to do. All problems of
a file are told at once.
"""

import difflib
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from relay.errors import ConfigurationError

SECRET_WORDS = ("pass", "pwd", "secret", "token", "credential")
SHOWN_MAX = 60
"""Longer values are cut: a problem is one line."""


class InvalidConfiguration(ConfigurationError):
    """The file cannot be used; `problems` are all there are."""

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.path = path
        self.problems = tuple(problems)


def explain_all(error: ValidationError, tables: Mapping[str, type[BaseModel]]) -> list[str]:
    """One sentence a problem; `tables` are the models by the name of their table."""
    return [_explain(detail, tables) for detail in error.errors(include_url=False)]


def key_path(location: Sequence[int | str]) -> str:
    """`route[0].port` of `("route", 0, "port")`."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def _explain(detail: ErrorDetails, tables: Mapping[str, type[BaseModel]]) -> str:
    location = detail["loc"]
    key = key_path(location) or "the file"
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: {_unknown(detail, tables)}"
        case "missing":
            return f"{key}: is missing; it has no default"
    return f"{key}: {_wrong(detail)}{_found(location, detail['input'])}"


def _wrong(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context.get("error", detail["msg"]))
        case "int_type" | "int_from_float":
            return "must be a whole number"
        case "float_type":
            return "must be a number"
        case "string_type":
            return "must be text, in quotes"
        case "bool_type":
            return "must be true or false"
        case "list_type":
            return "must be a list, in [ ] (a table that may stand several times: in [[ ]])"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a table of keys"
        case "literal_error":
            return f"must be one of {context.get('expected', '')}".replace("'", '"')
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']:g}"
        case "string_too_short" | "too_short":
            return "must not be empty"
    return detail["msg"].removeprefix("Value error, ")


def _found(location: Sequence[int | str], value: object) -> str:
    """The value, when it is one that may be shown."""
    if not isinstance(value, str | int | float) or _is_secret(location):
        return ""
    if isinstance(value, str) and "@" in value and ("//" in value or ":" in value.partition("@")[0]):
        return ""  # A URL with a name and a password in it, perhaps without its scheme.
    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return f"; found {text[:SHOWN_MAX]}{'…' if len(text) > SHOWN_MAX else ''}"


def _is_secret(location: Sequence[int | str]) -> bool:
    names = [step.lower() for step in location if isinstance(step, str)]
    # A password_file is the name of a file; `pasword` is a slip, and what follows it a password.
    return any(
        not name.endswith(("_file", "_env"))
        and (word in name or difflib.get_close_matches(name, ["password"]))
        for name in names
        for word in SECRET_WORDS
    )


def _unknown(detail: ErrorDetails, tables: Mapping[str, type[BaseModel]]) -> str:
    *parents, key = (step for step in detail["loc"] if isinstance(step, str))
    if key == "password" and parents[-1:] == ["client"]:
        return (
            "a secret does not stand in the configuration; m365-relay client add makes one and keeps its hash"
        )
    if key in ("password", "client_secret", "key_password"):
        by_file = (
            ""
            if key == "key_password"
            else f"put it into a file of its own and name that with {key}_file, or "
        )
        return f"a secret does not stand in the configuration; {by_file}name an environment variable with {key}_env"
    here = tables[parents[-1] if parents and parents[-1] in tables else ""]
    found = _found(detail["loc"], detail["input"])
    if near := difflib.get_close_matches(key, here.model_fields, n=1):
        return f'unknown key{found}; did you mean "{near[0]}"?'
    for name, table in tables.items():
        if name and key in table.model_fields:
            return f"unknown key here{found}; it belongs to [{name}]"
    return f"unknown key{found}; known are {', '.join(sorted(here.model_fields))}"
