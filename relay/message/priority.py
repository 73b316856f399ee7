"""Priority: whose mail goes first when not all may go at once.

A property of a mail (RFC 6710 names it MT-PRIORITY and knows more levels than are of use
here); what it means inside a limit says `relay.budget.headroom`.
"""

from enum import IntEnum


class Priority(IntEnum):
    """Lower is first."""

    HIGH = 0
    """One mail somebody waits for: a password reset, an alarm."""
    NORMAL = 1
    BULK = 2
    """Campaigns."""

    @property
    def word(self) -> str:
        """As people write it."""
        return _WORDS[self]

    @property
    def mt(self) -> int:
        """The level of the policy MIXER (RFC 6710) that means this."""
        return _MIXER[self]

    @classmethod
    def of_mt(cls, value: int) -> "Priority":
        """What MT-PRIORITY, -9 to 9, means here: its sign.

        Of the policies that RFC 6710 registers only MIXER has three levels: -4, 0 and 4. The
        values between mean more than "normal" or less in every policy, so the sign counts.
        """
        if value == 0:
            return cls.NORMAL
        return cls.HIGH if value > 0 else cls.BULK

    def capped(self, highest: "Priority") -> "Priority":
        """This one, or `highest` where this is above it."""
        return self if self >= highest else highest


_WORDS = {each: each.name.lower() for each in Priority}
_MIXER = {Priority.HIGH: 4, Priority.NORMAL: 0, Priority.BULK: -4}
PRIORITIES = {word: each for each, word in _WORDS.items()}
"""By the word for it."""
