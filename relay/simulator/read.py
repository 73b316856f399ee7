"""Read the simulator's TOML file and judge it whole."""

import ipaddress
import tomllib
from pathlib import Path

from pydantic import ValidationError

from relay.config.problem import InvalidConfiguration, explain_all
from relay.config.value import endpoint
from relay.simulator.fault import find
from relay.simulator.options import TABLES, File


def read(path: Path | None) -> File:
    """What the file says, or a tenant with four mailboxes; InvalidConfiguration with every problem."""
    if path is None:
        return File()
    try:
        file = File.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        raise InvalidConfiguration(str(path), explain_all(error, TABLES)) from None
    except OSError as error:
        raise InvalidConfiguration(str(path), [f"cannot be read: {error.strerror}"]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfiguration(str(path), [f"is no valid TOML: {error}"]) from None
    if problems := [*_exposed(file), *_unknown_rows(file), *_twice(file)]:
        raise InvalidConfiguration(str(path), problems)
    return file


def _exposed(file: File) -> list[str]:
    """It takes everybody's mail and has a control without a password."""
    if file.listen.expose:
        return []
    services = file.listen.model_dump(exclude={"expose", "names"})
    return [
        f"listen.{key}: other machines can reach {address}; write expose = true if that is wanted"
        for key, address in services.items()
        if address and not ipaddress.ip_address(endpoint(address)[0]).is_loopback
    ]


def _unknown_rows(file: File) -> list[str]:
    problems = []
    for number, fault in enumerate(file.fault):
        try:
            if fault.row:
                find(fault.row)
        except ValueError as error:
            problems.append(f"fault[{number}].row: {error}")
    return problems


def _twice(file: File) -> list[str]:
    seen: set[str] = set()
    problems = []
    for number, mailbox in enumerate(file.mailbox):
        address = mailbox.address.lower()
        if address in seen:
            problems.append(f"mailbox[{number}].address: {mailbox.address} is there already")
        seen.add(address)
    return problems
