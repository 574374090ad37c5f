"""How much is sent over loopback, by process: packets are counted as they arrive. Needs root."""

import collections
import os
import socket
import struct
import time

ETH_P_IP = 0x0800
ETHERNET_BYTES = 14
IP_BYTES = 20
SO_RCVBUFFORCE = 33


def ports_of(pid):
    """The (address, port) of the process's IPv4 sockets."""
    links = (os.readlink(link.path) for link in os.scandir(f"/proc/{pid}/fd"))
    inodes = {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "udp"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for row in file:
                words = row.split()
                if words[9] in inodes:
                    address, port = words[1].split(":")
                    number = struct.pack("=I", int(address, 16))
                    found.add((socket.inet_ntoa(number), int(port, 16)))
    return found


class Wire:
    """Everything that arrives over loopback from now on, in IPv4."""

    def __init__(self, buffer_bytes=4 << 20):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
        self.socket.bind(("lo", ETH_P_IP))

    def next(self, seconds):
        """One packet: its sender (address, port) and its bytes with IP, UDP and TCP headers; None
        when none comes in time."""
        self.socket.settimeout(seconds)
        while True:
            try:
                packet, about = self.socket.recvfrom(256)
            except (TimeoutError, BlockingIOError):
                return None
            if about[2] == socket.PACKET_HOST and len(packet) >= ETHERNET_BYTES + IP_BYTES + 4:
                header = packet[ETHERNET_BYTES:]
                size, = struct.unpack("!H", header[2:4])
                at = (header[0] & 15) * 4
                port, = struct.unpack("!H", header[at:at + 2])
                return (socket.inet_ntoa(header[12:16]), port), size

    def queued(self):
        """What has come and was not taken yet."""
        while packet := self.next(0):
            yield packet

    def close(self):
        self.socket.close()


def capture(seconds):
    """(address, port) of the sender -> bytes; and the seconds."""
    sent = collections.Counter()
    wire = Wire()
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if packet := wire.next(0.1):
            sent[packet[0]] += packet[1]
    wire.close()
    return sent, time.monotonic() - start


def bytes_by_pid(pids, seconds):
    """pid -> bytes a second. None: what none of them owns any more, such as closed connections."""
    owners = {port: pid for pid in pids for port in ports_of(pid)}
    sent, took = capture(seconds)
    owners.update((port, pid) for pid in pids for port in ports_of(pid))
    rates = collections.Counter()
    for port, count in sent.items():
        rates[owners.get(port)] += count / took
    return rates
