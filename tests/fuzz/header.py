"""No header makes us write a field we did not mean to, or take out a byte that is not our own field's.

The first line is what the client calls itself, the rest a mail.
"""

from relay._fastpath import DataDecoder, scan_header
from relay.message import own_field
from relay.message.edit import apply
from relay.message.from_field import author_of
from relay.message.header import Header, unfold
from relay.message.received import received_field


def check(data: bytes) -> None:
    """One mail, as the decoder lets it through."""
    helo, _, raw = data.partition(b"\n")
    content = bytearray()
    decoder = DataDecoder(max_line=0)
    decoder.feed_raw(raw, 0, len(raw), content)
    decoder.end_raw(content)
    if decoder.error:
        return
    header = Header.of(content)
    author = author_of(header)
    if not isinstance(author, str):
        assert unfold(bytes(content[author.start : author.end])) == author.address
        assert b"@" in author.address and not set(author.address) & {*range(9), *range(10, 32), 127}
    _check_received(helo, content, header)
    _check_own_fields(content)


def _check_received(helo: bytes, content: bytearray, header: Header) -> None:
    field = received_field(
        helo=helo, client="::1", hostname="r", protocol=b"ESMTP", queue_id="q", now=0, recipient=helo
    )
    stamped = Header.of(field + b"\r\n" * header.needs_blank_line + content)
    assert len(stamped) == len(header) + 1 and stamped.received_hops == header.received_hops + 1
    assert [each.name for each in stamped.fields][1:] == [each.name for each in header.fields]


def _check_own_fields(content: bytearray) -> None:
    scan = scan_header(content, 0)
    indexes = own_field.own_fields(scan)
    own_field.read(scan, indexes)
    kept = [scan.text[scan.field(at)[0] : scan.field(at)[3]] for at in range(len(scan)) if at not in indexes]
    body = bytes(content[scan.fields_end :])
    apply(content, own_field.removal(scan, indexes))
    assert bytes(content) == b"".join(b"%b\r\n" % field for field in kept) + body or not scan.complete
