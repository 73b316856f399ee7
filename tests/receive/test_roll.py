"""The list of those who exist: what its lines mean, when it is read again, who is refused."""

import os
from pathlib import Path

import pytest

from relay.errors import ConfigurationError
from relay.receive.roll import Roll, load
from relay.route.route import Route
from relay.route.tenant import Tenant, Unknown
from relay.trace.event import RecipientsRead
from tests.receive.harness import Client as Wire
from tests.receive.harness import House, house, run, until

LIST = b"\xef\xbb\xbf# who there is\r\nBob@contoso.com\r\n\r\nsales.contoso.com  # all\n*.lab.contoso.com\n"


@pytest.mark.parametrize(
    ("address", "is_known"),
    [
        (b"bob@contoso.com", True),
        (b"BOB@Contoso.com", True),
        (b"bob+news@contoso.com", True),
        (b"eve@contoso.com", False),
        (b"eve+bob@contoso.com", False),
        (b"+bob@contoso.com", False),
        (b"+@contoso.com", False),
        (b"bob@contoso.com.evil.example", False),
        (b"anybody@sales.contoso.com", True),
        (b"anybody@x.sales.contoso.com", False),
        (b"a@x.lab.contoso.com", True),
        (b"a@lab.contoso.com", False),
        (b"Postmaster@contoso.com", True),
        (b"postmaster.x@contoso.com", False),
    ],
)
def test_who_is_known(tmp_path: Path, address: bytes, is_known: bool) -> None:
    roll = Roll(tmp_path / "list")
    assert not roll.is_current(0.0), "nobody has said who there is"
    roll.path.write_bytes(LIST)
    roll.put(load(roll.path))
    assert roll.knows(address) is is_known


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"bob@contoso.com\nPrimarySmtpAddress\n", "line 2: write an address"),
        (b'"bob@contoso.com"\n', "line 1"),
        (b"bob@contoso.com,eve@contoso.com\n", "line 1"),
        (b"b*b@contoso..com", "line 1"),
        (b"@contoso.com", "line 1"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"# nobody\n", "names nobody"),
        (b"", "names nobody"),
        (b"x" * (16 * 1024 * 1024 + 1), "is larger than"),
    ],
)
def test_a_list_with_a_mistake_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        load(tmp_path / "list")


def test_a_change_is_new_when_it_has_stood_still(tmp_path: Path) -> None:
    roll = Roll(tmp_path / "list")
    roll.path.write_bytes(b"bob@contoso.com\n")
    roll.begin()
    assert not roll.is_new()
    roll.path.write_bytes(b"bob@contoso.com\neve@conto")
    assert not roll.is_new()
    roll.path.write_bytes(b"bob@contoso.com\neve@contoso.com\n")
    assert not roll.is_new()
    assert roll.is_new()
    assert not roll.is_new()
    roll.path.unlink()
    assert [roll.is_new() for _ in range(3)] == [False, True, False]


async def rcpt(h: House, *recipients: bytes) -> list[bytes]:
    wire = await Wire.connect(h.port)
    await wire.reply()
    await wire.say(b"EHLO client.example\r\n")
    await wire.say(b"MAIL FROM:<alice@example.com>\r\n")
    said = [(await wire.say(b"RCPT TO:<%b>\r\n" % each))[:9] for each in recipients]
    await wire.close()
    return said


def test_who_does_not_exist_is_refused_and_a_new_list_needs_no_reload(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"bob@contoso.com\n")
    asked = (b"bob@contoso.com", b"eve@contoso.com", b"eve@else.example", b"postmaster")

    async def main() -> None:
        tenant = Tenant(("contoso.com",), path)
        async with house(routes=(Route("world", ("mx.example",)),), tenant=tenant) as h:
            ok, unknown = b"250 2.1.5", b"550 5.1.1"
            assert await rcpt(h, *asked) == [ok, unknown, ok, ok]

            async def look(reads: int) -> None:
                h.receiver.sweep()
                h.receiver.sweep()
                await until(lambda: sum(isinstance(each, RecipientsRead) for each in h.events) == reads)

            _replace(path, b"eve@contoso.com\n")
            await look(2)
            assert await rcpt(h, *asked) == [unknown, ok, ok, ok]
            # What cannot be read leaves the old one.
            _replace(path, b"eve\n")
            await look(3)
            assert await rcpt(h, *asked) == [unknown, ok, ok, ok]
            events = [each for each in h.events if isinstance(each, RecipientsRead)]
            assert [(each.recipients, each.level) for each in events] == [
                (1, "info"),
                (1, "info"),
                (1, "error"),
            ]
            assert "line 1" in events[-1].reason

    run(main)


def test_without_a_list_nobody_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        tenant = Tenant(("contoso.com",), tmp_path / "list")
        async with house(routes=(Route("world", ("mx.example",)),), tenant=tenant) as h:
            assert await rcpt(h, b"eve@contoso.com") == [b"250 2.1.5"]
            (event,) = [each for each in h.events if isinstance(each, RecipientsRead)]
            assert (event.recipients, event.level) == (0, "error")

    run(main)


@pytest.mark.parametrize("unknown", Unknown)
def test_while_nobody_knows_who_there_is_mail_is_taken_or_put_off_as_chosen(
    tmp_path: Path, unknown: Unknown
) -> None:
    async def main() -> None:
        listed, made = tmp_path / "file", tmp_path / "recipients.list"
        listed.write_bytes(b"dynamic.group@contoso.com\n")
        tenant = Tenant(
            ("contoso.com",), listed, made, recipients_stale_s=86_400.0, recipients_unknown=unknown
        )
        async with house(routes=(Route("world", ("mx.example",)),), tenant=tenant) as h:
            asked = (
                b"bob@contoso.com",
                b"dynamic.group@contoso.com",
                b"eve@else.example",
                b"postmaster@contoso.com",
            )
            ok, missing = b"250 2.1.5", b"550 5.1.1"
            open_ = ok if unknown is Unknown.ACCEPT else b"451 4.4.3"
            assert await rcpt(h, *asked) == [open_, ok, ok, ok]
            # That the directory was not read yet, as at the first start, is no fault.
            assert [each.level for each in h.events if isinstance(each, RecipientsRead)] == ["info"]

            async def look(reads: int) -> None:
                h.receiver.sweep()
                h.receiver.sweep()
                await until(lambda: sum(isinstance(each, RecipientsRead) for each in h.events) == reads)

            _replace(made, b"alice@contoso.com\n")
            await look(2)
            assert await rcpt(h, *asked, b"alice@contoso.com") == [missing, ok, ok, ok, ok]
            # It was made long ago: nobody goes by whom it does not name, and whom it names is there.
            os.utime(made, (1, 1))
            await look(3)
            assert await rcpt(h, *asked, b"alice@contoso.com") == [open_, ok, ok, ok, ok]

    run(main)


def _replace(path: Path, content: bytes) -> None:
    path.with_suffix(".new").write_bytes(content)
    os.replace(path.with_suffix(".new"), path)
