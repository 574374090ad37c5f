"""Three etcd members on loopback, with their default configuration."""

import json
import os
import socket
import subprocess
import urllib.request

from demo import Failed, until

MEMBERS = (1, 2, 3)
CLIENT_PORT, PEER_PORT = 2379, 2380


def free_net():
    """A loopback network on which nobody listens at etcd's port."""
    for third in range(1, 255):
        net = f"127.78.{third}."
        try:
            with socket.socket() as probe:
                probe.bind((net + "1", PEER_PORT))
            return net
        except OSError:
            continue
    raise Failed("no free loopback network under 127.78.0.0/16")


class Etcd:
    name = "etcd"

    def __init__(self, directory, build):
        self.dir = directory
        self.generator = build / "tests" / "bench" / "load_etcd"
        self.net = free_net()
        self.processes = {}

    def bring_up(self):
        for number in MEMBERS:
            self.start(number, "new")
        self.settled()

    def url(self, number, port):
        return f"http://{self.net}{number}:{port}"

    def start(self, number, state="existing"):
        peer, client = self.url(number, PEER_PORT), self.url(number, CLIENT_PORT)
        cluster = ",".join(f"m{n}={self.url(n, PEER_PORT)}" for n in MEMBERS)
        command = ["etcd", f"--name=m{number}", f"--data-dir={self.dir / f'etcd-{number}'}",
                   f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                   f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
                   f"--initial-cluster={cluster}", f"--initial-cluster-state={state}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD_")}
        with open(self.dir / f"etcd-{number}.log", "a", encoding="utf-8") as log:
            self.processes[number] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.dir,
                                                      stdin=subprocess.DEVNULL, env=environment)

    def status(self, number):
        """Maintenance.Status of a member, through its gateway for JSON; None while it has none."""
        question = urllib.request.Request(
            self.url(number, CLIENT_PORT) + "/v3/maintenance/status", b"{}")
        try:
            with urllib.request.urlopen(question, timeout=1) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def leader(self):
        """Its number, once all that run agree; else None."""
        found = set()
        for number in self.processes:
            status = self.status(number) or {}
            if not status.get("leader"):
                return None
            if status["leader"] == status["header"]["member_id"]:
                found.add(number)
        return found.pop() if len(found) == 1 else None

    def settled(self):
        until("three etcd members with a leader",
              lambda: len(self.processes) == len(MEMBERS) and self.leader())

    def targets(self, _verb):
        """Where the generator connects: the leader, then the others."""
        first, _ = until("a leader of etcd", self.leader)
        return [f"{self.net}{n}:{CLIENT_PORT}" for n in sorted(MEMBERS, key=lambda n: n != first)]

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def kill_leader(self):
        """Returns what `start` needs to bring it back."""
        number = self.leader()
        process = self.processes.pop(number)
        process.kill()
        process.wait()
        return number

    def stop(self):
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
