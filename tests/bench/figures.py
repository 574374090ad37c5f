"""What a bench found out: rows with a goal and the peer's value, as a table and as JSON."""

import json


class Figures:
    """Of a row less is better, unless it says otherwise."""

    def __init__(self):
        self.rows = []
        self.factors = []  # by row: how many times the peer's value the goal is, or None

    def add(self, name, value, unit, goal=None, peer=None, peer_value=None, times=None, more=False):
        """`times`: the goal is so many times the peer's value. `more`: more is better. Without a
        value it is not measured here: a row for the peer alone."""
        def rounded(number):
            return None if number is None else round(number, 3)
        ratio = value / peer_value if peer_value and value is not None else None
        if times is not None:
            goal = times * peer_value if peer_value else None
        met = None
        if goal is not None and value is not None:
            met = bool(value >= goal if more else value <= goal)
        self.factors.append(times)
        self.rows.append({
            "name": name, "unit": unit, "value": rounded(value), "peer": peer,
            "peer_value": rounded(peer_value), "ratio": rounded(ratio), "goal": rounded(goal),
            "met": met})

    def add_percentiles(self, name, values, unit, goal=None):
        """p50 and p99; the goal is the p99's."""
        self.add(f"{name}, p50", percentile(values, 50), unit)
        self.add(f"{name}, p99", percentile(values, 99), unit, goal)
        self.add(f"{name}, max", max(values), unit)

    def table(self):
        head = ["what", "value", "unit", "goal", "met", "peer", "peer's", "ratio"]
        cells = [[row["name"], text(row["value"]), row["unit"],
                  text(row["goal"]) + (f" ({factor:g}x)" if factor else ""),
                  {None: "", True: "yes", False: "NO"}[row["met"]], row["peer"] or "",
                  text(row["peer_value"]), text(row["ratio"])]
                 for row, factor in zip(self.rows, self.factors)]
        widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(head))]
        numbers = (1, 3, 6, 7)
        return "\n".join("  ".join(
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
            for line in [head, *cells])

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=2)
            file.write("\n")


def text(number):
    if number is None:
        return ""
    return f"{number:.2f}" if number < 100 else f"{number:.0f}"


def percentile(values, percent):
    """The smallest value that at least so many percent do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
