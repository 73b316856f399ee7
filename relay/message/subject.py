"""The subject of a mail, as a person sees it: for a history that is asked to keep it."""

from relay.message.encoded_word import decoded
from relay.message.header import Header, unfold
from relay.message.seven_bit import one_line

SUBJECT_MAX = 250
"""Characters: more than any program shows in a list of mails."""
_VALUE_MAX = 4_096
"""Bytes that are looked at: encoded words of 250 characters have fewer."""


def subject_of(header: Header) -> str:
    """On one line, decoded, cut; empty where there is none."""
    value = header.get(b"Subject")
    if value is None:
        return ""
    return one_line(decoded(unfold(value[:_VALUE_MAX]).decode("utf-8", "replace")))[:SUBJECT_MAX]
