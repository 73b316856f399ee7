"""Find the configuration file, read it, judge it whole."""

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError

from relay.config.build import build
from relay.config.configuration import Configuration
from relay.config.findings import Findings
from relay.config.model import TABLES, File
from relay.config.problem import InvalidConfiguration, explain_all
from relay.errors import ConfigurationError

VARIABLE = "M365_RELAY_CONFIG"
PLACES = (Path("relay.toml"), Path("/etc/m365-relay/relay.toml"))
FILE_MAX_BYTES = 4 * 1024 * 1024
"""Some 10,000 routes; more is another file named by mistake."""


def find(named: Path | None = None) -> Path:
    """`--config`, else $M365_RELAY_CONFIG, ./relay.toml, /etc/m365-relay/relay.toml; as an absolute path."""
    if named is not None:
        return named.absolute()
    if variable := os.environ.get(VARIABLE):
        return Path(variable).absolute()
    for place in PLACES:
        if place.is_file():
            return place.absolute()
    raise ConfigurationError(
        f"there is no configuration; name one with --config or ${VARIABLE}, or write {PLACES[0]} or {PLACES[1]}"
    )


def read(path: Path, now: float) -> Configuration:
    """The configuration in `path`; InvalidConfiguration with every problem it has."""
    data = _parse(path)
    try:
        file = File.model_validate(data)
    except ValidationError as error:
        raise InvalidConfiguration(str(path), explain_all(error, TABLES)) from None
    found = Findings(path.parent, now)
    configuration = build(path, file, found)
    if found.problems:
        raise InvalidConfiguration(str(path), found.problems)
    return configuration


def _parse(path: Path) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            text = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise InvalidConfiguration(str(path), [f"cannot be read: {error.strerror}"]) from None
    if len(text) > FILE_MAX_BYTES:
        raise InvalidConfiguration(
            str(path), [f"is larger than {FILE_MAX_BYTES} bytes; is it the right file?"]
        )
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise InvalidConfiguration(str(path), [f"line {line} is not UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        # tomllib ends its message with "(at line 3, column 5)" or "(at end of document)".
        raise InvalidConfiguration(str(path), [f"is no valid TOML: {error}"]) from None
