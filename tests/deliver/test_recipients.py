"""How many recipients go in one transaction, and which."""

from pathlib import Path

import pytest

from tests.deliver.relaying import relaying, route_to
from tests.fakes.loop import in_loop
from tests.fakes.sink import Sink


@pytest.mark.parametrize(
    ("of_route", "sizes"),
    [(0, [3, 3, 1]), (2, [2, 2, 2, 1]), (5, [5, 2]), (7, [7]), (500, [7])],
)
@in_loop
async def test_a_route_may_take_fewer_or_more_than_others(
    tmp_path: Path, of_route: int, sizes: list[int]
) -> None:
    async with Sink() as sink:
        route = route_to(sink.port, recipients_per_message=of_route, connections=1)
        async with relaying(tmp_path, route, recipients_max=3) as relay:
            await relay.send(*(f"{i}@c.test" for i in range(7)))
            await relay.until_empty()
        assert [len(mail.rcpts) for mail in sink.mails] == sizes
        assert len({rcpt for mail in sink.mails for rcpt in mail.rcpts}) == 7


@in_loop
async def test_a_route_may_take_only_so_many_of_one_domain(tmp_path: Path) -> None:
    async with Sink() as sink:
        route = route_to(sink.port, recipients_per_message=4, recipients_per_domain=2, connections=1)
        async with relaying(tmp_path, route) as relay:
            await relay.send(
                "1@c.test", "2@C.test", "3@c.test", "4@d.test", "5@c.test", "6@e.test", "7@c.test"
            )
            await relay.until_empty()
        assert [[rcpt[9:10] for rcpt in mail.rcpts] for mail in sink.mails] == [
            [b"1", b"2", b"4", b"6"],
            [b"3", b"5"],
            [b"7"],
        ]
