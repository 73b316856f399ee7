"""Reaches of small routes."""

from relay.deliver.reach import Reach
from relay.m365.preset import Kind
from relay.route.route import Credentials, Route


def reach(
    route: str = "one", mailbox: str = "a@contoso.test", kind: Kind = Kind.SUBMISSION, host: str = "h.test"
) -> Reach:
    """Of one login; without a mailbox, of a route nobody logs in to."""
    login = Credentials(mailbox, "secret") if mailbox else None
    return Reach(Route(route, (host,), credentials=login, kind=kind), login)
