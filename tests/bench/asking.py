"""Clients that ask over and over on one socket, and what to make of the answers."""

import socket
import struct
import time

from demo import Failed

A, SRV = 1, 33


class Dns:
    """One question to one server."""

    def __init__(self, server, port, name, kind):
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        self.kind, self.number = kind, 0
        self.question = struct.pack("!5H", 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.socket.connect((server, port))

    def close(self):
        self.socket.close()

    def ask(self):
        """The ports of an SRV answer, the addresses of another one; empty when there are none."""
        self.number = (self.number + 1) & 0xffff
        number = struct.pack("!H", self.number)
        self.socket.send(number + self.question)
        reply = self.socket.recv(4096)
        while reply[:2] != number:
            reply = self.socket.recv(4096)
        return self.found(reply)

    def found(self, reply):
        count, at, found = struct.unpack("!H", reply[6:8])[0], len(self.question) + 2, set()
        for _ in range(count):
            while reply[at] and reply[at] < 192:
                at += 1 + reply[at]
            at += 2 if reply[at] else 1
            kind, _, _, size = struct.unpack("!HHIH", reply[at:at + 10])
            data = reply[at + 10:at + 10 + size]
            if kind == self.kind:
                found.add(struct.unpack("!H", data[4:6])[0] if kind == SRV else data)
            at += 10 + size
        return found


class Http:
    """One request over a kept connection."""

    def __init__(self, address, port, host):
        self.address = (address, port)
        self.request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self.socket, self.rest = None, b""

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket, self.rest = None, b""

    def read(self, enough):
        while not enough(self.rest):
            more = self.socket.recv(65536)
            if not more:
                raise Failed(f"nginx {self.address} closed in the middle of an answer")
            self.rest += more

    def ask(self):
        """The status."""
        if not self.socket:
            self.socket = socket.create_connection(self.address, 2)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(self.request)
        self.read(lambda rest: b"\r\n\r\n" in rest)
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        head = head.lower()
        size = int(head.split(b"content-length:")[1].split()[0])
        self.read(lambda rest: len(rest) >= size)
        self.rest = self.rest[size:]
        if b"connection: close" in head:
            self.close()
        return int(head.split()[1])


def race(asks, start, seconds=30, pause=0.0):
    """Asks each in turn until its answer is as wished. Seconds from `start` to the end of that
    answer, so what is told is at most one turn too long and never too short; and the turns."""
    took, turns = {}, 0
    while len(took) < len(asks):
        turns += 1
        for what, ask in asks.items():
            if what not in took and ask():
                took[what] = time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise Failed(f"not within {seconds} s: {sorted(set(asks) - set(took))}")
        if pause:
            time.sleep(pause)
    return took, turns
