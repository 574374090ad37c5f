"""Real nodes for tests: free ports, daemons by pid, conditions with deadlines. A test is a function
test_NAME(); main() runs all, or those named on the command line, and prints what went wrong."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

DEADLINE_S = 20
BUILD = pathlib.Path(os.environ.get("HIVEMIND_BUILD", "build")).resolve()
HIVEMIND = BUILD / "bin" / "hivemind"
ENVIRONMENT = {"UBSAN_OPTIONS": "halt_on_error=1",
               "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}


def until(what, check, seconds=DEADLINE_S):
    """Asks until it is true; returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        assert time.monotonic() < end, f"not within {seconds} s: {what} (last: {result!r})"
        time.sleep(0.02)


def free_ports(count):
    """Ports that UDP and TCP are free at on 127.0.0.1; held together so that they differ."""
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < count:
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.bind(("127.0.0.1", 0))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                ports.append(tcp.getsockname()[1])
        return ports


def hivemind(*arguments, env=None, timeout=30):
    """Runs a command to its end."""
    return subprocess.run([str(HIVEMIND), *map(str, arguments)], env={**ENVIRONMENT, **(env or {})},
                          capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          check=False)


class Node:
    def __init__(self, cluster, name, port, roles, text, host="127.0.0.1", data=None):
        self.cluster, self.name, self.port = cluster, name, port
        self.dir = cluster.dir / name
        self.dir.mkdir()
        self.file = self.dir / "node.yaml"
        self.data = data or cluster.dir / f"{name}.data"
        self.inside = []  # a command that runs the node somewhere
        self.socket = cluster.dir / f"{name}.sock"
        self.log = cluster.dir / f"{name}.log"
        self.process = None
        self.text = (f"key: {cluster.key}\nname: {name}\nroles: [{roles}]\n"
                     f"advertise: {host}:{port}\ndata: {self.data}\nsocket: {self.socket}\n{text}")
        self.file.write_text(self.text)

    def start(self, env=None):
        with self.log.open("a") as log:
            self.process = subprocess.Popen([*self.inside, str(HIVEMIND), "run", "-c", str(self.file)], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            env={**ENVIRONMENT, **(env or {})})
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self, seconds=DEADLINE_S):
        return self.process.wait(seconds)

    def stop(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def logged(self, text):
        return self.log.exists() and text in self.log.read_text()

    def ask(self, command, *arguments):
        return hivemind(*command.split(), "--socket", self.socket, *arguments)

    def json(self, command, *arguments):
        """What the command prints; None when it fails."""
        done = self.ask(command, *arguments, "--format", "json")
        return json.loads(done.stdout) if done.stdout else None

    def is_healthy(self):
        assert self.alive(), f"{self.name} ended with {self.process.poll()}"
        return self.ask("status").returncode == 0

    def members(self):
        told = self.json("members", "--all")
        return sorted(m["name"] for m in told["members"]) if told else []

    def leader(self):
        told = self.json("status")
        return told and told["facts"].get("control.leader")

    def facts(self):
        told = self.json("status")
        return told["facts"] if told else {}


class Cluster:
    """Ends what it started, removes its directory; when a test fails, shows the logs first."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hm-test-"))
        self.key = self.dir / "key"
        self.nodes = {}
        done = hivemind("keygen", "-o", self.key)
        assert done.returncode == 0, done.stderr

    def add(self, name, port, roles, text="", **where):
        node = Node(self, name, port, roles, text, **where)
        self.nodes[name] = node
        return node

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for node in self.nodes.values():
            if node.alive():
                node.kill()
        for node in self.nodes.values():
            text = node.log.read_text() if node.log.exists() else ""
            broken = "Sanitizer" in text or "runtime error" in text
            if kind or broken:
                print(f"---- {node.name}\n{text[-6000:]}", file=sys.stderr)
            kind = kind or (AssertionError if broken else None)
        shutil.rmtree(self.dir, ignore_errors=True)
        assert value or not kind, "a sanitizer spoke"


def main():
    tests = {name: value for name, value in sys.modules["__main__"].__dict__.items()
             if name.startswith("test_")}
    failed = 0
    for name in sys.argv[1:] or tests:
        start = time.monotonic()
        try:
            tests[name]()
            verdict = "ok  "
        except Exception:  # every test is run
            traceback.print_exc()
            failed += 1
            verdict = "FAIL"
        print(f"{verdict} {name} {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(failed > 0)
