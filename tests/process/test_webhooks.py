"""A running relay tells receivers of its mail over TLS, whatever they do and whoever is killed."""

import asyncio
import hmac
import json
import os
import random
import signal
import smtplib
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from tests.fakes.certificate import Authority
from tests.fakes.http_receiver import OK, Asked, HttpReceiver
from tests.fakes.sink import Script, Sink
from tests.process.relay import Relay, configuration, is_alive, running, wait_until

WITHIN_S = 150.0
SECRET, OLD_SECRET = (f"whsec_{b64encode(letter * 32).decode()}" for letter in (b"n", b"o"))
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
KILLS = 6
MAILS = 120


@dataclass
class Book:
    """What the receiver was told, verified with nothing of ours."""

    events: list[dict[str, object]] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    is_kind: bool = False

    def answer(self, asked: Asked) -> bytes:
        self._verify(asked)
        chance = 1.0 if self.is_kind else self.rng.random()
        if chance < 0.15:
            return BROKEN
        self.events += json.loads(asked.body)["data"]["events"]
        # It has it, and the relay cannot know.
        return CUT if chance < 0.3 else b"" if chance < 0.4 else OK

    def _verify(self, asked: Asked) -> None:
        id, at = asked.fields["webhook-id"], asked.fields["webhook-timestamp"]
        signatures = asked.fields["webhook-signature"].split(" ")
        for secret in (SECRET, OLD_SECRET):
            key = b64decode(secret.removeprefix("whsec_"))
            digest = hmac.new(key, f"{id}.{at}.".encode() + asked.body, sha256).digest()
            if f"v1,{b64encode(digest).decode()}" not in signatures:
                self.trouble.append(f"{id} is not signed")
        if abs(time.time() - int(at)) > 300:
            self.trouble.append(f"{id} is of another time")
        if self.bodies.setdefault(id, asked.body) != asked.body:
            self.trouble.append(f"{id} has two bodies")

    def told(self) -> set[tuple[str, str, str]]:
        return {(str(e["queue_id"]), str(e["recipient"]), str(e["type"])) for e in self.events}


def secrets(folder: Path) -> None:
    for name, text in (("secret", SECRET), ("old", OLD_SECRET)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)


def relay_to(sink: Sink, hooks: str, rest: str = "") -> str:
    text = configuration(route='retry_first = "1s"\nretry_max = "1s"', rest=hooks + rest)
    return text.replace("port = 9\n", f"port = {sink.port}\n")


def hook(url: str, name: str = "crm", more: str = "") -> str:
    return f"""
[[webhook]]
name = "{name}"
url = "{url}"
secret_file = "secret"
pause = "100ms"
retry_first = "200ms"
retry_max = "1s"
timeout = "5s"
{more}
"""


def ask(folder: Path, *arguments: str, status: int = 0) -> str:
    command = [
        sys.executable,
        "-m",
        "relay.cli.main",
        "webhook",
        *arguments,
        "-c",
        str(folder / "relay.toml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def send(relay: Relay, names: list[str]) -> None:
    with smtplib.SMTP(*relay.address, timeout=20) as client:
        for name in names:
            client.sendmail("a@example.com", [name], f"Subject: {name}\r\n\r\nHello\r\n")


def expected(relay: Relay) -> set[tuple[str, str, str]]:
    """What the log says that has happened."""
    return {
        (str(line["id"]), str(name), f"mail.{kind}")
        for kind in ("delivered", "deferred")
        for line in relay.events(kind)
        for name in line["recipients"]  # type: ignore[attr-defined]
    }


def live(folder: Path, text: str, script: Script, book: Book, gone: Callable[[], None]) -> None:
    rng = random.Random(11)
    with running(folder, text) as relay:
        relay.wait_for("ready")
        for round in range(KILLS):
            names = [f"{'late' if i % 4 == 0 else 'r'}{round}-{i}@example.net" for i in range(MAILS // KILLS)]
            send(relay, names)
            time.sleep(rng.random())
            pid = relay.children().get("webhooks")
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                relay.wait_for("process_ended", round + 1)
            if round == 2:
                script.replies.clear()
            if round == 3:
                gone()
        wait_until(lambda: sum(kind == "mail.delivered" for _, _, kind in expected(relay)) == MAILS)
        book.is_kind = True
        wait_until(lambda: book.told() >= expected(relay))
        assert relay.stop() == 0
        missing = expected(relay) - book.told()
        assert not missing
        assert any(kind == "mail.deferred" for _, _, kind in book.told())


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_lost_and_each_mail_is_told_in_order(tmp_path: Path) -> None:
    authority, book = Authority(tmp_path), Book()
    secrets(tmp_path)
    script = Script(replies={b"RCPT TO:<late": b"451 4.3.0 not now"})

    async def main() -> None:
        loop = asyncio.get_running_loop()
        receiver = HttpReceiver(authority.issue("localhost"), answer=book.answer)

        async def go_away() -> None:
            await receiver.__aexit__()
            await asyncio.sleep(1.0)
            await receiver.__aenter__()

        def gone() -> None:
            asyncio.run_coroutine_threadsafe(go_away(), loop).result(20)

        async with asyncio.timeout(WITHIN_S), Sink(script) as sink, receiver:
            more = 'ca_file = "ca.pem"\nprevious_secret_file = "old"\nbatch_size = 9'
            text = relay_to(sink, hook(receiver.url, more=more))
            await asyncio.to_thread(live, tmp_path, text, script, book, gone)

    asyncio.run(main())
    assert book.trouble == []
    numbers = list(dict.fromkeys(int(str(event["sequence"])) for event in book.events))
    assert numbers == sorted(numbers), "each event for the first time in order"
    assert len(book.events) > len(numbers), "or nothing was told twice, and this test shows little"
    assert len({event["id"] for event in book.events}) == len(numbers)


def use_beside_silence(folder: Path, text: str, book: Book) -> None:
    with running(folder, text) as relay:
        send(relay, [f"r{i}@example.net" for i in range(20)])
        wait_until(lambda: len(book.told()) == 20)
        failed = relay.wait_for("webhook_failed")
        assert failed["webhook"] == "silent" and "no answer within 1 seconds" in str(failed["reason"])
        [line] = [
            json.loads(x) for x in ask(folder, "status", "--json", status=1).splitlines() if "silent" in x
        ]
        assert (line["state"], line["waiting"]) == ("failing", 20)
        begun_at = time.monotonic()
        assert relay.stop() == 0
        assert time.monotonic() - begun_at < 8, "whom it cannot reach holds up no end"


def test_a_receiver_that_never_answers_holds_up_neither_mail_nor_another_receiver(tmp_path: Path) -> None:
    book = Book(is_kind=True)
    secrets(tmp_path)

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with (
            asyncio.timeout(WITHIN_S),
            Sink() as sink,
            HttpReceiver(answer=book.answer) as good,
            HttpReceiver(behave=silent) as bad,
        ):
            quick = hook(bad.url, "silent").replace('"5s"', '"1s"')
            text = relay_to(sink, quick + hook(good.url, more='previous_secret_file = "old"'))
            await asyncio.to_thread(use_beside_silence, tmp_path, text, book)

    asyncio.run(main())
    assert book.trouble == []


def administrate(folder: Path, without: str, text: str, book: Book, receiver: HttpReceiver) -> None:
    with running(folder, without) as relay:
        send(relay, ["before@example.net"])
        relay.wait_for("delivered")
        assert "webhooks" not in relay.children()
        (folder / "relay.toml").write_text(text)
        relay.process.send_signal(signal.SIGHUP)
        relay.wait_for("configuration_read", 2)
        send(relay, ["a@example.net", "b@example.net"])
        wait_until(lambda: len(book.told()) == 2)
        wait_until(lambda: json.loads(ask(folder, "status", "--json"))["sent"] == 2)
        assert "up to date" in ask(folder, "status")
        assert json.loads(ask(folder, "list", "--json"))["url"].endswith("/events?…")
        asked = len(receiver.asked)
        assert "took a signed ping" in ask(folder, "test", "crm")
        assert json.loads(receiver.asked[asked].body)["type"] == "webhook.ping"
        ask(folder, "replay", "crm", "--since", "1h", "--yes")
        wait_until(lambda: len(book.events) == 5)
        moved = relay.wait_for("webhook_moved")
        assert moved["by"] and moved["do"] == "replay"
        rows = [json.loads(row) for row in (folder / "audit" / "audit.jsonl").read_bytes().splitlines()]
        assert any(row["event"] == "webhook_moved" for row in rows)
        assert 'm365_relay_webhook_events_total{webhook="crm"}' in metrics(relay)
        pid = relay.children()["webhooks"]
        assert (
            SECRET not in Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
        )
        assert SECRET not in relay.log_file.read_text()
        # The supervisor is killed: the process ends by itself.
        relay.process.kill()
        wait_until(lambda: not is_alive(pid))


def metrics(relay: Relay) -> str:
    from urllib.request import ProxyHandler, build_opener

    opener = build_opener(ProxyHandler({}))
    text = ""

    def is_there() -> bool:
        nonlocal text
        text = opener.open(relay.console, timeout=10).read().decode()
        return "webhook_events_total{" in text

    wait_until(is_there)
    return text


def test_a_webhook_is_added_tried_watched_and_told_to_tell_again(tmp_path: Path) -> None:
    book = Book(is_kind=True)
    secrets(tmp_path)

    async def main() -> None:
        async with (
            asyncio.timeout(WITHIN_S),
            Sink() as sink,
            HttpReceiver(answer=OnlyEvents(book)) as receiver,
        ):
            rest = '[audit]\npath = "audit"\n[console]\naddress = "127.0.0.1:0"\n'
            hooked = hook(receiver.url, more='previous_secret_file = "old"')
            without, text = relay_to(sink, "", rest), relay_to(sink, hooked, rest)
            await asyncio.to_thread(administrate, tmp_path, without, text, book, receiver)

    asyncio.run(main())
    assert book.trouble == []


@dataclass
class OnlyEvents:
    """A receiver that takes pings too."""

    book: Book

    def __call__(self, asked: Asked) -> bytes:
        if json.loads(asked.body)["type"] == "webhook.ping":
            self.book._verify(asked)
            return OK
        return self.book.answer(asked)
