"""What is on the disk covers whatever has left, at every moment."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.budget.cover import Cover

COUNT = 8_000
"""A slack of 8."""
steps_of_a_cover = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 6)),
        st.tuples(
            st.sampled_from(["leave", "settle", "refund", "hand out", "commit", "fail"]), st.integers(0, 3)
        ),
    ),
    max_size=40,
)


class Disk:
    """A cover, the batches on their way to the disk, and what the disk says."""

    def __init__(self) -> None:
        self.cover = Cover(COUNT)
        self.waiting: list[tuple[int, int]] = []
        """(serial, amount) of sends that have not left."""
        self.out: list[int] = []
        self.left = 0
        """All that has ever left."""
        self.settled = 0
        """Settled since the last batch was handed out, and of batches that failed."""
        self.pending: list[tuple[int, int | None, int]] = []
        """(serial, open row if there is one, settled) of batches."""
        self.said_open = self.said_settled = 0
        self.durable, self.following, self.lost_until = 0, 1, 0

    @property
    def open(self) -> int:
        return sum(amount for _, amount in self.waiting) + sum(self.out)

    def do(self, what: str, number: int) -> None:
        match what:
            case "take":
                serial = self.cover.take(number, self.durable, self.following)
                self.waiting.append((serial, number))
            case "leave":
                ready = [amount for serial, amount in self.waiting if serial <= self.durable]
                self.out += ready
                self.left += sum(ready)
                self.waiting = [send for send in self.waiting if send[0] > self.durable]
            case "settle" if self.out:
                self.settled += self.out.pop(number % len(self.out))
            case "refund" if self.waiting:
                self.waiting.pop(number % len(self.waiting))
            case "hand out":
                changed = self.cover.restate(self.open, self.durable, self.following)
                self.pending.append((self.following, self.cover.stated if changed else None, self.settled))
                self.settled = 0
                self.following += 1
            case "commit" if self.pending:
                serial, stated, settled = self.pending.pop(0)
                self.said_open = self.said_open if stated is None else stated
                self.said_settled += settled
                if serial >= self.lost_until:
                    self.durable = serial
            case "fail" if self.pending:
                self.settled += self.pending.pop(0)[2]
                self.cover.lose()
                self.lost_until = self.following


@settings(max_examples=1000, deadline=None)
@given(steps_of_a_cover)
def test_the_disk_never_says_less_than_has_left(steps: Sequence[tuple[str, int]]) -> None:
    disk = Disk()
    for what, number in steps:
        disk.do(what, number)
        disk.do("leave", 0)
        assert disk.left <= disk.said_open + disk.said_settled


def test_a_batch_under_way_that_states_less_is_heeded() -> None:
    """Six leave on the old rows' account; the new ones cover eight in all, not fourteen."""
    disk = Disk()
    for what, number in [("take", 20), ("hand out", 0), ("commit", 0), ("leave", 0)]:
        disk.do(what, number)
    for what, number in [("settle", 0), ("hand out", 0), ("take", 6)]:
        disk.do(what, number)
    assert disk.waiting[-1][0] == 0
    disk.do("take", 3)
    assert disk.waiting[-1][0] == 3


def test_the_open_row_is_written_again_only_when_its_slack_is_used() -> None:
    disk = Disk()
    written = []
    for _ in range(40):
        for what in ("take", "hand out", "commit", "leave", "settle"):
            disk.do(what, 1)
            if what == "hand out":
                written.append(disk.pending[-1][1] is not None)
    assert written[0] and sum(written) < 10
