#!/usr/bin/env python3
"""What a stranger may send to a running node: garbage, frames of the cluster that were changed or
are sent again, halves of everything; on the node's port, its control socket and its DNS port. It
must stay up and small, go on answering, and count what it dropped. Every round is drawn from a seed."""

import contextlib
import pathlib
import random
import selectors
import signal
import socket
import struct
import sys
import threading

import cluster as system
from dnsquery import A, ask

DATAGRAMS = 10000  # a round, to each port
STREAMS = 150      # a round, to each port and socket
HELD_MAX = 12      # halves that are left open through a round
GROWTH_MAX_KIB = 4 << 10
# Freed memory goes back at once, so that growth is the node's own.
system.ENVIRONMENT["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=16"


class Proxy:
    """Passes connections on to a node, and keeps what those who connect send."""

    def __init__(self, port, to):
        self.streams = []
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.pump, args=(client,), daemon=True).start()

    def pump(self, client):
        kept = bytearray()
        self.streams.append(kept)
        with contextlib.suppress(OSError), client, selectors.DefaultSelector() as ready, \
                socket.create_connection(("127.0.0.1", self.to)) as server:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    if key.fileobj is client:
                        kept += data
                    key.data.sendall(data)

    def close(self):
        self.listener.close()


def eavesdrop(cluster, node, port, proxy_port):
    """What the node and another one really say: datagrams of the node, streams of the other."""
    other_port = system.free_ports(1)[0]
    proxy = Proxy(proxy_port, port)
    other = cluster.add("other", other_port, "host", f"join: ['127.0.0.1:{proxy_port}']\n").start()
    system.until("the other one is ready", other.is_healthy)
    system.until("it is a member", lambda: "other" in node.members())
    other.kill()
    proxy.close()
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", other_port))
        listener.settimeout(system.DEADLINE_S)
        frames = [listener.recv(4096) for _ in range(3)]
    streams = [bytes(stream) for stream in proxy.streams if len(stream) > 64]
    assert streams, "the other one joined without a stream"
    return frames, streams


def mutated(draw, data):
    data = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        kind = draw.randrange(4)
        at = draw.randrange(len(data) + 1)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = draw.randbytes(draw.choice((1, 2, 8, 300)))
        elif at < len(data):
            data[at] = draw.choice((0, 1, 0x7f, 0x80, 0xc0, 0xff))
    return bytes(data)


def bad(draw, samples, most=1500):
    """Garbage, or something real that was changed, or is only repeated."""
    kind = draw.randrange(8)
    if kind < 2:
        return draw.randbytes(draw.randrange(most))
    if kind == 2:
        return draw.choice(samples)
    if kind == 3:  # starts as it should
        return draw.choice(samples)[:draw.choice((1, 2, 5, 13, 24, 27))] + draw.randbytes(
            draw.randrange(most))
    return mutated(draw, draw.choice(samples))


def send_datagrams(draw, port, samples):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        for _ in range(DATAGRAMS):
            with contextlib.suppress(OSError):
                sock.send(bad(draw, samples))
            with contextlib.suppress(OSError):
                sock.recv(4096)


def send_streams(draw, connect, samples):
    """Some are left open half way, so that the node has to hold them."""
    with contextlib.ExitStack() as held:
        for i in range(STREAMS):
            sock = held.enter_context(connect()) if i % (STREAMS // HELD_MAX) == 0 else connect()
            sock.settimeout(system.DEADLINE_S)
            with contextlib.suppress(OSError):
                sock.sendall(bad(draw, samples, 20000))
                if i % 3 == 0:
                    sock.shutdown(socket.SHUT_WR)
            if i % (STREAMS // HELD_MAX):
                sock.close()


def connect_tcp(port):
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=system.DEADLINE_S)


def connect_unix(path):
    def connect():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(system.DEADLINE_S)
        sock.connect(str(path))
        return sock
    return connect


def dns_queries():
    """Real questions, one with EDNS."""
    head = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0)
    name = b"\3web\4demo\4test\0"
    edns = head[:10] + b"\0\1" + name + b"\0\1\0\1" + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    return [head + name + b"\0\1\0\1", head + b"\4_web\4_tcp\4demo\4test\0" + b"\0\x21\0\1",
            head + b"\1a\xc0\x0c" + b"\0\1\0\1", edns]


def commands():
    """Frames of the control socket: a length, then kind, length and body of a message."""
    return [struct.pack("<I", len(body)) + body for body in (
        b"\x51\x08" + b"\7" + bytes(7), b"\x53\x0a" + bytes(10), b"\x55\x02\0\0", b"\x57\x04\0\0\0\0",
        b"\x5a\x20" + bytes(32), b"\xff\xff\xff\xff", b"\x51\xff\xff\xff\x7f")]


def resident_kib(node):
    for line in pathlib.Path(f"/proc/{node.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def answers(dns, over):
    reply = ask(("127.0.0.1", dns), "web.demo.test", A, over)
    return reply and reply[0] == 0 and [(kind, data) for kind, _, data in reply[1]] == [
        (A, b"\x7f\0\0\1")]


def round_of_everything(draw, node, ports, frames, streams):
    port, dns = ports
    queries = dns_queries()
    framed = [struct.pack("!H", len(query)) + query for query in queries]
    for what in (lambda: send_datagrams(draw, port, frames),
                 lambda: send_streams(draw, connect_tcp(port), streams),
                 lambda: send_streams(draw, connect_unix(node.socket), commands()),
                 lambda: send_datagrams(draw, dns, queries),
                 lambda: send_streams(draw, connect_tcp(dns), framed)):
        what()
        system.until("it is healthy", node.is_healthy)
        for tcp in (False, True):
            system.until("it answers", lambda over=tcp: answers(dns, over))


def test_hostile():
    draw = random.Random(9610)
    with system.Cluster() as cluster:
        port, dns, web, proxy = system.free_ports(4)
        node = cluster.add("one", port, "control, dns, host", f"""
control: {{bootstrap: true}}
services: [{{name: web, port: {web}}}]
dns:
  listen: ["127.0.0.1:{dns}"]
  zones: [{{name: demo.test, nameservers: {{ns1: 127.0.0.1}}}}]
""").start()
        system.until("the node is healthy", node.is_healthy)
        frames, streams = eavesdrop(cluster, node, port, proxy)
        round_of_everything(draw, node, (port, dns), frames, streams)
        warm = resident_kib(node)
        for _ in range(2):
            round_of_everything(draw, node, (port, dns), frames, streams)
        grown = resident_kib(node) - warm
        print(f"resident: {warm} KiB after a round, {grown} KiB more after two more")
        assert grown < GROWTH_MAX_KIB, f"grown by {grown} KiB"
        facts = node.facts()
        for fact in ("net.unsealed", "net.replayed", "net.malformed", "socket.malformed",
                     "dns.dropped", "dns.formerr", "dropped"):
            print(f"{fact}: {facts[fact]}")
            assert int(facts[fact]) > 0, f"{fact} was not counted"
        node.signal(signal.SIGTERM)
        assert node.wait() == 0


def test_torn_tail():
    """A write that power cut short is cut off, said so, and nothing before it is lost."""
    with system.Cluster() as cluster:
        port, = system.free_ports(1)
        node = cluster.add("one", port, "control, host", "control: {bootstrap: true}\n").start()
        system.until("it is healthy", node.is_healthy)
        assert node.ask("announce", "web", 8001).returncode == 0
        node.kill()
        journal = sorted(node.data.glob("journal-*"))[-1]
        whole = journal.read_bytes()
        end = len(whole.rstrip(b"\0"))
        journal.write_bytes(whole[:end] + b"\x40\0\0\0half of a record"[:len(whole) - end] +
                            whole[end + 20:])
        node.start()
        system.until("it is healthy again", node.is_healthy)
        assert node.logged('msg="journal recovered"'), node.log.read_text()
        # Healthy is the node; what it announced comes back with its own log a moment later.
        system.until("it serves what it did",
                     lambda: node.ask("services", "web").returncode == 0)
        assert node.stop() == 0

if __name__ == "__main__":
    sys.exit(system.main())
