"""The bytes of a mail: decoding DATA and BDAT, dot stuffing, the header's fields, DKIM's canonical forms.

Only what touches every byte stands here. Each job has an outer function, which checks
its arguments and owns buffers, and an inner `noexcept nogil` one, which moves bytes and
returns a code. None of them gives the interpreter lock away: a 10 KiB mail takes 1 or
2 microseconds, and whoever lets go of the lock may wait 5 ms to get it back.

Searching is left to memchr, which looks at 32 bytes at a time; a byte is looked at
singly only where something is out of the ordinary. `tests/oracle.py` says the same
slowly, byte by byte.

RFC 5321 sections 2.3.8, 4.1.1.4, 4.5.2, 4.5.3.1.6; RFC 3030; RFC 5322 sections 2.2, 4.5;
RFC 6376 sections 3.4, 3.7, 5.4.2.
"""

from hashlib import sha256 as _sha256

from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy

ctypedef unsigned char byte

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

ERROR_NONE = 0
ERROR_BARE_CR = 1
ERROR_BARE_LF = 2
ERROR_NUL = 3
ERROR_LINE_LENGTH = 4
ERROR_SIZE = 5

cdef enum Error:
    NO_ERROR = 0
    BARE_CR = 1
    BARE_LF = 2
    NUL = 3
    LINE_LENGTH = 4
    SIZE = 5

cdef enum Position:
    LINE_START  # after CRLF, or where the data begins: a dot here is not content
    DOT         # after that dot
    DOT_CR      # after that dot and a CR: LF ends the data
    TEXT        # anywhere else, after a bare LF too: a dot here is content
    TEXT_CR     # after a CR that waits for its LF

cdef enum:
    SPARE = 4   # room for the CR a step adds to a bare LF, and for one that waited since the call before

cdef struct Lines:
    Position position
    bint dotted               # DATA: dots are decoded and end the data; not so for BDAT
    bint refuse_bare_lf
    bint finished
    Error error               # the first one; nothing is decoded after it
    Py_ssize_t max_text       # longest line without its line end
    Py_ssize_t limit          # most bytes of decoded content
    Py_ssize_t text           # decoded bytes of the line so far
    Py_ssize_t size           # decoded bytes since the reset

cdef struct Window:
    const byte *read          # next byte to take or to copy
    const byte *stop          # end of what may be taken
    byte *write               # next free byte of the caller's buffer
    byte *full                # end of the room there


# --- DATA and BDAT


cdef class DataDecoder:
    """Decodes the content of DATA or BDAT; one a session, `reset` between mails.

    Only CRLF "." CRLF ends data. A dot after CRLF is taken away (RFC 5321 section 4.5.2).
    A bare LF becomes CRLF in the content, but for the protocol it ends no line: a dot
    after it is content and stays, so that "\\n.\\n" or "\\n.\\r\\n" neither ends data nor
    loses a byte, and dot stuffing makes ".." of it for the next hop. A bare CR and a NUL
    are always refused.

    `max_line` bounds a decoded line, its CRLF counted (a bare LF as CRLF, a missing last
    one too); `limit` bounds the decoded content; 0 is no bound. Content comes out whole
    or, after an error, in no way to be used.
    """

    cdef Lines lines          # all there is to know between two calls
    cdef BodyHash body_hash   # fed with what was decoded; None: no hash is wanted

    def __init__(self, *, bint refuse_bare_lf=False, Py_ssize_t max_line=1000, Py_ssize_t limit=0):
        if max_line != 0 and max_line < 3:
            raise ValueError(f"a line of {max_line} bytes has no room for text and CRLF")
        if limit < 0:
            raise ValueError(f"limit is {limit}; 0 is no limit")
        self.lines.refuse_bare_lf = refuse_bare_lf
        self.lines.max_text = max_line - 2 if max_line else PY_SSIZE_T_MAX
        self.lines.limit = limit if limit else PY_SSIZE_T_MAX
        self.reset()

    def reset(self) -> None:
        """Forget the mail before; the options stay."""
        self.lines.position = LINE_START
        self.lines.dotted = True
        self.lines.finished = False
        self.lines.error = NO_ERROR
        self.lines.text = 0
        self.lines.size = 0
        if self.body_hash is not None:
            self.body_hash.reset()

    def hash_body(self, BodyHash body_hash) -> None:
        """Hash the body of every mail, from now on; None: of no mail. Call it between two mails.

        Content is hashed as it is decoded, while the cache still has it. Until the header
        has ended, nothing may be taken out of `out`.
        """
        self.body_hash = body_hash

    def feed(self, source, Py_ssize_t start, Py_ssize_t end, bytearray out not None) -> int:
        """Decode source[start:end] as sent after DATA, append it to `out`; returns the first index not taken.

        Takes everything, or up to the end of data, and then `finished` is true. After an
        error it goes on to the real end of data, else the rest of the mail is parsed as
        commands; it appends nothing more, and `out` is cut back to where that call began.
        IndexError when the indexes do not lie in `source`.
        """
        self.lines.dotted = True
        cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
        start = decode_into(&self.lines, source, start, end, out)
        self.hash_from(out, before)
        return start

    def feed_raw(self, source, Py_ssize_t start, Py_ssize_t end, bytearray out not None) -> None:
        """Check and normalise source[start:end] of a BDAT chunk (RFC 3030) and append it to `out`.

        Dots mean nothing and nothing in the bytes ends the mail. Errors as with `feed`.
        """
        self.lines.dotted = False
        cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
        decode_into(&self.lines, source, start, end, out)
        self.hash_from(out, before)

    def end_raw(self, bytearray out not None) -> None:
        """The last BDAT chunk has been fed: refuse a CR that waits for its LF, complete the last line.

        A mail that ends within a line gets CRLF: by DATA it cannot be sent on otherwise
        (RFC 5321 section 4.1.1.4), and a dot that ends the data must not join its last line.
        """
        cdef byte line_end[SPARE]
        cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
        if self.lines.finished:
            return
        if self.lines.position == TEXT_CR:
            fail(&self.lines, BARE_CR)
        elif self.lines.text:
            out += line_end[:put_line_end(&self.lines, line_end)]
            self.hash_from(out, before)
        self.lines.finished = True

    cdef int hash_from(self, bytearray out, Py_ssize_t before) except -1:
        if self.body_hash is not None and not self.lines.error:
            self.body_hash.feed(out, before)
        return 0

    @property
    def finished(self) -> bool:
        """The end of the data has been taken."""
        return self.lines.finished

    @property
    def error(self) -> int:
        """What is wrong with this mail, an ERROR_ code; the first trouble in the order of the bytes."""
        return self.lines.error

    @property
    def size(self) -> int:
        """Bytes decoded since the reset; after an error those before it."""
        return self.lines.size


cdef Py_ssize_t decode_into(
    Lines *lines, object source, Py_ssize_t start, Py_ssize_t end, bytearray out
) except -1:
    cdef Py_buffer view
    cdef Window window
    cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
    cdef Py_ssize_t filled = before
    PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise IndexError(f"{start} to {end} of {view.len} bytes")
        window.read = <const byte *> view.buf + start
        window.stop = <const byte *> view.buf + end
        while window.read != window.stop and not lines.finished:
            grow(out, filled, &window)
            decode(lines, &window)
            filled = window.write - <byte *> PyByteArray_AS_STRING(out)
        return window.read - <const byte *> view.buf
    finally:
        PyBuffer_Release(&view)
        PyByteArray_Resize(out, before if lines.error else filled)


cdef int grow(bytearray out, Py_ssize_t filled, Window *window) except -1:
    """Make room for all that is to be read, and for a byte more (a CR, a dot) at one byte in 16.

    Where more are needed the caller comes again. Resizing over-allocates by an eighth, so
    content in many pieces is not copied at each of them.
    """
    cdef Py_ssize_t unread = window.stop - window.read
    cdef Py_ssize_t room = unread + unread // 16 + 16 * SPARE
    PyByteArray_Resize(out, filled + room)
    window.write = <byte *> PyByteArray_AS_STRING(out) + filled
    window.full = window.write + room
    return 0


cdef void decode(Lines *lines, Window *window) noexcept nogil:
    """Decode until the window is read, the data ends or room runs out."""
    cdef const byte *at = window.read
    cdef const byte *nul = find(at, window.stop, 0)
    cdef Py_ssize_t plain
    while at != window.stop and not lines.finished and not lines.error:
        plain = take_plain(lines, at, window.stop, nul)
        at += plain
        if plain:
            continue
        copy_until(window, at)
        if window.full - window.write < window.stop - at + SPARE:
            return
        window.write += step(lines, at[0], window.write)
        at += 1
        window.read = at
    copy_until(window, at)
    if lines.error:
        discard(lines, window)


cdef Py_ssize_t take_plain(Lines *lines, const byte *at, const byte *stop, const byte *nul) noexcept nogil:
    """How many bytes from `at` are content as they stand: a line, or text up to what needs a step."""
    cdef const byte *line_feed
    cdef const byte *carriage_return
    cdef Py_ssize_t text
    if lines.position != TEXT and lines.position != LINE_START:
        return 0
    if at[0] == c"." and lines.position == LINE_START and lines.dotted:
        return 0
    line_feed = find(at, stop, 10)
    carriage_return = find(at, line_feed, 13)
    text = min(carriage_return, nul) - at
    if text > lines.max_text - lines.text or text > lines.limit - lines.size:
        text = min(lines.max_text - lines.text, lines.limit - lines.size)
    lines.text += text
    lines.size += text
    if text:
        lines.position = TEXT
    if at + text != carriage_return or carriage_return + 1 != line_feed or line_feed == stop:
        return text
    if lines.limit - lines.size < 2:
        return text
    lines.position = LINE_START
    lines.text = 0
    lines.size += 2
    return text + 2


cdef Py_ssize_t step(Lines *lines, byte octet, byte *target) noexcept nogil:
    """Take one byte; returns how many were written to `target`."""
    cdef Position position = lines.position
    lines.position = TEXT
    if position == DOT_CR and octet == 10:
        lines.finished = True
        return 0
    if position == TEXT_CR and octet == 10:
        lines.position = LINE_START
        return put_line_end(lines, target)
    if position == DOT_CR or position == TEXT_CR:
        fail(lines, BARE_CR)
    if octet == 13:
        lines.position = DOT_CR if position == DOT else TEXT_CR
        return 0
    if octet == c"." and position == LINE_START and lines.dotted:
        lines.position = DOT
        return 0
    if octet == 10:
        if lines.refuse_bare_lf:
            fail(lines, BARE_LF)
        return put_line_end(lines, target)
    if octet == 0:
        fail(lines, NUL)
    return put_text(lines, octet, target)


cdef Py_ssize_t put_text(Lines *lines, byte octet, byte *target) noexcept nogil:
    if lines.text >= lines.max_text:
        fail(lines, LINE_LENGTH)
    if lines.size >= lines.limit:
        fail(lines, SIZE)
    if lines.error:
        return 0
    target[0] = octet
    lines.text += 1
    lines.size += 1
    return 1


cdef Py_ssize_t put_line_end(Lines *lines, byte *target) noexcept nogil:
    if lines.limit - lines.size < 2:
        fail(lines, SIZE)
    if lines.error:
        return 0
    target[0] = 13
    target[1] = 10
    lines.text = 0
    lines.size += 2
    return 2


cdef void fail(Lines *lines, Error error) noexcept nogil:
    if not lines.error:
        lines.error = error


cdef void discard(Lines *lines, Window *window) noexcept nogil:
    """After an error: look for nothing but the end of the data."""
    while window.read != window.stop and not lines.finished:
        if lines.position == TEXT:
            # Out of text leads only CR.
            window.read = find(window.read, window.stop, 13)
            if window.read == window.stop:
                return
        step(lines, window.read[0], NULL)
        window.read += 1


cdef void copy_until(Window *window, const byte *end) noexcept nogil:
    cdef Py_ssize_t length = end - window.read
    memcpy(window.write, window.read, length)
    window.write += length
    window.read = end


cdef const byte *find(const byte *start, const byte *stop, int octet) noexcept nogil:
    """Where `octet` first stands, or `stop`."""
    cdef const byte *found = <const byte *> memchr(start, octet, stop - start)
    return stop if found == NULL else found


# --- Dot stuffing


def stuff_dots(source, bytearray out not None, bint at_line_start) -> bool:
    """Append `source` to `out`, with a second dot where one begins a line (RFC 5321 section 4.5.2).

    `at_line_start` says whether `source` begins a line; returns whether the byte after it
    will, for content sent in pieces. A line begins after LF, whatever stands before it: in
    content decoded here that is CRLF, and a next hop that takes a lone LF for a line end
    finds no lone dot either way.
    """
    cdef Py_buffer view
    cdef Window window
    cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
    cdef Py_ssize_t filled = before
    PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    try:
        window.read = <const byte *> view.buf
        window.stop = window.read + view.len
        while window.read != window.stop:
            grow(out, filled, &window)
            at_line_start = stuff(&window, at_line_start)
            filled = window.write - <byte *> PyByteArray_AS_STRING(out)
        return at_line_start
    finally:
        PyBuffer_Release(&view)
        PyByteArray_Resize(out, filled)


def has_leading_dot(source, bint at_line_start) -> bool:
    """Whether dot stuffing would change `source`; when not, it can be sent without a copy."""
    cdef Py_buffer view
    cdef const byte *start
    PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    try:
        start = <const byte *> view.buf
        return leading_dot(start, start + view.len, at_line_start) != NULL
    finally:
        PyBuffer_Release(&view)


cdef bint stuff(Window *window, bint at_line_start) noexcept nogil:
    """Stuff until the window is read or room runs out; returns whether the next byte begins a line."""
    cdef const byte *dot
    while window.read != window.stop:
        dot = leading_dot(window.read, window.stop, at_line_start)
        if dot == NULL:
            copy_until(window, window.stop)
            return (window.stop - 1)[0] == 10
        copy_until(window, dot)
        at_line_start = True
        if window.full - window.write < window.stop - dot + SPARE:
            return True
        window.write[0] = c"."
        window.write[1] = c"."
        window.write += 2
        window.read = dot + 1
        at_line_start = False
    return at_line_start


cdef const byte *leading_dot(const byte *start, const byte *stop, bint at_line_start) noexcept nogil:
    """The first dot that begins a line, or NULL. Dots are sought, not line ends: base64 has none."""
    cdef const byte *dot = find(start, stop, c".")
    while dot != stop:
        if at_line_start if dot == start else (dot - 1)[0] == 10:
            return dot
        dot = find(dot + 1, stop, c".")
    return NULL


# --- Header


cdef struct Field:
    Py_ssize_t name_start
    Py_ssize_t name_end
    Py_ssize_t value_start    # after the colon
    Py_ssize_t value_end      # before the CRLF that ends the field


cdef class HeaderScan:
    """Where the fields of a header lie; made by `scan_header`.

    Offsets count from the content's first byte.
    """

    cdef Field *fields                  # owned; in order of appearance
    cdef Py_ssize_t room                # fields there is memory for
    cdef Py_ssize_t count_of_fields
    cdef Py_ssize_t fields_end_
    cdef bint complete_
    cdef bytes header                   # own copy, so that the content may grow, shrink or go

    def __dealloc__(self):
        free(self.fields)

    def __len__(self) -> int:
        """Number of fields."""
        return self.count_of_fields

    @property
    def text(self) -> bytes:
        """The header with the blank line that ends it, where there is one: the content up to `end`."""
        return self.header

    @property
    def end(self) -> int:
        """Offset of the body's first byte; when not complete, how far the scan went."""
        return PyBytes_GET_SIZE(self.header)

    @property
    def fields_end(self) -> int:
        """Offset after the last field: of the blank line, or of what is neither field nor blank line."""
        return self.fields_end_

    @property
    def complete(self) -> bool:
        """The end of the header was seen: a blank line, or a line that cannot belong to a header."""
        return self.complete_

    def field(self, Py_ssize_t index) -> tuple[int, int, int, int]:
        """Offsets: a field's name from, to, its raw value from, to; IndexError when there is none."""
        cdef Field *field = self.at(index)
        return (field.name_start, field.name_end, field.value_start, field.value_end)

    def name(self, Py_ssize_t index) -> bytes:
        """The field's name as it was written; IndexError when there is none."""
        cdef Field *field = self.at(index)
        return self.header[field.name_start:field.name_end]

    def value(self, Py_ssize_t index) -> bytes:
        """What stands between colon and final CRLF, folded as it came; IndexError when there is none."""
        cdef Field *field = self.at(index)
        return self.header[field.value_start:field.value_end]

    def find(self, bytes name not None, Py_ssize_t start=0) -> int:
        """Index of the first field of this name from index `start` on, case aside; -1 when there is none."""
        return self.seek(name, max(start, 0))

    def find_prefix(self, bytes prefix not None, Py_ssize_t start=0) -> int:
        """Index of the first field from index `start` on whose name begins so, case aside; -1 if none."""
        cdef const byte *text = <const byte *> PyBytes_AS_STRING(self.header)
        cdef const byte *wanted = <const byte *> PyBytes_AS_STRING(prefix)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(prefix)
        cdef Py_ssize_t index
        for index in range(max(start, 0), self.count_of_fields):
            if self.fields[index].name_end - self.fields[index].name_start < length:
                continue
            if same_name(text + self.fields[index].name_start, wanted, length):
                return index
        return -1

    def count(self, bytes name not None) -> int:
        """How many fields have this name, case aside."""
        cdef Py_ssize_t total = 0
        cdef Py_ssize_t index = self.seek(name, 0)
        while index >= 0:
            total += 1
            index = self.seek(name, index + 1)
        return total

    cdef Field *at(self, Py_ssize_t index) except NULL:
        if not 0 <= index < self.count_of_fields:
            raise IndexError(f"field {index} of {self.count_of_fields}")
        return &self.fields[index]

    cdef Py_ssize_t seek(self, bytes name, Py_ssize_t start) noexcept:
        cdef const byte *text = <const byte *> PyBytes_AS_STRING(self.header)
        cdef const byte *wanted = <const byte *> PyBytes_AS_STRING(name)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(name)
        cdef Py_ssize_t index
        for index in range(start, self.count_of_fields):
            if self.fields[index].name_end - self.fields[index].name_start != length:
                continue
            if same_name(text + self.fields[index].name_start, wanted, length):
                return index
        return -1


def scan_header(content, Py_ssize_t limit) -> HeaderScan:
    """Find the fields of the header that `content` begins with; looks at `limit` bytes at most (0: at all).

    A header ends at its blank line, or before the first line that is no part of one: one
    without colon, with an octet before the colon that no field name has, or a first line that
    begins with white space. White space before the colon is obsolete syntax that "MUST be
    accepted" (RFC 5322 sections 4 and 4.5). Nothing is dropped or repaired.

    Not complete when `content` or the limit ends first; its last field may then be cut.
    """
    cdef Py_buffer view
    cdef HeaderScan scan = HeaderScan.__new__(HeaderScan)
    cdef Py_ssize_t end
    PyObject_GetBuffer(content, &view, PyBUF_SIMPLE)
    try:
        end = scan_fields(scan, <const byte *> view.buf, min(limit, view.len) if limit > 0 else view.len)
        scan.header = PyBytes_FromStringAndSize(<char *> view.buf, end)
    finally:
        PyBuffer_Release(&view)
    return scan


cdef Py_ssize_t scan_fields(HeaderScan scan, const byte *text, Py_ssize_t length) except -1:
    """Fill in all but `header`; returns where the header ends."""
    cdef const byte *stop = text + length
    cdef const byte *line = text
    cdef const byte *line_feed
    cdef const byte *line_end
    cdef const byte *colon
    cdef Py_ssize_t name
    while line != stop:
        line_feed = find(line, stop, 10)
        line_end = line_feed
        if line_feed != stop and line_feed != line and (line_feed - 1)[0] == 13:
            line_end -= 1
        if line_end == line and line_feed != stop:
            scan.complete_ = True
            return line_feed + 1 - text
        if line[0] == c" " or line[0] == 9:
            if not scan.count_of_fields:
                scan.complete_ = True
                return 0
            scan.fields[scan.count_of_fields - 1].value_end = line_end - text
        else:
            name = name_length(line, line_end)
            if name <= 0:
                # A line that is cut may yet become a field.
                scan.complete_ = name == 0 or line_feed != stop
                return line - text if scan.complete_ else length
            colon = find(line + name, line_end, c":")
            add_field(scan, Field(line - text, line + name - text, colon + 1 - text, line_end - text))
        line = line_feed if line_feed == stop else line_feed + 1
        scan.fields_end_ = line - text
    return length


cdef Py_ssize_t name_length(const byte *line, const byte *line_end) noexcept nogil:
    """Length of the field name at `line`; 0 when it is no field, -1 when more bytes may make one of it."""
    cdef const byte *at = line
    cdef Py_ssize_t length
    while at != line_end and 32 < at[0] < 127 and at[0] != c":":
        at += 1
    length = at - line
    if length:
        while at != line_end and (at[0] == c" " or at[0] == 9):
            at += 1
    if at == line_end or (at[0] == 13 and line + 1 == line_end):
        return -1
    return length if at[0] == c":" else 0


cdef int add_field(HeaderScan scan, Field field) except -1:
    cdef Field *fields
    cdef Py_ssize_t room
    if scan.count_of_fields == scan.room:
        room = 2 * scan.room if scan.room else 32
        fields = <Field *> realloc(scan.fields, room * sizeof(Field))
        if fields == NULL:
            raise MemoryError()
        scan.fields = fields
        scan.room = room
    scan.fields[scan.count_of_fields] = field
    scan.count_of_fields += 1
    return 0


cdef bint same_name(const byte *one, const byte *other, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(length):
        if lower(one[index]) != lower(other[index]):
            return False
    return True


cdef byte lower(byte octet) noexcept nogil:
    return octet | 0x20 if c"A" <= octet <= c"Z" else octet


# --- DKIM: the body

# Where white space is not as relaxed canonicalisation leaves it: a tab, or a space before a space or a CR.
# In running text that is rare, so it is sought 16 bytes at a time: 18 GB/s here, beside SHA-256's 1.8.
# `at` is not the first byte of the memory: the byte before it is looked at.
cdef extern from *:
    """
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    typedef const unsigned char *Bytes;
    static Bytes relay_find_irregular(Bytes at, Bytes stop) {
    #if defined(__SSE2__)
        const __m128i tab = _mm_set1_epi8(9), space = _mm_set1_epi8(32), cr = _mm_set1_epi8(13);
        for (; stop - at >= 16; at += 16) {
            const __m128i here = _mm_loadu_si128((const __m128i *) at);
            const __m128i before = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *) (at - 1)), space);
            const __m128i after = _mm_or_si128(_mm_cmpeq_epi8(here, space), _mm_cmpeq_epi8(here, cr));
            const __m128i both = _mm_and_si128(before, after);
            const int found = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(here, tab), both));
            if (found)
                return at + __builtin_ctz((unsigned) found);
        }
    #endif
        for (; at < stop; at++)
            if (*at == 9 || (at[-1] == 32 && (*at == 32 || *at == 13)))
                break;
        return at;
    }
    """
    const byte *find_irregular "relay_find_irregular"(const byte *at, const byte *stop) noexcept nogil

cdef enum:
    SCRATCH = 16384           # canonical bytes gathered before they are hashed: they stay in the first cache
    UPDATE = 2047             # hashlib gives the interpreter lock away from 2048 on: a third more CPU a mail


cdef class _Canonical:
    """One canonicalisation of one body (RFC 6376 sections 3.4.3 and 3.4.4), into one hash."""

    cdef bint relaxed
    cdef object hash_         # sha256, or what a test puts in its place
    cdef object update        # its method
    cdef byte *scratch        # relaxed: canonical bytes that are not hashed yet; on the stack of `feed`
    cdef Py_ssize_t filled    # of scratch
    cdef Py_ssize_t blank     # CRLFs at the end so far: hashed when text follows
    cdef bint space           # relaxed: a run of white space at the end so far
    cdef bint cr              # a CR at the end so far, behind blank and space
    cdef bint empty           # nothing has been hashed

    def __init__(self, bint relaxed):
        self.relaxed = relaxed

    cdef int begin(self, object new_hash) except -1:
        self.hash_ = new_hash()
        self.update = self.hash_.update
        self.filled = self.blank = 0
        self.space = self.cr = False
        self.empty = True
        return 0

    cdef int feed(self, const byte *at, const byte *stop) except -1:
        cdef byte scratch[SCRATCH]
        at = self.settle(at, stop)
        if at == stop:
            return 0
        if self.relaxed:
            self.scratch = scratch
            self.relax(at, stop)
            return self.flush()
        if (stop - 1)[0] == 13:
            self.cr = True
            stop -= 1
        return self.hash_lines(at, stop)

    cdef const byte *settle(self, const byte *at, const byte *stop) except NULL:
        """What waits for its next byte; returns how far that took."""
        while self.space and not self.cr and at != stop and is_wsp(at[0]):
            at += 1
        if at == stop or not (self.space or self.cr):
            return at
        if not self.cr and at[0] == 13:
            self.cr = True
            at += 1
            if at == stop:
                return at
        if self.cr and at[0] == 10:
            self.blank += 1
            at += 1
        else:
            self.hash_waiting()
        self.space = self.cr = False
        return at

    cdef int hash_waiting(self) except -1:
        """White space and CR that turned out to be text."""
        cdef byte waiting[2]
        cdef Py_ssize_t length = 0
        if self.space:
            waiting[length] = c" "
            length += 1
        if self.cr:
            waiting[length] = 13
            length += 1
        return self.hash_lines(waiting, waiting + length)

    cdef int relax(self, const byte *at, const byte *stop) except -1:
        """Text after a byte that is not white space; what it ends with may have to wait."""
        cdef const byte *run_end
        cdef const byte *next
        cdef byte one_space = c" "
        while at != stop:
            run_end = at if at[0] == 9 else find_irregular(at + 1, stop)
            if run_end == stop:
                if is_wsp((stop - 1)[0]):
                    self.space = True
                    run_end -= 1
                elif (stop - 1)[0] == 13:
                    self.cr = True
                    run_end -= 1
                return self.put(at, run_end)
            if run_end != at and (run_end - 1)[0] == c" ":
                run_end -= 1
            self.put(at, run_end)
            next = run_end
            while next != stop and is_wsp(next[0]):
                next += 1
            if next == stop:
                self.space = True
            elif next[0] == 13 and next + 1 == stop:
                self.space = self.cr = True
                next = stop
            elif next[0] != 13 or (next + 1)[0] != 10:
                self.put(&one_space, &one_space + 1)
            at = next
        return 0

    cdef int put(self, const byte *at, const byte *stop) except -1:
        """Into the scratch buffer, which is hashed when full; long runs are hashed where they lie."""
        cdef Py_ssize_t length = stop - at
        if length > SCRATCH - self.filled:
            self.flush()
            if length > SCRATCH:
                return self.hash_lines(at, stop)
        memcpy(self.scratch + self.filled, at, length)
        self.filled += length
        return 0

    cdef int flush(self) except -1:
        cdef Py_ssize_t filled = self.filled
        self.filled = 0
        return self.hash_lines(self.scratch, self.scratch + filled)

    cdef int hash_lines(self, const byte *at, const byte *stop) except -1:
        """Hash canonical bytes, which do not end between CR and LF; keep back empty lines at their end."""
        cdef Py_ssize_t blank = 0
        while stop - at >= 2 and (stop - 1)[0] == 10 and (stop - 2)[0] == 13:
            blank += 1
            stop -= 2
        if at != stop:
            self.hash_blank()
            self.hash_text(at, stop)
            self.empty = False
        self.blank += blank
        return 0

    cdef int hash_text(self, const byte *at, const byte *stop) except -1:
        cdef Py_ssize_t some
        while at != stop:
            some = min(stop - at, UPDATE)
            self.update(PyMemoryView_FromMemory(<char *> at, some, PyBUF_READ))
            at += some
        return 0

    cdef int hash_blank(self) except -1:
        cdef Py_ssize_t some
        while self.blank:
            some = min(self.blank, 1024)
            self.update(b"\r\n" * some)
            self.blank -= some
        return 0

    cdef object finish(self):
        """The hash, complete; begin again afterwards."""
        if self.cr:
            self.hash_waiting()
        self.blank = 0
        self.space = self.cr = False
        # RFC 6376 section 3.4.3: "If there is no body or no trailing CRLF on the message body, a CRLF is
        # added." Section 3.4.4: only "if the body is non-empty".
        if not self.relaxed or not self.empty:
            self.update(b"\r\n")
        return self.hash_


cdef class BodyHash:
    """The hash of a mail's body while the mail comes in (RFC 6376 section 3.7); one a session.

    `simple` and `relaxed` say which canonicalisations are wanted, one or both. Content may be
    cut anywhere. `new_hash` makes what takes the canonical bytes, SHA-256 when None: something
    with `update` and `digest`, which must not keep what it is given.
    """

    cdef _Canonical simple    # None: not wanted
    cdef _Canonical relaxed   # None: not wanted
    cdef object new_hash
    cdef bint in_header       # the body has not begun
    cdef Py_ssize_t line      # in the header: offset of its first line that has not ended
    cdef Py_ssize_t sought    # in the header: up to here that line has no LF
    cdef dict digests         # those that were asked for

    def __init__(self, *, bint simple=False, bint relaxed=False, new_hash=None):
        self.simple = _Canonical(False) if simple else None
        self.relaxed = _Canonical(True) if relaxed else None
        self.new_hash = _sha256 if new_hash is None else new_hash
        self.reset()

    def reset(self) -> None:
        """Forget the mail before."""
        if self.simple is not None:
            self.simple.begin(self.new_hash)
        if self.relaxed is not None:
            self.relaxed.begin(self.new_hash)
        self.in_header = True
        self.line = self.sought = 0
        self.digests = {}

    def feed(self, content, Py_ssize_t start) -> None:
        """Take content[start:]. Until the body begins, `content` must hold the mail from its beginning on.

        The body begins where `scan_header` says that the header ends.
        """
        cdef Py_buffer view
        cdef const byte *text
        PyObject_GetBuffer(content, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= start <= view.len:
                raise IndexError(f"{start} of {view.len} bytes")
            text = <const byte *> view.buf
            if self.in_header:
                start = self.seek_body(text, view.len)
            self.take(text + start, text + view.len)
        finally:
            PyBuffer_Release(&view)

    def feed_body(self, body) -> None:
        """Take a piece of the body; there is no header before it."""
        cdef Py_buffer view
        self.in_header = False
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            self.take(<const byte *> view.buf, <const byte *> view.buf + view.len)
        finally:
            PyBuffer_Release(&view)

    def simple_digest(self) -> bytes:
        """The simple body hash; nothing may be fed after it. ValueError when it was not wanted."""
        return self.digest(self.simple, "simple")

    def relaxed_digest(self) -> bytes:
        """The relaxed body hash; nothing may be fed after it. ValueError when it was not wanted."""
        return self.digest(self.relaxed, "relaxed")

    cdef bytes digest(self, _Canonical canonical, str name):
        if canonical is None:
            raise ValueError(f"the {name} body hash was not asked for")
        if name not in self.digests:
            self.digests[name] = canonical.finish().digest()
        return self.digests[name]

    cdef int take(self, const byte *at, const byte *stop) except -1:
        if at == stop:
            return 0
        if self.simple is not None:
            self.simple.feed(at, stop)
        if self.relaxed is not None:
            self.relaxed.feed(at, stop)
        return 0

    cdef Py_ssize_t seek_body(self, const byte *text, Py_ssize_t length) noexcept:
        """Where the body begins, and then `in_header` is over; `length` when that is not known yet."""
        cdef const byte *stop = text + length
        cdef const byte *line
        cdef const byte *line_feed
        cdef const byte *line_end
        while max(self.line, self.sought) < length:
            line = text + self.line
            line_feed = find(text + max(self.line, self.sought), stop, 10)
            self.sought = line_feed - text
            if line_feed == stop:
                break
            line_end = line_feed - 1 if line_feed != line and (line_feed - 1)[0] == 13 else line_feed
            if line_end == line:
                self.in_header = False
                return line_feed + 1 - text
            if self.line == 0 if is_wsp(line[0]) else name_length(line, line_end) <= 0:
                self.in_header = False
                return self.line
            self.line = line_feed + 1 - text
        return length


cdef bint is_wsp(byte octet) noexcept nogil:
    return octet == c" " or octet == 9


# --- DKIM: the header


cdef class FieldSelection:
    """Which fields are signed, and in which order.

    `names` in that order; a name that is in `oversigned` too is listed once more than the
    header has it, so that adding such a field breaks the signature (RFC 6376 section 8.15).
    """

    cdef tuple names          # lower case, without repetition
    cdef bytes extra          # for each of them 1 or 0
    cdef Py_ssize_t length    # of all names with a colon each

    def __init__(self, names, oversigned=()):
        oversigned = {name.lower() for name in oversigned}
        self.names = tuple(dict.fromkeys([name.lower() for name in names]))
        self.extra = bytes([name in oversigned for name in self.names])
        self.length = sum([len(name) + 1 for name in self.names])

    def select(self, HeaderScan scan not None, bint relaxed) -> tuple[bytes, bytes]:
        """What h= lists, without folds, and the canonical fields in that order, each with its CRLF.

        Of fields with the same name the last comes first (RFC 6376 section 5.4.2).
        """
        cdef Py_ssize_t fields = scan.count_of_fields
        # A field is named once in h=, and canonically it grows by its CRLF at most.
        cdef bytes listed = PyBytes_FromStringAndSize(
            NULL, self.length + PyBytes_GET_SIZE(scan.header) + fields)
        cdef bytes canonical = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(scan.header) + 2 * fields)
        cdef byte *list_end = <byte *> PyBytes_AS_STRING(listed)
        cdef byte *canonical_end = <byte *> PyBytes_AS_STRING(canonical)
        cdef const byte *text = <const byte *> PyBytes_AS_STRING(scan.header)
        cdef const byte *wanted
        cdef Py_ssize_t index, at, length
        cdef bytes name
        for index in range(len(self.names)):
            name = self.names[index]
            wanted = <const byte *> PyBytes_AS_STRING(name)
            length = PyBytes_GET_SIZE(name)
            for at in range(fields - 1, -1, -1):
                if scan.fields[at].name_end - scan.fields[at].name_start != length:
                    continue
                if not same_name(text + scan.fields[at].name_start, wanted, length):
                    continue
                list_end = put_name(name, list_end)
                if relaxed:
                    canonical_end = relax_field(text, &scan.fields[at], canonical_end)
                else:
                    canonical_end = copy_field(text, &scan.fields[at], canonical_end)
            if (<const byte *> PyBytes_AS_STRING(self.extra))[index]:
                list_end = put_name(name, list_end)
        length = list_end - <byte *> PyBytes_AS_STRING(listed)
        return (
            listed[:max(length - 1, 0)],
            canonical[:canonical_end - <byte *> PyBytes_AS_STRING(canonical)],
        )


cdef byte *put_name(bytes name, byte *target) noexcept:
    memcpy(target, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    target += PyBytes_GET_SIZE(name)
    target[0] = c":"
    return target + 1


cdef byte *copy_field(const byte *text, const Field *field, byte *target) noexcept nogil:
    """RFC 6376 section 3.4.1: no change "in any way". Returns the end of what was written."""
    cdef Py_ssize_t length = field.value_end - field.name_start
    memcpy(target, text + field.name_start, length)
    return put_crlf(target + length)


cdef byte *relax_field(const byte *text, const Field *field, byte *target) noexcept nogil:
    """RFC 6376 section 3.4.2: name in lower case, unfolded, runs of white space one space, none around."""
    cdef Py_ssize_t index
    cdef bint space = False
    cdef byte *value
    for index in range(field.name_start, field.name_end):
        target[0] = lower(text[index])
        target += 1
    target[0] = c":"
    target += 1
    value = target
    for index in range(field.value_start, field.value_end):
        if is_wsp(text[index]):
            space = target != value
        elif not is_fold(text + index, text + field.value_end):
            if space:
                target[0] = c" "
                target += 1
                space = False
            target[0] = text[index]
            target += 1
    return put_crlf(target)


cdef bint is_fold(const byte *at, const byte *stop) noexcept nogil:
    """Part of a line end within a field."""
    return at[0] == 10 or (at[0] == 13 and at + 1 != stop and (at + 1)[0] == 10)


cdef byte *put_crlf(byte *target) noexcept nogil:
    target[0] = 13
    target[1] = 10
    return target + 2
