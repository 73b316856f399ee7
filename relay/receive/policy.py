"""Who may send, what is taken, who is too slow: the receiver's decisions, without I/O.

A reply tells the client what it may do about it, never our configuration.
"""

from relay.errors import SpoolError, SpoolFull
from relay.message.header import Header
from relay.message.priority import Priority
from relay.message.received import date_time
from relay.message.report import LAST_MOMENT
from relay.message.seven_bit import one_line
from relay.receive.options import Limits
from relay.route.rule import Rule
from relay.route.table import Possible, Refusal
from relay.smtp.reply import Reply
from relay.spool.suppressed import REPLY_MAX, Suppressed

CLIENT_NOT_ALLOWED = Reply(554, "5.7.1", "This relay does not serve your address")
EARLY_TALKER = Reply(554, "5.5.1", "You spoke before the greeting")
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "Too many connections; try again later")
TOO_MANY_FROM_ADDRESS = Reply(421, "4.7.0", "Too many connections from your address")
SHUTTING_DOWN = Reply(421, "4.3.2", "The relay shuts down; try again later")
SENDER_OK = Reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient ok")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients; send the rest in another mail")
NO_ROUTE = Reply(550, "5.7.1", "No route leads to this recipient")
HEADER_CUT = Reply(552, "5.3.4", "The mail's header is too long")
ROUTE_NOT_ALLOWED = Reply(550, "5.7.1", "No route that you may use leads to this recipient")
INSIDE_ONLY = Reply(550, "5.7.1", "Mail like this goes to recipients inside the organisation only")
SENDER_NOT_SERVED = Reply(550, "5.7.1", "No mail to this recipient is taken from this sender")
FROM_IS_NOT_SENDER = Reply(550, "5.7.1", "From must have one address, the sender's own")
NO_ROOM = Reply(452, "4.3.1", "No room for mail just now; try again later")
DISK_TROUBLE = Reply(451, "4.3.0", "The mail could not be stored; try again later")
DISK_SLOW = Reply(451, "4.3.0", "Storing the mail takes too long; try again later")
SIGNING_FAILED = Reply(451, "4.7.5", "The mail could not be signed; try again later")
SIGNING_FAILED_FOR_GOOD = Reply(550, "5.7.5", "The mail could not be signed")
IDLE = Reply(421, "4.4.2", "Nothing heard for too long")
TRANSACTION_TOO_LONG = Reply(421, "4.4.2", "The transaction takes too long")
TOO_SLOW = Reply(421, "4.4.2", "The mail comes too slowly")


def judge_mail(refusing: str | None, content_bytes: int, limits: Limits) -> Reply:
    """MAIL: is there room? `refusing` is the spool's reason to take nothing, `content_bytes` what is in memory."""
    return SENDER_OK if refusing is None and content_bytes <= limits.content_bytes else NO_ROOM


def judge_priority(mt_priority: int, highest: Priority) -> Reply:
    """MAIL with MT-PRIORITY, when it is taken: may the mail be as important as that?

    RFC 6710: X.3.6 says that the priority was changed, and the text begins with the new one.
    """
    if Priority.of_mt(mt_priority) >= highest:
        return SENDER_OK
    return Reply(250, "2.3.6", f"{highest.mt} is the highest priority here; sender ok")


def judge_recipient(found: Possible | Refusal, declared_size: int) -> Reply:
    """RCPT: does a route lead there that takes a mail of the declared size? 0: none was declared."""
    if isinstance(found, Refusal):
        return _refusal(found)
    # RFC 1870 section 6.4: 552 may answer RCPT too. What we add makes the mail larger still.
    if found.size_max and declared_size > found.size_max:
        return _too_large(found.size_max)
    return RECIPIENT_OK


def judge_suppressed(found: Suppressed | None) -> Reply:
    """RCPT: has the address failed for good not long ago? It would again, and Microsoft blocks who goes on."""
    if found is None:
        return RECIPIENT_OK
    # Whoever entered it by hand may have brought it from elsewhere: no line end, no control, one line of SMTP.
    said = one_line(found.reply)[:REPLY_MAX].encode("ascii", "replace").decode()
    until = date_time(int(min(found.until, LAST_MOMENT))).decode()
    return Reply(550, "5.1.1", f"No mail is taken for this address until {until}, since it failed: {said}")


def judge_choice(refusal: Refusal) -> Reply:
    """The end of a mail that has no route to one of its recipients: it is named, for there may be many."""
    reply = _refusal(refusal)
    name = refusal.recipient.decode("utf-8", "surrogateescape")
    return Reply(reply.code, reply.enhanced, f"<{name}>: {reply.text}")


def judge_header(header: Header, limits: Limits) -> Reply | None:
    """The end of a mail: is its header within the limits? None: it is."""
    if header.end > limits.header_bytes:
        return Reply(552, "5.3.4", f"A mail's header may have {limits.header_bytes} bytes")
    if len(header) > limits.header_fields:
        return Reply(552, "5.3.4", f"A mail's header may have {limits.header_fields} fields")
    if header.received_hops > limits.received_hops:
        return Reply(554, "5.4.6", f"The mail loops: it has {header.received_hops} Received fields")
    return None


def too_large(size_max: int) -> Reply:
    """For a client with a bound of its own; what everybody has is the protocol's."""
    return Reply(552, "5.3.4", f"A mail of yours may have {size_max} bytes")


def judge_commit(error: SpoolError) -> Reply:
    """A commit that failed: nothing of the mail was kept."""
    return NO_ROOM if isinstance(error, SpoolFull) else DISK_TROUBLE


def judge_pace(
    limits: Limits, idle_s: float, line_s: float, transaction_s: float, content_s: float, content_bytes: int
) -> Reply | None:
    """A client we wait for: is it too slow? None: it may go on. Times are 0 for what has not begun."""
    # A byte now and then is no sign of life: a line that has begun must end as soon as one must begin.
    if idle_s > limits.idle_timeout_s or line_s > limits.idle_timeout_s:
        return IDLE
    if transaction_s > limits.transaction_timeout_s:
        return TRANSACTION_TOO_LONG
    if content_s > limits.rate_grace_s and content_bytes < content_s * limits.minimum_rate_bytes_s:
        return TOO_SLOW
    return None


def _refusal(refusal: Refusal) -> Reply:
    match refusal.rule:
        case None:
            return NO_ROUTE
        case Rule.CLIENT:
            return ROUTE_NOT_ALLOWED
        case Rule.INTERNAL_ONLY:
            return INSIDE_ONLY
        case Rule.SENDER:
            return SENDER_NOT_SERVED
        case Rule.AUTHOR:
            return FROM_IS_NOT_SENDER
        case Rule.SIZE:
            return _too_large(refusal.size_max)


def _too_large(size_max: int) -> Reply:
    return Reply(552, "5.3.4", f"A mail to this recipient may have {size_max} bytes with what is added to it")
