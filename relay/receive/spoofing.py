"""Whose name a mail may bear: rules about its author, whatever client sends it.

They judge the mail as it goes on, after any rewriting, since that is what readers see. What
a client's own rules name (`relay.receive.sender_rule`) is allowed to it, whatever the
tenant's domains are. A rule that warns lets the mail pass and says so in the log.
"""

from collections.abc import Iterator

from relay.identity.client import Policy
from relay.message.display_name import display_name, domains_shown, has_tricks, is_plain
from relay.message.from_field import Author, address_in, author_of
from relay.message.header import Header
from relay.receive.accept import Origin
from relay.receive.options import Action, SpoofingOptions
from relay.receive.sender_rule import NO_AUTHOR, is_allowed
from relay.route.tenant import Tenant
from relay.smtp.reply import Reply
from relay.trace.event import Record, SpoofingSuspected

FOREIGN_AUTHOR = Reply(550, "5.7.1", "Mail from the domain in From is not sent here")
FOREIGN_SENDER = Reply(550, "5.7.1", "The Sender field must be one address whose mail is sent here")
OTHER_NAME = Reply(550, "5.7.1", "The name in From shows an address of another domain than the mail's own")
TRICKY_NAME = Reply(550, "5.7.1", "The name in From holds characters that hide or turn others")
NO_REPORT = Reply(550, "5.7.1", "The null sender is for reports and automatic replies only")


class Spoofing:
    """The rules that the header alone can break."""

    def __init__(self, options: SpoofingOptions, tenant: Tenant, record: Record) -> None:
        self._options = options
        self._tenant = tenant
        self._record = record
        self.is_asked = any(
            each is not Action.OFF
            for each in (options.from_field, options.sender_field, options.display_name, options.null_sender)
        )

    def judge(self, header: Header, sender: bytes, origin: Origin, name: str) -> Reply | None:
        """None, or the reply to a mail that may not go on; `name` is its queue id."""
        author = author_of(header)
        for rule, action, reply in self._broken(header, sender, author, origin.policy):
            if action is Action.REFUSE:
                return reply
            address = b"" if isinstance(author, str) else author.address
            self._record(suspected(name, origin, rule, address, reply))
        return None

    def _broken(
        self, header: Header, sender: bytes, author: Author | str, policy: Policy
    ) -> Iterator[tuple[str, Action, Reply]]:
        options = self._options
        if options.from_field is not Action.OFF and (reply := self._judge_author(author, policy)):
            yield "from", options.from_field, reply
        if options.sender_field is not Action.OFF and (reply := self._judge_sender_field(header, policy)):
            yield "sender", options.sender_field, reply
        if options.display_name is not Action.OFF and (reply := _judge_name(header, author)):
            yield "display_name", options.display_name, reply
        if options.null_sender is not Action.OFF and not sender and not _is_report(header):
            yield "null_sender", options.null_sender, NO_REPORT

    def _judge_author(self, author: Author | str, policy: Policy) -> Reply | None:
        if isinstance(author, str):
            return NO_AUTHOR
        return None if self._may_bear(author.address, policy) else FOREIGN_AUTHOR

    def _judge_sender_field(self, header: Header, policy: Policy) -> Reply | None:
        count = header.count(b"Sender")
        if not count:
            return None
        # RFC 5322 section 3.6.2: a single mailbox, once.
        found = address_in(header.get(b"Sender") or b"") if count == 1 else ""
        if isinstance(found, str) or not self._may_bear(found.address, policy):
            return FOREIGN_SENDER
        return None

    def _may_bear(self, address: bytes, policy: Policy) -> bool:
        # Of no domain nobody is inside: then there is nothing to compare with.
        if not self._tenant.domains or self._tenant.is_inside(address):
            return True
        return policy.authors is not None and is_allowed(policy.authors, address)


def suspected(name: str, origin: Origin, rule: str, address: bytes, reply: Reply) -> SpoofingSuspected:
    """The event of a rule that only warns."""
    author = address.decode("utf-8", "replace")
    return SpoofingSuspected(name, origin.client, rule, author, str(reply), origin.account)


def _judge_name(header: Header, author: Author | str) -> Reply | None:
    """Of the first From field; that there are others is another rule's matter."""
    index = header.scan.find(b"From")
    if index < 0 or is_plain(value := header.scan.value(index)):
        return None
    name = display_name(value)
    if has_tricks(name):
        return TRICKY_NAME
    if isinstance(author, str):
        return None
    own = author.address.rpartition(b"@")[2].lower().decode("utf-8", "replace")
    return None if all(_are_kin(own, shown) for shown in domains_shown(name)) else OTHER_NAME


def _are_kin(own: str, shown: str) -> bool:
    """The same domain, or one below the other."""
    return own == shown or own.endswith("." + shown) or shown.endswith("." + own)


def _is_report(header: Header) -> bool:
    """Who answers by himself says so: RFC 3464, 8098 (multipart/report) or RFC 3834 (Auto-Submitted)."""
    kind = (header.get(b"Content-Type") or b"").partition(b";")[0].strip().lower()
    submitted = (header.get(b"Auto-Submitted") or b"no").partition(b";")[0].strip().lower()
    return kind == b"multipart/report" or submitted != b"no"
