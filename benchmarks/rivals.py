"""The relays under test, each started in a folder of its own and ended by its process id.

All relay every mail to one port of this machine, from a durable queue.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import tools
from relay.identity.dkim_new_key import KeyKind, create_key

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 45.0


@dataclass(frozen=True, slots=True)
class Running:
    """A relay at work: its top process, where it listens, and where its metrics are if it has any."""

    pid: int
    port: int
    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Pem:
    """For runs with TLS: chain and key of both the relay and the sink in one file, and who signed them."""

    both: Path
    authority: Path


# ------------------------------------------------------------------------------------------ ours

CONFIGURATION = """\
[relay]
hostname = "relay.load.example"
{receivers}
[spool]
path = "{folder}/spool"

[[listener]]
address = "127.0.0.1:0"
{listener_tls}
[[route]]
name = "sink"
host = "127.0.0.1"
port = {sink}
connections = 20
{route_tls}
[console]
address = "127.0.0.1:0"
"""


DKIM = {
    "rsa2048": (KeyKind.RSA2048,),
    "ed25519": (KeyKind.ED25519,),
    "both": (KeyKind.RSA2048, KeyKind.ED25519),
}
"""Ways to sign, and their keys."""


def _dkim(folder: Path, kinds: tuple[KeyKind, ...]) -> str:
    """The section that signs what the source sends, with new keys."""
    section = f'\n[[dkim]]\ndomain = "{tools.AUTHOR_DOMAIN}"\n'
    for kind in kinds:
        key = folder / f"{kind.value}.pem"
        create_key(key, kind)
        section += f'\n[[dkim.selector]]\nname = "{kind.value}"\nkey_file = "{key}"\n'
    return section


class _Line(msgspec.Struct):
    event: str
    listeners: tuple[str, ...] = ()
    detail: str = ""


@contextmanager
def m365_relay(
    folder: Path,
    sink: int,
    pem: Pem | None,
    receivers: int = 0,
    dkim: str = "",
    *,
    listener: str = "",
    route: str = 'tls = "none"\n',
    rest: str = "",
) -> Iterator[Running]:
    """This project's relay, as installed beside the Python that runs this; `dkim` is a key of DKIM or empty.

    `listener`, `route` and `rest` are further lines of the configuration.
    """
    if pem is not None:
        listener = f'tls = "starttls"\ncertificate = "{pem.both}"\nkey = "{pem.both}"\n'
        route = f'tls = "required"\nca_file = "{pem.authority}"\n'
    config = folder / "relay.toml"
    config.write_text(
        CONFIGURATION.format(
            folder=folder,
            sink=sink,
            receivers=f"receivers = {receivers}\n" if receivers else "",
            listener_tls=listener,
            route_tls=route,
        )
        + (_dkim(folder, DKIM[dkim]) if dkim else "")
        + rest
    )
    log = folder / "relay.log"
    command = [sys.executable, "-m", "relay.cli.main", "serve", "--config", str(config)]
    with open(log, "wb") as log_file, subprocess.Popen(command, stderr=log_file) as process:
        try:
            listens, metrics = _ready(process, log)
            yield Running(process.pid, int(listens.rpartition(":")[2]), metrics)
        finally:
            _stop(process)


def _ready(process: "subprocess.Popen[bytes]", log: Path) -> tuple[str, str]:
    end = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < end:
        lines = log.read_bytes().rpartition(b"\n")[0].splitlines()
        events = [msgspec.json.decode(line, type=_Line) for line in lines]
        listener = next((each.listeners[0] for each in events if each.event == "ready"), "")
        metrics = next((each.detail for each in events if each.detail.startswith("http")), "")
        if listener and metrics:
            return listener, metrics
        time.sleep(0.02)
    raise RuntimeError(f"the relay did not get ready: {log.read_text()[-2000:]}")


def commits(running: Running) -> float:
    """Durable commits so far; processes write their counts once a second."""
    if not running.metrics:
        return 0.0
    time.sleep(1.2)
    with urllib.request.urlopen(running.metrics, timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("m365_relay_commit_seconds_count"):
                return float(line.split()[-1])
    return 0.0


# --------------------------------------------------------------------------------------- Postfix

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = /
myhostname = relay.load.example
mydestination =
local_recipient_maps =
local_transport = error:no mail is local
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
smtpd_relay_restrictions = permit_mynetworks, reject
message_size_limit = 157286400
"""
TUNED = """\
in_flow_delay = 0
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
max_use = 10000
initial_destination_concurrency = 20
default_destination_concurrency_limit = 50
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
"""
"""What Postfix's TUNING_README and QSHAPE_README advise, as far as it does not slow it down on two cores."""
TLS = """\
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {certificate}
smtp_tls_security_level = encrypt
smtpd_tls_session_cache_database = btree:${{data_directory}}/smtpd_scache
smtp_tls_session_cache_database = btree:${{data_directory}}/smtp_scache
"""
TUNED_TLS = "smtp_tls_connection_reuse = yes\n"
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
tlsproxy unix - - n - 0 tlsproxy
"""


@contextmanager
def postfix(folder: Path, sink: int, pem: Pem | None, *, tuned: bool) -> Iterator[Running]:
    """Debian's Postfix with a queue, a configuration and a port of its own; needs root, as Postfix does."""
    port = _free_port()
    for name in ("etc", "spool", "data"):
        (folder / name).mkdir()
    owner = pwd.getpwnam("postfix")
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    main = MAIN_CF.format(folder=folder, sink=sink) + (TUNED if tuned else "")
    if pem is not None:
        main += TLS.format(certificate=pem.both) + (TUNED_TLS if tuned else "")
    (folder / "etc" / "main.cf").write_text(main)
    (folder / "etc" / "master.cf").write_text(MASTER_CF.format(port=port))
    for name in ("postfix-files", "dynamicmaps.cf"):
        shutil.copy(f"/etc/postfix/{name}", folder / "etc" / name)
    command = ["postfix", "-c", str(folder / "etc")]
    with (
        open(folder / "postfix.log", "wb") as log,
        subprocess.Popen([*command, "start-fg"], stdout=log, stderr=log) as shell,
    ):
        try:
            tools.wait_until_open(port)
            yield Running(int((folder / "spool" / "pid" / "master.pid").read_text()), port)
        finally:
            # The shell that `start-fg` leaves behind ends with the master, and not the other way round.
            subprocess.run([*command, "stop"], stdout=log, stderr=log, check=False, timeout=STOP_WITHIN_S)
            shell.wait(STOP_WITHIN_S)


def has_postfix() -> str:
    """Empty, or why Postfix cannot run here."""
    if os.geteuid() != 0:
        return "Postfix starts as root only"
    if not Path("/usr/lib/postfix/sbin/master").exists():
        return "Postfix is not installed (Debian: postfix)"
    return ""


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
