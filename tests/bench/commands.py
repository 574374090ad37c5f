"""Commands to a node over one connection to its control socket, as the CLI sends them: a length and
one message of core/wire/messages.def."""

import socket
import struct

ANSWER, ANNOUNCE, WITHDRAW, CHANGE_REPORT = 80, 90, 91, 93
LOG_CREATE, LOG_LIST, LOG_LISTED = 96, 98, 99


class Refused(Exception):
    """The node answered, but not with what was asked for."""


def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def name(text):
    return bytes([len(text)]) + text.encode()


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text(self):
        return self.take(self.varint()).decode()

    def name(self):
        return self.take(self.take(1)[0]).decode()


class Control:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.call = 0

    def close(self):
        self.socket.close()

    def send(self, kind, body):
        self.call += 1
        body = varint(self.call) + body
        message = varint(kind) + varint(len(body)) + body
        self.socket.sendall(struct.pack("<I", len(message)) + message)

    def announce(self, service, port, vhost, timeout_ms=10000):
        vhosts = varint(1) + varint(len(vhost)) + vhost.encode()
        self.send(ANNOUNCE, name(service) + varint(port) + varint(0) + varint(0) + vhosts +
                  varint(0) + varint(timeout_ms))

    def withdraw(self, service, timeout_ms=10000):
        self.send(WITHDRAW, name(service) + varint(0) + varint(timeout_ms))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise Refused("the node closed the connection")
            data += more
        return data

    def reported(self):
        """Waits for the change report: committed, and served by all. Returns its event's index."""
        return self.answered(CHANGE_REPORT).varint()

    def answered(self, wanted):
        """Waits for the answer, which is of this kind; what follows its reason."""
        size, = struct.unpack("<I", self.exactly(4))
        reader = Reader(self.exactly(size))
        kind = reader.varint()
        reader.varint()
        call, status, reason = reader.varint(), reader.varint(), reader.text()
        if kind not in (ANSWER, wanted) or call != self.call:
            raise Refused(f"message {kind} of call {call} where {self.call} was asked")
        if kind != wanted or status:
            raise Refused(f"status {status}: {reason}")
        return reader

    def create_log(self, log):
        self.send(LOG_CREATE, name(log) + varint(0) + varint(0))
        self.answered(ANSWER)

    def leader_of_log(self, log):
        """As this node knows; empty: nobody leads it, or there is none of that name."""
        self.send(LOG_LIST, b"")
        reader = self.answered(LOG_LISTED)
        for _ in range(reader.varint()):
            found = reader.name()
            reader.varint()
            leader = reader.name()
            for _ in range(6):
                reader.varint()
            if found == log:
                return leader
        return ""
