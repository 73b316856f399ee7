"""Faults happen where, when and as often as they were told to."""

import pytest
from pydantic import ValidationError

from relay.m365.catalogue import ROWS
from relay.m365.classify import classify
from relay.simulator.fault import Faults, find, reply_of
from relay.simulator.options import FaultTable
from relay.simulator.session import Want
from relay.smtp.reply import ReplyReader
from tests.simulator.office import INSIDE, NEWS, NOW, ORDERS, Office

STEPS = ["connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "end", "accepted"]


def visit(office: Office) -> str:
    """A whole visit, as far as it goes; the last that was said."""
    talk = office.session(office.submission)
    said = talk.greeting
    lines = ["EHLO c", "STARTTLS", "EHLO c", "AUTH LOGIN", "b3JkZXJzQGNvbnRvc28uZXhhbXBsZQ==", "cHc="]
    lines += [f"MAIL FROM:<{ORDERS}>", f"RCPT TO:<{INSIDE}>", "DATA", f"From: {ORDERS}", "", "."]
    for line in lines:
        if talk.session.want is Want.START_TLS:
            talk.session.secured(())
        if talk.session.want in (Want.CLOSE, Want.RESET):
            return "reset" if talk.session.want is Want.RESET else said
        said = talk.say(line) or said
    return "reset" if talk.session.want is Want.RESET else said


def test_without_faults_a_visit_ends_well() -> None:
    assert visit(Office()).startswith("250 2.0.0 OK")


@pytest.mark.parametrize("step", [*STEPS, "any"])
def test_a_reset_at_every_step(step: str) -> None:
    office = Office()
    office.fault(step=step, action="reset", times=1)
    assert visit(office) == "reset"
    assert office.ledger.accepted == (step == "accepted")
    assert visit(office).startswith("250 2.0.0 OK")


@pytest.mark.parametrize("step", STEPS)
def test_a_stall_at_every_step(step: str) -> None:
    office = Office()
    office.fault(step=step, action="stall", times=1)
    assert not visit(office).startswith("250 2.0.0 OK")
    assert office.ledger.accepted == (step == "accepted")
    assert sum(office.ledger.faults.values()) == 1


@pytest.mark.parametrize("step", [step for step in STEPS if step != "content"])
def test_a_421_at_every_step_ends_the_session(step: str) -> None:
    office = Office()
    office.fault(step=step, reply="421 4.3.2 Service not available", times=1)
    assert visit(office).startswith("421 4.3.2 Service not available")
    assert office.ledger.refusals["421 4.3.2 Service not available"] == 1


def test_a_percentage_is_by_chance() -> None:
    office = Office()
    office.fault(step="end", reply="451 4.7.0 Temporary server error", percent=5)
    talk = office.logged_in()
    office.chance = 0.049
    assert talk.send().startswith("451 4.7.0")
    office.chance = 0.05
    assert talk.send().startswith("250")


def test_an_outage_begins_and_ends() -> None:
    office = Office()
    office.fault(step="any", action="reset", after=60, lasts=30)
    for seconds, is_out in ((0, False), (59, False), (60, True), (89, True), (90, False)):
        office.now = NOW + seconds
        assert (visit(office) == "reset") is is_out
    assert len(office.faults) == 0


def test_a_fault_can_be_one_mailboxes() -> None:
    office = Office()
    office.fault(step="mail", reply="451 4.3.2 no", mailbox="NEWS@contoso.example")
    assert office.logged_in(NEWS).send(NEWS).startswith("503")
    assert office.logged_in().send().startswith("250")


def test_a_fault_happens_so_many_times() -> None:
    office = Office()
    office.fault(step="end", reply="451 4.3.2 no", times=2)
    talk = office.logged_in()
    assert [talk.send()[:3] for _ in range(4)] == ["451", "451", "250", "250"]
    assert office.ledger.faults == {"end: 451 4.3.2 no": 2}


def test_every_row_of_the_catalogue_can_be_said() -> None:
    for row in ROWS:
        (reply,) = ReplyReader().feed(reply_of(row) + b"\r\n")
        assert not row.codes or reply.code in row.codes
        assert any(classify(reply, stage) is row for stage in (None, *row.stages)), reply


def test_a_row_is_found_by_its_words() -> None:
    assert 451 in find("451 PRX").codes
    with pytest.raises(ValueError, match="no row of the reply catalogue"):
        find("nonsense")


@pytest.mark.parametrize(
    "keys",
    [
        {"step": "end"},
        {"step": "end", "reply": "451 x", "row": "PRX"},
        {"step": "end", "reply": "451 x", "action": "stall"},
        {"step": "end", "reply": "no"},
        {"step": "end", "reply": "451 x\r\n250 y"},
        {"step": "nowhere", "action": "stall"},
        {"step": "end", "action": "stall", "percent": 0},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultTable.model_validate(keys)


def test_cleared_faults_are_gone() -> None:
    faults = Faults(lambda: 0.0)
    faults.set(FaultTable(step="any", action="reset"), NOW)
    faults.clear()
    assert faults.strike("mail", "", NOW) is None
