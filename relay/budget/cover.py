"""A cover: how much of a limit's use the disk already answers for.

Content may leave only when its charge is durable; a crash may then over-count but
never forget. One commit before each mail would make the fastest routes wait for the
disk twice a mail, so a row states more open than there is: of a large limit one
part in SLACK_PART, which a crash loses at most. Sends within it go at once. Small
limits have no slack: each send of theirs waits for its own row.

The rule: what the newest durable rows state, held and open together, is never less
than what has been used. `left` is how much that leaves beyond today's use; `coming`
is the same for rows that were handed out (batch `serial`) and are not yet durable.
"""

SLACK_PART = 1000
"""0.1 % of the limit, lost for one window by a crash."""


class Cover:
    """What the rows of one account state as open."""

    __slots__ = ("coming", "is_short", "left", "serial", "slack", "stated")

    def __init__(self, count: int, stated: int = 0) -> None:
        self.slack = count // SLACK_PART
        self.stated = stated
        """The open row as last handed out; 0 is no row."""
        self.left = 0
        self.coming = 0
        self.serial = 0
        """Batch that brings `coming`; 0 when none is under way."""
        self.is_short = False
        """A send waits for the next batch to state more."""

    def take(self, amount: int, durable: int, following: int) -> int:
        """Cover a charge; the batch that must be durable before its content leaves.

        `durable` is the last durable batch, `following` the next to be handed out.
        """
        if self.serial and self.serial <= durable:
            self.left, self.serial = self.coming, 0
        if not self.serial:
            if self.left >= amount:
                self.left -= amount
                return 0
        elif self.coming >= amount:
            self.coming -= amount
            if self.left >= amount:
                self.left -= amount
                return 0
            return self.serial
        # Not from `left` alone: the batch under way may state less than the rows it replaces.
        self.is_short = True
        return following

    def restate(self, open: int, durable: int, following: int) -> bool:
        """Rows of all use go out as batch `following`; whether the open row must be among them."""
        if self.serial and self.serial <= durable:
            self.left, self.serial = self.coming, 0
        spare = self.stated - open
        changed = self.is_short or not self.slack // 2 <= spare <= 2 * self.slack
        if changed:
            self.stated = open + self.slack
            self.is_short = False
            spare = self.slack
        if changed or not self.serial:
            self.coming, self.serial = spare, following
        return changed

    def lose(self) -> None:
        """A batch failed: nobody knows what the rows state, so all of it is stated again."""
        self.left = self.coming = self.serial = 0
        self.is_short = True
