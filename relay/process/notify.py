"""Words to systemd: sd_notify(3) over the socket it names.

Without NOTIFY_SOCKET nothing is sent. A message that cannot be sent is dropped:
systemd has its own deadlines.
"""

import contextlib
import socket
import time
from collections.abc import Mapping


class Notifier:
    """The service manager, if there is one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for an abstract socket (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Mail is accepted."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """A new configuration is being read; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The relay drains."""
        self._send("STOPPING=1\nSTATUS=Draining")

    def watchdog(self) -> None:
        """The relay lives: sent every second, whatever WatchdogSec= asks for."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify,
        ):
            notify.sendto(message.encode(), self._address)
