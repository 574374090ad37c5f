#!/usr/bin/env python3
"""A cluster of real processes under kill -9, pauses, partitions, power cuts and full disks, with
writers, readers and claimants of names all the time: what was acknowledged is there, once, in one
order on every node, and all of it is linearizable. And the harness itself: a build without fsync does not pass."""

import contextlib
import json
import os
import random
import re
import signal
import sys
import time

import places
import power
from cluster import Cluster, free_ports, until
from history import Append, check
from writers import Claimants, Workload, entries_of, log

SECONDS = float(os.environ.get("HIVEMIND_FAULTS_SECONDS", "30"))
SEED = int(os.environ.get("HIVEMIND_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
LIBRARY = os.environ.get("HIVEMIND_POWER")
NAME = "audit"
NODES = 3
DISK_MIB = 96


def short(wrong):
    """Values may be long."""
    return [re.sub(r"\.{10,}", "..", sentence)[:4000] for sentence in wrong[:10]]


class Field:
    """Three control nodes with one log, each at its place and on its disk."""

    def __init__(self, stack, barred, roles="control"):
        self.cluster = stack.enter_context(Cluster())
        self.net = None
        self.disks = []
        if not barred:
            self.net = places.Net(NODES)
            stack.callback(self.net.close)
        ports = free_ports(NODES) if barred else [9610] * NODES
        hosts = [place.address for place in self.net.places] if self.net else ["127.0.0.1"] * NODES
        joins = ", ".join(f"{host}:{port}" for host, port in zip(hosts, ports))
        self.nodes = []
        for i in range(NODES):
            root = self.cluster.dir / f"disk{i}"
            if self.net:
                self.disks.append(places.Disk(root, DISK_MIB))
                stack.callback(self.disks[i].close)
            else:
                root.mkdir()
            text = f"join: [{joins}]\n" + ("control: {bootstrap: true}\n" if i == 0 else "")
            node = self.cluster.add(f"c{i}", ports[i], roles, text, host=hosts[i],
                                    data=root / "data")
            node.inside = self.net.places[i].inside if self.net else []
            self.nodes.append(node)
        self.env = {node: power.environment(LIBRARY, node.data) for node in self.nodes}
        self.stopped = []
        # Last in, first out: they end before the disks go.
        stack.callback(lambda: [node.kill() for node in self.nodes if node.alive()])

    def start(self, node):
        node.start(self.env[node])

    def begin(self, *options):
        for node in self.nodes:
            self.start(node)
        for node in self.nodes:
            until(f"{node.name} is healthy", node.is_healthy, 40)
        until("three vote", lambda: self.nodes[0].facts().get("control.voters") == "3")
        until("there is a log", lambda: log(self.nodes[0], "create", NAME, *options)
              .returncode in (0, 1))

    def kill(self, nodes, rng=None, kept=None):
        for node in nodes:
            node.kill()
        if rng:
            for node in nodes:
                print(f"     {node.name}: {power.cut(node.data, rng, kept)}", flush=True)

    def leader(self):
        """Of the event log, if anybody knows it; else anybody."""
        named = {node.name: node for node in self.nodes}
        told = [node.leader() for node in self.nodes if node.alive()]
        return next((named[name] for name in told if name in named), self.nodes[0])

    def heal(self):
        if self.net:
            self.net.heal()
        for disk in self.disks:
            disk.free()
        for node in self.stopped:
            node.signal(signal.SIGCONT)
        self.stopped.clear()
        for node in self.nodes:
            if node.process.poll() is None:
                continue
            assert node.process.returncode == -signal.SIGKILL, \
                f"{node.name} ended by itself with {node.process.returncode}"
            self.start(node)

    def copies(self, history, seconds=40):
        """What each node has, when all have the same; the log must take entries for that."""
        value, start = f"end-{time.monotonic_ns()}", time.monotonic()
        session = log(self.nodes[0], "session", timeout=10).stdout.strip()
        node = iter(range(10 ** 6))

        def append():
            done = log(self.nodes[next(node) % NODES], "append", NAME, value, "--session", session,
                       "--seq", 1)
            return done and done.returncode == 0 and done.stdout.strip()
        index = int(until("the log takes entries again", append, seconds))
        history.append(Append(value, start, time.monotonic(), index or None))
        copies = {}
        for one in self.nodes:
            def read(one=one):
                done = log(one, "read", NAME, "--local", "--format", "json", timeout=20)
                found = entries_of(done) if done and done.returncode == 0 else []
                return found if any(entry[1] == value for entry in found) else None
            copies[one.name] = until(f"{one.name} has caught up", read, 40)
        return copies


def registrars(node):
    """How many vote in the log of role names."""
    done = log(node, "members", "role.names", "--format", "json")
    told = json.loads(done.stdout) if done and done.returncode == 0 else []
    return sum("voter" in one["state"] or one["state"] == "leader" for one in told)


# ---- faults; each happens while the writers write, and is healed afterwards ----

def kill_one(field, rng):
    field.kill([rng.choice(field.nodes)])


def kill_leader(field, _):
    field.kill([field.leader()])


def kill_all(field, _):
    field.kill(field.nodes)


def power_one(field, rng):
    field.kill([rng.choice(field.nodes)], rng)


def power_all(field, rng):
    field.kill(field.nodes, rng)


def pause(field, rng):
    node = rng.choice([rng.choice(field.nodes), field.leader()])
    node.signal(signal.SIGSTOP)
    field.stopped.append(node)


def isolate(field, rng):
    one = rng.randrange(NODES)
    others = [other for other in range(NODES) if other != one]
    field.net.cut([(one, other) for other in others] + [(other, one) for other in others])


def one_way(field, rng):
    one, other = rng.sample(range(NODES), 2)
    field.net.cut([(one, other)])


def deaf(field, rng):
    one = rng.randrange(NODES)
    field.net.cut([(other, one) for other in range(NODES) if other != one])


def full_leader(field, _):
    field.disks[field.nodes.index(field.leader())].fill()


def full_follower(field, rng):
    leader = field.nodes.index(field.leader())
    field.disks[(leader + rng.randrange(1, NODES)) % NODES].fill()


def full_all(field, _):
    for disk in field.disks:
        disk.fill()


ANYWHERE = [kill_one, kill_leader, kill_all, power_one, power_all, power_all, pause]
IN_PLACES = [isolate, one_way, deaf, full_leader, full_follower, full_all]


def rounds(field, work, rng, faults, seconds):
    end = time.monotonic() + seconds
    number = 0
    work.go()
    bag = []
    while time.monotonic() < end:
        number += 1
        bag = bag or rng.sample(faults, len(faults))
        fault = bag.pop()
        work.until_done(rng.randrange(1, 12))  # the fault comes at any moment of the work
        print(f"round {number}: {fault.__name__}", flush=True)
        fault(field, rng)
        work.ended.wait(rng.uniform(0.0, 1.5))  # as long as this fault lasts
        field.heal()
        if rng.random() < 0.3:
            continue  # the next one comes before all is well
        work.rest()
        wrong = work.verdict(field)
        assert not wrong, f"seed {SEED}, round {number}, {fault.__name__}: {short(wrong)}"
        work.go()
    work.rest()
    wrong = work.verdict(field)
    assert not wrong, f"seed {SEED}: {short(wrong)}"
    return number


def test_rounds():
    barred = places.enter()
    rng = random.Random(SEED)
    if barred:
        print(f"no partitions and no full disks: namespaces are not permitted here ({barred})")
    with contextlib.ExitStack() as stack:
        field = Field(stack, barred)
        field.begin()
        work = Workload(NAME, field.nodes, SEED)
        stack.callback(work.close)
        number = rounds(field, work, rng, ANYWHERE + ([] if barred else IN_PLACES), SECONDS)
        done = sum(isinstance(op, Append) and op.end is not None for op in work.history)
        print(f"seed {SEED}: {number} rounds, {done} appends acknowledged, "
              f"{len(work.history) - done} other operations")
        assert done > number, "hardly anything was appended"


def test_names():
    barred = places.enter()
    rng = random.Random(SEED)
    with contextlib.ExitStack() as stack:
        field = Field(stack, barred, "control, names")
        field.begin()
        until("names are kept by three", lambda: registrars(field.nodes[0]) == 3)
        work = Claimants(field.nodes, SEED)
        stack.callback(work.close)
        number = rounds(field, work, rng, ANYWHERE + ([] if barred else IN_PLACES), SECONDS / 2)
        print(f"seed {SEED}: {number} rounds, {work.acknowledged} claims answered, "
              f"{len(work.history) - work.acknowledged} not")
        assert work.acknowledged > number, "hardly anything was answered"


def fill_up(field, victims, work):
    """Large appends until the disks of these nodes are full and say so; some are acknowledged."""
    for disk in victims:
        field.disks[disk].fill()
    full = [field.nodes[disk] for disk in victims]

    def told():
        for number in range(4):
            op = Append(f"{time.monotonic_ns()}-{number}-" + "x" * 300000, time.monotonic())
            work.append(op)
            done = log(field.nodes[number % NODES], "append", NAME, "-", data=op.value, timeout=10)
            if done and done.returncode == 0:
                op.end, op.index = time.monotonic(), int(done.stdout) or None
        texts = [node.ask("status") for node in full]
        assert all(node.alive() for node in field.nodes), "a full disk has ended a node"
        return all(text.returncode == 1 and "no space left" in text.stdout for text in texts)
    until("the full disks are told", told, 60)


def test_full_disks():
    barred = places.enter()
    if barred:
        print(f"skipped: no small disks: namespaces are not permitted here ({barred})")
        return
    with contextlib.ExitStack() as stack:
        field = Field(stack, barred)
        field.env = {node: {} for node in field.nodes}  # the disks fill up, not power.c's
        field.begin("--keep-bytes", 8 << 20)
        history = []
        for case in ("a follower", "the leader", "all"):
            leader = field.nodes.index(field.leader())
            victims = {"a follower": [(leader + 1) % NODES], "the leader": [leader],
                       "all": list(range(NODES))}[case]
            print(f"full: {case}", flush=True)
            before = len(history)
            fill_up(field, victims, history)
            acknowledged = sum(op.end is not None for op in history[before:])
            if case != "all":
                assert acknowledged, f"with {case} full nothing is committed"
            field.heal()
            for node in field.nodes:
                until(f"{node.name} is healthy again", node.is_healthy, 40)
            wrong = check(history, field.copies(history))
            assert not wrong, f"{case}: {short(wrong)}"
            print(f"     {acknowledged} large appends acknowledged, all are there")


def test_a_build_without_fsync_is_caught():
    barred = places.enter()
    with contextlib.ExitStack() as stack:
        field = Field(stack, barred)
        field.begin()
        work = Workload(NAME, field.nodes, SEED)
        stack.callback(work.close)
        work.go()
        until("something is acknowledged", lambda: work.acknowledged > 3)
        work.rest()
        assert not check(work.history, field.copies(work.history))
        for node in field.nodes:
            power.lie(node.data)
        safe = work.acknowledged
        work.go()
        until("more is acknowledged", lambda: work.acknowledged > safe + 5)
        field.kill(field.nodes, random.Random(SEED), 0.0)
        work.rest()
        field.heal()
        wrong = check(work.history, field.copies(work.history))
        print(f"caught: {short(wrong)}")
        assert any("was acknowledged at" in sentence for sentence in wrong)


if __name__ == "__main__":
    from cluster import main
    if not LIBRARY:
        sys.exit("HIVEMIND_POWER names no library")
    main()
