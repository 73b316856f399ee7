"""Which rule speaks of which sender."""

import pytest

from relay.receive.options import Rewrite
from relay.receive.rewrite import Rewrites, Rule

RULES = (
    Rewrite(("printer@local", "*.corp.local"), "scanner@contoso.com", clients=("10.0.0.0/8", "2001:db8::/32")),
    Rewrite(("local", "contoso.com"), "Relay@contoso.com", from_field=False),
    Rewrite(("fax@corp.local", "a.corp.local"), "fax@contoso.com"),
)  # fmt: skip
REWRITES = Rewrites(RULES)


@pytest.mark.parametrize(
    ("sender", "client", "to"),
    [
        (b"printer@local", "10.1.2.3", b"scanner@contoso.com"),
        (b"PRINTER@Local", "::ffff:10.1.2.3", b"scanner@contoso.com"),
        (b"printer@local", "2001:db8::1", b"scanner@contoso.com"),
        (b"printer@local", "192.0.2.1", b"Relay@contoso.com"),
        (b"other@local", "10.1.2.3", b"Relay@contoso.com"),
        (b"x@a.b.corp.local", "10.1.2.3", b"scanner@contoso.com"),
        (b"x@a.corp.local", "10.1.2.3", b"scanner@contoso.com"),
        (b"x@a.corp.local", "192.0.2.1", b"fax@contoso.com"),
        (b"fax@corp.local", "10.1.2.3", b"fax@contoso.com"),
        (b'"x@y"@local', "10.1.2.3", b"Relay@contoso.com"),
        (b"x@corp.local", "10.1.2.3", b"x@corp.local"),
        (b"x@b.corp.local", "192.0.2.1", b"x@b.corp.local"),
        (b"x@example.com", "10.1.2.3", b"x@example.com"),
        (b"relay@CONTOSO.com", "10.1.2.3", b"relay@CONTOSO.com"),
        (b"other@contoso.com", "10.1.2.3", b"Relay@contoso.com"),
        (b"", "10.1.2.3", b""),
        (b"printer@local", "", b"Relay@contoso.com"),
    ],
)
def test_the_first_rule_that_speaks_of_sender_and_client_counts(
    sender: bytes, client: str, to: bytes
) -> None:
    rule = REWRITES.find(sender, client)
    assert (sender if rule is None else rule.address_for(sender)) == to


def test_without_rules_nothing_is_rewritten() -> None:
    assert Rewrites(()).find(b"printer@local", "10.1.2.3") is None


@pytest.mark.parametrize("options", RULES)
def test_what_was_rewritten_is_not_rewritten_again(options: Rewrite) -> None:
    rule = Rule(options)
    assert rule.address_for(rule.to) == rule.to
    assert not rule.changes(rule.to)


def test_a_network_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError):
        Rewrites((Rewrite(("a@b",), "c@d", clients=("10.0.0.0/33",)),))
