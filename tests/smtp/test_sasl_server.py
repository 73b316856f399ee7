"""AUTH as a server, without a session: what each line of a client leads to."""

from base64 import b64decode, b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp import sasl_server
from relay.smtp.authentication import Authentication
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import Login, Step
from relay.smtp.scram import Verifier, verifier_of
from tests.scram_client import Scram


class Doorkeeper:
    """One for whom "sesame" is everybody's password."""

    mechanisms: Sequence[str] = ("SCRAM-SHA-256", "PLAIN", "LOGIN")

    def verifiers(self, username: str) -> Sequence[Verifier]:
        return (verifier_of("sesame", b"salt of 16 bytes"),)

    def nonce(self) -> str:
        return "servers"


def say(*lines: bytes) -> Step:
    """The last step of a dialogue on a session with TLS."""
    authentication = Authentication(Doorkeeper())
    step = authentication.begin(lines[0], is_tls=True, is_extended=True, in_transaction=False)
    for line in lines[1:]:
        assert isinstance(step, Reply) and step.code == 334, step
        step = authentication.take(line, is_too_long=False)
    return step


def coded(text: bytes) -> bytes:
    return b64encode(text)


def test_plain_with_and_without_initial_response() -> None:
    expected = Login("PLAIN", "tim", b"tanstaaf")
    # The example of RFC 4616 section 4.
    assert say(b"PLAIN " + coded(b"\0tim\0tanstaaf")) == expected
    assert say(b"plain", coded(b"\0tim\0tanstaaf")) == expected
    assert say(b"PLAIN " + coded(b"tim\0tim\0tanstaaf")) == expected


def test_nobody_acts_as_somebody_else() -> None:
    assert say(b"PLAIN " + coded(b"root\0tim\0tanstaaf")) == Login("PLAIN", "tim", b"")


def test_a_name_has_its_bound_whatever_the_mechanism() -> None:
    for name, is_taken in ((b"n" * 255, True), (b"n" * 256, False), ("ü" * 128, False)):
        octets = name if isinstance(name, bytes) else name.encode()
        for line in (
            b"PLAIN " + coded(b"\0%b\0x" % octets),
            b"SCRAM-SHA-256 " + coded(b"n,,n=%b,r=abc" % octets),
        ):
            step = say(line)
            assert (step == sasl_server.MALFORMED) is not is_taken, (line, step)


def test_login_asks_for_name_and_password() -> None:
    assert say(b"LOGIN") == Reply(334, "", "VXNlcm5hbWU6")
    assert say(b"LOGIN", coded(b"tim")) == Reply(334, "", "UGFzc3dvcmQ6")
    expected = Login("LOGIN", "tim", b"tanstaaf")
    assert say(b"LOGIN", coded(b"tim"), coded(b"tanstaaf")) == expected
    assert say(b"LOGIN " + coded(b"tim"), coded(b"tanstaaf")) == expected


@pytest.mark.parametrize("is_initial", [True, False])
@pytest.mark.parametrize(("password", "is_proved"), [("sesame", True), ("open", False)])
def test_scram_proves_itself(password: str, is_proved: bool, is_initial: bool) -> None:
    client = Scram("tim", password)
    first = coded(client.first())
    lines = [b"SCRAM-SHA-256 " + first] if is_initial else [b"SCRAM-SHA-256", first]
    authentication = Authentication(Doorkeeper())
    step = authentication.begin(lines[0], is_tls=True, is_extended=True, in_transaction=False)
    for line in lines[1:]:
        step = authentication.take(line, is_too_long=False)
    assert isinstance(step, Reply) and isinstance(step.text, str)
    step = authentication.take(coded(client.final(b64decode(step.text))), is_too_long=False)
    if is_proved:
        assert isinstance(step, Reply) and isinstance(step.text, str)
        client.verify(b64decode(step.text))
        step = authentication.take(b"", is_too_long=False)
    assert step == Login("SCRAM-SHA-256", "tim", is_proved=is_proved)


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ((b"PLAIN", b"*"), sasl_server.CANCELLED),
        ((b"LOGIN", coded(b"tim"), b"*"), sasl_server.CANCELLED),
        ((b"SCRAM-SHA-256", b"*"), sasl_server.CANCELLED),
        ((b"PLAIN *",), sasl_server.CANCELLED),
        ((b"PLAIN", b"!!!"), sasl_server.NOT_BASE64),
        ((b"PLAIN", b"AHRp bQ=="), sasl_server.NOT_BASE64),
        ((b"PLAIN AHRpbQ",), sasl_server.NOT_BASE64),
        ((b"PLAIN AHRpbQ== more",), sasl_server.NOT_BASE64),
        ((b"PLAIN =",), sasl_server.MALFORMED),
        ((b"PLAIN", b""), sasl_server.MALFORMED),
        ((b"PLAIN", coded(b"tim")), sasl_server.MALFORMED),
        ((b"PLAIN", coded(b"\0tim\0a\0b")), sasl_server.MALFORMED),
        ((b"PLAIN", coded(b"\0" + b"x" * 256 + b"\0a")), sasl_server.MALFORMED),
        ((b"PLAIN", coded(b"\0tim\0" + b"x" * 256)), sasl_server.MALFORMED),
        ((b"SCRAM-SHA-256 " + coded(b"p=tls-exporter,,n=tim,r=a"),), sasl_server.MALFORMED),
        ((b"SCRAM-SHA-256 " + coded(b"n,,n=tim,r=a"), coded(b"c=biws,r=b,p=AA==")), sasl_server.MALFORMED),
        ((b"CRAM-MD5",), sasl_server.UNKNOWN_MECHANISM),
        ((b"",), sasl_server.UNKNOWN_MECHANISM),
        ((b"\xff",), sasl_server.UNKNOWN_MECHANISM),
    ],
)  # fmt: skip
def test_what_is_no_dialogue_ends_with_its_reply(lines: tuple[bytes, ...], reply: Reply) -> None:
    assert say(*lines) == reply


def test_a_name_that_is_not_utf_8_is_nobody() -> None:
    assert say(b"PLAIN " + coded(b"\0t\xfcm\0a")) == Login("PLAIN", "t�m", b"a")


def test_a_login_shows_no_password() -> None:
    assert "tanstaaf" not in repr(Login("PLAIN", "tim", b"tanstaaf"))


@given(st.sampled_from([b"PLAIN", b"LOGIN", b"SCRAM-SHA-256"]), st.lists(st.binary(max_size=60), max_size=5))
def test_any_lines_end_in_a_reply_or_a_login(mechanism: bytes, said: list[bytes]) -> None:
    authentication = Authentication(Doorkeeper())
    step = authentication.begin(mechanism, is_tls=True, is_extended=True, in_transaction=False)
    for data in said:
        if isinstance(step, Login) or step.code != 334:
            break
        step = authentication.take(coded(data), is_too_long=False)
    assert isinstance(step, Login) or step.code in (334, 501)
    assert not (isinstance(step, Login) and step.is_proved)
