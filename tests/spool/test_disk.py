"""Disks that are full or fail: whole batches fail, nothing is lost, and it goes on by itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.clock import SystemClock
from relay.errors import SpoolBroken, SpoolError, SpoolFull
from relay.spool.change import Remove
from relay.spool.check import check_store
from relay.spool.commit import Committer
from relay.spool.entry import Entry
from relay.spool.options import MIB, SpoolOptions
from relay.spool.store import Store
from relay.trace.event import Event, SpoolAccepting, SpoolRefusing
from tests.fakes.disk import Step, failing, fill, mount_trouble, small_tmpfs
from tests.spool.sample import accept, options


def ids(store: Store) -> list[int]:
    return [entry.queued.id for entry in store.scan() if isinstance(entry, Entry)]


def assert_sound(store: Store) -> None:
    report = check_store(store)
    assert report.problems == []


@pytest.mark.parametrize(
    "step", [Step.WRITE_NO_SPACE, Step.WRITE_ERROR, Step.SYNC], ids=lambda step: step.name
)
def test_a_commit_that_fails_leaves_nothing_and_the_next_one_works(tmp_path: Path, step: Step) -> None:
    store = Store.open(options(tmp_path / "spool"))
    store.apply([accept(1)])
    with failing(tmp_path / "spool" / "data.mdb", step):
        for id in (2, 3):
            with pytest.raises(SpoolFull if step is Step.WRITE_NO_SPACE else SpoolError) as raised:
                store.apply([accept(id, b"x" * 50_000), accept(id + 10)])
            assert not isinstance(raised.value, SpoolBroken)
            assert ids(store) == [1]
    store.apply([accept(4, b"y" * 50_000)])
    assert ids(store) == [1, 4]
    assert_sound(store)
    store.close()
    store = Store.open(options(tmp_path / "spool"))
    assert ids(store) == [1, 4]
    store.close()


def test_a_meta_page_that_cannot_be_written_ends_the_use_of_the_store(tmp_path: Path) -> None:
    store = Store.open(options(tmp_path / "spool"))
    store.apply([accept(1)])
    with failing(tmp_path / "spool" / "data.mdb", Step.META), pytest.raises(SpoolError):
        store.apply([accept(2)])
    with pytest.raises(SpoolBroken):
        store.apply([accept(3)])
    store.close()
    store = Store.open(options(tmp_path / "spool"))
    # In doubt is only the commit whose last write failed: its client was told to come again.
    assert ids(store) in ([1], [1, 2])
    store.apply([accept(4)])
    assert_sound(store)
    store.close()


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    trouble = mount_trouble()
    if trouble is not None:
        pytest.skip(trouble)
    try:
        with small_tmpfs(tmp_path / "disk", 16 * MIB) as folder:
            yield folder
    except OSError as error:
        pytest.skip(str(error))


def on(folder: Path, floor: int = 0, ballast: int = MIB) -> SpoolOptions:
    return SpoolOptions(
        folder / "spool", free_space_floor_bytes=floor, ballast_bytes=ballast, check_interval_s=0.02
    )


def put_until_full(store: Store, size: int, first: int = 1) -> int:
    """The last id that was kept."""
    for id in range(first, first + 10_000):
        try:
            store.apply([accept(id, b"x" * size)])
        except SpoolFull:
            return id - 1
    raise AssertionError("never full")


@pytest.mark.parametrize("size", [3_000, 10_240, 200_000])
def test_a_full_file_system_keeps_what_was_committed(tmpfs: Path, size: int) -> None:
    store = Store.open(on(tmpfs))
    last = put_until_full(store, size)
    assert last > 20
    assert [entry.queued.id for entry in store.scan() if isinstance(entry, Entry)] == list(range(1, last + 1))
    assert_sound(store)
    store.close()


def test_a_spool_on_a_disk_filled_by_others_can_empty_itself(tmpfs: Path) -> None:
    store = Store.open(on(tmpfs))
    store.apply([accept(id, b"x" * 5000) for id in range(1, 1001)])
    fill(tmpfs)
    put_until_full(store, 5000, 2000)
    assert store.free_on_disk_bytes() == 0
    assert store._ballast._path.stat().st_size == MIB, "additions must not get the ballast"
    for entry in store.scan():
        assert isinstance(entry, Entry)
        store.apply([Remove(entry.queued.id, 1)])
    assert ids(store) == []
    assert_sound(store)
    store.apply([accept(3000, b"y" * 5000)])
    store.close()


def test_without_ballast_the_same_disk_refuses_removals(tmpfs: Path) -> None:
    """What the ballast is for; should this ever fail, it can go."""
    store = Store.open(on(tmpfs, ballast=0))
    store.apply([accept(id, b"x" * 5000) for id in range(1, 1001)])
    fill(tmpfs)
    put_until_full(store, 100, 2000)
    with pytest.raises(SpoolFull):
        for id in range(1, 1001):
            store.apply([Remove(id, 1)])
    assert_sound(store)
    store.close()


def test_the_committer_refuses_at_the_floor_and_resumes_when_there_is_room(tmpfs: Path) -> None:
    async def run() -> None:
        store, events, results = (
            Store.open(on(tmpfs, floor=4 * MIB)),
            list[Event](),
            dict[int, SpoolError | None](),
        )
        committer = Committer(store, asyncio.get_running_loop(), events.append, SystemClock())

        async def submit(id: int) -> SpoolError | None:
            committer.submit(accept(id, b"x" * 20_000), lambda error: results.__setitem__(id, error))
            async with asyncio.timeout(10):
                while id not in results:  # noqa: ASYNC110 - it happens in a thread
                    await asyncio.sleep(0.001)
            return results[id]

        id = 1
        while await submit(id) is None:
            id += 1
        assert isinstance(results[id], SpoolFull) and id > 50
        assert store.free_bytes() > 3 * MIB, "the floor was kept"
        for gone in range(1, id):
            committer.submit(Remove(gone, 1), lambda error: None)
        async with asyncio.timeout(10):
            while committer.refusing is not None:  # noqa: ASYNC110 - it happens in a thread
                await asyncio.sleep(0.001)
        assert await submit(id + 1) is None
        await committer.close()
        assert ids(store) == [id + 1]
        assert [type(e) for e in events if isinstance(e, SpoolRefusing | SpoolAccepting)] == [
            SpoolRefusing,
            SpoolAccepting,
        ]
        assert_sound(store)
        store.close()

    asyncio.run(run())
