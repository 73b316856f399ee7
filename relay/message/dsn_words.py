"""The text of a report: what happened, to whom, why and what to do, for somebody who knows no SMTP.

What servers said is quoted as theirs. Nothing of it can pass for our words: it stands on one
line behind the server's name, without controls.
"""

import textwrap
from collections.abc import Sequence

from relay.message.notify import Action
from relay.message.report import Fate, Report, date
from relay.message.seven_bit import one_line, shown

SHOWN_MAX = 50
"""Recipients in the text; the machine's part has all of them."""
REPLY_MAX = 2_000
"""Characters of a reply. Exchange's longest has about so many; a hostile one may have 65,536."""
_WIDTH = 76


_BEGIN = {
    Action.FAILED: "Your mail of {date} could not be delivered to:",
    Action.DELAYED: "Your mail of {date} has not been delivered yet to:",
    Action.RELAYED: "Your mail of {date} was passed on to a server that sends no confirmations, for:",
}
_END = {
    Action.FAILED: "It will not be tried again. Attached are the details for your administrator, and your mail or its "
    "header.",
    Action.DELAYED: "You need not do anything: it will be tried until {until}. If it fails then, you will be told. "
    "Please do not send it again, or it may arrive twice.",
    Action.RELAYED: "This is no proof that it has been read, or has reached the mailbox. "
    "Should it fail further on, you will be told.",
}


def words(report: Report, hostname: str) -> str:
    """The text, its lines ended by CRLF."""
    came, until = date(report.about.received_at), date(report.retry_until)
    lines = [
        f"This is the mail relay {hostname}.",
        "",
        *_wrapped(_BEGIN[report.action].format(date=came), ""),
    ]
    for fate in report.fates[:SHOWN_MAX]:
        lines += ["", *_fate(fate)]
    beyond = len(report.fates) - SHOWN_MAX
    if beyond > 0:
        lines += ["", f"  and {beyond} more; the attached status names them all"]
    lines += ["", *_wrapped(_END[report.action].format(until=until), "")]
    lines += ["", f"The mail's number at {hostname}: {report.name}", ""]
    return "\r\n".join(lines)


def bounded_reply(reply: str) -> str:
    """A reply on one line, cut where it is too long."""
    reply = one_line(reply)
    return reply if len(reply) <= REPLY_MAX else f"{reply[:REPLY_MAX]} (cut)"


def _fate(fate: Fate) -> Sequence[str]:
    lines = [f"  <{shown(fate.address)}>", *_wrapped(fate.meaning, "    ")]
    if fate.advice:
        lines += _wrapped(f"What to do: {fate.advice}", "    ")
    if fate.reply:
        lines += _wrapped(f"{one_line(fate.host) or 'The server'} said: {fate.reply}", "    ")
    return lines


def _wrapped(text: str, indent: str) -> Sequence[str]:
    return textwrap.wrap(
        one_line(text),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
