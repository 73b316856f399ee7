"""What MAIL, RCPT and XCLIENT let through can stand in a command, a header field and the log, and reads as it did.

The text is a command's, so it has no CR, LF or NUL (`server.py` sees to that).
"""

from ipaddress import ip_address

from relay.smtp.address import MAX_ADDRESS_BYTES, parse_path
from relay.smtp.command import MAX_ENVID, MAX_ORCPT, MailCommand, RcptCommand, decode_xtext
from relay.smtp.command import parse_mail as mail
from relay.smtp.command import parse_rcpt as rcpt
from relay.smtp.reply import Reply
from relay.smtp.xclient import XClient, parse_xclient

_CONTROLS = {*range(32), 127}
_ASCII = bytes(octet if octet < 128 else 63 for octet in range(256))


def check(data: bytes) -> None:
    """One line, read as each of the three."""
    text = data.translate(None, b"\r\n\0")
    for command in (mail(b"FROM:" + text), rcpt(b"TO:" + text), rcpt(b"TO:" + text, is_utf8=True)):
        match command:
            case MailCommand():
                _check_address(command.sender, command.is_utf8)
                assert len(command.envid) <= MAX_ENVID and decode_xtext(command.envid).isascii()
                assert command.envid.isascii() and b" " not in command.envid
                assert command.ret in (b"", b"FULL", b"HDRS") and 0 <= command.size < 10**20
            case RcptCommand():
                _check_address(command.recipient, True)
                assert command.recipient and len(command.orcpt) <= MAX_ORCPT
                assert not set(command.orcpt) & set(b" <>\x7f\t") - set(b"<>")
                assert not set(decode_xtext(command.orcpt.partition(b";")[2].translate(_ASCII))) & _CONTROLS
                assert command.notify.replace(b",", b"").isupper() or not command.notify
            case Reply():
                assert command.is_permanent and b"\n" not in command.encode()[:-2]
    proxied = parse_xclient(text)
    if isinstance(proxied, XClient):
        assert not proxied.address or str(ip_address(proxied.address)) == proxied.address
        assert not set(proxied.helo) - set(range(0x21, 0x7F))


def _check_address(address: bytes, may_be_utf8: bool) -> None:
    assert len(address) <= MAX_ADDRESS_BYTES and (may_be_utf8 or address.isascii())
    assert not any(octet < 32 or octet == 127 for octet in address)
    again = parse_path(b"<%b>" % address)
    assert again == (address, len(address) + 2)
