"""A mail's steps in plain words, in order, with what a refusal means and what to do."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from relay.cli.moment import length, local
from relay.trace.history.flow import meaning
from relay.trace.history.mail import MailLine, StepLine

NAMED_MAX = 3
"""Recipients that are named of many who had the same answer."""


def accepted(mail: MailLine) -> str:
    """The first line: how it came."""
    if mail.priority is None:
        return "accepted; the history has only what happened afterwards"
    if not mail.client:
        return f"written by the relay itself: a report, {mail.size:,} bytes"
    who = f"from {mail.sender or 'the null sender'}, client {mail.client}"
    if mail.account:
        who += f" (account {mail.account})"
    more = [f"{mail.size:,} bytes"]
    if mail.priority != "normal":
        more.append(f"priority {mail.priority}")
    if mail.campaign:
        more.append(f"campaign {mail.campaign}")
    return f"accepted {who}, {', '.join(more)}"


def steps(mail: MailLine) -> Iterator[tuple[float, str, list[str]]]:
    """For each step its time, what happened, and further lines; steps of one reply are one."""
    for _, group in groupby(mail.steps, key=_sameness):
        several = list(group)
        first = several[0]
        yield first.at, *_told(first, [step.recipient for step in several if step.recipient])


def waiting(mail: MailLine) -> str:
    """Who has not been tried yet; empty when everybody was."""
    waits = [each.address for each in mail.recipients if each.outcome == "waiting"]
    return f"not tried yet: {names(waits)}" if waits else ""


def _sameness(step: StepLine) -> tuple[object, ...]:
    return step.at, step.event, step.route, step.host, step.reply, step.attempts


def _told(step: StepLine, recipients: list[str]) -> tuple[str, list[str]]:
    where = f"{step.route} ({step.host}{f', as {step.identity}' if step.identity else ''})"
    said = f"reply: {step.reply}"
    match step.event:
        case "delivered" if not step.host:
            return f"settled for {names(recipients)} ({step.route}): it has arrived", [said]
        case "delivered":
            return f"delivered to {names(recipients)} by {where}", [said, *_at_microsoft(step)]
        case "deferred":
            when = "" if step.next_attempt is None else f"; again at {local(step.next_attempt)}"
            line = f"put off for {names(recipients)} by {where}, attempt {step.attempts}{when}"
            return line, [said, *_advice(step)]
        case "held":
            line = f"held for {names(recipients)} by {where}: it is kept until somebody decides"
            return line, [said, *_advice(step)]
        case "failed" if not step.host:
            return f"failed for {names(recipients)} ({step.route}): it is given up", [said]
        case "failed":
            return f"failed for {names(recipients)} by {where}: it is given up", [said, *_advice(step)]
        case "expired":
            line = f"failed for {names(recipients)} by {where}: it has become too old"
            return line, [said, *_advice(step)]
        case "uncertain":
            line = f"uncertain: {where} took all of it and hung up before its reply; it may have arrived"
            return line, [f"reason: {step.reply}"]
        case "postponed":
            when = "" if step.next_attempt is None else f" before {local(step.next_attempt)}"
            return f"not to leave{when}: its sender wants it so", []
        case "steered":
            return f"order for {names(recipients)}: {step.reply}", []
        case "reported":
            return f"reported to its sender: {step.reply}", []
        case "spilled":
            return f"goes on by {step.next_route} instead of {step.route}", [f"reason: {step.reply}"]
    return f"{step.event} {names(recipients)} {where}", [said]


def _at_microsoft(step: StepLine) -> list[str]:
    """Microsoft's support finds a mail by these."""
    known = (("server", step.remote), ("number", step.internal_id), ("session", step.session))
    words = ", ".join(f"{name} {value}" for name, value in known if value)
    return [f"there: {words}"] if words else []


def _advice(step: StepLine) -> list[str]:
    row = meaning(step.reply)
    return [] if row is None else [f"means: {row.meaning} {row.advice}"]


def names(recipients: Iterable[str]) -> str:
    """`a`, `a and b`, or the first few and how many more."""
    several = list(recipients)
    if len(several) > NAMED_MAX:
        return f"{', '.join(several[:NAMED_MAX])} and {len(several) - NAMED_MAX} more"
    return " and ".join(filter(None, (", ".join(several[:-1]), *several[-1:])))


def summary(mail: MailLine) -> str:
    """Where its recipients stand: `delivered`, or `1 held, 3 delivered`."""
    counts: dict[str, int] = {}
    for each in mail.recipients:
        counts[each.outcome] = counts.get(each.outcome, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    order = ("held", "failed", "cancelled", "deferred", "waiting", "delivered")
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in order if outcome in counts)


def after(mail: MailLine, at: float) -> str:
    """How long after the acceptance."""
    return f"+{length(max(0.0, at - mail.accepted_at))}"
