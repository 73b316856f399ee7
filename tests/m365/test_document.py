"""docs/microsoft365.md says what the rows say."""

from relay.m365.catalogue import ROWS
from tests.m365.document import DOCUMENT, TABLE, tables, updated


def test_the_document_is_up_to_date() -> None:
    document = DOCUMENT.read_text()
    assert document == updated(document), "run python -m tests.m365.document"


def test_every_table_stands_in_the_document_once() -> None:
    assert sorted(name for _, name, _ in TABLE.findall(DOCUMENT.read_text())) == sorted(tables())


def test_every_reply_is_listed() -> None:
    listed = tables()["replies"]
    assert listed.count("\n") == len(ROWS) + 2
    assert all(
        row.meaning.replace("*", "\\*") in listed and row.advice.replace("*", "\\*") in listed for row in ROWS
    )
