"""What configurations write for addresses, and how one is found in a dictionary.

    a@example.com   this address
    example.com     every address of this domain, not of its subdomains
    *.example.com   every address of a subdomain, at any depth, not of the domain
    <>              the null sender (for senders)

ASCII letters match in either case, in local parts too: no server in use tells
them apart, and a rule that missed `Bob@` would surprise.
"""

from collections.abc import Iterator


def rule_key(pattern: str) -> bytes:
    """A pattern as it stands in the dictionary; domains begin with `@` and subdomains with `.`."""
    key = pattern.strip().lower().encode()
    if key.startswith(b"*."):
        return key[1:]
    if key == b"<>" or b"@" in key:
        return key
    return b"@" + key


def keys_of(address: bytes) -> Iterator[bytes]:
    """Every key a pattern could have that matches the address, the narrowest first."""
    if not address:
        yield b"<>"
        return
    address = address.lower()
    yield address
    # The last `@`: a quoted local part may hold others (RFC 5321 section 4.1.2).
    domain = address[address.rfind(b"@") + 1 :]
    yield b"@" + domain
    dot = domain.find(b".")
    while dot != -1:
        yield domain[dot:]
        dot = domain.find(b".", dot + 1)
