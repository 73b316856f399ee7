"""What is asked of whoever signs, and how it is done at once.

A process does it (`signer_line`), or a thread (`signer_thread`); an Ed25519 signature
costs no more than the way to either and back, so it is made at once by whoever wants it.
Measured in docs/decisions/0003-dkim-signer.md.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from relay.identity.dkim_key import SigningKey
from relay.message.dkim.signature import Algorithm, Prepared

Part = tuple[Prepared, SigningKey]
Done = Callable[[bytes | Exception], None]
"""Called in the loop with the DKIM-Signature fields, or with what went wrong."""


class Signing(Protocol):
    """Signs while the loop goes on. A session waits for one mail at most: that bounds what waits."""

    def submit(self, parts: Sequence[Part], done: Done) -> None:
        """Sign one mail; `done` is called in the loop, once, whatever happens."""
        ...

    def close(self) -> None:
        """No mail comes any more: end what waits, and let go."""
        ...


def is_quick(parts: Sequence[Part]) -> bool:
    """Whether signing costs less than handing it over: 20 to 30 µs each with Ed25519."""
    return all(key.algorithm is Algorithm.ED25519_SHA256 for _, key in parts)


def sign(parts: Sequence[Part]) -> bytes | Exception:
    """The DKIM-Signature fields in their order, or what went wrong."""
    try:
        return b"".join([prepared.field(key.sign(prepared.data)) for prepared, key in parts])
    except Exception as problem:
        # Whatever it is: this mail has no signature, and the policy says what that means.
        return problem
