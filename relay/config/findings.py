"""What was found while a configuration was built: problems, warnings, names of secrets, what ends one day.

Gathered, not raised: an administrator wants to see all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from relay.errors import ConfigurationError
from relay.identity import expiry
from relay.identity.expiry import Credential


@dataclass(slots=True)
class Findings:
    """Of one file, at one moment."""

    folder: Path
    """Of the configuration: relative names are relative to it, not to where somebody stands."""
    now: float
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    secret_names: set[str] = field(default_factory=set)
    """Environment variables that hold secrets."""
    credentials: list[Credential] = field(default_factory=list)
    """Secrets and certificates whose end is known."""

    def problem(self, key: str, text: str) -> None:
        """The relay cannot start with this."""
        self.problems.append(f"{key}: {text}")

    def warning(self, key: str, text: str) -> None:
        """It can, and somebody should look."""
        self.warnings.append(f"{key}: {text}")

    def judge(self, key: str, examine: Callable[[], str | None]) -> None:
        """What `examine` raises is a problem, what it returns a warning."""
        try:
            warning = examine()
        except ConfigurationError as error:
            self.problem(key, str(error))
            return
        if warning:
            self.warning(key, warning)

    def credential(self, key: str, credential: Credential) -> None:
        """It ends one day; warned of when that is soon."""
        self.credentials.append(credential)
        if expiry.stage(credential, self.now) is not None:
            self.warning(key, expiry.sentence(credential, self.now))

    def file(self, name: str) -> Path:
        """The file that a key names."""
        return self.folder / name

    def optional_path(self, name: str | None) -> Path | None:
        """The same for a key that may be absent."""
        return None if name is None else self.file(name)

    def optional_file(self, name: str | None) -> str | None:
        """The same as text."""
        return None if name is None else str(self.file(name))
