"""From `[[rewrite]]` tables to rules, with the checks that need more than one key."""

from relay.config.findings import Findings
from relay.config.rewrite_table import RewriteTable
from relay.receive.options import Rewrite
from relay.receive.rewrite import Rule


def build_rewrites(found: Findings, tables: list[RewriteTable]) -> tuple[Rewrite, ...]:
    """The rules; of use only when no problems were found."""
    rewrites = tuple(
        Rewrite(
            tuple(table.senders),
            table.to,
            table.from_field is not False,
            None if table.clients is None else tuple(table.clients),
        )
        for table in tables
    )
    rules = [Rule(rewrite) for rewrite in rewrites]
    for i, rule in enumerate(rules):
        # Who gets all of a sender's mail leaves nothing of it to the rules below.
        earlier = frozenset().union(*(rules[j].keys for j in range(i) if rewrites[j].clients is None))
        if rule.keys <= earlier:
            found.warning(f"rewrite[{i}]", "is never used, since tables before it take all of its senders")
    return rewrites
