"""Questions to a DNS server, one at a time; a server is an address and a port."""

import os
import socket
import struct

A, NS, SOA, SRV = 1, 2, 6, 33
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def ask(server, name, kind, tcp=False):
    """The code and the (type, TTL, data) of an answer's records; None: no answer."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    query = os.urandom(2) + struct.pack("!5H", 0x100, 1, 0, 0, 0) + labels + struct.pack("!2H", kind, 1)
    try:
        with socket.socket(type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect(server)
            sock.sendall(struct.pack("!H", len(query)) + query if tcp else query)
            reply = sock.recv(4096)
    except OSError:
        return None
    reply = reply[2:] if tcp else reply
    assert reply[:2] == query[:2], "the answer to another question"
    at, records = len(query), []
    for _ in range(struct.unpack("!H", reply[6:8])[0]):
        while reply[at] and reply[at] < 192:
            at += 1 + reply[at]
        at += 2 if reply[at] else 1
        found, _, ttl, size = struct.unpack("!HHIH", reply[at:at + 10])
        records.append((found, ttl, reply[at + 10:at + 10 + size]))
        at += 10 + size
    return reply[3] & 15, records


def serial(server, zone):
    """The serial of a zone; None: no answer, or none with an SOA."""
    reply = ask(server, zone, SOA)
    found = [data for kind, _, data in reply[1] if kind == SOA] if reply else []
    return struct.unpack("!I", found[0][-20:-16])[0] if found else None


def ttl(server, name, kind=A):
    """The TTL of a name's records; None: it has none."""
    reply = ask(server, name, kind)
    found = {seconds for found, seconds, _ in reply[1] if found == kind} if reply else set()
    assert len(found) < 2, found
    return found.pop() if found else None
