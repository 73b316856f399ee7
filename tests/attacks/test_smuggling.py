"""SMTP smuggling through the whole relay: whatever passes for an end of data somewhere, one mail goes in and the same one comes out.

Each sequence is sent by DATA and by BDAT, whole and cut at each of its bytes; the sink
is another reader of SMTP than ours, and says what it took for a mail.
"""

import re
import socket
from collections.abc import Iterator

import pytest

from tests.integration.recording import Recording, recording
from tests.integration.serving import Generations, Serving, configuration
from tests.integration.wire import Wire
from tests.message.test_smuggling import BARE_CR, NORMALISED

SMUGGLED = (
    b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
)
SEQUENCES = [*NORMALISED, b"\r\n.\r\n.\r\n", b"\n.\n.\n.\n"]
"""By BDAT all of them are content, the real end of DATA too."""
CASES = [(b"BDAT", sequence) for sequence in SEQUENCES] + [
    (b"DATA", sequence) for sequence in SEQUENCES if b"\r\n.\r\n" not in sequence
]


@pytest.fixture(scope="module")
def hop() -> Iterator[Recording]:
    with recording() as sink:
        yield sink


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, hop: Recording) -> Iterator[Generations]:
    # One receiver: an answer on one connection says that what came before on another was read.
    with Serving.started(tmp_path_factory.mktemp("relay"), configuration(hop.port, receivers=1)) as running:
        yield running
        assert running.now.events("fault") == []


class Cutter:
    """Sends in pieces that are read as pieces."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._other = Wire(port)

    def send(self, opening: bytes, content: bytes, cut: int) -> list[bytes]:
        """One mail and QUIT; the replies to its content and all that followed."""
        with Wire(self._port) as wire:
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.open(parameters=b" BODY=8BITMIME")
            if opening == b"DATA":
                assert wire.say(opening).startswith(b"354")
                whole = content
            else:
                whole = b"BDAT %d LAST\r\n%b" % (len(content), content)
                cut += len(whole) - len(content)
            wire.socket.sendall(whole[:cut])
            assert self._other.say(b"RSET").startswith(b"250")
            wire.socket.sendall(whole[cut:] + b"QUIT\r\n")
            replies = []
            while reply := wire.reply():
                replies.append(reply)
            return replies

    def close(self) -> None:
        self._other.close()


@pytest.fixture
def cutter(relay: Generations) -> Iterator[Cutter]:
    cutter = Cutter(relay.port)
    yield cutter
    cutter.close()


def arrived(hop: Recording, count: int) -> list[bytes]:
    """What the sink took for mails, below the fields that we added; forgotten with that."""
    contents = [mail.content for mail in hop.received(count)]
    hop.sink.mails.clear()
    return sorted(content[content.index(b"Subject: ") :] for content in contents)


@pytest.mark.parametrize(("verb", "sequence"), CASES)
def test_one_mail_goes_in_and_the_same_comes_out(
    hop: Recording, cutter: Cutter, verb: bytes, sequence: bytes
) -> None:
    begin = b"a"
    expected = []
    cuts = range(len(sequence) + 1)
    for number in cuts:
        subject = b"Subject: %02d\r\nMessage-ID: <%d@x>\r\nDate: x\r\n\r\n" % (number, number)
        end = b"\r\n.\r\n" if verb == b"DATA" else b"\r\n"
        replies = cutter.send(verb, subject + begin + sequence + SMUGGLED + end, len(subject) + 1 + number)
        assert [reply[:3] for reply in replies] == [b"250", b"221"], replies
        became = (
            NORMALISED.get(sequence) or sequence.replace(b"\n", b"\r\n")
            if verb == b"DATA"
            else re.sub(rb"(?<!\r)\n", b"\r\n", sequence)
        )
        expected.append(subject + begin + became + SMUGGLED + b"\r\n")
    assert arrived(hop, len(cuts)) == expected


@pytest.mark.parametrize("verb", [b"DATA", b"BDAT"])
@pytest.mark.parametrize("sequence", [*BARE_CR, b"\0", b"\r\n.\0\r\n"])
def test_what_is_no_line_end_anywhere_is_refused_and_nothing_of_it_arrives(
    hop: Recording, cutter: Cutter, sequence: bytes, verb: bytes
) -> None:
    end = b"\r\n.\r\n" if verb == b"DATA" else b"\r\n"
    for cut in range(len(sequence) + 1):
        replies = cutter.send(verb, b"Subject: x\r\n\r\na" + sequence + SMUGGLED + end, 15 + cut)
        assert [reply[:9] for reply in replies] == [b"554 5.6.0", b"221 2.0.0"], replies
    replies = cutter.send(b"DATA", b"Subject: witness\r\n\r\n.\r\n", 3)
    assert replies[0].startswith(b"250")
    (only,) = arrived(hop, 1)
    assert only.startswith(b"Subject: witness")


def test_the_end_of_data_inside_a_mail_of_data_ends_it(hop: Recording, relay: Generations) -> None:
    """What stands behind the real end is commands: two mails, and the second one is the client's own word."""
    with Wire(relay.port) as wire:
        wire.open()
        assert wire.say(b"DATA").startswith(b"354")
        wire.socket.sendall(b"Subject: 1\r\n\r\na\r\n.\r\n" + SMUGGLED + b"\r\n.\r\n")
        codes = [wire.reply()[:3] for _ in range(5)]
    assert codes == [b"250", b"250", b"250", b"354", b"250"]
    assert [mail[:11] for mail in arrived(hop, 2)] == [b"Subject: 1\r", b"Subject: sm"]
