"""What comes of failed logins, refused recipients and many connections: decisions alone, by a time that the test says."""

from dataclasses import replace

import pytest

from relay.receive.brake import BANNED, FREE, TOO_FAST, TOO_MANY_REFUSED, Braked, Brakes
from relay.receive.brake_options import BrakeOptions

OPTIONS = BrakeOptions(connections_per_minute=60, login_failures=8, name_failures=12, refused_recipients=20)
HERE, THERE = "192.0.2.1", "198.51.100.7"


def guess(
    brakes: Brakes, count: int, *, address: str = HERE, name: str = "erp", now: float = 0.0
) -> list[float]:
    """So many different wrong passwords; how long each answer is held back."""
    return [
        brakes.login_failed(address, name, b"%d at %d" % (number, now), now).delay_s
        for number in range(count)
    ]


def test_failed_logins_are_answered_later_and_later() -> None:
    delays = guess(Brakes(OPTIONS), 7)
    assert delays[:2] == [0.0, 0.0]
    assert delays == sorted(delays) and 8.0 < delays[-1] < OPTIONS.delay_max_s


def test_too_many_failed_logins_ban_the_address_for_a_while() -> None:
    brakes = Brakes(OPTIONS)
    guess(brakes, 7)
    last = brakes.login_failed(HERE, "erp", b"one more", 5.0)
    assert last.reply is BANNED and last.begun == Braked(HERE, "logins", OPTIONS.ban_s)
    assert brakes.refusal(HERE, 5.0) is BANNED and brakes.is_banned(HERE, 604.9)
    assert brakes.refusal(HERE, 605.1) is None and not brakes.is_banned(HERE, 605.1)
    assert guess(brakes, 1, now=606.0) == [0.0]


def test_guesses_at_many_names_ban_the_address_too() -> None:
    brakes = Brakes(OPTIONS)
    for number in range(8):
        brakes.login_failed(HERE, f"user{number}", b"sesame", 0.0)
    assert brakes.is_banned(HERE, 0.0)


def test_nobody_locks_out_an_account_from_one_address() -> None:
    brakes = Brakes(OPTIONS)
    for hour in range(100):
        guess(brakes, 20, name="erp", now=hour * 3_600.0)
    assert brakes.refusal(THERE, 356_400.0) is None
    # The name was never guessed at from more than one address: 8 tries, and that one is banned.
    assert brakes.login_succeeded(THERE, "erp", 356_400.0) == FREE


def test_a_name_that_many_guess_at_is_slow_for_strangers_and_not_for_its_own() -> None:
    brakes = Brakes(OPTIONS)
    assert brakes.login_succeeded(THERE, "erp", 0.0) == FREE
    for number in range(12):
        brakes.login_failed(f"203.0.113.{number}", "ERP", b"%d" % number, 10.0)
    stranger = brakes.login_failed("192.0.2.99", "erp", b"x", 10.0)
    assert (stranger.delay_s, stranger.reply) == (OPTIONS.delay_max_s, None)
    # The right password is as slow as a wrong one: else the time would tell which is right.
    assert brakes.login_succeeded("192.0.2.98", "erp", 10.0).delay_s == OPTIONS.delay_max_s
    assert brakes.login_succeeded(THERE, "erp", 10.0) == FREE
    assert brakes.login_succeeded(HERE, "web", 10.0) == FREE
    assert brakes.login_succeeded("192.0.2.97", "erp", 700.0) == FREE


def test_a_name_that_nobody_has_is_slow_in_the_same_way() -> None:
    answers = []
    for name in ("erp", "nobody"):
        brakes = Brakes(OPTIONS)
        for number in range(14):
            answer = brakes.login_failed(f"203.0.113.{number}", name, b"%d" % number, 0.0)
        answers.append((answer.delay_s, answer.reply))
    assert answers[0] == answers[1]


def test_the_same_wrong_password_again_is_no_guess() -> None:
    brakes = Brakes(OPTIONS)
    answers = [brakes.login_failed(HERE, "erp", b"the old one", 0.0) for _ in range(50)]
    assert not brakes.is_banned(HERE, 0.0) and answers[-1].reply is None
    assert answers[-1].delay_s == OPTIONS.delay_max_s
    # Its neighbours do not notice.
    assert brakes.login_failed(HERE, "web", b"mistyped", 0.0).delay_s == 0.0


def test_a_login_without_a_password_to_compare_counts_each_time() -> None:
    brakes = Brakes(OPTIONS)
    for _ in range(8):
        brakes.login_failed(HERE, "erp", b"", 0.0)
    assert brakes.is_banned(HERE, 0.0)


def test_a_login_that_succeeds_does_not_clear_the_address() -> None:
    brakes = Brakes(OPTIONS)
    for round_ in range(4):
        guess(brakes, 2, name="erp", now=float(round_))
        brakes.login_succeeded(HERE, "mine", float(round_))
    assert brakes.is_banned(HERE, 3.0)


def test_addresses_of_one_64_bit_network_count_as_one() -> None:
    brakes = Brakes(OPTIONS)
    for number in range(8):
        brakes.login_failed(f"2001:db8::{number:x}", "erp", b"%d" % number, 0.0)
    assert brakes.is_banned("2001:db8::ffff", 0.0) and not brakes.is_banned("2001:db8:0:1::1", 0.0)


def test_refused_recipients_are_answered_later_and_then_with_421() -> None:
    brakes = Brakes(OPTIONS)
    answers = [brakes.recipient_refused(HERE, 0.0) for _ in range(22)]
    assert [answer.delay_s for answer in answers[:5]] == [0.0] * 5
    assert [answer.reply for answer in answers[:20]] == [None] * 20
    assert {answer.reply for answer in answers[20:]} == {TOO_MANY_REFUSED}
    assert [answer.begun for answer in answers[20:]] == [Braked(HERE, "recipients", OPTIONS.period_s), None]
    assert brakes.refusal(HERE, 0.0) is None, "mail to good recipients is taken"
    assert brakes.recipient_refused(HERE, 700.0) == FREE


def test_connections_pass_at_their_rate_and_no_faster() -> None:
    brakes = Brakes(OPTIONS)
    told: list[Braked | None] = []
    taken = 0
    for second in range(120):
        for _ in range(10):
            if brakes.refusal(HERE, float(second)) is None:
                taken += 1
                told.append(brakes.connected(HERE, float(second)))
    # What a minute allows at once, and one each second from then on.
    assert 175 <= taken <= 185
    assert next(each for each in told if each) == Braked(HERE, "connections", 60.0)
    assert sum(each is not None for each in told) <= 3
    assert brakes.refusal(HERE, 119.0) is TOO_FAST and brakes.refusal(THERE, 119.0) is None


def test_who_is_exempt_is_held_by_no_brake_and_this_machine_is_not() -> None:
    brakes = Brakes(replace(OPTIONS, exempt=("192.0.2.0/24",)))
    for address, is_braked in ((HERE, False), ("127.0.0.1", True), ("::1", True)):
        guess(brakes, 20, address=address)
        for _ in range(100):
            brakes.recipient_refused(address, 0.0)
            brakes.connected(address, 0.0)
        assert brakes.is_banned(address, 0.0) is is_braked
        assert (brakes.refusal(address, 0.0) is not None) is is_braked


def test_a_million_addresses_and_names_take_no_more_memory_than_the_bound() -> None:
    brakes = Brakes(replace(OPTIONS, remembered=100))
    for number in range(20_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        brakes.connected(address, 0.0)
        brakes.recipient_refused(address, 0.0)
        brakes.login_failed(address, f"name {number}", b"x" * 255, 0.0)
        brakes.login_succeeded(address, f"name {number}", 0.0)
    memories = [each for each in vars(brakes).values() if hasattr(each, "__len__")]
    assert len(memories) == 10
    assert all(len(each) <= 100 for each in memories)


@pytest.mark.parametrize("receivers", [1, 2, 4])
def test_all_receivers_together_allow_no_more_than_one(receivers: int) -> None:
    share = BrakeOptions().share(receivers)
    assert share.login_failures * receivers <= BrakeOptions().login_failures
    assert share.refused_recipients * receivers <= BrakeOptions().refused_recipients
    assert share.connections_per_minute * receivers <= BrakeOptions().connections_per_minute


def test_one_of_many_receivers_forgives_a_slip() -> None:
    assert BrakeOptions().share(32).login_failures == 4


def test_sessions_that_end_badly_are_greeted_later_and_later_and_then_the_address_is_banned() -> None:
    brakes = Brakes(replace(OPTIONS, faulty_sessions=8))
    delays = []
    for _ in range(7):
        assert brakes.session_failed(HERE, 0.0) is None
        delays.append(brakes.greeting_delay(HERE, 0.0))
    assert delays[:2] == [0.0, 0.0] and delays == sorted(delays) and 8.0 < delays[-1] < OPTIONS.delay_max_s
    assert brakes.refusal(HERE, 0.0) is None and brakes.greeting_delay(THERE, 0.0) == 0.0
    assert brakes.session_failed(HERE, 0.0) == Braked(HERE, "sessions", OPTIONS.ban_s)
    assert brakes.refusal(HERE, 0.0) is BANNED and brakes.refusal(THERE, 0.0) is None
    # The ban pays for all of it.
    assert brakes.refusal(HERE, 601.0) is None and brakes.greeting_delay(HERE, 601.0) == 0.0


def test_a_broken_program_that_tries_each_minute_is_never_banned() -> None:
    brakes = Brakes(BrakeOptions())
    assert not any(brakes.session_failed(HERE, minute * 60.0) for minute in range(2_000))
    assert brakes.greeting_delay(HERE, 2_000 * 60.0) == 0.0


def test_where_mail_comes_from_bad_sessions_are_forgiven() -> None:
    brakes = Brakes(replace(OPTIONS, faulty_sessions=8))
    for _ in range(20):
        for _ in range(7):
            assert brakes.session_failed(HERE, 0.0) is None
        brakes.session_sent(HERE)
        assert brakes.greeting_delay(HERE, 0.0) == 0.0


def test_exempt_addresses_end_as_badly_as_they_like() -> None:
    brakes = Brakes(replace(OPTIONS, faulty_sessions=4, exempt=("192.0.2.0/24",)))
    assert not any(brakes.session_failed(HERE, 0.0) for _ in range(50))
    assert brakes.greeting_delay(HERE, 0.0) == 0.0
