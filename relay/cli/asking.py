"""Ask the deliverer: one request, the objects of its answer; an error becomes a sentence."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import typer

from relay.config.read import find, read
from relay.control.client import ask
from relay.control.request import Problem, Request, parse
from relay.errors import RelayError


class NotDone(RelayError):
    """The deliverer cannot do it; the text says why, and what to do."""


def asked(config: Path | None, request: Request) -> Iterator[dict[str, object]]:
    """The answer, object by object; BadParameter, NotDone, Unanswered, ConfigurationError."""
    # What means nothing is wrong usage, whether a relay runs or not: trying again later does not help.
    problem = parse(msgspec.json.encode(request))
    if isinstance(problem, Problem):
        raise typer.BadParameter(f"{problem.error}; {problem.hint}")
    path = read(find(config), time.time()).control.path
    for answer in ask(path, request):
        if "error" in answer:
            hint = answer.get("hint")
            raise NotDone(f"{answer['error']}" + (f"; {hint}" if hint else ""))
        yield answer
