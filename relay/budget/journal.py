"""The journal: which rows go to the disk, and which of them are there.

Batches are handed out in order and must be committed in order. `durable` is the
last one up to which everything is on the disk: after a failed batch it stays where
it is until the batch that says the same again is committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from relay.budget.account import Account
from relay.budget.row import NOW, Row, number


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows for one commit, and whose they are."""

    serial: int
    rows: tuple[Row, ...]
    accounts: tuple[Account, ...]


class Journal:
    """Accounts with rows to write."""

    def __init__(self) -> None:
        self.durable = 0
        self.following = 1
        """The next batch."""
        self.dirty: dict[Account, None] = {}
        """In order of first change."""
        self._orphans: dict[bytes, None] = {}
        """Keys of rows that no account owns any more."""
        self._lost_until = 0
        """After a failed batch: nothing is durable until this one is."""

    def abandon(self, keys: Iterable[bytes]) -> None:
        """These rows are of no more use."""
        self._orphans.update(dict.fromkeys(keys))

    def forget(self, account: Account) -> None:
        """An idle account goes, and its rows with it."""
        self.dirty.pop(account, None)
        self.abandon(account.row_keys())

    def changes(self, now: int) -> Batch | None:
        """What has changed since the last call, for the next commit; None: nothing has."""
        if not self.dirty and not self._orphans:
            return None
        # Deletions first: an account that came back may own such a row again.
        rows: list[Row] = [(key, None) for key in self._orphans]
        for account in self.dirty:
            rows += account.rows(self.durable, self.following)
        rows.append((NOW, number(now)))
        batch = Batch(self.following, tuple(rows), tuple(self.dirty))
        self.following += 1
        self.dirty = {}
        self._orphans.clear()
        return batch

    def committed(self, batch: Batch) -> None:
        """The batch is on the disk."""
        if batch.serial >= self._lost_until:
            self.durable = batch.serial

    def failed(self, batch: Batch) -> None:
        """Nothing of the batch is on the disk: its rows go out again with the next."""
        self._lost_until = self.following
        for account in batch.accounts:
            account.lose()
            self.dirty[account] = None
        self.abandon(key for key, value in batch.rows if value is None)
