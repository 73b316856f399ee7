"""Tag lists: `v=1; a=rsa-sha256; …` of signatures and of key records (RFC 6376 section 3.2).

Values keep the white space inside them; who wants base64 takes it out.
"""

WSP = b" \t\r\n"
NAME = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
LENGTH_MAX = 65_536
"""No signature and no TXT record is longer (RFC 1035 section 3.3: RDATA has 16 bits for its length)."""


def parse(text: bytes) -> dict[bytes, bytes]:
    """Names and values, in their order; ValueError says what is wrong."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"{len(text)} bytes are too long for a tag list")
    tags: dict[bytes, bytes] = {}
    specs = text.split(b";")
    if not specs[-1].strip(WSP):  # "tag-list = tag-spec *( ";" tag-spec ) [ ";" ]"
        specs.pop()
    for spec in specs:
        name, value = _spec(spec)
        # "Tags with duplicate names MUST NOT occur within a single tag-list; if a tag name does
        # occur more than once, the entire tag-list is invalid."
        if name in tags:
            raise ValueError(f"the tag {name.decode()}= stands twice")
        tags[name] = value
    return tags


def joined(value: bytes) -> bytes:
    """The value without any white space, as base64 and colon-separated lists are read."""
    return value.translate(None, WSP)


def colon_list(value: bytes) -> tuple[str, ...]:
    """`rsa-sha256 : rsa-sha1` in its parts, lower case; what is not ASCII shows as such."""
    return tuple(
        part.decode("ascii", "backslashreplace").lower() for part in joined(value).split(b":") if part
    )


def _spec(spec: bytes) -> tuple[bytes, bytes]:
    name, equals, value = spec.partition(b"=")
    name = name.strip(WSP)
    if not name and not equals:
        raise ValueError('there is nothing between two ";"')
    if not equals:
        raise ValueError(f'"{_shown(name)}" has no "="')
    if not name or not NAME.issuperset(name) or not name[:1].isalpha():
        raise ValueError(f'"{_shown(name)}" is no tag name')
    return name, value.strip(WSP)


def _shown(name: bytes) -> str:
    text = name.decode("ascii", "backslashreplace")
    return text if len(text) <= 30 else text[:30] + "…"
