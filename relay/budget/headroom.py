"""Headroom: what lower priorities leave free of a limit for higher ones.

A lower priority may never use a budget up in one go, else a password reset waits
for the end of the window. Two means, by the size of the limit:

- small limits (30 a minute): the last place is taken only when the next one comes
  free within one send interval (the window over the count), and bulk is spaced so
  that places come free evenly: after a bulk mail the next high one finds a place
  within one interval, the j-th within j + 1. In the long run nothing is lost;
- large limits (10,000 a day): a small part stays free for high priority. Pacing a
  campaign by the day would turn five hours into twenty-four.
"""

PACED_BELOW = 1000
"""Limits below it are small: half a per cent of them would be less than five messages."""
HEADROOM_PART = 200
"""Of a large limit, one part in 200 (0.5 %) is left to high priority."""


def headroom(count: int) -> int:
    """How much of a limit only high priority may take."""
    return 1 if count < PACED_BELOW else count // HEADROOM_PART
