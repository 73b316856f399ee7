"""The demo's two configurations: of the tenant, and of the relay with the route that the simulator prints."""

from relay.cli.demo_plan import (
    A_DAY,
    A_MINUTE,
    ACCOUNTS,
    BILLING,
    MAILERS,
    NEWS,
    ORDERS,
    OUTSIDE_A_DAY,
    SPEED,
)

SIMULATOR = f"""\
speed = {SPEED}
keep_content = true

[listen]
submission = "127.0.0.1:0"
mx = ""
high_volume = ""
authority = "127.0.0.1:0"

[limits]
messages = {A_MINUTE}
messages_mode = "refuse"      # what comes too fast gets 432, so that none goes unseen
recipients = {A_DAY}
external_recipients = {OUTSIDE_A_DAY}
"""
MAILBOX = """
[[mailbox]]
address = "{address}"
send_as = [{send_as}]
"""
RELAY = """\
[relay]
hostname = "relay.contoso.example"

[spool]
path = "spool"

[[listener]]
address = "127.0.0.1:0"

[console]
address = "127.0.0.1:0"

# From here on as `m365-relay simulate` prints it. Times are by the clock of this machine:
# {speed} seconds of the tenant pass in one, so its minute is {minute_s:g} s and its day {day_s:g} s.
# The limits of a day and a minute of our own clock would hold besides: they are put out of the way.

"""


def simulator_toml() -> str:
    """A tenant with four mailboxes: three of a pool, and one that still may send as another."""
    granted = {each: (NEWS, ACCOUNTS) for each in MAILERS} | {ORDERS: (BILLING,)}
    return SIMULATOR + "".join(
        MAILBOX.format(address=address, send_as=", ".join(f'"{each}"' for each in send_as))
        for address, send_as in granted.items()
    )


def relay_toml(route: str) -> str:
    """`route` as the simulator prints it."""
    return RELAY.format(speed=SPEED, minute_s=60 / SPEED, day_s=86_400 / SPEED) + route
