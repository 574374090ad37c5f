#!/usr/bin/env python3
"""Resolvers that forward a zone to a node with role dns, set up by what README.md says of them: its
stanzas are read from there, only addresses, the zone and paths become those of the test."""

import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import cluster as system
from dnsquery import A, NOERROR, NXDOMAIN, SRV, ask

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
ADDRESS, ZONE = "10.0.0.11", "corp.internal"  # of README.md
SKIPPED = 77  # what meson takes for it
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def stanza(forwarder, server, zone):
    """The stanza of README.md for a server, its port in this forwarder's way of writing."""
    found = re.findall(rf"```{forwarder}\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(found) == 1, f"README.md has {len(found)} stanzas for {forwarder}"
    assert ADDRESS in found[0] and ZONE in found[0], found[0]
    return found[0].replace(ADDRESS, server).replace(ZONE, zone)


def addresses(server, name, tcp=False):
    reply = ask(server, name, A, tcp)
    return reply and {socket.inet_ntoa(data) for kind, _, data in reply[1] if kind == A}


class Forwarder:
    """A forwarder's process on `port`, of loopback unless another host is said, in a directory of
    its own."""

    def __init__(self, command, text, port, directory, host="127.0.0.1"):
        self.server = (host, port)
        self.log = directory / "log"
        (directory / "conf").write_text(text)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd=directory)

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        return ask(self.server, "localhost", A)

    def stop(self):
        self.process.terminate()
        self.process.wait(system.DEADLINE_S)


def unbound(server, port, directory):
    """It validates, as Debian's does, and reaches nothing but loopback: the root's key is only there
    to show that the stanza exempts the zone."""
    host, server_port = server
    program = shutil.which("unbound", path=PATH)
    text = f"""
server:
    interface: 127.0.0.1
    port: {port}
    outgoing-interface: 127.0.0.1
    chroot: ""
    username: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    module-config: "validator iterator"
    trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
remote-control:
    control-enable: no
{stanza("unbound", f"{host}@{server_port}", "demo.test")}"""
    return program and Forwarder([program, "-d", "-c", "conf"], text, port, directory)


def dnsmasq(server, port, directory):
    host, server_port = server
    program = shutil.which("dnsmasq", path=PATH)
    text = f"""
port={port}
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
address=/localhost/127.0.0.1
pid-file
{"user=root" if os.geteuid() == 0 else ""}
{stanza("dnsmasq", f"{host}#{server_port}", "demo.test")}"""
    return program and Forwarder([program, "--keep-in-foreground", "--conf-file=conf"], text, port,
                                 directory)


def check(forwarder, zone, node, backends):
    server = forwarder.server
    web = f"web.{zone}"
    system.until("it answers", forwarder.answers)
    system.until("the service, through it", lambda: addresses(server, web) == {"127.0.0.1"})
    assert addresses(server, web, tcp=True) == {"127.0.0.1"}
    code, records = ask(server, f"_web._tcp.{zone}", SRV)
    assert code == NOERROR and [data[4:6] for kind, _, data in records if kind == SRV] == [
        struct.pack("!H", backends[0])], records
    assert ask(server, f"nothing.{zone}", A)[0] == NXDOMAIN
    # What was asked for in vain is there when it comes, and gone when it goes.
    name = f"late.{zone}"
    assert ask(server, name, A)[0] == NXDOMAIN
    done = node.ask("announce", "late", backends[1])
    assert done.returncode == 0, done.stderr
    system.until("a new service", lambda: addresses(server, name) == {"127.0.0.1"})
    done = node.ask("withdraw", "late")
    assert done.returncode == 0, done.stderr
    system.until("it is withdrawn", lambda: (ask(server, name, A) or (0,))[0] == NXDOMAIN)


def start_node(cluster, port, listen, zone, web):
    """One node of every kind, whose service forwarders ask for; TTLs as short as they can be."""
    node = cluster.add("one", port, "control, dns, host", f"""
control: {{bootstrap: true}}
services: [{{name: web, port: {web}}}]
dns:
  listen: ["{listen}"]
  zones:
    - name: {zone}
      nameservers: {{ns1: 127.0.0.1}}
      ttl: {{service: 1s, negative: 1s}}
""").start()
    system.until("the node is healthy", node.is_healthy)
    return node


def main():
    start = {"unbound": unbound, "dnsmasq": dnsmasq}
    tested = 0
    with system.Cluster() as cluster:
        port, dns, web, late, *ports = system.free_ports(4 + len(start))
        node = start_node(cluster, port, f"127.0.0.1:{dns}", "demo.test", web)
        for (name, start_one), port in zip(start.items(), ports):
            directory = pathlib.Path(tempfile.mkdtemp(dir=cluster.dir))
            forwarder = start_one(("127.0.0.1", dns), port, directory)
            if not forwarder:
                print(f"skipped {name}: not installed, or it cannot run here", flush=True)
                continue
            try:
                check(forwarder, "demo.test", node, (web, late))
            except BaseException:
                print(f"---- {name}\n{forwarder.log.read_text()[-4000:]}", file=sys.stderr)
                raise
            finally:
                forwarder.stop()
            print(f"ok   {name}", flush=True)
            tested += 1
        assert node.stop() == 0
    return 0 if tested else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
