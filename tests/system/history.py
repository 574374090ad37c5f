"""Is a history linearizable? Of appends and reads of one log, and of claims to names.

For a list to which is only appended the answer is exact and quick: every operation has a place (an
append its index, a read the length that it saw), and an operation that ended before another began
must stand before it. For a name, which comes and goes, an order is searched for (Wing and Gong,
"Testing and Verifying Concurrent Objects", 1993; each name by itself, states seen once).

A history is a list of operations. Times are of one clock; `end` is None where no answer came, or
none that says what became of it: such an operation may have happened or not, at any time after its
start."""

import dataclasses
import typing


@dataclasses.dataclass
class Append:
    value: str
    start: float
    end: typing.Optional[float] = None
    index: typing.Optional[int] = None  # as it was answered; None: not, or only that it is there
    refused: bool = False  # it was said, for certain, not to have happened


@dataclasses.dataclass
class Read:
    start: float
    end: float
    entries: list  # (index, value), as far as it read
    length: int    # of the list that it saw


def _agree(history, copies):
    """One value an index, one index a value, over all that anybody has seen."""
    value_at, index_of, wrong = {}, {}, []

    def note(index, value, who):
        if value_at.setdefault(index, value) != value:
            wrong.append(f"index {index} is {value!r} for {who} and {value_at[index]!r} elsewhere")
        if index_of.setdefault(value, index) != index:
            wrong.append(f"{value!r} is in the log twice: {index_of[value]} and {index} ({who})")
    for name, entries in copies.items():
        indexes = [index for index, _ in entries]
        if indexes and indexes != list(range(indexes[0], indexes[0] + len(indexes))):
            wrong.append(f"{name} has gaps or disorder: {indexes[:20]}")
        for index, value in entries:
            note(index, value, name)
    for op in history:
        if isinstance(op, Read):
            for index, value in op.entries:
                note(index, value, f"a read at {op.start:.3f}")
        elif op.index:
            note(op.index, op.value, "the answer to its append")
    return value_at, index_of, wrong


def check(history, copies=None):
    """What is wrong, as sentences; `copies`: node name -> (index, value) pairs, its own in the end."""
    copies = copies or {}
    _, index_of, wrong = _agree(history, copies)
    appends = {op.value: op for op in history if isinstance(op, Append)}
    for value, index in index_of.items():
        if value not in appends:
            wrong.append(f"nobody appended {value!r}, which is at {index}")
        elif appends[value].refused:
            wrong.append(f"{value!r} was refused and is at {index}")
    for name, entries in copies.items():
        there = {value for _, value in entries}
        first = entries[0][0] if entries else 1
        for op in appends.values():
            if op.end is not None and not op.refused and op.value not in there and \
                    (op.index or first) >= first:
                wrong.append(f"{op.value!r} was acknowledged at {op.index} and is not on {name}")
    for op in history:
        for name, entries in copies.items():
            last = entries[-1][0] if entries else 0
            if isinstance(op, Read) and op.length > last:
                wrong.append(f"a read saw {op.length} entries and {name} has {last}")
    # Places: an append at index i is 2i, a read of i entries 2i + 1.
    placed = []
    for op in history:
        if isinstance(op, Read):
            placed.append((op.start, op.end, 2 * op.length + 1, f"a read of {op.length}"))
        elif op.value in index_of:
            placed.append((op.start, op.end, 2 * index_of[op.value],
                           f"the append of {op.value!r} at {index_of[op.value]}"))
    ends = sorted((end, place, what) for _, end, place, what in placed if end is not None)
    placed.sort(key=lambda op: op[0])
    passed, highest, highest_what = 0, -1, ""
    for start, _, place, what in placed:
        while passed < len(ends) and ends[passed][0] < start:
            if ends[passed][1] > highest:
                _, highest, highest_what = ends[passed]
            passed += 1
        if place < highest:
            wrong.append(f"{what} began when {highest_what} had ended")
    return wrong


# ---- names ----

@dataclasses.dataclass
class Claim:
    verb: str  # register, release, check
    name: str
    owner: str  # who asks; of a check nobody
    start: float
    end: typing.Optional[float] = None
    answer: typing.Optional[str] = None  # register, release: yes or no; check: the owner, or ""


def step(claim, holder):
    """What a claim makes of the name, and is told. Who else has it is not looked at: a retry is told
    who has it by then."""
    if claim.verb == "check":
        return holder, holder
    if claim.verb == "register":
        return (claim.owner, "yes") if holder in ("", claim.owner) else (holder, "no")
    return ("", "yes") if holder == claim.owner else (holder, "no")


def _settle(claims, done, holder):
    """What is a look only (a check, a no) and fits now comes at once: no order is lost by it. Those
    that could come next are told too."""
    while True:
        first = min((claim.end for i, claim in enumerate(claims)
                     if not done >> i & 1 and claim.end is not None), default=float("inf"))
        ready = [i for i, claim in enumerate(claims) if not done >> i & 1 and claim.start <= first]
        looks = [i for i in ready if claims[i].end is not None and claims[i].answer != "yes" and
                 step(claims[i], holder) == (holder, claims[i].answer)]
        if not looks:
            return done, ready
        for i in looks:
            done |= 1 << i


def _order(claims):
    """Is there an order of these claims to one name?"""
    claims = sorted(claims, key=lambda claim: claim.start)
    answered = sum(1 << i for i, claim in enumerate(claims) if claim.end is not None)
    seen, ways = set(), [(0, "")]
    while ways:
        done, holder = ways.pop()
        done, ready = _settle(claims, done, holder)
        if done & answered == answered:
            return True
        for i in ready:
            after, told = step(claims[i], holder)
            way = (done | 1 << i, after)
            changes = after != holder or claims[i].answer == "yes"
            if changes and claims[i].answer in (None, told) and way not in seen:
                seen.add(way)
                ways.append(way)
    return False


def _row(claim):
    end = "       " if claim.end is None else f"{claim.end:.4f}"
    return f"  {claim.start:.4f} {end} {claim.verb} {claim.owner}: {claim.answer}"


def check_names(history):
    """What is wrong, as sentences: a name whose claims have no order, with the claims."""
    by_name = {}
    for claim in history:
        by_name.setdefault(claim.name, []).append(claim)
    return [f"{name}: no order explains\n" + "\n".join(_row(claim) for claim in claims)
            for name, claims in by_name.items() if not _order(claims)]
