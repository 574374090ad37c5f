"""How a cluster of many nodes comes together, what it costs when nothing happens and how fast it
learns, beside serf: real processes on one loopback, in a network of their own. `--count N` is our
side alone, with that many: how fast they join."""

import argparse
import base64
import heapq
import os
import pathlib
import random
import resource
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

from demo import Failed
from figures import Figures, percentile
from own_members import FIRST, Hivemind, name_of
from peer_serf import Serf
from processes import busy_percent, cpu_seconds, memory_kib
from traffic import Wire, capture, ports_of
from voices import Unheard

SIZES = "10,50,100"
COUNT_MAX = 2000
CALM_S, IDLE_S = 10, 15
WARM_UP = 20       # events: by then links that bring nothing new are quiet
EVENT_S = 5        # an event that is not everywhere by then is lost
DATA_BYTES = 400   # of an event; nothing that is sent without one is so large and goes by itself
STALL_S = 0.6      # a node that is silent for longer than about 1.3 s is gone
STALLING_S = 20

GOALS = {  # of our side: the same at every size, save where a size is named
    "joined": ("s", {100: 0.5}), "rss": ("MiB", 3), "pss": ("MiB", 0.7), "idle": ("B/s", 200),
    "lost": ("events", 0), "unmeasured": ("accidents", 0),
    "killed": ("s", 0.25), "silent": ("s", 2), "false": ("nodes", 0), "event": ("ms", {100: 60}),
    "payloads": ("", {100: 1.1})}
NAMES = {
    "joined": "joined, each knows of all", "rss": "RSS a node", "pss": "PSS a node",
    "idle": "sent when idle, a node (from IP up)",
    "idle_first": "the same, one of the first three (control plane)",
    "killed": "killed to known gone by all, median", "killed_worst": "the same, worst",
    "silent": "silent to known gone by all, median", "silent_worst": "the same, worst",
    "false": "declared gone while a third of the nodes stall",
    "event": "event to all, median", "event_worst": "the same, worst",
    "lost": "events that did not reach all in 5 s",
    "unmeasured": "accidents not seen by all, not in these times",
    "payloads": "packets with an event's data, a node"}
UNITS = {"lost": "events", "unmeasured": "accidents", "idle_first": "B/s", "killed_worst": "s", "silent_worst": "s", "event_worst": "ms"}


def progress(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


# ---- one measure each; `side` is a cluster of either kind ----

def join(side, count):
    """Seconds from the start of the first of the others until all know of each other."""
    new = range(FIRST + 1, count + 1)
    side.start_first()
    start = time.monotonic()
    for number in new:
        side.start(number)
        side.voices.listen(0)  # the first say a lot about the others: nobody is to wait for us
    started = time.monotonic() - start
    side.wait_whole(count, new)
    return time.monotonic() - start, started


def memory(side):
    sizes = [memory_kib(side.voices.pid(n)) for n in side.numbers() if n > FIRST]
    return [statistics.mean(one[i] for one in sizes) / 1024 for i in (0, 1)]


def idle(side):
    """Bytes a second that a node sends: one of the others, one of the first (ours: the control plane,
    whose log has its heartbeat). Nothing else uses this network."""
    first = set().union(*(ports_of(side.voices.pid(n)) for n in range(1, FIRST + 1)))
    sent, took = capture(IDLE_S)
    by_first = sum(count for port, count in sent.items() if port in first)
    return ((sum(sent.values()) - by_first) / took / (len(side.numbers()) - FIRST),
            by_first / took / FIRST)


def random_text(size):
    return base64.b64encode(random.randbytes(size))[:size].decode()


def events(side, rounds, own_network):
    """Milliseconds from before the command to the last node of each that came to all, how often its
    data is sent, and how many did not come to all."""
    took, payloads, lost, data = [], [], 0, random_text(DATA_BYTES)
    for number in range(WARM_UP + 2 * rounds):
        timed = number < WARM_UP + rounds  # the others are counted
        wire = None if timed or not own_network else Wire(256 << 20)
        side.voices.forget()
        start = time.monotonic()
        side.emit(f"bench-{number}", data, random.choice(side.numbers()))
        try:
            side.wait_event(f"bench-{number}", EVENT_S)
            if timed and number >= WARM_UP:
                took.append((time.monotonic() - start) * 1000)
        except Unheard:
            lost += 1
        side.voices.listen_for(0.3)  # copies that are late; and the next does not catch up with it
        if wire:
            payloads.append(sum(size >= DATA_BYTES for _, size in wire.queued()))
            wire.close()
    return took, statistics.median(payloads) / len(side.numbers()) if payloads else None, lost


def dies(side, number, how):
    """Seconds until all others have removed it; None: not all have, or not all have it in again. A
    stopped process is silent: nothing refuses what is sent to it, as when the machine loses its
    power."""
    others = [other for other in side.numbers() if other != number]
    side.voices.listen_for(random.uniform(1, 2))
    side.voices.forget()
    start = time.monotonic()
    side.voices.send(number, how)
    took = None
    try:
        side.wait_failed(number, others)
        took = time.monotonic() - start
    except Unheard as unheard:
        progress(f"{side.name}: {unheard}")
    side.voices.end(number)
    side.voices.forget()
    side.start(number)
    try:
        side.wait_joined(number, others)
    except Unheard as unheard:
        progress(f"{side.name}: {unheard}")
        took = None
    return took


def deaths(side, count, rounds, how):
    """The seconds of those that all have seen, and how many others there were."""
    victims = [FIRST + 1 + i % (count - FIRST) for i in range(rounds)]
    took = [dies(side, number, how) for number in victims]
    seen = [seconds for seconds in took if seconds is not None]
    return seen, len(took) - len(seen)


def middle_and_worst(values):
    """None, where nothing was reached in time."""
    return (percentile(values, 50), max(values)) if values else (None, None)


def stalls(side):
    """Every third node, one of the control plane among them, stands still again and again. How many
    were declared gone."""
    side.voices.forget()
    end = time.monotonic() + STALLING_S
    turns = [(time.monotonic() + random.uniform(0, 2 * STALL_S), number, False)
             for number in side.numbers() if number % 3 == 0]
    heapq.heapify(turns)
    while turns:
        at, number, stopped = heapq.heappop(turns)
        side.voices.listen_for(at - time.monotonic())
        side.voices.send(number, signal.SIGCONT if stopped else signal.SIGSTOP)
        pause = random.uniform(0.7, 1.3) * STALL_S if stopped else STALL_S
        if not stopped or at + pause < end:
            heapq.heappush(turns, (at + pause, number, not stopped))
    side.voices.listen_for(5)
    return len(side.failed())


# ---- a size, on both sides ----

def measure_side(side, count, options, found):
    progress(f"{side.name}, {count}: joins")
    found["joined"], _ = join(side, count)
    progress(f"{side.name}, {count}: events")
    took, found["payloads"], found["lost"] = events(side, options.rounds, options.own_network)
    found["event"], found["event_worst"] = middle_and_worst(took)
    progress(f"{side.name}, {count}: idle")
    side.voices.listen_for(CALM_S)
    found["idle"], found["idle_first"] = idle(side) if options.own_network else (None, None)
    found["rss"], found["pss"] = memory(side)
    found["unmeasured"] = 0
    for what, how in (("silent", signal.SIGSTOP), ("killed", signal.SIGKILL)):
        progress(f"{side.name}, {count}: {options.rounds} of them {what}")
        took, others = deaths(side, count, options.rounds, how)
        found[what], found[f"{what}_worst"] = middle_and_worst(took)
        found["unmeasured"] += others
    progress(f"{side.name}, {count}: a third stalls")
    found["false"] = stalls(side)


def measured(side, count, options):
    """Of a peer as much as it reached: that it does not come together is no reason to end this."""
    found = {}
    try:
        measure_side(side, count, options, found)
    except Unheard as unheard:
        if isinstance(side, Hivemind):
            raise
        progress(f"{side.name}, {count}: {unheard}")
    finally:
        side.stop()
    return found


def compare(figures, sizes, options):
    found = {}
    for count in sizes:
        own = found[count] = measured(Hivemind(options.build, count), count, options)
        peer = {} if options.alone else measured(Serf(), count, options)
        for key, name in NAMES.items():
            unit, goal = GOALS.get(key, (UNITS.get(key), None))
            goal = goal.get(count) if isinstance(goal, dict) else goal
            if own.get(key) is not None:
                figures.add(f"{count}: {name}", own[key], unit, goal, None if options.alone else "serf",
                            peer.get(key))
    first, last = sizes[0], sizes[-1]
    if first != last and options.own_network:
        figures.add(f"sent when idle, {last} nodes over {first}",
                    found[last]["idle"] / found[first]["idle"], "times", 1.05)


# ---- many of ours ----

def start_alone_ms(side):
    """What the start of a process costs before it speaks to anybody: reading its configuration and
    its modules, as check-config does."""
    rounds = 50
    start = time.monotonic()
    for _ in range(rounds):
        side.run("check-config", side.file(FIRST + 1))
    return (time.monotonic() - start) / rounds * 1000


def crowd(figures, side, count, options):
    progress(f"{count} nodes join")
    alone_ms = start_alone_ms(side)
    whole, started = join(side, count)
    cpu = cpu_seconds(side.voices.pids())
    figures.add(f"{count} joined, each knows of all (control plane of three running)", whole, "s",
                10 if count >= 1000 else None)
    figures.add("of that until the last was started", started, "s")
    figures.add("start of one process until it would join, alone", alone_ms, "ms")
    figures.add(f"processors' time of all since their start, over {os.cpu_count()} processors",
                cpu / os.cpu_count(), "s")
    progress("idle")
    side.voices.listen_for(CALM_S)
    before, start = cpu_seconds(side.voices.pids()), time.monotonic()
    if options.own_network:
        host, control = idle(side)
        figures.add("sent when idle, a node (from IP up)", host, "B/s", 200)
        figures.add("the same, one of the control plane", control, "B/s")
    else:
        side.voices.listen_for(IDLE_S)
    used = (cpu_seconds(side.voices.pids()) - before) / (time.monotonic() - start)
    figures.add("processor when idle, a node", used / count * 100, "%")
    rss, pss = memory(side)
    figures.add("RSS a node", rss, "MiB", 3)
    figures.add("PSS a node", pss, "MiB", 0.7)
    rss, pss = memory_kib(side.voices.pid(1))
    figures.add(f"RSS, {name_of(1)}", rss / 1024, "MiB")
    figures.add(f"PSS, {name_of(1)}", pss / 1024, "MiB")
    took, others = deaths(side, count, options.rounds, signal.SIGKILL)
    middle, worst = middle_and_worst(took)
    figures.add("killed to known gone by all, median", middle, "s", 0.25)
    figures.add("the same, worst", worst, "s")
    figures.add("of these not seen by all", others, "accidents", 0)


# ---- all of it ----

def too_late(*_):
    raise Failed("it took longer than --minutes")


def size(text):
    number = int(text)
    if not 2 * FIRST < number <= COUNT_MAX:
        raise argparse.ArgumentTypeError(f"{number}: from {2 * FIRST + 1} to {COUNT_MAX} nodes")
    return number


def sizes(text):
    return [size(word) for word in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(prog="bench members", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    parser.add_argument("--sizes", type=sizes, default=SIZES, help="nodes, 10,50,100 for example")
    parser.add_argument("--count", type=size, help="only our side, so many nodes")
    parser.add_argument("--rounds", type=int, default=5, help="of every kind of event and accident")
    parser.add_argument("--alone", action="store_true", help="without serf")
    parser.add_argument("--minutes", type=int, default=40, help="it is ended then")
    parser.add_argument("--build", default="build", help="where bin, modules and tests are")
    parser.add_argument("--own-network", action="store_true",
                        help="nothing else uses this loopback, and we are root: count what is sent")
    return parser.parse_args()


FOOTER = """
{processors} processors, {busy:.0f}% busy before this began. All nodes are on this machine, one cluster at a time;
so is the program that starts them and listens. Three nodes (ours: the control plane, three voters) are
there before the others are started at once. "Known by all": every process says so itself (ours by a
role, tests/bench/teller.c, serf by its log). Killed: kill -9; its ports refuse at once. Silent: stopped.
An event is timed from before the command (`hivemind emit`, `serf event`) is started. Memory is the mean
of the hosts. Stalls of {stall} s, again and again for {stalling} s. serf: default configuration."""


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(60 * options.minutes)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    figures, busy = Figures(), busy_percent()
    try:
        if options.count:
            side = Hivemind(options.build, options.count)
            try:
                crowd(figures, side, options.count, options)
            finally:
                side.stop()
        else:
            compare(figures, options.sizes, options)
    except (Failed, OSError, subprocess.SubprocessError) as failed:
        print(f"bench members: could not measure: {failed}", file=sys.stderr)
        return 1
    print(figures.table())
    print(FOOTER.format(processors=os.cpu_count(), busy=busy, stall=STALL_S, stalling=STALLING_S))
    if options.json:
        figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
