"""The slow truth about the bytes of a mail: whole input, byte by byte, the RFC's sentence beside each branch.

What the native part does with memchr and carried state is said here with look-ahead
and no state at all, so that the two cannot share a mistake in the cutting. Tests
compare them; nothing else uses this.
"""

from dataclasses import dataclass

from relay._fastpath import ERROR_BARE_CR, ERROR_BARE_LF, ERROR_LINE_LENGTH, ERROR_NONE, ERROR_NUL, ERROR_SIZE

CR, LF, DOT = b"\r"[0], b"\n"[0], b"."[0]


@dataclass(frozen=True)
class Options:
    refuse_bare_lf: bool = False
    max_line: int = 1000
    limit: int = 0


@dataclass(frozen=True)
class Decoded:
    """What is to be known after the whole input: content before the error, if there is one."""

    content: bytes
    consumed: int
    finished: bool
    error: int


class _Content:
    """Decoded bytes, and the first thing wrong with them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.bytes = bytearray()
        self.line = 0
        self.error = ERROR_NONE

    def text(self, octet: int) -> None:
        # RFC 5321 section 4.5.3.1.6: "The maximum total length of a text line including the <CRLF> is 1000
        # octets (not counting the leading dot duplicated for transparency)."
        if self.options.max_line and self.line + 1 + len(b"\r\n") > self.options.max_line:
            self.error = ERROR_LINE_LENGTH
        elif self._fits(1):
            self.bytes.append(octet)
            self.line += 1

    def line_end(self) -> None:
        if self._fits(2):
            self.bytes += b"\r\n"
            self.line = 0

    def _fits(self, count: int) -> bool:
        # RFC 1870 section 6.3: a server may refuse while reading what exceeds its maximum.
        if self.options.limit and len(self.bytes) + count > self.options.limit:
            self.error = ERROR_SIZE
            return False
        return True


def decode(data: bytes, options: Options) -> Decoded:
    """The content sent after DATA; `data` may go on beyond its end or stop before it."""
    content = _Content(options)
    at_line_start = True
    index = 0
    while index < len(data) and not content.error:
        if at_line_start and data[index] == DOT:
            # RFC 5321 section 4.5.2: "If the line is composed of a single period, it is treated as the end of
            # mail indicator."
            if data[index : index + 3] == b".\r\n":
                return Decoded(bytes(content.bytes), index + 3, True, ERROR_NONE)
            if data[index:] in (b".", b".\r"):
                break  # the next bytes tell
            # "If the first character is a period and there are other characters on the line, the first character
            # is deleted."
            index += 1
        # RFC 5321 section 2.3.8: "Conforming implementations MUST NOT recognize or generate any other character or
        # character sequence as a line terminator." So a line begins after CRLF and nothing else.
        at_line_start = data[index : index + 2] == b"\r\n"
        taken = _take(data, index, content)
        if not taken:
            break  # a CR at the end: the next byte tells
        index += taken
    if not content.error:
        return Decoded(bytes(content.bytes), len(data), False, ERROR_NONE)
    end = end_of_data(data)
    return Decoded(bytes(content.bytes), len(data) if end is None else end, end is not None, content.error)


def decode_raw(data: bytes, options: Options) -> Decoded:
    """The content sent by BDAT, all chunks joined, after the last of them."""
    content = _Content(options)
    index = 0
    while index < len(data) and not content.error:
        taken = _take(data, index, content)
        if not taken:
            content.error = ERROR_BARE_CR
        index += taken
    # A last line without its end gets one, or it could not be sent on by DATA.
    if content.line and not content.error:
        content.line_end()
    return Decoded(bytes(content.bytes), len(data), True, content.error)


def _take(data: bytes, index: int, content: _Content) -> int:
    """Content or trouble at `index`: how many bytes it is; 0 when it cannot be told yet."""
    octet = data[index]
    if data[index : index + 2] == b"\r\n":
        content.line_end()
        return 2
    if octet == CR:
        # RFC 5321 section 2.3.8: "the appearance of "bare" "CR" or "LF" characters in text (i.e., either without
        # the other) has a long history of causing problems in mail implementations".
        if index + 1 == len(data):
            return 0
        content.error = ERROR_BARE_CR
    elif octet == LF:
        # The same; but many applications send it, so a listener may take it for the line end that was meant, in
        # the content only.
        if content.options.refuse_bare_lf:
            content.error = ERROR_BARE_LF
        else:
            content.line_end()
    elif octet == 0:
        # RFC 2045 sections 2.7 and 2.8: neither 7bit nor 8bit data may hold "NULs (octets with decimal value 0)".
        content.error = ERROR_NUL
    else:
        content.text(octet)
    return 1


def end_of_data(data: bytes) -> int | None:
    """Where data ends, whatever is wrong with it: behind the first CRLF.CRLF, or nowhere."""
    # RFC 5321 section 4.1.1.4: "the character sequence "<CRLF>.<CRLF>", where the first <CRLF> is actually the
    # terminator of the previous line", of the DATA command if there is none. 'the sequence "<LF>.<LF>" (bare line
    # feeds, without carriage returns) MUST NOT be treated as equivalent to <CRLF>.<CRLF>'.
    found = (b"\r\n" + data).find(b"\r\n.\r\n")
    return None if found < 0 else found + len(b".\r\n")


def stuff(content: bytes, at_line_start: bool) -> bytes:
    """Content as it is sent after DATA."""
    out = bytearray()
    for octet in content:
        # RFC 5321 section 4.5.2: "Before sending a line of mail text, the SMTP client checks the first character of
        # the line. If it is a period, one additional period is inserted at the beginning of the line."
        if at_line_start and octet == DOT:
            out.append(DOT)
        out.append(octet)
        at_line_start = octet == LF
    return bytes(out)


@dataclass
class Field:
    name: bytes
    value: bytes


@dataclass(frozen=True)
class Header:
    fields: list[Field]
    end: int
    complete: bool


def header(content: bytes) -> Header:
    """The fields `content` begins with; a line not yet ended may count as one."""
    fields: list[Field] = []
    index = 0
    while index < len(content):
        line, line_end = _line(content, index)
        # RFC 5322 section 2.1: the body "is separated from the header section by an empty line (i.e., a line with
        # nothing preceding the CRLF)".
        if line == b"" and line_end:
            return Header(fields, index + len(line_end), True)
        # RFC 5322 section 2.2.3: a field is continued by lines that begin with white space.
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1].value += _fold(content, index) + line
        elif (field := _field(line)) is not None:
            fields.append(field)
        elif line_end or not _may_become_field(line):
            # What is no field and no blank line is the body's beginning.
            return Header(fields, index, True)
        else:
            break
        index += len(line) + len(line_end)
    return Header(fields, len(content), False)


def _line(content: bytes, start: int) -> tuple[bytes, bytes]:
    """The line at `start` and its line end, which is empty when the content ends first."""
    index = start
    while index < len(content):
        if content[index] == LF:
            return content[start:index], b"\n"
        if content[index : index + 2] == b"\r\n":
            return content[start:index], b"\r\n"
        index += 1
    return content[start:], b""


def _fold(content: bytes, index: int) -> bytes:
    """The line end just before `index`."""
    return b"\r\n" if content[index - 2 : index] == b"\r\n" else b"\n"


def _field(line: bytes) -> Field | None:
    # RFC 5322 section 2.2: "Header fields are lines beginning with a field name, followed by a colon (":"),
    # followed by a field body, and terminated by CRLF."
    name, colon, value = line.partition(b":")
    # RFC 5322 section 4.5: obsolete fields have "*WSP" between name and colon.
    name = name.rstrip(b" \t")
    return Field(name, value) if colon and _is_name(name) else None


def _is_name(name: bytes) -> bool:
    # "A field name MUST be composed of printable US-ASCII characters (i.e., characters that have values between 33
    # and 126, inclusive), except colon."
    return name != b"" and all(33 <= octet <= 126 and octet != b":"[0] for octet in name)


def _may_become_field(line: bytes) -> bool:
    """Whether more bytes could make a field of this beginning of a line, or a blank line."""
    return line in (b"", b"\r") or _is_name(line.rstrip(b" \t"))


def simple_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.3."""
    # "ignores all empty lines at the end of the message body. An empty line is a line of zero length after
    # removal of the line terminator."
    while body[-2:] == b"\r\n":
        body = body[:-2]
    # "If there is no body or no trailing CRLF on the message body, a CRLF is added. It makes no other changes".
    return body + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4."""
    out = bytearray()
    index = 0
    while index < len(body):
        end = index
        while end < len(body) and body[end] in b" \t":
            end += 1
        if end == index:
            out.append(body[index])
            index += 1
        else:
            # "Ignore all whitespace at the end of lines. Implementations MUST NOT remove the CRLF at the end of the
            # line." and "Reduce all sequences of WSP within a line to a single SP character."
            if end < len(body) and body[end : end + 2] != b"\r\n":
                out += b" "
            index = end
    # "Ignore all empty lines at the end of the message body. [...] If the body is non-empty but does not end with a
    # CRLF, a CRLF is added." Erratum 1384: a body of nothing but empty lines is empty.
    while out[-2:] == b"\r\n":
        del out[-2:]
    return bytes(out + b"\r\n" if out else out)


def simple_field(field: Field) -> bytes:
    """RFC 6376 section 3.4.1, of a field without white space before its colon."""
    # "The simple header canonicalization algorithm does not change header fields in any way."
    return field.name + b":" + field.value + b"\r\n"


def relaxed_field(field: Field) -> bytes:
    """RFC 6376 section 3.4.2."""
    # "Unfold all header field continuation lines": only the line ends go.
    unfolded = bytearray()
    for index, octet in enumerate(field.value):
        if octet != LF and field.value[index : index + 2] != b"\r\n":
            unfolded.append(octet)
    value = bytearray()
    for octet in unfolded:
        # "Convert all sequences of one or more WSP characters to a single SP character."
        if octet not in b" \t":
            value.append(octet)
        elif value[-1:] != b" ":
            value += b" "
    # "Delete all WSP characters at the end of each unfolded header field value" and "any WSP characters remaining
    # before and after the colon". "Convert all header field names (not the header field values) to lowercase."
    return field.name.lower() + b":" + bytes(value).strip(b" ") + b"\r\n"


def select(
    fields: list[Field], names: list[bytes], oversigned: list[bytes]
) -> tuple[list[bytes], list[Field]]:
    """What h= lists and the fields it means; names in lower case."""
    listed: list[bytes] = []
    chosen: list[Field] = []
    for name in names:
        # RFC 6376 section 5.4.2: "Signers choosing to sign an existing header field that occurs more than once in
        # the message (such as Received) MUST sign the physically last instance of that header field in the header
        # block. Signers wishing to sign multiple instances of such a header field MUST include the header field name
        # multiple times in the "h=" tag of the DKIM-Signature header field and MUST sign such header fields in order
        # from the bottom of the header field block to the top."
        for field in reversed(fields):
            if field.name.lower() == name:
                listed.append(name)
                chosen.append(field)
        # "The signer MAY include more instances of a header field name in "h=" than there are actual corresponding
        # header fields so that the signature will not verify if additional header fields of that name are added."
        if name in oversigned:
            listed.append(name)
    return listed, chosen
