"""A name server on this machine: UDP and TCP on one port, records as a test says."""

import socket
import socketserver
import struct
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

BIND_TRIES = 20


class NameServer:
    """Answers TXT and MX, and CNAME in front of them; a name it does not know is NXDOMAIN."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        """Name to records, each as in a zone file: `"v=DKIM1; " "p="`."""
        self.exchanges: dict[str, list[str]] = {}
        """Domain to MX records, each as in a zone file: `"10 mx.example.com."`."""
        self.ttl = 60
        self.questions: list[str] = []
        """Names asked for, in order; over TCP and UDP alike."""
        self.aliases: dict[str, str] = {}
        self.is_broken = False
        """Answer SERVFAIL."""
        self.is_silent = False
        self._udp, self._tcp = _bind_both(self)
        self._threads = [
            threading.Thread(target=each.serve_forever, args=(0.01,)) for each in (self._udp, self._tcp)
        ]

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._udp.socket.getsockname()
        return host, port

    @property
    def option(self) -> str:
        """For `--resolver`."""
        return "{}:{}".format(*self.address)

    def publish(self, name: str, value: str) -> None:
        """One TXT record, cut into strings as a provider does it."""
        strings = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
        self.texts.setdefault(name, []).append(strings or '""')

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server, thread in zip((self._udp, self._tcp), self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(10)

    def answer(self, wire: bytes, *, over_udp: bool) -> bytes | None:
        """The reply to one query; too long for UDP, it says so and holds nothing."""
        if self.is_silent:
            return None
        query = dns.message.from_wire(wire)
        self.questions.append(query.question[0].name.to_text(omit_final_dot=True))
        reply = dns.message.make_response(query, recursion_available=True)
        if self.is_broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        self._fill(reply, query.question[0].name, query.question[0].rdtype)
        data = reply.to_wire(max_size=65_535)
        if over_udp and len(data) > max(query.payload, 512):
            reply.answer = []
            reply.flags |= dns.flags.TC
            data = reply.to_wire()
        return data

    def _fill(self, reply: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        plain = name.to_text(omit_final_dot=True).lower()
        for _ in range(10):
            if plain not in self.aliases:
                break
            target = self.aliases[plain]
            reply.answer.append(dns.rrset.from_text(f"{plain}.", self.ttl, "IN", "CNAME", f"{target}."))
            plain = target
        known = {dns.rdatatype.TXT: self.texts, dns.rdatatype.MX: self.exchanges}
        records = known[kind].get(plain) if kind in known else None
        if records:
            reply.answer.append(dns.rrset.from_text(f"{plain}.", self.ttl, "IN", kind, *records))
        elif not any(plain in names for names in known.values()):
            reply.set_rcode(dns.rcode.NXDOMAIN)


def _bind_both(server: NameServer) -> tuple[socketserver.UDPServer, socketserver.TCPServer]:
    for _ in range(BIND_TRIES):
        tcp = _Tcp(("127.0.0.1", 0), _TcpSession)
        try:
            udp = _Udp(tcp.server_address[:2], _UdpSession)
        except OSError:  # The port of the one is taken for the other.
            tcp.server_close()
            continue
        tcp.names = udp.names = server
        return udp, tcp
    raise RuntimeError("no port is free for both UDP and TCP")


class _Udp(socketserver.UDPServer):
    names: NameServer


class _Tcp(socketserver.TCPServer):
    names: NameServer


class _UdpSession(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, line = self.request
        assert isinstance(line, socket.socket)
        reply = self.server.names.answer(wire, over_udp=True)
        if reply is not None:
            line.sendto(reply, self.client_address)


class _TcpSession(socketserver.StreamRequestHandler):
    server: _Tcp
    timeout = 5

    def handle(self) -> None:
        (length,) = struct.unpack("!H", self.rfile.read(2))
        reply = self.server.names.answer(self.rfile.read(length), over_udp=False)
        if reply is not None:
            self.wfile.write(struct.pack("!H", len(reply)) + reply)
