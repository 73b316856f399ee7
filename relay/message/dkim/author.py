"""The domain that a mail's From names: whose keys sign it.

Several authors of one domain are that domain. No From, several From fields, authors
of several domains, a group (RFC 6854) and what is no address name none: such mail
has no signer. To guess is worse: the reader's program may show another author than
the one that was signed for (RFC 6376 section 8.15, RFC 7489 section 6.6.1).
"""

from relay.message.header import Header

_DOMAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-._") | frozenset(range(128, 256))


def author_domain(header: Header) -> bytes | None:
    """The domain in lower case, A-labels or UTF-8 as it was written; None when there is not just one."""
    if header.count(b"From") != 1:
        return None
    value = header.get(b"From")
    return None if value is None else domain_of(value)


def domain_of(value: bytes) -> bytes | None:
    """The same for the unfolded value of a From field (RFC 5322 section 3.6.2)."""
    before, at, after = value.partition(b"@")
    if at and b"(" not in value and b'"' not in value and (b"<" in before) is value.endswith(b">"):
        # Nearly every mail: one address, no comment, no quotes. Whatever is not plain in the domain fails here.
        domain = _domain(after.removesuffix(b">"))
        if domain is not None:
            return domain
    plain = _without_comments_and_quotes(value)
    if plain is None or b":" in plain or b";" in plain:
        return None
    domains = {_mailbox_domain(part.strip(b" \t")) for part in plain.split(b",") if part.strip(b" \t")}
    return domains.pop() if len(domains) == 1 else None


def _mailbox_domain(mailbox: bytes) -> bytes | None:
    address = mailbox
    if b"<" in mailbox or b">" in mailbox:
        if not mailbox.endswith(b">") or mailbox.count(b"<") != 1 or mailbox.count(b">") != 1:
            return None
        address = mailbox[mailbox.index(b"<") + 1 : -1].strip(b" \t")
    local, at, domain = address.rpartition(b"@")
    return _domain(domain) if at and local and b"@" not in local else None


def _domain(text: bytes) -> bytes | None:
    domain = text.strip(b" \t").lower().removesuffix(b".")
    return domain if domain and _DOMAIN.issuperset(domain) and domain[0] != ord(".") else None


def _without_comments_and_quotes(value: bytes) -> bytes | None:
    """The value without its comments, a letter in place of each quoted string; None when one does not end."""
    plain = bytearray()
    depth = 0
    in_quotes = False
    octets = iter(value)
    for octet in octets:
        if octet == ord("\\") and (depth or in_quotes):
            next(octets, None)
        elif octet == ord('"') and not depth:
            in_quotes = not in_quotes
            plain += b"q" if in_quotes else b""
        elif in_quotes:
            continue
        elif octet == ord("("):
            depth += 1
        elif octet == ord(")") and depth:
            depth -= 1
        elif not depth:
            plain.append(octet)
    return None if depth or in_quotes else bytes(plain)
