"""The native decoder agrees with the oracle: whole, cut anywhere, byte by byte, with a tail."""

from collections.abc import Sequence

from hypothesis import given

from relay._fastpath import DataDecoder
from tests import oracle
from tests.differential.pieces import cut, cuts, mails, options


def decoder_for(chosen: oracle.Options) -> DataDecoder:
    return DataDecoder(refuse_bare_lf=chosen.refuse_bare_lf, max_line=chosen.max_line, limit=chosen.limit)


def feed_all(decoder: DataDecoder, pieces: Sequence[bytes], out: bytearray) -> int:
    """Feed what the decoder will take; returns how many bytes that was."""
    consumed = 0
    for piece in pieces:
        before = bytes(out)
        had_error = decoder.error
        taken = decoder.feed(b"<<" + piece + b">>", 2, 2 + len(piece), out) - 2
        consumed += taken
        assert taken == len(piece) or decoder.finished
        assert out.startswith(before)
        if decoder.error:
            assert out == before, f"{had_error} then {decoder.error}: appended in spite of the error"
    return consumed


def check(data: bytes, pieces: Sequence[bytes], chosen: oracle.Options) -> None:
    truth = oracle.decode(data, chosen)
    decoder = decoder_for(chosen)
    for _again_after_reset in range(2):
        out = bytearray(b"kept")
        consumed = feed_all(decoder, pieces, out)
        assert (decoder.finished, decoder.error, consumed) == (truth.finished, truth.error, truth.consumed)
        assert decoder.size == len(truth.content)
        content = out.removeprefix(b"kept")
        assert truth.content.startswith(content) if truth.error else content == truth.content
        decoder.reset()


def check_raw(data: bytes, pieces: Sequence[bytes], chosen: oracle.Options) -> None:
    truth = oracle.decode_raw(data, chosen)
    decoder = decoder_for(chosen)
    out = bytearray()
    for piece in pieces:
        decoder.feed_raw(b"<<" + piece + b">>", 2, 2 + len(piece), out)
        assert not decoder.finished
    decoder.end_raw(out)
    assert (decoder.finished, decoder.error, decoder.size) == (True, truth.error, len(truth.content))
    assert truth.content.startswith(out) if truth.error else out == truth.content


@given(mails, options)
def test_data_fed_whole(data: bytes, chosen: oracle.Options) -> None:
    check(data, [data], chosen)


@given(mails, cuts, options)
def test_data_cut_anywhere(data: bytes, at: list[int], chosen: oracle.Options) -> None:
    check(data, cut(data, at), chosen)


@given(mails, options)
def test_data_byte_by_byte(data: bytes, chosen: oracle.Options) -> None:
    check(data, [data[index : index + 1] for index in range(len(data))], chosen)


@given(mails, mails, cuts, options)
def test_what_follows_the_end_of_data_is_not_taken(
    data: bytes, tail: bytes, at: list[int], chosen: oracle.Options
) -> None:
    whole = data + b"\r\n.\r\n" + tail
    check(whole, cut(whole, at), chosen)
    assert oracle.decode(whole, chosen).finished


@given(mails, options)
def test_chunks_fed_whole(data: bytes, chosen: oracle.Options) -> None:
    check_raw(data, [data], chosen)


@given(mails, cuts, options)
def test_chunks_cut_anywhere(data: bytes, at: list[int], chosen: oracle.Options) -> None:
    check_raw(data, cut(data, at), chosen)


@given(mails, options)
def test_chunks_byte_by_byte(data: bytes, chosen: oracle.Options) -> None:
    check_raw(data, [data[index : index + 1] for index in range(len(data))], chosen)
