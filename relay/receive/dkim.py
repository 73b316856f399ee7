"""Who signs a mail, and the mail with its signatures, or the reply that refuses it.

It works on the mail as it will be sent, with the fields that we added, so that a
Message-ID or a Date of ours is signed too. Its body has been hashed while it came in
(`body_hash`). A mail whose author's domain is doubtful, or has no policy, leaves
unsigned: nobody asked for its signature. One that has a policy and cannot be signed
ends as the policy says; by default the client is told to come again.
"""

from collections.abc import Callable

import msgspec

from relay._fastpath import BodyHash
from relay.identity.dkim import DomainPolicy, Existing, KeyRing, NoActiveKey, OnFailure, Signer
from relay.message.dkim.author import author_domain
from relay.message.dkim.canonical import Canonicalization, digest
from relay.message.dkim.existing import has_aligned_signature
from relay.message.dkim.signature import prepare, with_blank_line
from relay.message.header import Header
from relay.message.queue_id import format_id
from relay.receive.policy import SIGNING_FAILED, SIGNING_FAILED_FOR_GOOD
from relay.receive.signing import Part, Signing, is_quick, sign
from relay.smtp.reply import Reply
from relay.spool.change import Accept
from relay.trace.event import Record, SigningFailed

Outcome = Accept | Reply


class Dkim:
    """Signing in one receiver."""

    def __init__(self, keys: KeyRing, signing: Signing, record: Record) -> None:
        """`signing` makes the signatures that take a while."""
        self._keys = keys
        self._record = record
        self._signing = signing

    def body_hash(self) -> BodyHash | None:
        """What a session hashes bodies with: all that the policies could need, and no more. None: nothing."""
        modes = self._keys.body_modes()
        if not modes:
            return None
        return BodyHash(
            simple=Canonicalization.SIMPLE in modes,
            relaxed=Canonicalization.RELAXED in modes,
        )

    def sign(self, change: Accept, hashing: BodyHash, done: Callable[[Outcome], None]) -> Outcome | None:
        """What becomes of the mail; None: that takes a while, and `done` is called in the loop.

        `hashing` has hashed the mail's body and is free again when this returns.
        """
        header = Header.of(change.head)
        domain = author_domain(header)
        policy = None if domain is None else self._keys.policy(domain)
        if domain is None or policy is None:
            return change
        now = change.envelope.received_at
        if policy.existing is Existing.LEAVE and has_aligned_signature(header, domain, now):
            return change
        if change.envelope.chunks > 1 and not header.is_complete:
            return self._failed(change, policy, ValueError("the header does not end in the first record"))
        try:
            parts = [_part(header, hashing, signer, now) for signer in self._keys.signers(domain, now)]
        except (NoActiveKey, ValueError) as problem:
            return self._failed(change, policy, problem)
        if not parts:
            return change
        if is_quick(parts):
            return self._signed(change, policy, header, sign(parts))
        self._signing.submit(parts, lambda result: done(self._signed(change, policy, header, result)))
        return None

    def close(self) -> None:
        """No mail comes any more."""
        self._signing.close()

    def _signed(
        self, change: Accept, policy: DomainPolicy, header: Header, result: bytes | Exception
    ) -> Outcome:
        if isinstance(result, Exception):
            return self._failed(change, policy, result)
        # RFC 6376 section 5.6: the field goes before all others, ours too, as a trace field does.
        head = result + with_blank_line(change.head, header)
        size = change.envelope.size + len(head) - len(change.head)
        return Accept(msgspec.structs.replace(change.envelope, size=size), head)

    def _failed(self, change: Accept, policy: DomainPolicy, problem: Exception) -> Outcome:
        self._record(
            SigningFailed(
                format_id(change.envelope.id),
                policy.domain.decode(),
                str(problem) or repr(problem),
                policy.on_failure.value,
            )
        )
        match policy.on_failure:
            case OnFailure.UNSIGNED:
                return change
            case OnFailure.REFUSE:
                return SIGNING_FAILED_FOR_GOOD
            case OnFailure.DEFER:
                return SIGNING_FAILED


def _part(header: Header, hashing: BodyHash, signer: Signer, now: float) -> Part:
    options = signer.options
    return prepare(header, digest(hashing, options.body), options, now), signer.key
