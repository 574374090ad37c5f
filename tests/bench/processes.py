"""What processes cost, as the kernel counts it."""

import os
import time


def memory_kib(pid):
    """Resident and proportional size."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        rows = dict(line.split(":", 1) for line in file.read().splitlines()[1:])
    return int(rows["Rss"].split()[0]), int(rows["Pss"].split()[0])


def worst_mib(pids):
    sizes = [memory_kib(pid) for pid in pids]
    return [max(one[i] for one in sizes) / 1024 for i in (0, 1)]


def cpu_seconds(pids):
    """Of them together, so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            ticks += sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def busy_percent():
    """Of all processors, over a second."""
    def look():
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    (all_before, idle_before) = look()
    time.sleep(1)
    (all_after, idle_after) = look()
    return 100 * (1 - (idle_after - idle_before) / max(1, all_after - all_before))
