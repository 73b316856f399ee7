"""What the simulator says is what the relay knows of Microsoft."""

import pytest

from relay.m365 import acceptance
from relay.m365.classify import classify
from relay.simulator import texts
from relay.simulator.tenant import Trouble
from relay.smtp.reply import Reply, ReplyReader
from tests.simulator.office import INSIDE, NOW, OUTSIDE, Office

UNKNOWN = {
    "TOO_LONG": "our lines never are",
    "HIGH_VOLUME_OUTSIDE": "its code and words are not published",
}
REFUSALS = {
    name: text for name, text in vars(texts).items() if isinstance(text, bytes) and text[:1] in (b"4", b"5")
}
LOGINS = [texts.TENANT_DISABLED, texts.MAILBOX_DISABLED, texts.BASIC_DISABLED, texts.WRONG]


def read(line: bytes | str) -> Reply:
    data = line if isinstance(line, bytes) else line.encode()
    (reply,) = ReplyReader().feed(data + b"\r\n")
    return reply


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_is_a_row_of_the_catalogue(name: str) -> None:
    assert (classify(read(REFUSALS[name])) is None) is (name in UNKNOWN)


@pytest.mark.parametrize("why", LOGINS)
def test_every_refused_login_is_a_row_of_the_catalogue(why: str) -> None:
    assert classify(read(texts.login_refused(why, NOW, "08DE2A6028D26C22"))) is not None


def test_blocks_and_denials_are_rows_of_their_own() -> None:
    rows = [classify(read(texts.throttled(*trouble.value))) for trouble in Trouble]
    rows.append(classify(read(texts.send_as_denied("a", "b"))))
    assert None not in rows and len({id(row) for row in rows}) == len(rows)


def test_an_acceptance_is_understood_on_both_ports() -> None:
    office = Office()
    submitted = acceptance.parse(read(office.logged_in().send()))
    talk = office.session(office.mx)
    talk.say("EHLO c")
    queued = acceptance.parse(read(talk.send(OUTSIDE, INSIDE)))
    assert submitted is not None and submitted.host == texts.BACK
    assert queued is not None and queued.host == texts.BACK and queued.internal_id


def test_the_session_id_is_found_in_banner_and_refusal() -> None:
    talk = Office().session(Office().submission)
    id = talk.session.visit.session_id
    assert acceptance.session_id(read(talk.greeting.strip())) == id
    assert acceptance.session_id(read(texts.login_refused(texts.WRONG, NOW, id))) == id
