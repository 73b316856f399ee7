"""The end of a mail and the report of it are one change."""

from pathlib import Path

import pytest

from relay.spool.change import Accept, Budget, RecipientState, Record, Remove, Report, Status
from relay.spool.memory import MemoryStore
from relay.spool.prepared import prepare
from relay.spool.store import Store
from tests.spool.sample import accept, envelope, options

ROW = (b"\x05w", b"a window")
FAILED = (RecipientState(Status.FAILED, 1, 0.0, "550 no"),)


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store | MemoryStore:
    chosen = options(tmp_path / "spool")
    return Store.open(chosen) if request.param == "disk" else MemoryStore(chosen)


def test_a_mail_goes_as_its_report_comes(store: Store | MemoryStore) -> None:
    store.apply([accept(1)])
    store.apply([Report(Remove(1, 1), accept(2, b"report"), (ROW,))])
    assert store.read(1) is None
    assert store.read(2) == (envelope(2, 6), b"report")
    assert store.budget_rows().rows == (ROW,)


def test_a_mail_that_stays_keeps_its_content_and_gets_its_state(store: Store | MemoryStore) -> None:
    store.apply([accept(1)])
    store.apply([Report(Record(1, FAILED), accept(2, b"report"))])
    assert store.state(1) == FAILED
    assert store.content(1, 0) == b"hello" and store.content(2, 0) == b"report"
    store.apply([Remove(1, 1)])
    assert store.read(1) is None and store.read(2) is not None


def test_a_report_settles_nothing_or_brings_no_mail(store: Store | MemoryStore) -> None:
    store.apply([accept(1), Report(None, accept(2)), Report(Remove(1, 1), None, (ROW, (b"absent", None)))])
    assert store.read(1) is None and store.read(2) is not None


def test_a_large_report_lies_in_pieces_of_its_own(store: Store | MemoryStore) -> None:
    large = b"r" * 50_000
    store.apply([accept(1), Report(Remove(1, 1), accept(2, large))])
    assert store.content(2, 0) == large
    store.apply([Remove(2, 1)])
    assert store.read(2) is None and store.count() == 0


def test_only_a_report_that_settles_nothing_waits_for_room() -> None:
    mail = accept(2)
    assert not prepare(Report(Remove(1, 1), mail)).is_addition
    assert not prepare(Report(Record(1, FAILED), mail)).is_addition
    assert prepare(Report(None, mail)).is_addition
    assert not prepare(Report(None, None, (ROW,))).is_addition


def test_what_is_prepared_is_as_large_as_its_parts() -> None:
    parts = prepare(Record(1, FAILED)).size + prepare(accept(2)).size + prepare(Budget((ROW,))).size
    assert prepare(Report(Record(1, FAILED), accept(2), (ROW,))).size == parts


def test_a_streamed_mail_is_no_report() -> None:
    # Reports are of one record; nothing of them lies in the spool before they do.
    assert not prepare(Report(None, Accept(envelope(2), b"x"))).ends_partial
