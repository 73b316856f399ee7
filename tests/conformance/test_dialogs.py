"""Each dialogue is held with the core in memory, whole and byte by byte, and with a receiver over a real socket."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest

from relay.identity.directory import Directory
from relay.identity.password import matches
from relay.receive import policy
from relay.receive.options import Auth, ReceiverOptions, server_options
from relay.receive.verdict import WELCOME, Granted, Refused, Verdict
from relay.receive.visitor import Access, Visitor
from relay.route.table import RouteTable
from relay.smtp.command import MailCommand, RcptCommand
from relay.smtp.reply import Reply
from relay.smtp.sasl_server import Login
from relay.smtp.scram import Verifier
from relay.smtp.server import Phase, Server, Signal
from relay.smtp.xclient import XClient
from tests.conformance.script import DIALOGS, Script, fits, load
from tests.receive.harness import ROUTES, Client, house, run


class Doorkeeper:
    """Judges at once, without a thread."""

    mechanisms = ("SCRAM-SHA-256", "PLAIN", "LOGIN")

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def verifiers(self, username: str) -> Sequence[Verifier]:
        return self._directory.verifiers(username, 0.0)

    def nonce(self) -> str:
        return "servers"

    def judge(self, login: Login) -> Verdict:
        client = self._directory.by_username(login.username)
        fits = login.is_proved or any(
            matches(word.hash, login.password) for word in self._directory.passwords(login.username, 0.0)
        )
        if client is None or client.is_disabled or not fits:
            return Refused("wrong")
        return Granted(client)


class Core:
    """The smallest driver there can be: a server, its buffer, the policy."""

    def __init__(self, script: Script) -> None:
        options = ReceiverOptions("relay.example", limits=script.limits)
        directory = Directory(script.clients, secrets.token_bytes)
        self._access = Access(script.listener, directory)
        self._visitor = Visitor(self._access, "127.0.0.1")
        self._doorkeeper = Doorkeeper(directory)
        has_auth = script.listener.auth is not Auth.OFF
        self._server = Server(
            server_options(options, script.listener), self._doorkeeper if has_auth else None
        )
        self._server.login.without_tls = self._access.may_log_in_without_tls("127.0.0.1")
        self._server.offers_xclient = self._access.may_speak_for_others("127.0.0.1")
        self._routes = RouteTable(ROUTES)
        self._buffer = bytearray()
        self._limits = script.limits
        self._server.greet()

    def feed(self, data: bytes) -> bytes:
        server, buffer = self._server, self._buffer
        buffer += data
        start = 0
        while True:
            event = server.next_event(buffer, start, len(buffer))
            start = server.position
            if event is None:
                break
            match event:
                case MailCommand(sender=sender):
                    refusal = self._visitor.judge_mail(sender, is_tls=False)
                    server.answer(refusal or policy.judge_mail(None, 0, self._limits))
                case Login():
                    verdict = self._doorkeeper.judge(event)
                    if isinstance(verdict, Granted):
                        self._visitor.logged_in(verdict.client, "PLAIN")
                    server.answer(WELCOME if isinstance(verdict, Granted) else verdict.reply)
                case RcptCommand(recipient=recipient):
                    assert server.mail is not None
                    found = self._routes.possible(server.mail.sender, recipient)
                    server.answer(policy.judge_recipient(found, server.mail.size))
                case XClient(address=address):
                    if self._visitor.speaks_for(address):
                        server.answer(server.greeting)
                    else:
                        server.close(policy.CLIENT_NOT_ALLOWED)
                case Signal.END_OF_CONTENT:
                    server.answer(Reply(250, "2.0.0", "queued as a mail without disk"))
                case Signal.RESET | Signal.CONTENT_REFUSED:
                    assert server.mail is None and not server.content
        del buffer[:start]
        return server.take_output()

    @property
    def is_closed(self) -> bool:
        return self._server.phase is Phase.CLOSED


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [0, 1, 7], ids=["whole", "bytewise", "by sevens"])
def test_the_core_holds_the_dialogue(path: Path, size: int) -> None:
    script = load(path)
    core = Core(script)
    for turn in script.turns:
        step = size or max(len(turn.says), 1)
        pieces = [turn.says[at : at + step] for at in range(0, len(turn.says), step)] or [b""]
        said = b"".join(core.feed(piece) for piece in pieces).decode().split("\r\n")[:-1]
        wanted = [line for line in turn.expects if line is not None]
        for expected, line in zip(wanted, said, strict=False):
            assert fits(expected, line), f"after {turn.says!r}: {line!r} is not {expected!r}"
        assert len(said) == len(wanted), f"after {turn.says!r}: {said}"
        assert core.is_closed is (None in turn.expects), f"after {turn.says!r}"


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_a_receiver_holds_the_dialogue(path: Path) -> None:
    script = load(path)

    async def main() -> None:
        async with house(listener=script.listener, limits=script.limits, clients=script.clients) as h:
            client = await Client.connect(h.port)
            for turn in script.turns:
                client.writer.write(turn.says)
                for expected in turn.expects:
                    line = await asyncio.wait_for(client.reader.readline(), 10)
                    if expected is None:
                        assert line == b"", f"after {turn.says!r}: {line!r} and not the end"
                    else:
                        text = line.decode().removesuffix("\r\n")
                        assert fits(expected, text), f"after {turn.says!r}: {text!r} is not {expected!r}"
            await client.close()

    run(main)


def test_there_are_dialogues() -> None:
    assert len(DIALOGS) >= 10
