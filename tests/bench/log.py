"""How fast the replicated log is beside etcd: three nodes of each on this machine, their data on the
same disk, clients connected to the leader. Rounds alternate between the two; what is told is the
median of the rounds."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from demo import Failed
from figures import Figures, percentile
from own_log import Hivemind
from peer_etcd import Etcd
from processes import busy_percent, cpu_seconds, worst_mib

NAMES_MEASURE = "names register, 64 clients"
# measure: our verb (None: there is no such command), etcd's verb, clients, goals. A goal of the rate
# is in times of etcd's; so are those of times, where the machine sets the absolute numbers.
MEASURES = {
    "1 writer": ("append", "put", 1, {"p50": 0.45}),
    "64 writers": ("append", "put", 64, {"rate": 7}),
    "256 writers": ("append", "put", 256, {"rate": 9, "p99": 0.07}),
    NAMES_MEASURE: ("register", "create", 64, {"rate": 10}),
    "linearizable read, 64 clients": ("read", "get", 64, {"rate": 13}),
}
GAP_VERBS = ("append", "put")
GAP_GOAL_S = 0.15
RSS_GOAL_MIB = 10 * 1000 * 1000 / (1 << 20)
# Clients share a few connections: measured with 1 to 8, etcd is equally fast; with one connection a
# client it is slower by a third.
CONNECTIONS = 4
WARM_UP_S = 0.5
GAP_SECONDS = 5
KILL_AFTER_S = 1.0
PROBE_SECONDS = 1.0
VALUE_BYTES = 200


def progress(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


# ---- load ----

def command_of(side, verb, clients, seconds, run, *more):
    return [side.generator, verb, "--clients", str(clients),
            "--connections", str(min(clients, CONNECTIONS)), "--warm-up", str(WARM_UP_S),
            "--seconds", str(seconds), "--bytes", str(VALUE_BYTES), "--run", run, *more,
            *side.targets(verb)]


def outcome(side, done, said):
    if done.returncode:
        raise Failed(f"{side.name}: {pathlib.Path(done.args[0]).name} ended with {done.returncode}")
    found = json.loads(said)
    if found["failures"]:
        raise Failed(f"{side.name}: {found['failures']} of {found['all_answers']} answers were "
                     "failures")
    return found


def load(side, verb, clients, seconds, run):
    """What the generator found, with the processor time of all nodes for each answer."""
    command = command_of(side, verb, clients, seconds, run)
    before = cpu_seconds(side.pids())
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    spent = cpu_seconds(side.pids()) - before
    found = outcome(side, done, done.stdout)
    found["cpu_us"] = spent * 1e6 / found["all_answers"]
    found["client_percent"] = found["client_cpu_s"] * 100 / (seconds + WARM_UP_S)
    return found


def gap(side, verb, run):
    """Seconds without an answer for one writer whose leader is killed."""
    command = command_of(side, verb, 1, GAP_SECONDS, run, "--failover")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        time.sleep(WARM_UP_S + KILL_AFTER_S)
        dead = side.kill_leader()
        said, _ = writer.communicate()
    found = outcome(side, subprocess.CompletedProcess(command, writer.returncode), said)
    side.start(dead)
    side.settled()
    return found["gap_ms"] / 1000


# ---- the disk below both ----

def probe(directory, is_append):
    """Writes of a value a second, each with fdatasync, at the end of a file or over what is there."""
    path = directory / "probe"
    value, count = b"p" * VALUE_BYTES, 0
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    if not is_append:
        os.pwrite(file, bytes(8 << 20), 0)
    os.fsync(file)
    start = time.monotonic()
    while time.monotonic() - start < PROBE_SECONDS:
        os.pwrite(file, value, count * VALUE_BYTES % (8 << 20))
        os.fdatasync(file)
        count += 1
    took = time.monotonic() - start
    os.close(file)
    path.unlink()
    return count / took


# ---- rows ----

def median(results, key):
    return percentile([one[key] for one in results], 50) if results else None


def add_measure(figures, name, goals, ours, peers):
    def add(what, key, unit, scale=1.0, more=False):
        value, peer = median(ours, key), median(peers, key)
        figures.add(f"{name}: {what}", None if value is None else value * scale, unit, None, "etcd",
                    peer * scale, goals.get(what), more)
    add("rate", "rate", "/s", more=True)
    add("p50", "p50_us", "ms", 1e-3)
    add("p99", "p99_us", "ms", 1e-3)
    add("CPU of all nodes an operation", "cpu_us", "us")


def throughput(sides, figures, options):
    results = {name: ([], []) for name in MEASURES}
    before_names = None
    for number in range(options.rounds):
        for name, (*verbs, clients, _) in MEASURES.items():
            if name == NAMES_MEASURE and before_names is None:
                before_names = memory(sides, figures, "after appends alone", RSS_GOAL_MIB)
            for side, verb, found in zip(sides, verbs, results[name]):
                if verb:
                    progress(f"round {number + 1} of {options.rounds}, {side.name}: {name}")
                    found.append(load(side, verb, clients, options.seconds, f"round-{number}"))
    for name, (*_, goals) in MEASURES.items():
        add_measure(figures, name, goals, *results[name])
    grown = memory(sides, figures, "after all that", RSS_GOAL_MIB) - before_names
    names = sum(one["all_answers"] for one in results[NAMES_MEASURE][0])
    figures.add(f"of that each of {names} names", grown * (1 << 20) / names, "B")
    return [max((one["client_percent"] for found in results.values() for one in found[i]),
                default=None) for i in (0, 1)]


def memory(sides, figures, when, goal=None):
    """Returns our RSS."""
    ours, peers = (worst_mib(side.pids()) for side in sides)
    for what, here, there in zip(("RSS", "PSS"), ours, peers):
        figures.add(f"{what} a member, {when}", here, "MiB", goal if what == "RSS" else None, "etcd",
                    there)
    return ours[0]


def gaps(sides, figures, rounds):
    found = ([], [])
    for number in range(rounds):
        for side, verb, took in zip(sides, GAP_VERBS, found):
            if verb:
                progress(f"leader lost {number + 1} of {rounds}, {side.name}")
                took.append(gap(side, verb, f"gap-{number}"))
    for what, percent in (("median", 50), ("worst", 100)):
        values = [percentile(took, percent) if took else None for took in found]
        figures.add(f"leader killed: longest gap of one writer, {what}", values[0], "s",
                    GAP_GOAL_S if percent == 50 else None, "etcd", values[1])


# ---- all of it ----

def measure(sides, figures, options):
    progress("three nodes of each")
    for side in sides:
        side.bring_up()
    memory(sides, figures, "fresh")
    busiest = throughput(sides, figures, options)
    gaps(sides, figures, options.rounds)
    return busiest


def explain(busy, disk, busiest):
    used = ", ".join(f"{percent:.0f}% of one beside {name}" for name, percent in
                     zip(("hivemind", "etcd"), busiest) if percent is not None)
    return f"""
{os.cpu_count()} processors, {busy:.0f}% busy before this began; the load generators, which share them, took at
most {used}. Values of {VALUE_BYTES} bytes; each client waits for its answer before it asks again; up to
{CONNECTIONS} connections, all to the leader; all nodes and clients are on this machine and this loopback. The
idle cluster of the other stays up meanwhile. etcd: Debian's, default configuration. Disk, one writer:
append and fdatasync {disk[0]:.0f}/s, overwrite and fdatasync {disk[1]:.0f}/s. A writer whose leader is killed
goes on at the next node, after 20 ms of silence or at once when it is refused. Each of the 64 clients
that register names is the owner of all of its names, a text of 200 bytes.
A row without a value: there is no such command yet."""


def main():
    parser = argparse.ArgumentParser(prog="bench log", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="that count, of each load")
    parser.add_argument("--build", default="build", help="where programs are; data goes below it")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    build = pathlib.Path(options.build).resolve()
    figures, busy = Figures(), busy_percent()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bench-log-", dir=build))
    sides = []
    try:
        disk = [probe(directory, is_append) for is_append in (True, False)]
        sides.append(Hivemind(directory, build))
        sides.append(Etcd(directory, build))
        busiest = measure(sides, figures, options)
    except (Failed, OSError, subprocess.SubprocessError) as failed:
        print(f"bench log: could not measure: {failed}", file=sys.stderr)
        return 1
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(figures.table())
    print(explain(busy, disk, busiest))
    if options.json:
        figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
