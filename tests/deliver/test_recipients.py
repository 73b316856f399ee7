"""How many recipients go in one transaction."""

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
