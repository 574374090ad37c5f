"""How failure detection, idle traffic and gossip grow with the cluster: the engines of `tests/sim/scale`
in virtual time, at 1,000 to 100,000 nodes. The exponent e of a law y = c * n^e is fitted by least
squares over the logarithms: 0 is flat. Nothing here depends on how busy this machine is, but for the
processor time, which is that of the simulator."""

import argparse
import math
import subprocess
import sys

from figures import Figures

SIZES = (1000, 3000, 10000, 30000, 100000)
FLAT = 0.02
LAWS = {"silent_removed_mean_ms": "silent node to its removal, mean",
        "idle_bytes_a_second": "sent when idle, a node (from IP up)"}


def run(build, experiment, nodes, seed=1):
    done = subprocess.run([f"{build}/tests/sim/scale", experiment, str(nodes), str(seed)],
                          capture_output=True, text=True, check=False)
    rows = dict(line.split(" ", 1) for line in done.stdout.splitlines()
                if not line.startswith("BROKEN"))
    for line in done.stdout.splitlines():
        if line.startswith("BROKEN"):
            print(f"bench swim: {experiment} of {nodes}: {line}", file=sys.stderr)
    return {name: float(value) for name, value in rows.items()}


def slope(points, of=math.log):
    """Of y over log n by least squares; `of` is applied to y."""
    xs = [math.log(n) for n, _ in points]
    ys = [of(y) for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return (sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) /
            sum((x - mean_x) ** 2 for x in xs))


def measure(figures, build, most):
    sizes = [n for n in SIZES if n <= most]
    found = {}
    for n in sizes:
        print(f"-- {n} nodes", file=sys.stderr, flush=True)
        found[n] = run(build, "law", n)
        row = found[n]
        figures.add(f"{n}: silent node to its removal, mean", row["silent_removed_mean_ms"], "ms")
        figures.add(f"{n}: the same, worst of 10", row["silent_removed_worst_ms"], "ms", 2000)
        figures.add(f"{n}: sent when idle, a node (from IP up)", row["idle_bytes_a_second"],
                    "B/s", 200)
        figures.add(f"{n}: hops of an event to the last node", row["event_hops"], "hops")
        figures.add(f"{n}: simulator, a node", row["heap_bytes_a_node"], "bytes", 4096)
        figures.add(f"{n}: list of the control plane, a member", row["list_bytes_a_member"],
                    "bytes", 256)
        figures.add(f"{n}: processor time of {row['simulated_seconds']:.0f} simulated seconds",
                    row["cpu_seconds"], "s", 600)
    if len(sizes) > 1:
        for key, name in LAWS.items():
            exponent = slope([(n, found[n][key]) for n in sizes])
            figures.add(f"exponent of {name}", abs(exponent), "", FLAT)
        hops = slope([(n, found[n]["event_hops"]) for n in sizes], of=float)
        figures.add("hops more for each tenfold", hops * math.log(10), "hops")


def main():
    parser = argparse.ArgumentParser(prog="bench swim", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="nodes at most")
    parser.add_argument("--build", default="build", help="where the simulator is")
    options = parser.parse_args()
    figures = Figures()
    measure(figures, options.build, options.most)
    print(figures.table())
    if options.json:
        figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
