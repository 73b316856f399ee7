"""A webhook's life, turn by turn: what is told, when again, and what a crash costs."""

import asyncio
import random
from pathlib import Path

import pytest

from relay.trace import event as events
from relay.trace.history.erasure import erase
from relay.trace.history.state import State
from relay.trace.webhook_event import (
    WebhookFailed,
    WebhookGap,
    WebhookLag,
    WebhookMoved,
    WebhookSent,
    WebhookTrouble,
)
from relay.webhook.position import Order
from relay.webhook.post import Answer, Unanswered
from relay.webhook.webhook import LOOK_S, TROUBLE_S
from tests.fakes.loop import in_loop
from tests.webhook.world import World


@in_loop
async def test_what_happens_from_its_beginning_on_is_told_and_what_was_before_is_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.deliver("before@e.net")
    await world.hook.begin()
    world.deliver("a@e.net", "b@e.net")
    assert await world.hook.turn() == 1.0
    assert world.receiver.events() == [("delivered", "a@e.net"), ("delivered", "b@e.net")]
    await world.hook.turn()
    assert len(world.receiver.asked) == 1
    assert world.position().cursor == 3 and world.position().sent == 2


@in_loop
async def test_a_history_that_is_not_there_yet_is_told_from_its_beginning(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    assert await world.hook.turn() == 1.0
    world.deliver("a@e.net")
    await world.hook.turn()
    assert world.receiver.events() == [("delivered", "a@e.net")]
    assert world.of(WebhookGap) == []


@in_loop
async def test_each_kind_of_event_is_told_and_steps_of_other_kinds_are_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    mail = world.mail("a@e.net", "b@e.net", "c@e.net", "d@e.net", "e@e.net")
    tell = world.telling
    words = ("r", "h", "451 4.4.1 later", 9, "told")
    tell.write(
        events.Uncertain(mail.id, "r", "h", "lost"),
        tell.deferred(mail, "a@e.net"),
        tell.held(mail, "b@e.net"),
        events.Failed(mail.id, ("c@e.net",), *words),
        events.Failed(mail.id, ("d@e.net",), *words, is_expired=True),
        events.Steered(id=mail.id, do="release", recipients=("b@e.net",), by="me"),
        tell.delivered(mail, "e@e.net"),
    )
    await world.hook.turn()
    assert world.receiver.events() == [
        ("deferred", "a@e.net"), ("held", "b@e.net"), ("failed", "c@e.net"), ("expired", "d@e.net"),
        ("delivered", "e@e.net"),
    ]  # fmt: skip


@in_loop
async def test_only_what_is_wanted_is_told(tmp_path: Path) -> None:
    world = World(
        tmp_path, events=(State.DELIVERED,), routes=("exchange-online",), clients=("crm",), batch_size=10
    )
    await world.hook.begin()
    world.deliver("no@e.net", account="erp")
    wanted = world.mail("a@e.net", account="crm")
    world.telling.write(world.telling.deferred(wanted), world.telling.delivered(wanted, route="other"))
    world.telling.write(world.telling.delivered(wanted))
    await world.hook.turn()
    assert world.receiver.events() == [("delivered", "a@e.net")]


@in_loop
async def test_many_events_go_in_batches_without_a_pause(tmp_path: Path) -> None:
    world = World(tmp_path, batch_size=3)
    await world.hook.begin()
    world.deliver(*(f"r{i}@e.net" for i in range(8)))
    assert [await world.hook.turn() for _ in range(3)] == [0.0, 0.0, 1.0]
    assert [len(batch["data"]["events"]) for batch in world.receiver.taken] == [3, 3, 2]  # type: ignore[index]
    assert [event for _, event in world.receiver.events()] == [f"r{i}@e.net" for i in range(8)]


@in_loop
async def test_a_batch_that_was_not_taken_comes_again_the_same_and_nothing_later_before_it(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(500), Unanswered("refused"), Answer(200)]
    await world.hook.begin()
    world.deliver("a@e.net")
    assert await world.hook.turn() == 5.0
    world.deliver("later@e.net")
    assert await world.hook.turn() == 5.0 and len(world.receiver.asked) == 1
    world.clock.advance(5.0)
    # The second pause takes ten seconds; within it, orders are looked for.
    assert await world.hook.turn() == LOOK_S and len(world.receiver.asked) == 2
    world.clock.advance(10.0)
    assert await world.hook.turn() == 0.0
    assert len(set(world.receiver.ids)) == 1 and len(world.receiver.ids) == 3
    assert world.receiver.asked[0] == world.receiver.asked[2]
    await world.hook.turn()
    assert world.receiver.events() == [("delivered", "a@e.net"), ("delivered", "later@e.net")]
    first, second = world.of(WebhookFailed)
    assert isinstance(first, WebhookFailed) and isinstance(second, WebhookFailed)
    assert (first.reason, first.failures, first.level) == (
        "it answered 500 Internal Server Error",
        1,
        "warning",
    )
    assert (second.reason, second.failures) == ("refused", 2)
    sent = world.of(WebhookSent)[0]
    assert isinstance(sent, WebhookSent) and (sent.failures, sent.level) == (2, "info")


@pytest.mark.parametrize("status", [301, 308, 400, 401, 403, 404, 413, 422])
@in_loop
async def test_what_a_receiver_refuses_is_tried_on_and_somebody_is_told_to_look(
    tmp_path: Path, status: int
) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(status)] * 3
    await world.hook.begin()
    world.deliver("a@e.net")
    for _ in range(4):
        await world.hook.turn()
        world.clock.advance(600)
    assert world.receiver.events() == [("delivered", "a@e.net")]
    assert [event.level for event in world.of(WebhookFailed)] == ["error"] * 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@in_loop
async def test_what_may_pass_is_a_warning(tmp_path: Path, status: int) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(status)]
    await world.hook.begin()
    world.deliver("a@e.net")
    await world.hook.turn()
    assert [event.level for event in world.of(WebhookFailed)] == ["warning"]


@in_loop
async def test_a_receiver_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(503, "120"), Answer(410)]
    await world.hook.begin()
    world.deliver("a@e.net")
    await world.hook.turn()
    world.clock.advance(119.9)
    await world.hook.turn()
    assert len(world.receiver.asked) == 1
    world.clock.advance(0.2)
    await world.hook.turn()
    assert len(world.receiver.asked) == 2
    # It wants no more (RFC 9110 section 15.5.11): still told, at the longest pause.
    world.clock.advance(599.0)
    await world.hook.turn()
    assert len(world.receiver.asked) == 2


@in_loop
async def test_the_position_is_on_the_disk_before_the_next_batch_goes(tmp_path: Path) -> None:
    world = World(tmp_path, batch_size=1)
    await world.hook.begin()
    world.deliver("a@e.net", "b@e.net", "c@e.net")
    seen: list[int] = []
    world.receiver.before_answer = lambda: seen.append(world.position().cursor)
    for _ in range(3):
        await world.hook.turn()
    assert seen == [0, 1, 2]


@in_loop
async def test_a_disk_that_takes_no_position_stops_the_webhook_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, batch_size=1)
    await world.hook.begin()
    world.deliver("a@e.net", "b@e.net")

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(world.hook._file, "write", full)
        await world.hook.turn()
        assert [await world.hook.turn() for _ in range(3)] == [TROUBLE_S] * 3
    assert len(world.receiver.asked) == 1
    [trouble] = world.of(WebhookTrouble)
    assert isinstance(trouble, WebhookTrouble) and "No space left" in trouble.reason
    await world.hook.turn()
    assert [name for _, name in world.receiver.events()] == ["a@e.net", "b@e.net"]


@in_loop
async def test_killed_at_any_moment_everything_is_told_at_least_once_and_in_order(tmp_path: Path) -> None:
    world = World(tmp_path, batch_size=4)
    await world.hook.begin()
    rng = random.Random(5)
    expected: list[str] = []

    class Killed(Exception):
        pass

    def perhaps_killed() -> None:
        if rng.random() < 0.3:
            raise Killed

    world.receiver.before_answer = perhaps_killed
    for round in range(60):
        names = [f"{round}-{i}@e.net" for i in range(rng.randint(0, 6))]
        if names:
            world.deliver(*names)
            expected += names
        if rng.random() < 0.2:
            world.receiver.script.append(Answer(500))
        try:
            await world.hook.turn()
        except Killed:
            # The receiver may have taken it; the answer never came.
            if rng.random() < 0.5:
                world.receiver.taken.append(world.receiver.asked[-1])
            world.start()
        world.clock.advance(600)
    world.receiver.before_answer = lambda: None
    for _ in range(100):
        await world.hook.turn()
        world.clock.advance(600)
    told = [name for _, name in world.receiver.events()]
    assert list(dict.fromkeys(told)) == expected, "all of them, and each for the first time in order"
    assert len(told) > len(expected), "or this test kills nothing"


@in_loop
async def test_a_batch_that_failed_is_the_same_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(500)]
    await world.hook.begin()
    world.deliver("a@e.net")
    await world.hook.turn()
    world.deliver("b@e.net")
    world.start()
    await world.hook.turn()
    assert world.receiver.ids[0] == world.receiver.ids[1], "at once: a restart is a word to try again"


@in_loop
async def test_what_was_purged_before_it_was_told_is_said_in_the_next_batch_and_counted(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, history={"keep_s": 60.0})
    world.receiver.script = [Answer(500)]
    await world.hook.begin()
    world.deliver(*(f"r{i}@e.net" for i in range(5)))
    await world.hook.turn()
    world.clock.advance(3_600)
    assert world.telling.writer.purge()
    await world.hook.turn()
    assert world.position().missing == 5, "it is remembered until somebody has heard it"
    world.deliver("new@e.net")
    world.start()
    await world.hook.turn()
    [batch] = world.receiver.taken
    assert batch["data"]["missing"] == {"steps": 5, "is_new_history": False}  # type: ignore[index]
    assert world.receiver.events() == [("delivered", "new@e.net")]
    assert [(event.steps, event.level) for event in world.of(WebhookGap)] == [(5, "error")]  # type: ignore[union-attr]
    world.deliver("next@e.net")
    await world.hook.turn()
    assert world.receiver.taken[-1]["data"]["missing"] is None  # type: ignore[index]


@in_loop
async def test_who_was_erased_while_a_batch_waited_is_not_told_of(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(500)]
    await world.hook.begin()
    world.deliver("a@e.net", "anna@e.net", "b@e.net")
    await world.hook.turn()
    erase(world.telling.path, "anna@e.net", "me", world.clock.now())
    world.clock.advance(5)
    await world.hook.turn()
    assert [name for _, name in world.receiver.events()] == ["a@e.net", "b@e.net"]
    assert len(set(world.receiver.ids)) == 2, "another body has another id"


@in_loop
async def test_a_history_that_was_begun_anew_is_told_from_its_beginning_and_said(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net", "b@e.net")
    await world.hook.turn()
    world.take_away_history()
    assert await world.hook.turn() == 1.0
    world.deliver("new@e.net")
    await world.hook.turn()
    assert world.receiver.events()[-1] == ("delivered", "new@e.net")
    assert world.receiver.taken[-1]["data"]["missing"] == {"steps": 0, "is_new_history": True}  # type: ignore[index]
    assert len(world.of(WebhookGap)) == 1


@in_loop
async def test_when_the_history_lost_its_end_what_takes_those_numbers_is_told_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net")
    world.telling.writer.close()
    saved = world.telling.path.read_bytes()
    world.deliver("b@e.net", "c@e.net")
    await world.hook.turn()
    assert world.position().cursor == 3
    world.telling.writer.close()
    world.telling.path.write_bytes(saved)
    world.start()
    # As many again as were lost, before anybody has looked.
    world.deliver("d@e.net", "e@e.net", "f@e.net")
    await world.hook.turn()
    names = [name for _, name in world.receiver.events()]
    assert names == ["a@e.net", "b@e.net", "c@e.net", "d@e.net", "e@e.net", "f@e.net"]
    ids = [event["id"] for batch in world.receiver.taken for event in batch["data"]["events"]]  # type: ignore[index]
    assert len(set(ids)) == 6
    [trouble] = world.of(WebhookTrouble)
    assert isinstance(trouble, WebhookTrouble) and "behind step 1;" in trouble.reason


@in_loop
async def test_a_position_that_cannot_be_read_is_put_aside_and_all_there_is_told_again(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net")
    await world.hook.turn()
    (tmp_path / "webhooks" / "crm.json").write_bytes(b"{")
    world.start()
    await world.hook.begin()
    await world.hook.turn()
    assert [name for _, name in world.receiver.events()] == ["a@e.net", "a@e.net"]
    [trouble] = world.of(WebhookTrouble)
    assert isinstance(trouble, WebhookTrouble) and "crm.damaged" in trouble.reason
    assert world.of(WebhookGap) == []


@in_loop
async def test_an_order_lets_it_tell_again_once_and_says_who_gave_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net", "b@e.net")
    await world.hook.turn()
    world.file.leave_order(Order("o1", "replay", "alice", 1))
    await world.hook.turn()
    await world.hook.turn()
    assert [name for _, name in world.receiver.events()] == ["a@e.net", "b@e.net", "b@e.net"]
    assert world.told.count(WebhookMoved("crm", "replay", "alice", 2, 1)) == 1
    assert world.file.order() is None


@in_loop
async def test_an_order_that_could_not_be_taken_away_is_carried_out_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net")
    await world.hook.turn()
    for _ in range(3):
        # As after a crash between the position and the order.
        world.file.leave_order(Order("o1", "replay", "alice", 0))
        await world.hook.turn()
    assert [name for _, name in world.receiver.events()] == ["a@e.net", "a@e.net"]


@in_loop
async def test_an_order_that_cannot_be_read_is_told_once_and_dropped(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net")
    (tmp_path / "webhooks" / "crm.order").write_bytes(b"{")
    for _ in range(3):
        await world.hook.turn()
    assert len(world.of(WebhookTrouble)) == 1
    assert world.receiver.events() == [("delivered", "a@e.net")]


@in_loop
async def test_skip_ends_the_wait_for_a_receiver_that_refuses(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(400)]
    await world.hook.begin()
    world.deliver("poison@e.net")
    await world.hook.turn()
    world.file.leave_order(Order("o1", "skip", "alice", 1))
    world.deliver("next@e.net")
    await world.hook.turn()
    assert world.receiver.events() == [("delivered", "next@e.net")]


@in_loop
async def test_what_is_not_wanted_is_passed_over_without_a_write_for_each_look(tmp_path: Path) -> None:
    world = World(tmp_path, events=(State.HELD,))
    await world.hook.begin()
    for _ in range(9):
        world.deliver()
        await world.hook.turn()
        world.clock.advance(1)
    assert world.position().cursor < 9
    world.clock.advance(10)
    world.deliver()
    await world.hook.turn()
    assert world.position().cursor == 10
    world.deliver()
    await world.hook.turn()
    await world.hook.close()
    assert world.position().cursor == 11 and world.receiver.is_closed and world.receiver.asked == []


@in_loop
async def test_how_far_it_is_behind_is_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.receiver.script = [Answer(500)]
    await world.hook.begin()
    world.deliver("a@e.net", "b@e.net")
    world.clock.advance(3)
    await world.hook.turn()
    world.clock.advance(4)
    await world.hook.turn()
    world.clock.advance(4)
    await world.hook.turn()
    await world.hook.turn()
    lags = [(event.steps, event.seconds) for event in world.of(WebhookLag)]  # type: ignore[union-attr]
    assert lags == [(2, 3.0), (2, 7.0), (2, 11.0), (0, 0.0)]


@in_loop
async def test_a_history_that_cannot_be_read_is_told_once_and_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.hook.begin()
    world.deliver("a@e.net")
    world.telling.writer.close()
    good = world.telling.path.read_bytes()
    world.telling.path.write_bytes(b"rubbish" * 1_000)
    assert [await world.hook.turn() for _ in range(3)] == [TROUBLE_S] * 3
    assert len(world.of(WebhookTrouble)) == 1
    world.telling.path.write_bytes(good)
    await world.hook.turn()
    assert world.receiver.events() == [("delivered", "a@e.net")]


@in_loop
async def test_it_ends_when_told_and_finishes_what_is_under_way(tmp_path: Path) -> None:
    world = World(tmp_path)
    end = asyncio.Event()
    await world.hook.begin()
    world.deliver("a@e.net")
    world.receiver.before_answer = end.set
    async with asyncio.timeout(10):
        await world.hook.run(end)
    assert world.position().cursor == 1
