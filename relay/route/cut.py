"""The cut: which recipients of a mail one transaction takes, when not all may go in one.

Microsoft's MX hosts count the recipients of one domain in an envelope, besides those in
all (SUP: non-delivery-reports-in-exchange-online).
"""

from collections.abc import Sequence


def cut(addresses: Sequence[bytes], in_all: int, per_domain: int) -> list[int]:
    """Indices of the recipients for the next transaction, in order: `in_all` at most, of each domain `per_domain`.

    0 is no bound. Of recipients there are, at least one is taken.
    """
    wanted = len(addresses) if not in_all else min(in_all, len(addresses))
    if not per_domain or wanted <= per_domain:
        return list(range(wanted))
    taken: list[int] = []
    count: dict[bytes, int] = {}
    for index, address in enumerate(addresses):
        domain = address[address.rfind(b"@") + 1 :].lower()
        if (so_far := count.get(domain, 0)) < per_domain:
            count[domain] = so_far + 1
            taken.append(index)
            if len(taken) == wanted:
                break
    return taken
