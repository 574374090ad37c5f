#!/usr/bin/env python3
"""The checker of histories: good ones pass, and each kind of bad one is seen."""

import random

from history import Append, Claim, Read, check, check_names, step

AB = [(1, "a"), (2, "b")]


def bad(text, history, copies=None):
    wrong = check(history, copies)
    assert any(text in sentence for sentence in wrong), (text, wrong)


def test_good():
    assert not check([])
    assert not check([Append("a", 0, 1, 1), Append("b", 2, 3, 2), Read(4, 5, AB, 2)],
                     {"n1": AB, "n2": AB})
    # At the same time: any order, and a read that sees either.
    assert not check([Append("b", 0, 9, 2), Append("a", 0, 9, 1), Read(1, 8, [], 0),
                      Read(1, 8, AB, 2)])
    # Without an answer it may be there, or not, or come late.
    assert not check([Append("a", 0), Append("b", 5, 6, 1), Read(7, 8, [(1, "b")], 1)],
                     {"n1": [(1, "b"), (2, "a")]})
    assert not check([Append("a", 0), Append("b", 5, 6, 1)], {"n1": [(1, "b")]})
    assert not check([Append("x", 0, 1, refused=True)], {"n1": []})
    # Answered as done, though nobody remembers where.
    assert not check([Append("a", 0, 1, None)], {"n1": [(1, "a")]})


def test_bad():
    bad("is not on n1", [Append("a", 0, 1, 1)], {"n1": []})
    bad("is not on n2", [Append("a", 0, 1, 1), Append("b", 0, 1, 2)],
        {"n1": AB, "n2": [(1, "a")]})
    bad("is not on n1", [Append("a", 0, 1, None)], {"n1": []})
    bad("twice", [Append("a", 0, 1, 1)], {"n1": [(1, "a"), (2, "a")]})
    bad("elsewhere", [Append("a", 0, 1, 1), Append("b", 0, 1, 2)],
        {"n1": AB, "n2": [(1, "b"), (2, "a")]})
    bad("elsewhere", [Append("a", 0, 1, 1), Append("b", 0, 1, 1)])
    bad("nobody appended", [Append("a", 0, 1, 1)], {"n1": [(1, "a"), (2, "z")]})
    bad("was refused", [Append("a", 0, 1, refused=True)], {"n1": [(1, "a")]})
    bad("gaps", [Append("a", 0, 1, 1), Append("b", 0, 1, 3)], {"n1": [(1, "a"), (3, "b")]})
    bad("a read saw 2 entries and n1 has 1",
        [Append("a", 0, 1, 1), Append("b", 0), Read(1, 2, AB, 2)], {"n1": AB[:1]})
    # Real time.
    bad("append of 'a' at 2 began when", [Append("b", 5, 6, 1), Append("a", 7, 8, 2),
                                          Append("c", 9, 10, 3), Append("d", 11, 12, 4)][:1] +
        [Append("z", 0, 1, 3), Append("a", 7, 8, 2)])
    bad("read of 0 began when the append", [Append("a", 0, 1, 1), Read(2, 3, [], 0)])
    bad("read of 1 began when a read of 2",
        [Append("a", 0, 9, 1), Append("b", 0, 9, 2), Read(1, 2, AB, 2), Read(3, 4, AB[:1], 1)])
    bad("append of 'a' at 1 began when a read of 1", [Read(0, 1, [(1, "a")], 1), Append("a", 2)])


def simulate(rng, stale):
    """Operations of some clients upon a right list; with `stale` one read is of an older state."""
    history, log = [], []
    now = 0.0
    for number in range(40):
        # One instant in which it happens, within its start and end.
        now += rng.random()
        start, end = now - rng.random() * 3, now + rng.random() * 3
        if rng.random() < 0.5:
            log.append(f"v{number}")
            history.append(Append(log[-1], start, end, len(log)))
        else:
            history.append(Read(start, end, list(enumerate(log, 1)), len(log)))
    if stale:
        known = [op.index for op in history if isinstance(op, Append)]
        length = rng.randrange(len(known))
        history.append(Read(now + 9, now + 10, [], length))
    rng.shuffle(history)
    return history


def test_drawn():
    for seed in range(100):
        rng = random.Random(seed)
        assert not check(simulate(rng, False)), seed
        assert check(simulate(rng, True)), seed


def claims(*rows):
    return [Claim(verb, "n", owner, start, end, answer) for verb, owner, start, end, answer in rows]


def test_names_good():
    assert not check_names([])
    assert not check_names(claims(("check", "", 0, 1, ""), ("register", "a", 2, 3, "yes"),
                                  ("check", "", 4, 5, "a"), ("register", "b", 4, 6, "no"),
                                  ("register", "a", 7, 8, "yes"), ("release", "b", 9, 10, "no"),
                                  ("release", "a", 11, 12, "yes"), ("release", "a", 13, 14, "no"),
                                  ("register", "b", 15, 16, "yes"), ("check", "", 17, 18, "b")))
    # At once: one of them, and who looks sees either.
    assert not check_names(claims(("register", "a", 0, 9, "no"), ("register", "b", 0, 9, "yes"),
                                  ("check", "", 1, 8, ""), ("check", "", 1, 8, "b")))
    # Without an answer: now, later, or never.
    assert not check_names(claims(("register", "a", 0, None, None), ("check", "", 1, 2, ""),
                                  ("check", "", 3, 4, "a"), ("register", "b", 5, 6, "no")))
    assert not check_names(claims(("register", "a", 0, None, None), ("register", "b", 5, 6, "yes"),
                                  ("check", "", 7, 8, "b")))


def test_names_bad():
    for wrong in (
            # Two have it.
            (("register", "a", 0, 9, "yes"), ("register", "b", 0, 9, "yes")),
            # Acknowledged and gone.
            (("register", "a", 0, 1, "yes"), ("check", "", 2, 3, "")),
            # Nobody's, and not to be had.
            (("check", "", 0, 1, ""), ("register", "a", 2, 3, "no")),
            # An old state is read.
            (("register", "a", 0, 1, "yes"), ("release", "a", 2, 3, "yes"), ("check", "", 4, 5, "a")),
            # Seen, then not, then seen.
            (("register", "a", 0, None, None), ("check", "", 1, 2, "a"), ("check", "", 3, 4, "")),
            # Released twice.
            (("register", "a", 0, 1, "yes"), ("release", "a", 2, 9, "yes"), ("release", "a", 2, 9, "yes")),
            # An owner who never asked.
            (("check", "", 0, 1, "z"),)):
        assert check_names(claims(*wrong)), wrong
    # Names are apart.
    rows = claims(("register", "a", 0, 1, "yes"), ("check", "", 2, 3, ""))
    rows[1].name = "m"
    assert not check_names(rows)


def draw_claims(rng):
    """What clients see of a right registry: each claim happens at an instant within its time."""
    history, holder, now = [], "", 0.0
    for _ in range(30):
        now += rng.random()
        claim = Claim(rng.choice(["register", "release", "check"]), "n", rng.choice("abc"),
                      now - rng.random() * 2, now + rng.random() * 2)
        after, claim.answer = step(claim, holder)
        lost = rng.random() < 0.1
        holder = holder if lost and rng.random() < 0.5 else after
        if lost:
            claim.end = claim.answer = None
        history.append(claim)
    return history


def test_names_drawn():
    for seed in range(60):
        rng = random.Random(seed)
        history = draw_claims(rng)
        assert not check_names(history), seed
        end = max(claim.end or 0 for claim in history) + 10
        holders = {holder for holder in ("", "a", "b", "c") if not check_names(
            history + [Claim("check", "n", "", end, end + 1, holder)])}
        assert holders, seed
        history += [Claim("check", "n", "", end, end + 1, "z")]
        assert check_names(history), seed


if __name__ == "__main__":
    from cluster import main
    main()
