"""dkimpy, an independent implementation of DKIM, as the tests ask it. It has no types of its own."""

from collections.abc import Mapping

import dkim  # type: ignore[import-untyped]  # dkimpy comes without type information
from dkim.canonicalization import Relaxed, Simple  # type: ignore[import-untyped]  # the same


def simple_body(body: bytes) -> bytes:
    return bytes(Simple.canonicalize_body(body))


def relaxed_body(body: bytes) -> bytes:
    return bytes(Relaxed.canonicalize_body(body))


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """`value` without its final CRLF."""
    ((canonical_name, canonical_value),) = Relaxed.canonicalize_headers([(name, value + b"\r\n")])
    return bytes(canonical_name + b":" + canonical_value)


def verifies(mail: bytes, records: Mapping[bytes, bytes]) -> list[bool]:
    """Every signature of the mail, from top to bottom; `records` are TXT records by name, without a final dot."""
    verifier = dkim.DKIM(mail, minkey=1024)
    count = sum(name.lower() == b"dkim-signature" for name, _ in verifier.headers)

    def answer(name: bytes, timeout: float = 0) -> bytes | None:
        return records.get(name.rstrip(b"."))

    def verify(index: int) -> bool:
        try:
            return bool(verifier.verify(idx=index, dnsfunc=answer))
        except dkim.ValidationError:
            return False

    return [verify(index) for index in range(count)]
