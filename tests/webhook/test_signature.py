"""Signatures as Standard Webhooks wants them, and secrets that are none."""

from base64 import b64encode

import pytest

from relay.webhook.signature import headers, key_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GOOD = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""Of the example that the project's reference libraries are tested with."""


def test_the_reference_example_is_signed_as_the_reference_signs_it() -> None:
    signed = headers([key_of(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": GOOD,
    }


def test_while_a_secret_is_replaced_there_are_two_signatures_the_new_one_first() -> None:
    new = bytes(range(32))
    both = headers(
        [new, key_of(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    alone = headers([new], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert both["webhook-signature"] == f"{alone['webhook-signature']} {GOOD}"


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("hunter2hunter2hunter2hunter2", "begins with"),
        ("whsec_!!!!", "not base64"),
        ("whsec_" + b64encode(b"x" * 23).decode(), "23 bytes; it needs 24 to 64"),
        ("whsec_" + b64encode(b"x" * 65).decode(), "65 bytes"),
        ("whsec_", "0 bytes"),
    ],
)
def test_what_is_no_secret_is_refused_without_being_repeated(secret: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        key_of(secret)
    assert secret.removeprefix("whsec_") == "" or secret.removeprefix("whsec_") not in str(raised.value)


@pytest.mark.parametrize("length", [24, 64])
def test_the_shortest_and_the_longest_key_are_taken(length: int) -> None:
    assert key_of("whsec_" + b64encode(b"k" * length).decode()) == b"k" * length
