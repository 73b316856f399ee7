"""`m365-relay suspend`, `resume` and `stopped`: stop something, let it go on, and see what has stopped."""

import time
from datetime import datetime
from pathlib import Path

import msgspec

from relay.cli.asking import asked
from relay.cli.selecting import moment_of, seconds_of
from relay.control.answer import Resumed, Stop, Suspended
from relay.control.request import Resume, Stopped, Suspend
from relay.process.exits import Exit


def suspend(
    config: Path | None, kind: str, name: str, reason: str, until: str, for_: str, *, as_json: bool
) -> Exit:
    """Stop it, for a time or until it is resumed."""
    now = datetime.now().astimezone()
    request = Suspend(
        kind=kind,
        name=name,
        reason=reason,
        until=moment_of(until, now, "--until").timestamp() if until else None,
        seconds=seconds_of(for_, "--for") if for_ else None,
    )
    (answer,) = asked(config, request)
    done = msgspec.convert(answer["result"], Suspended)
    if as_json:
        print(msgspec.json.encode(done).decode())
        return Exit.OK
    end = f"until {moment(done.until)}" if done.until is not None else "until it is resumed"
    print(
        f"The {done.kind} {done.name} is suspended {end}; its mail waits. What is under way ends as it would have."
    )
    return Exit.OK


def resume(config: Path | None, kind: str, name: str, *, as_json: bool) -> Exit:
    """Let it go on; 1 when nothing of that name had stopped."""
    (answer,) = asked(config, Resume(kind=kind, name=name))
    done = msgspec.convert(answer["result"], Resumed)
    if as_json:
        print(msgspec.json.encode(done).decode())
    elif not (done.suspensions or done.breakers):
        print("Nothing of that name had stopped; m365-relay stopped shows what has.")
    else:
        lines = []
        if done.suspensions:
            lines.append(f"{done.suspensions} suspended before: mail goes on.")
        if done.breakers:
            lines.append(
                f"{done.breakers} stopped by itself: one mail tries now, and the rest follows when it is taken."
            )
        print("\n".join(lines))
    return Exit.OK if done.suspensions or done.breakers else Exit.FOUND


def stopped(config: Path | None, *, as_json: bool) -> Exit:
    """All that has stopped; 1 when something has."""
    stops = [msgspec.convert(each["item"], Stop) for each in asked(config, Stopped()) if "item" in each]
    if as_json:
        for stop in stops:
            print(msgspec.json.encode(stop).decode())
    elif not stops:
        print("Nothing has stopped.")
    else:
        _print(stops)
    return Exit.FOUND if stops else Exit.OK


def _print(stops: list[Stop]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for stop in stops:
        how = f"suspended by {stop.by}" if stop.is_suspended else "has stopped"
        style = "yellow" if stop.is_suspended else "red"
        console.print(Text.assemble((f"{stop.kind} {stop.name}", "bold"), " ", (how, style)), soft_wrap=True)
        console.print(Text(f"  why:   {stop.reason}"), soft_wrap=True)
        console.print(Text(f"  since: {moment(stop.since)}"))
        console.print(Text(f"  until: {'somebody acts' if stop.until is None else moment(stop.until)}"))
        console.print(Text(f"  do:    {stop.todo}"), soft_wrap=True)


def moment(at: float) -> str:
    """Of the local clock, as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
