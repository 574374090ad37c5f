"""Writers and readers of one log on a cluster under faults, through the command line; what they did
is a history for history.py."""

import json
import random
import subprocess
import threading
import time

from cluster import ENVIRONMENT, HIVEMIND, until
from history import Append, Read

ATTEMPT_S = 4
OPERATION_S = 20


def log(node, verb, *arguments, data="", timeout=ATTEMPT_S):
    """None: no answer in time."""
    try:
        return subprocess.run([str(HIVEMIND), "log", verb, *map(str, arguments)],
                              env={**ENVIRONMENT, "HIVEMIND_SOCKET": str(node.socket)},
                              capture_output=True, text=True, timeout=timeout, input=data,
                              check=False)
    except subprocess.TimeoutExpired:
        return None


def entries_of(done):
    items = [json.loads(line) for line in done.stdout.splitlines()]
    return [(item["index"], item["data"]) for item in items]


class Workload:
    def __init__(self, name, nodes, seed, writers=3):
        self.name, self.nodes = name, nodes
        self.history = []
        self.acknowledged = 0  # highest index
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.going = threading.Event()
        self.idle = [threading.Event() for _ in range(writers + 1)]
        self.threads = [threading.Thread(target=self._write, args=(i, random.Random(seed + i)))
                        for i in range(writers)]
        self.threads.append(threading.Thread(target=self._read, args=(writers,
                                                                      random.Random(seed - 1))))
        for thread in self.threads:
            thread.daemon = True
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
            time.sleep(0.02)
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
                time.sleep(0.02)
                continue
            with self.lock:
                self.history.append(Read(start, end, entries,
                                         entries[-1][0] if entries else first - 1))
