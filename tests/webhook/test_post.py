"""One request over a real socket, to receivers that behave and to others."""

import asyncio
from pathlib import Path

import pytest

from relay.errors import ConfigurationError
from relay.webhook.options import WebhookOptions
from relay.webhook.post import ANSWER_MAX_BYTES, Answer, HttpPost, Unanswered
from tests.fakes.certificate import Authority
from tests.fakes.http_receiver import OK, HttpReceiver
from tests.fakes.loop import in_loop

HEADERS = {"webhook-id": "batch_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
BODY = b'{"type":"mail.events"}'


def post_to(receiver: HttpReceiver, within_s: float = 10.0, ca_file: Path | None = None) -> HttpPost:
    ca = None if ca_file is None else str(ca_file)
    return HttpPost(WebhookOptions("crm", receiver.url, (b"k" * 32,), timeout_s=within_s, ca_file=ca))


async def ask(receiver: HttpReceiver, within_s: float = 10.0, ca_file: Path | None = None) -> Answer:
    post = post_to(receiver, within_s, ca_file)
    try:
        return await post(HEADERS, BODY)
    finally:
        await post.close()


async def unanswered(
    receiver: HttpReceiver, within_s: float = 10.0, ca_file: Path | None = None
) -> Unanswered:
    with pytest.raises(Unanswered) as raised:
        await ask(receiver, within_s, ca_file)
    return raised.value


@in_loop
async def test_a_body_arrives_as_it_is_with_its_fields_over_tls_that_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with HttpReceiver(authority.issue("localhost")) as receiver:
        assert await ask(receiver, ca_file=authority.ca_file) == Answer(200)
        [asked] = receiver.asked
    assert asked.line == "POST /events?of=mail HTTP/1.1" and asked.body == BODY
    assert asked.fields.items() >= HEADERS.items()
    assert asked.fields["host"] == f"localhost:{receiver.port}"
    assert (asked.fields["content-type"], asked.fields["user-agent"]) == ("application/json", "m365-relay")
    assert "authorization" not in asked.fields and "cookie" not in asked.fields


@in_loop
async def test_a_certificate_that_is_not_trusted_gets_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with HttpReceiver(authority.issue("localhost")) as receiver:
        error = await unanswered(receiver)
        assert receiver.asked == []
    assert error.is_fault and "the webhook's ca_file" in str(error)


@in_loop
async def test_a_certificate_of_another_name_gets_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with HttpReceiver(authority.issue("other.example")) as receiver:
        error = await unanswered(receiver, ca_file=authority.ca_file)
        assert receiver.asked == []
    assert error.is_fault and "localhost" in str(error)


@in_loop
async def test_two_batches_go_over_one_connection_and_no_cookie_comes_back() -> None:
    answer = b"HTTP/1.1 204 No Content\r\nSet-Cookie: id=7\r\n\r\n"
    async with HttpReceiver(answers=[answer]) as receiver:
        post = post_to(receiver)
        assert [await post(HEADERS, BODY) for _ in range(2)] == [Answer(204)] * 2
        await post.close()
        assert receiver.connections == 1
        assert "cookie" not in receiver.asked[1].fields


@in_loop
async def test_a_connection_that_the_receiver_has_closed_is_made_anew() -> None:
    async with HttpReceiver(closes=True) as receiver:
        post = post_to(receiver)
        assert await post(HEADERS, BODY) == Answer(200)
        await receiver.served()
        assert await post(HEADERS, BODY) == Answer(200)
        await post.close()
        assert receiver.connections == 2


@in_loop
async def test_no_redirect_is_followed() -> None:
    async with HttpReceiver() as other:
        there = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n"
        async with HttpReceiver(answers=[there.encode()]) as receiver:
            answer = await ask(receiver)
        assert (answer.status, answer.is_taken, answer.may_pass) == (307, False, False)
        assert other.connections == 0


@in_loop
async def test_what_the_receiver_asks_for_is_heard() -> None:
    said = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
    async with HttpReceiver(answers=[said]) as receiver:
        assert await ask(receiver) == Answer(503, "30")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
    ],
)
@in_loop
async def test_an_answer_that_was_cut_off_or_is_none_counts_as_none(answer: bytes) -> None:
    async with HttpReceiver(answers=[answer], closes=True) as receiver:
        error = await unanswered(receiver)
        assert len(receiver.asked) == 1
    assert not error.is_fault and len(str(error)) < 400


@in_loop
async def test_silence_ends_at_the_deadline() -> None:
    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with HttpReceiver(behave=wait) as receiver:
        assert "no answer within 0.2 seconds" in str(await unanswered(receiver, 0.2))


@in_loop
async def test_an_answer_that_never_ends_ends_at_the_deadline_however_much_comes() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with HttpReceiver(behave=drip) as receiver:
        assert "no answer within 0.3 seconds" in str(await unanswered(receiver, 0.3))


@in_loop
async def test_of_a_long_answer_the_status_counts_and_the_rest_is_not_read() -> None:
    written = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            written += 65_536

    async with HttpReceiver(behave=flood) as receiver:
        assert await ask(receiver) == Answer(200)
    assert written < 100 * ANSWER_MAX_BYTES


@in_loop
async def test_a_header_that_never_ends_takes_no_memory() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Filler: " + b"x" * 60_000 + b"\r\n")
            await writer.drain()

    async with HttpReceiver(behave=flood) as receiver:
        assert "did not answer as HTTP" in str(await unanswered(receiver))


@in_loop
async def test_nothing_is_unpacked() -> None:
    bomb = b"\x1f\x8b" + b"\0" * 100
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with HttpReceiver(answers=[head + bomb]) as receiver:
        assert await ask(receiver) == Answer(200)
        assert receiver.asked[0].fields["accept-encoding"] == "identity"


@in_loop
async def test_where_nobody_listens_the_system_says_so() -> None:
    async with HttpReceiver() as receiver:
        pass
    assert "cannot reach localhost: Connection refused" in str(await unanswered(receiver))


@pytest.mark.parametrize("proxy", ["socks9://user:hunter2@proxy:1080", "http://proxy:port", "ftp://proxy"])
def test_a_proxy_that_cannot_be_one_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigurationError, match=r"\$HTTPS_PROXY") as raised:
        HttpPost(WebhookOptions("crm", "https://crm.example.com/", (b"k" * 32,)))
    assert "hunter2" not in str(raised.value)


@in_loop
async def test_a_proxy_of_the_environment_is_for_others_and_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with HttpReceiver(answers=[OK]) as receiver:
        assert await ask(receiver) == Answer(200)
