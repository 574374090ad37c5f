"""How much is sent over loopback, by process: packets are counted as they arrive. Needs root."""

import collections
import os
import socket
import struct
import time

ETH_P_IP = 0x0800
ETHERNET_BYTES = 14
IP_BYTES = 20


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


def capture(seconds):
    """(address, port) of the sender -> bytes with IP, UDP and TCP headers; and the seconds."""
    sent = collections.Counter()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP)) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        wire.bind(("lo", ETH_P_IP))
        wire.settimeout(0.1)
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            try:
                packet, about = wire.recvfrom(256)
            except TimeoutError:
                continue
            if about[2] == socket.PACKET_HOST and len(packet) >= ETHERNET_BYTES + IP_BYTES:
                header = packet[ETHERNET_BYTES:]
                size, = struct.unpack("!H", header[2:4])
                at = (header[0] & 15) * 4
                port, = struct.unpack("!H", header[at:at + 2])
                sent[socket.inet_ntoa(header[12:16]), port] += size
        took = time.monotonic() - start
    return sent, took


def bytes_by_pid(pids, seconds):
    """pid -> bytes a second. None: what none of them owns any more, such as closed connections."""
    owners = {port: pid for pid in pids for port in ports_of(pid)}
    sent, took = capture(seconds)
    owners.update((port, pid) for pid in pids for port in ports_of(pid))
    rates = collections.Counter()
    for port, count in sent.items():
        rates[owners.get(port)] += count / took
    return rates
