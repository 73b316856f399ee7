"""The demo's plan: what is sent, and what must come of it."""

import pytest

from relay.budget.headroom import headroom
from relay.cli.demo_mail import CONTENT_BYTES, content, is_unaltered, number_of
from relay.cli.demo_plan import FEWEST, OUTSIDE_A_DAY, SPEED, Kind, Mail, plan

SIZES = [FEWEST, 41, 60, 80, 333, 1200, 5000, 100_000]
RECEIVED = b"Received: from a (b [127.0.0.1])\r\n\tby relay with ESMTP; now\r\n"


@pytest.mark.parametrize("newsletters", SIZES)
def test_part_of_the_mail_to_the_outside_must_wait_whatever_order_it_goes_in(newsletters: int) -> None:
    day = plan(newsletters)
    outside = [mail for mail in day.mails if mail.number in day.outside_newsletters]
    resets = [mail for mail in day.of(Kind.RESET) if mail.is_outside]
    (each,) = {len(mail.recipients) for mail in outside}
    for_bulk = OUTSIDE_A_DAY - headroom(OUTSIDE_A_DAY)
    fewest, most = (for_bulk - len(resets)) // each, for_bulk // each
    assert fewest == most == day.outside_that_leave < len(outside)
    assert day.outside_that_leave * each + len(resets) <= OUTSIDE_A_DAY
    assert day.outside_that_wait > 0 and each <= 500


@pytest.mark.parametrize("newsletters", SIZES)
def test_every_kind_of_mail_is_there_and_numbers_count_on(newsletters: int) -> None:
    day = plan(newsletters)
    assert [mail.number for mail in day.mails] == list(range(len(day.mails)))
    assert len(day.of(Kind.NEWSLETTER)) == newsletters
    assert all(len(day.of(kind)) >= 4 for kind in Kind)
    assert len(day.mails) == day.leave + len(day.denied) + day.outside_that_wait
    assert not any(mail.is_outside for mail in day.of(Kind.ORDER, Kind.INVOICE))


def test_the_usual_one_ends_within_a_minute() -> None:
    assert plan(1200).minutes * 60 / SPEED < 40


def test_too_few_mails_are_no_campaign() -> None:
    with pytest.raises(ValueError, match="40 mails"):
        plan(FEWEST - 1)


def arrived(mail: Mail) -> bytes:
    """As the tenant gets it."""
    lines = content(mail).split(b"\r\n")
    return RECEIVED + b"\r\n".join(line for line in lines if not line.startswith(b"X-Relay-"))


@pytest.mark.parametrize("kind", Kind)
def test_a_mail_that_arrives_as_it_was_sent_is_unaltered(kind: Kind) -> None:
    mail = plan(FEWEST).of(kind)[0]
    assert abs(len(content(mail)) - CONTENT_BYTES) < 200
    assert number_of(arrived(mail)) == mail.number
    assert is_unaltered(arrived(mail), mail)


def test_a_mail_that_differs_in_a_byte_is_altered() -> None:
    mail = plan(FEWEST).mails[0]
    whole = arrived(mail)
    assert not is_unaltered(RECEIVED + content(mail), mail), "the relay's own fields are still there"
    assert not is_unaltered(whole.removeprefix(RECEIVED), mail)
    assert not is_unaltered(RECEIVED + b"X-Other: y\r\n" + whole.removeprefix(RECEIVED), mail)
    assert not is_unaltered(whole[:-3] + whole[-2:], mail)
    assert not is_unaltered(whole.replace(b"\r\n.", b"\r\n..", 1), mail)
    assert not is_unaltered(whole, plan(FEWEST).mails[1])
