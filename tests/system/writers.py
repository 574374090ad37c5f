"""Writers and readers of one log, and who claims names, on a cluster under faults, through the command
line; what they did is a history for history.py."""

import json
import random
import subprocess
import threading
import time

from cluster import ENVIRONMENT, HIVEMIND, until
from history import Append, Claim, Read, check, check_names

ATTEMPT_S = 4
OPERATION_S = 20


def run(node, group, verb, *arguments, data="", timeout=ATTEMPT_S):
    """None: no answer in time."""
    try:
        return subprocess.run([str(HIVEMIND), group, verb, *map(str, arguments)],
                              env={**ENVIRONMENT, "HIVEMIND_SOCKET": str(node.socket)},
                              capture_output=True, text=True, timeout=timeout, input=data,
                              check=False)
    except subprocess.TimeoutExpired:
        return None


def log(node, verb, *arguments, **more):
    return run(node, "log", verb, *arguments, **more)


def entries_of(done):
    items = [json.loads(line) for line in done.stdout.splitlines()]
    return [(item["index"], item["data"]) for item in items]


class Clients:
    """Some threads that work on a cluster, and rest when they are told to."""

    def __init__(self, nodes, seed, works):
        self.nodes = nodes
        self.history = []
        self.acknowledged = 0  # highest index
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.going = threading.Event()
        self.idle = [threading.Event() for _ in works]
        self.threads = [threading.Thread(target=work, args=(i, random.Random(seed + i)), daemon=True)
                        for i, work in enumerate(works)]
        for thread in self.threads:
            thread.start()

    def go(self):
        for event in self.idle:
            event.clear()
        self.going.set()

    def rest(self):
        """All operations have ended, answered or not."""
        self.going.clear()
        for event in self.idle:
            assert event.wait(OPERATION_S + 2 * ATTEMPT_S), "an operation does not end"

    def until_done(self, count):
        """So many operations more have been begun."""
        enough = len(self.history) + count
        until(f"{count} operations", lambda: len(self.history) >= enough, 3 * OPERATION_S)

    def close(self):
        self.ended.set()
        self.going.set()
        for thread in self.threads:
            thread.join(OPERATION_S + 2 * ATTEMPT_S)

    def _turn(self, number):
        """Waits while the workload rests; False: it is over."""
        if not self.going.is_set():
            self.idle[number].set()
            self.going.wait()
        return not self.ended.is_set()


class Workload(Clients):
    """Writers and a reader of one log."""

    def __init__(self, name, nodes, seed, writers=3):
        self.name = name
        super().__init__(nodes, seed, [self._write] * writers + [self._read])

    def verdict(self, field):
        return check(self.history, field.copies(self.history))

    def _write(self, number, rng):
        session, seq, count = None, 0, 0
        while self._turn(number):
            if session is None:
                done = log(rng.choice(self.nodes), "session")
                session, seq = (done.stdout.strip(), 0) if done and done.returncode == 0 else \
                    (None, 0)
                continue
            seq += 1
            count += 1
            # Some are so large that segments fill and go, and now and then there is a snapshot.
            size = rng.choice([0, 0, 0, 0, rng.randrange(200000)])
            if rng.random() < 0.03:
                log(rng.choice(self.nodes), "snapshot", self.name)
            op = Append(f"w{number}-{count}" + "." * size, time.monotonic())
            with self.lock:
                self.history.append(op)
            if not self._append(op, session, seq, rng):
                session = None

    def _append(self, op, session, seq, rng):
        """False: another session is needed."""
        while time.monotonic() < op.start + OPERATION_S and not self.ended.is_set():
            done = log(rng.choice(self.nodes), "append", self.name, "-", "--session", session, "--seq",
                       seq, data=op.value)
            if done and done.returncode == 0:
                with self.lock:
                    op.end, op.index = time.monotonic(), int(done.stdout) or None
                    self.acknowledged = max(self.acknowledged, op.index or 0)
                return True
            if done and done.returncode == 1 and "session" in done.stderr:
                return False
            self.ended.wait(0.02)
        return True

    def _read(self, number, rng):
        while self._turn(number):
            start, first = time.monotonic(), max(1, self.acknowledged - 3)
            done = log(rng.choice(self.nodes), "read", self.name, "--from", first, "--format", "json")
            end = time.monotonic()
            if done and done.returncode == 3 and "ends at" in done.stderr:
                entries = []
            elif done and done.returncode == 0:
                entries = entries_of(done)
            else:
                self.ended.wait(0.02)
                continue
            with self.lock:
                self.history.append(Read(start, end, entries,
                                         entries[-1][0] if entries else first - 1))


class Claimants(Clients):
    """Some who want the same names, give them up, and look whose they are."""

    CLAIMS = 24  # to one name, before it is left to whom it belongs

    def __init__(self, nodes, seed, claimants=4):
        super().__init__(nodes, seed, [self._claim] * claimants)

    def verdict(self, field):
        """Every node is asked for the last names: what was answered must be there."""
        for name in sorted({claim.name for claim in self.history[-100:]}):
            for node in field.nodes:
                until(f"{node.name} says whose {name} is", lambda n=node, m=name: self._do(
                    Claim("check", m, "", time.monotonic()), n), 40)
        return check_names(self.history)

    def _claim(self, number, rng):
        while self._turn(number):
            verb = rng.choice(["register", "register", "release", "check"])
            name = f"n{len(self.history) // self.CLAIMS}"
            if not self._do(Claim(verb, name, "" if verb == "check" else f"owner{number}",
                                  time.monotonic()), rng.choice(self.nodes)):
                self.ended.wait(0.02)

    def _do(self, claim, node):
        """False: not answered."""
        with self.lock:
            self.history.append(claim)
        owner = ["--owner", claim.owner] if claim.owner else []
        done = run(node, "names", claim.verb, claim.name, *owner)
        code = done.returncode if done else None
        text = done.stdout.strip() if done else ""
        told = {("register", 0): "yes", ("release", 0): "yes", ("release", 3): "no",
                ("check", 0): text, ("check", 3): ""}
        if code == 1 and "belongs to" in done.stderr:
            told[(claim.verb, 1)] = "no"
        if (claim.verb, code) not in told:
            return False
        with self.lock:
            claim.answer, claim.end = told[(claim.verb, code)], time.monotonic()
            self.acknowledged += 1
        return True
