"""MAIL, RCPT and BDAT: command lines → values (RFC 5321 section 4.1.1, RFC 3030).

Each function takes what follows the verb and returns the command, or the reply
that refuses it. The parameters are those of the extensions we offer: SIZE (RFC
1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461),
MT-PRIORITY (RFC 6710), AUTH (RFC 4954).
The values are structs, not dataclasses: those cost 1 µs each to make, these 0.1.
"""

import re

from msgspec import Struct

from relay.smtp.address import parse_path
from relay.smtp.reply import Reply

MAX_ENVID = 100
"""RFC 3461 section 4.4."""
MAX_ORCPT = 500
"""RFC 3461 section 4.2."""
MAX_AUTH = 500
"""RFC 4954 section 5. Who logged in elsewhere is read over: we trust no client to say so, which the RFC allows."""
_MAX_DIGITS = 20
"""RFC 1870 section 5: a size has at most 20 digits."""


class MailCommand(Struct, frozen=True):
    """MAIL FROM with its parameters; `sender` is empty for the null sender."""

    sender: bytes
    size: int = 0
    """SIZE as declared, 0 when it was not."""
    is_8bit: bool = False
    is_utf8: bool = False
    ret: bytes = b""
    envid: bytes = b""
    mt_priority: int | None = None
    """-9 to 9, higher is first; None when it was not given, which RFC 6710 takes for 0."""


class RcptCommand(Struct, frozen=True):
    """RCPT TO with its parameters; `notify` is upper case, `orcpt` as given."""

    recipient: bytes
    notify: bytes = b""
    orcpt: bytes = b""


class BdatCommand(Struct, frozen=True):
    """BDAT: so many bytes follow."""

    size: int
    is_last: bool


def parse_mail(text: bytes) -> MailCommand | Reply:
    """What follows `MAIL `."""
    if text[:5].upper() != b"FROM:":
        return _MAIL_SYNTAX
    path = parse_path(text, 5 if text[5:6] != b" " else 6)
    # Only a recipient may lack its domain, and only postmaster (RFC 5321 section 4.5.1).
    if path is None or (path.address and b"@" not in path.address):
        return _MAIL_SYNTAX if b"<" not in text else _BAD_SENDER
    if path.end == len(text):
        return MailCommand(path.address) if path.address.isascii() else _NEEDS_UTF8
    return _mail_with_parameters(path.address, text[path.end :])


def parse_rcpt(text: bytes, *, is_utf8: bool = False) -> RcptCommand | Reply:
    """What follows `RCPT `; `is_utf8`: the MAIL of this transaction had SMTPUTF8."""
    if text[:3].upper() != b"TO:":
        return _RCPT_SYNTAX
    path = parse_path(text, 3 if text[3:4] != b" " else 4)
    if path is None or not path.address:
        return _RCPT_SYNTAX if b"<" not in text else _BAD_RECIPIENT
    if not is_utf8 and not path.address.isascii():
        return _NEEDS_UTF8
    if path.end == len(text):
        return RcptCommand(path.address)
    return _rcpt_with_parameters(path.address, text[path.end :], is_utf8)


def parse_bdat(text: bytes) -> BdatCommand | Reply:
    """What follows `BDAT `."""
    size, _, last = text.partition(b" ")
    if not size.isdigit() or len(size) > _MAX_DIGITS or last.upper() not in (b"", b"LAST"):
        return Reply(501, "5.5.4", "Syntax: BDAT <size> [LAST]")
    return BdatCommand(int(size), bool(last))


def is_domain_argument(text: bytes) -> bool:
    """May this follow EHLO or HELO?

    RFC 5321 section 4.1.4 wants a domain or an address literal and forbids to refuse a mail
    for a wrong one; machines greet with all kinds of names, so any printable word will do.
    """
    return 0 < len(text) <= 255 and _WORD.fullmatch(text) is not None


def decode_xtext(text: bytes) -> bytes:
    """The bytes behind xtext (RFC 3461 section 4); ValueError when it is none."""
    if not _XTEXT.fullmatch(text):
        raise ValueError(f"not xtext: {text!r}")
    return _HEX.sub(lambda match: bytes((int(match[1], 16),)), text)


def _mail_with_parameters(sender: bytes, text: bytes) -> MailCommand | Reply:
    parameters = _parse_parameters(text)
    if isinstance(parameters, Reply):
        return parameters
    size, body, is_utf8, ret, envid = 0, b"", False, b"", b""
    mt_priority: int | None = None
    for key, value in parameters.items():
        match key:
            case b"SIZE" if value.isdigit() and len(value) <= _MAX_DIGITS:
                size = int(value)
            case b"BODY" if value.upper() in (b"7BIT", b"8BITMIME"):
                body = value.upper()
            case b"SMTPUTF8" if not value:
                is_utf8 = True
            case b"RET" if value.upper() in (b"FULL", b"HDRS"):
                ret = value.upper()
            case b"ENVID" if 0 < len(value) <= MAX_ENVID and _is_printable_xtext(value):
                envid = value
            case b"MT-PRIORITY" if _MT_PRIORITY.fullmatch(value):
                mt_priority = int(value)
            case b"AUTH" if len(value) <= MAX_AUTH and (value == b"<>" or _XTEXT.fullmatch(value)):
                pass
            case b"SIZE" | b"BODY" | b"SMTPUTF8" | b"RET" | b"ENVID" | b"MT-PRIORITY" | b"AUTH":
                return _bad_value(key)
            case _:
                return _unknown_parameter(key)
    if not is_utf8 and not sender.isascii():
        return _NEEDS_UTF8
    return MailCommand(sender, size, body == b"8BITMIME", is_utf8, ret, envid, mt_priority)


def _rcpt_with_parameters(recipient: bytes, text: bytes, is_utf8: bool) -> RcptCommand | Reply:
    parameters = _parse_parameters(text, is_utf8=is_utf8)
    if isinstance(parameters, Reply):
        return parameters
    notify, orcpt = b"", b""
    for key, value in parameters.items():
        match key:
            case b"NOTIFY" if _is_notify(value.upper()):
                notify = value.upper()
            case b"ORCPT" if len(value) <= MAX_ORCPT and _ORCPT.fullmatch(value) and _hides_no_control(value):
                orcpt = value
            case b"NOTIFY" | b"ORCPT":
                return _bad_value(key)
            case _:
                return _unknown_parameter(key)
    return RcptCommand(recipient, notify, orcpt)


def _parse_parameters(text: bytes, *, is_utf8: bool = False) -> dict[bytes, bytes] | Reply:
    """` KEY=value KEY …` → a dictionary, keys in upper case (RFC 5321 section 4.1.2, esmtp-param)."""
    if text[:1] != b" ":
        return Reply(501, "5.5.4", "A space must follow the path")
    parameters: dict[bytes, bytes] = {}
    pattern = _PARAMETER_UTF8 if is_utf8 else _PARAMETER
    for word in text.split():
        key, _, value = word.partition(b"=")
        key = key.upper()
        if not pattern.fullmatch(word):
            return Reply(501, "5.5.4", "Malformed parameter")
        if key in parameters:
            return Reply(501, "5.5.4", f"{key.decode()} is given twice")
        parameters[key] = value
    return parameters


def _is_notify(value: bytes) -> bool:
    """RFC 3461 section 4.1: NEVER alone, or a list of the others."""
    return value == b"NEVER" or all(word in _NOTIFY for word in value.split(b","))


def _is_printable_xtext(value: bytes) -> bool:
    """RFC 3461 section 4.4: what ENVID encodes is printable ASCII."""
    if not _XTEXT.fullmatch(value):
        return False
    return all(32 <= byte < 127 for byte in decode_xtext(value))


def _hides_no_control(value: bytes) -> bool:
    """Decoded, it goes into a field of a report: a line end in it would make a field of its own."""
    return b"+" not in value or all(32 <= int(code, 16) != 127 for code in _HEX.findall(value))


def _bad_value(key: bytes) -> Reply:
    return Reply(501, "5.5.4", f"{key.decode()} has a value that is not allowed")


def _unknown_parameter(key: bytes) -> Reply:
    return Reply(555, "5.5.4", f"The parameter {key.decode()} is not known here")


_MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
_RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")
_BAD_SENDER = Reply(501, "5.1.7", "The sender's address is malformed")
_BAD_RECIPIENT = Reply(501, "5.1.3", "The recipient's address is malformed")
_NEEDS_UTF8 = Reply(553, "5.6.7", "An address outside ASCII needs SMTPUTF8 at MAIL")
_NOTIFY = frozenset((b"SUCCESS", b"FAILURE", b"DELAY"))
_WORD = re.compile(rb"[\x21-\x7e]+")
_PARAMETER = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*(?:=[\x21-\x3c\x3e-\x7e]+)?")
_PARAMETER_UTF8 = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*(?:=[\x21-\x3c\x3e-\x7e\x80-\xff]+)?")
# RFC 6710 section 3: a minus, and no plus, before a digit that is not zero.
_MT_PRIORITY = re.compile(rb"-?[1-9]|0")
_XTEXT = re.compile(rb"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_HEX = re.compile(rb"\+([0-9A-F]{2})")
# RFC 6533 section 3 allows UTF-8 itself behind `utf-8;`; the parameter's pattern has looked whether it may stand here.
_ORCPT = re.compile(
    rb"[A-Za-z0-9!#$%&'*/?^_`{|}~.-]+;(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e\x80-\xff]|\+[0-9A-F]{2})+"
)
