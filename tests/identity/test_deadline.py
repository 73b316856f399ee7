"""A deadline of an exchange: connecting, and what is cut."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from relay.identity.deadline import Deadline

Found = list[tuple[int, int, int, str, tuple[str, int]]]


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address that does not answer: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        where = listener.getsockname()
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(where)
        yield where


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found: Found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in addresses]

    def getaddrinfo(host: str, port: int, **_: int) -> Found:
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, silent: tuple[str, int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        resolve_to(monkeypatch, silent, listener.getsockname())
        deadline = Deadline(2.0)
        with deadline.holding(), deadline.dial(("two.test", 443)) as sock:
            assert sock.getpeername() == listener.getsockname()


def test_addresses_that_do_not_answer_have_one_deadline(
    monkeypatch: pytest.MonkeyPatch, silent: tuple[str, int]
) -> None:
    resolve_to(monkeypatch, *[silent] * 40)
    began_at = time.monotonic()
    with pytest.raises(TimeoutError):
        Deadline(0.3).dial(("many.test", 443))
    # Of their own they would have 12 seconds.
    assert time.monotonic() - began_at < 6


def test_an_address_that_refuses_is_told_when_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
    resolve_to(monkeypatch, where)
    with pytest.raises(ConnectionRefusedError):
        Deadline(10.0).dial(("gone.test", 443))


def test_what_was_cut_is_no_end_of_the_other_side() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deadline = Deadline(0.2)
        with (
            pytest.raises(TimeoutError),
            deadline.holding(),
            deadline.dial(listener.getsockname()) as sock,
        ):
            sock.settimeout(10)
            assert sock.recv(1) == b""


def test_the_other_side_sees_the_end_when_an_exchange_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deadline = Deadline(10.0)
        with deadline.holding():
            deadline.dial(listener.getsockname()).close()
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(10)
            assert peer.recv(1) == b""
