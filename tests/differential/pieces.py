"""Input that finds the corners: the bytes that mean something, thick together, and cuts anywhere."""

from itertools import pairwise

from hypothesis import strategies as st

from tests.oracle import Options

ODD = [b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\n", b"\r", b".", b"..", b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\0"]
"""Every sequence that ends a line, ends data, or looks as if it did."""
TEXT = [b"a", b"Subject: x", b" ", b"\xff", b"x" * 15, b"y" * 40]

mails = st.lists(
    st.one_of(st.sampled_from(ODD[:6]), st.sampled_from(TEXT), st.sampled_from(ODD)), max_size=30
).map(b"".join)
good_mails = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"x" * 40, b"\xff"]), max_size=40).map(b"".join)
"""Content as the decoder gives it, but for a last line that may lack its end."""
options = st.builds(
    Options,
    refuse_bare_lf=st.booleans(),
    max_line=st.sampled_from([0, 3, 4, 10, 42, 1000]),
    limit=st.sampled_from([0, 0, 1, 2, 5, 20, 100]),
)
cuts = st.lists(st.integers(0, 200), max_size=8)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """`data` in pieces, some of them empty."""
    borders = [0, *sorted(min(border, len(data)) for border in at), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]
