"""One mail on its way into the spool: its content streams there, its envelope follows, then the owner is told.

It outlives its session where it must. A client that disconnects while the commit
runs has sent its mail whole: the mail is kept. A client that was told 4yz because
the disk was slow will send it again: then the mail is dropped when its commit
ends after all. Unless it has an idempotency key: then it is kept, for the client
that sends it again finds its key taken, maybe before it could be dropped.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from msgspec import UNSET

from relay._fastpath import BodyHash
from relay.errors import AlreadyTaken, SpoolError
from relay.identity.client import ANYTHING
from relay.message.envelope import Recipient
from relay.message.from_field import author_of
from relay.message.queue_id import format_id
from relay.receive.accept import Origin, accept
from relay.receive.choice import choose
from relay.receive.common import Common
from relay.receive.intake import take
from relay.receive.once import Body
from relay.receive.options import HEAD_BYTES
from relay.receive.policy import judge_commit, too_large
from relay.receive.rewrite import Rule
from relay.receive.timing import ALWAYS, judge_span
from relay.smtp.command import MailCommand
from relay.smtp.reply import Reply
from relay.spool.change import MAX_RECORD_BYTES, Abandon, Accept, Stream
from relay.spool.claim import Claim
from relay.spool.handover import Queued
from relay.trace.event import Accepted


class Owner(Protocol):
    """The session, as far as its mail needs it."""

    def mail_done(self, reply: Reply) -> None:
        """The commit has ended, so or so."""
        ...

    def stream_moved(self) -> None:
        """A record was committed, or failed: there may be room for more content."""
        ...


class Incoming:
    """One mail, from its first content to the end of its commit."""

    __slots__ = ("_accept", "_author", "_body", "_chunks", "_claim", "_common", "_error", "_from_left", "_head", "_is_charged", "_late", "_name", "_origin", "_original_from", "_owner",
                 "_policy", "_refusal", "_since", "_streamed", "_waiting", "id")  # fmt: skip

    def __init__(self, common: Common, owner: Owner) -> None:
        self.id = common.ids.next()
        self._name = format_id(self.id)
        self._common = common
        self._owner: Owner | None = owner
        self._head: bytearray | None = None
        self._chunks = 1
        self._streamed = 0
        self._waiting = 0
        self._error: SpoolError | None = None
        self._refusal: Reply | None = None
        """Known before its end: what still comes is of no use."""
        self._policy = ANYTHING
        self._is_charged = False
        self._accept: Accept | None = None
        self._author = b""
        self._origin: Origin | None = None
        """Where it comes from, once its data has ended."""
        self._body: Body | None = None
        """What streamed, of a mail with an idempotency key."""
        self._late = ""
        """What is said of its deadline."""
        self._claim: Claim | None = None
        self._original_from = b""
        self._from_left = ""
        self._since = common.clock.monotonic()

    @property
    def head_bytes(self) -> int:
        """Of its beginning, which is kept until its end is known."""
        return 0 if self._head is None else len(self._head)

    @property
    def is_congested(self) -> bool:
        """Enough of it waits for the disk: read no further."""
        return self._waiting > self._common.limits.streamed_records

    def stream(self, content: bytearray, size_max: int = 0) -> None:
        """Take full records out of `content`, which keeps the rest; 0: it may be as large as it likes."""
        if size_max and self._streamed + self.head_bytes + len(content) > size_max:
            self._refusal = too_large(size_max)
        if self._error is not None or self._refusal is not None:
            content.clear()
            return
        if self._head is None:
            self._head = content[:HEAD_BYTES]
            self._body = Body.begun(self._head, self._common.limits.header_bytes + 1)
            del content[:HEAD_BYTES]
        while len(content) >= MAX_RECORD_BYTES:
            self._put(content[:MAX_RECORD_BYTES])
            del content[:MAX_RECORD_BYTES]

    def finish(
        self,
        origin: Origin,
        mail: MailCommand,
        recipients: Sequence[Recipient],
        content: bytearray,
        body_hash: BodyHash | None = None,
        rule: Rule | None = None,
    ) -> Reply | None:
        """The data has ended: sign the mail, choose its routes and commit it, or return the reply that refuses it.

        `rule` speaks of its sender; None: that one stays, and From with it.
        """
        common = self._common
        if self._head is not None:
            if content and self._error is None and self._refusal is None:
                self._put(content)
            content = self._head
        size_max = origin.policy.message_bytes
        if self._refusal is None and size_max and self._streamed + len(content) > size_max:
            self._refusal = too_large(size_max)
        if self._error is not None and self._refusal is None:
            self._refusal = judge_commit(self._error)
        if self._refusal is not None:
            self.abandon()
            return self._refusal
        intake = take(content, self._chunks == 1, rule, common.limits, origin.policy)
        if isinstance(intake, Reply):
            self.abandon()
            return intake
        self._origin = origin
        if common.seen.wants_author(origin):
            author = author_of(intake.header)
            self._author = intake.original_from or (b"" if isinstance(author, str) else author.address)
        key = intake.wishes.idempotency_key
        if key and self._head is None:
            self._body = Body.of(content, intake.header)
        now = common.clock.now()
        span = judge_span(intake.wishes, now, common.limits)
        if isinstance(span, Reply) and not key:
            self.abandon()
            return span
        sender = mail.sender if rule is None else rule.address_for(mail.sender)
        if common.spoofing.is_asked:
            refusal = common.spoofing.judge(intake.header, sender, origin, self._name)
            if refusal is not None:
                self.abandon()
                return refusal
        change = accept(
            origin,
            mail,
            sender,
            recipients,
            self.id,
            self._name,
            content,
            intake,
            self._streamed,
            self._chunks,
            now,
            ALWAYS if isinstance(span, Reply) else span,
        )
        self._since = common.clock.monotonic()
        self._policy = origin.policy
        if key and self._body is not None and common.once is not None:
            self._claim = common.once.claim(key, change.envelope, self._body, intake.header)
        if isinstance(span, Reply):
            self.abandon()
            return self._repeated(change) or span
        outcome: Accept | Reply | None = change
        if common.alignment is not None:

            def judged(outcome: Accept | Reply) -> None:
                self._go_on(self._finish(outcome, body_hash) if isinstance(outcome, Accept) else outcome)

            outcome = common.alignment.judge(change, intake.header, origin, judged)
        if isinstance(outcome, Accept):
            outcome = self._finish(outcome, body_hash)
        if isinstance(outcome, Reply):
            self.abandon()
            return outcome
        self._original_from, self._from_left = intake.original_from, intake.from_left
        self._accept = change
        self._head = None
        common.pending += 1
        if isinstance(outcome, Accept):
            self._commit(outcome)
        return None

    def _finish(self, change: Accept, body_hash: BodyHash | None) -> Accept | Reply | None:
        """Sign and admit it; None: that takes a while, and `_signed` is called.

        `body_hash` is the session's, and still of this mail: nothing is read before its reply.
        """
        if self._error is not None:
            return judge_commit(self._error)
        outcome: Accept | Reply | None = change
        if self._common.dkim is not None and body_hash is not None:
            outcome = self._common.dkim.sign(change, body_hash, self._signed)
        return self._admit(outcome) if isinstance(outcome, Accept) else outcome

    def disown(self) -> None:
        """The client is gone. Its mail is kept when it was whole, else dropped."""
        if self._accept is None:
            self.abandon()
        self._owner = None

    def give_up(self) -> None:
        """The client was told that the mail is not accepted: drop it, now or after its commit."""
        if self._error is None:
            self._error = SpoolError("the client was told that the commit took too long")
        if self._accept is None:
            self.abandon()
        self._owner = None

    def abandon(self) -> None:
        """Drop what was streamed of a mail that will not be accepted."""
        self._owner = None
        if self._chunks > 1:
            self._drop()

    def _put(self, data: bytearray) -> None:
        index, self._chunks = self._chunks, self._chunks + 1
        self._streamed += len(data)
        self._waiting += 1
        if self._body is not None:
            self._body.add(data)
        self._common.committer.submit(Stream(self.id, index, data), self._stored)

    def _stored(self, error: SpoolError | None) -> None:
        self._waiting -= 1
        if error is not None and self._error is None:
            self._error = error
        if self._owner is not None and self._accept is None:
            self._owner.stream_moved()

    def _signed(self, outcome: Accept | Reply) -> None:
        """The signing that took a while has ended."""
        if isinstance(outcome, Accept):
            outcome = judge_commit(self._error) if self._error is not None else self._admit(outcome)
        self._go_on(outcome)

    def _go_on(self, outcome: Accept | Reply | None) -> None:
        """What took a while has ended; None: something else takes a while now."""
        if isinstance(outcome, Reply):
            self._refuse(outcome)
        elif outcome is not None:
            self._commit(outcome)

    def _admit(self, change: Accept) -> Accept | Reply:
        """The last that is asked: a route for each recipient, and room in its client's quotas, which it uses now."""
        outcome = choose(change, self._common.routes)
        if isinstance(outcome, Accept) and outcome.envelope.deadline:
            late = self._common.late.judge(outcome.envelope)
            if isinstance(late, Reply):
                return self._repeated(outcome) or late
            self._late = late
        if isinstance(outcome, Accept) and self._policy.quotas:
            envelope = outcome.envelope
            refusal = self._common.allowance.charge(envelope.account, self._policy, len(envelope.recipients))
            if refusal is not None:
                return refusal
            self._is_charged = True
        return outcome

    def _repeated(self, change: Accept) -> Reply | None:
        """What a repeat hears although its time is over: its first one came in time. None: this is none."""
        if self._claim is None or self._common.once is None:
            return None
        return self._common.once.before(self._claim, change.envelope)

    def _commit(self, change: Accept) -> None:
        if self._claim is not None:
            change = replace(change, claim=self._claim)
        self._accept = change
        self._common.committer.submit(change, self._committed)

    def _refuse(self, reply: Reply) -> None:
        """After all: it was not signed, or a record of it failed or nobody waits for it any more."""
        common, owner, self._owner = self._common, self._owner, None
        common.pending -= 1
        if self._chunks > 1:
            self._drop()
        if owner is not None:
            owner.mail_done(reply)
        common.settle()

    def _committed(self, error: SpoolError | None) -> None:
        common, owner, change = self._common, self._owner, self._accept
        assert change is not None
        common.pending -= 1
        self._owner = None
        failure = error or (None if self._claim is not None else self._error)
        if failure is None:
            reply = self._announce(change)
        else:
            reply = self._judge(failure, change)
            if self._is_charged:
                common.allowance.give_back(
                    change.envelope.account, self._policy, len(change.envelope.recipients)
                )
            if error is None or self._chunks > 1:
                self._drop()
        if owner is not None:
            owner.mail_done(reply)
        common.settle()

    def _judge(self, failure: SpoolError, change: Accept) -> Reply:
        """It was not kept: the disk failed, or its key is that of another mail."""
        if isinstance(failure, AlreadyTaken) and self._common.once is not None:
            return self._common.once.judge(failure, change.envelope)
        return judge_commit(failure)

    def _announce(self, change: Accept) -> Reply:
        """It is on the disk: tell the deliverer, the trace and the client."""
        common, envelope = self._common, change.envelope
        name = self._name
        original = envelope.original_sender
        common.handover.announce(Queued.of(envelope))
        if self._origin is not None:
            common.seen.mailed(self._origin, envelope, self._author)
        common.record(
            Accepted(
                name,
                envelope.message_id.decode("utf-8", "replace"),
                envelope.sender.decode("utf-8", "replace"),
                len(envelope.recipients),
                envelope.size,
                envelope.client,
                envelope.helo.decode("utf-8", "replace"),
                common.clock.monotonic() - self._since,
                envelope.priority.word,
                envelope.campaign,
                UNSET if original is None else original.decode("utf-8", "replace"),
                self._original_from.decode("utf-8", "replace") or UNSET,
                self._from_left or UNSET,
                envelope.account or UNSET,
                envelope.not_before or UNSET,
                envelope.deadline or UNSET,
            )
        )
        return Reply(250, "2.0.0", f"queued as {name}{self._late}")

    def _drop(self) -> None:
        # What fails here is found by `abandon_partial` when a receiver of this slot starts again.
        self._common.committer.submit(Abandon(self.id, self._chunks), lambda error: None)
