"""A mail that is whole → the same with the routes its recipients take, or the reply that refuses it."""

from dataclasses import replace

from msgspec import structs

from relay.message.from_field import author_address
from relay.receive.policy import judge_choice
from relay.route.table import Refusal, RouteTable
from relay.smtp.reply import Reply
from relay.spool.change import Accept


def choose(change: Accept, routes: RouteTable) -> Accept | Reply:
    """The mail as it will lie in the spool: signed, so that its size is what a next hop will see."""
    envelope = change.envelope
    chosen = routes.choose(envelope, lambda: author_address(change.head))
    if chosen is envelope.recipients:
        return change
    if isinstance(chosen, Refusal):
        return judge_choice(chosen)
    return replace(change, envelope=structs.replace(envelope, recipients=chosen))
