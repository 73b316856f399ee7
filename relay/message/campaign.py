"""Which campaigns a pattern of the configuration means."""


def campaign_fits(pattern: str, campaign: str) -> bool:
    """A name to the letter; with a `*` at the end, what names begin with. Mail of no campaign fits none, not `*` either."""
    if not campaign:
        return False
    return campaign.startswith(pattern[:-1]) if pattern.endswith("*") else campaign == pattern
