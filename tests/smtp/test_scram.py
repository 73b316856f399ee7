"""SCRAM-SHA-256 against the RFC's own example and a client that others wrote."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.scram import ScramError, ScramServer, Verifier, read_verifier, verifier_of
from tests.scram_client import Scram

SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = verifier_of("pencil", SALT)
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
NONCE = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FINAL = b"c=biws,r=" + NONCE + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


def server(*verifiers: Verifier, asked: list[str] | None = None) -> ScramServer:
    def known(username: str) -> tuple[Verifier, ...]:
        if asked is not None:
            asked.append(username)
        return verifiers or (PENCIL,)

    return ScramServer(known, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")


def test_the_example_of_rfc_7677_bit_for_bit() -> None:
    dialogue = server()
    assert dialogue.first(FIRST) == b"r=" + NONCE + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert dialogue.username == "user"
    assert dialogue.final(FINAL) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_a_client_of_others_and_this_server_agree(password: str) -> None:
    dialogue = ScramServer(lambda _: (verifier_of(password, b"salt of 16 bytes"),), "servers")
    client = Scram("user,name=x", password)
    answer = dialogue.final(client.final(dialogue.first(client.first())))
    assert answer is not None and dialogue.username == "user,name=x"
    # Raises when the signature is not that of a server that has the verifier.
    client.verify(answer)


def test_a_wrong_password_proves_nothing() -> None:
    dialogue = ScramServer(lambda _: (PENCIL,), "servers")
    client = Scram("user", "pen")
    assert dialogue.final(client.final(dialogue.first(client.first()))) is None


@pytest.mark.parametrize("password", ["new", "old"])
def test_an_old_password_that_is_still_good_will_do(password: str) -> None:
    dialogue = ScramServer(lambda _: (verifier_of("new", SALT), verifier_of("old", SALT)), "servers")
    client = Scram("user", password)
    answer = dialogue.final(client.final(dialogue.first(client.first())))
    assert answer is not None
    client.verify(answer)


def test_a_verifier_with_another_salt_is_passed_over() -> None:
    dialogue = ScramServer(lambda _: (PENCIL, verifier_of("old", b"other")), "servers")
    client = Scram("user", "old")
    assert dialogue.final(client.final(dialogue.first(client.first()))) is None


@pytest.mark.parametrize(
    "message",
    [b"", b"n", b"n,,", b"n,,n=user", b"n,,r=abc", b"n,,n=,r=abc", b"n,,n=user,r=", b"n,,n=us=er,r=abc", b"n,,n=us=2cer,r=abc",
     b"p=tls-unique,,n=user,r=abc", b"n,,m=must,n=user,r=abc", b"n,a=root,n=user,r=abc", b"x,,n=user,r=abc", b"n,,n=user,r=a\0c",
     b"n,,n=u\0ser,r=abc", b"n,,n=\xff,r=abc", b"n,,n=user,r=abc,", b"n,,n=user,r=a b"],
)  # fmt: skip
def test_what_is_no_first_message_is_refused(message: bytes) -> None:
    with pytest.raises(ScramError):
        server().first(message)


@pytest.mark.parametrize(
    "change",
    [(b"c=biws", b"c=eSws"), (b"c=biws", b"c=!"), (b"r=rO", b"r=rP"), (b"k0,p", b"k1,p"), (b"p=dHzb", b"p=dH"), (b",p=", b",q="),
     (b"c=biws,", b"")],
)  # fmt: skip
def test_a_final_message_that_does_not_fit_the_first_is_refused(change: tuple[bytes, bytes]) -> None:
    dialogue = server()
    dialogue.first(FIRST)
    with pytest.raises(ScramError):
        dialogue.final(FINAL.replace(*change))


def test_a_client_that_could_bind_the_channel_goes_on() -> None:
    dialogue = server()
    dialogue.first(FIRST.replace(b"n,,", b"y,,", 1))
    # The header it sent stands in the final message; the proof covers it, so this one is wrong but well formed.
    assert dialogue.final(FINAL.replace(b"biws", b64encode(b"y,,"))) is None


def test_an_authorization_identity_may_repeat_the_name() -> None:
    asked: list[str] = []
    server(asked=asked).first(b"n,a=us=2Cer,n=us=2Cer,r=abc")
    assert asked == ["us,er"]


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_an_error(first: bytes, final: bytes) -> None:
    dialogue = server()
    try:
        dialogue.first(b"n,,n=user,r=" + first)
        assert dialogue.final(b"c=biws," + final) is None
    except ScramError:
        pass


def test_a_verifier_survives_its_text_and_tells_nothing() -> None:
    assert read_verifier(str(PENCIL)) == PENCIL
    assert str(PENCIL).startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert "stored" not in repr(PENCIL) and "W22Z" not in repr(PENCIL)


@pytest.mark.parametrize(
    "text", ["", "pencil", "SCRAM-SHA-256$4096:AA==$AA==:AA==", "SCRAM-SHA-1$4096:AA==$AA==:AA=="]
)
def test_what_is_no_verifier_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no SCRAM-SHA-256 verifier"):
        read_verifier(text)
