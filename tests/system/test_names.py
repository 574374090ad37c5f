#!/usr/bin/env python3
"""Unique names on real processes: one owner each whoever asks where, over the loss of a leader, and
what is said without a quorum."""

import json
import subprocess
import threading

from cluster import ENVIRONMENT, HIVEMIND, Cluster, free_ports, until


def names(node, verb, *arguments):
    """Runs `hivemind names VERB` on a node."""
    return subprocess.run([str(HIVEMIND), "names", verb, *map(str, arguments), "--socket",
                           str(node.socket)], env=ENVIRONMENT, capture_output=True, timeout=60,
                          text=True, stdin=subprocess.DEVNULL, check=False)


def good(node, verb, *arguments):
    done = names(node, verb, *arguments)
    assert done.returncode == 0, (node.name, verb, arguments, done.stdout, done.stderr)
    return done.stdout


def refused(node, code, said, verb, *arguments):
    done = names(node, verb, *arguments)
    assert done.returncode == code, (verb, arguments, done.returncode, done.stdout, done.stderr)
    assert said in done.stderr, (verb, arguments, said, done.stderr)


def begin(cluster, controls, hosts=1, with_names=None):
    """Control nodes, the first `with_names` of which (all by default) have the role too."""
    with_names = controls if with_names is None else with_names
    ports = free_ports(controls + hosts)
    joins = ", ".join(f"127.0.0.1:{port}" for port in ports[:controls])
    nodes = []
    for i, port in enumerate(ports):
        roles = "host" if i >= controls else "control, names" if i < with_names else "control"
        name = f"c{i}" if i < controls else f"h{i - controls}"
        # The first founds at once, as it has nobody to ask.
        text = f"join: [{joins}]\n" if i else "control: {bootstrap: true}\n"
        nodes.append(cluster.add(name, port, roles, text).start())
    for node in nodes:
        until(f"{node.name} is healthy", node.is_healthy)
    if controls == 3:
        until("three vote", lambda: nodes[0].facts().get("control.voters") == "3")
    return nodes


def members(node):
    """States of the log's participants by name; none while it has no leader."""
    done = subprocess.run([str(HIVEMIND), "log", "members", "role.names", "--format", "json",
                           "--socket", str(node.socket)], env=ENVIRONMENT, capture_output=True,
                          text=True, timeout=60, check=False)
    return {one["name"]: one["state"] for one in json.loads(done.stdout)} \
        if done.returncode == 0 else {}


def voters(node):
    return sorted(name for name, state in members(node).items() if "voter" in state)


def change(node, old, new):
    """Another configuration, for the next start."""
    text = node.file.read_text()
    assert old in text
    node.file.write_text(text.replace(old, new))


def leader(nodes):
    node = next(one for one in nodes if one.alive())
    return until("somebody leads the names", lambda: next(
        (one for one in nodes if one.alive() and "leader" in members(node).get(one.name, "")),
        None))


def test_one_owner_a_name():
    with Cluster() as cluster:
        nodes = begin(cluster, 3)
        host = nodes[3]
        until("three vote for names", lambda: voters(host) == ["c0", "c1", "c2"])
        assert good(host, "register", "printer", "--owner", "alice") == \
            "'printer' belongs to 'alice'\n"
        for node in nodes:
            good(node, "register", "printer", "--owner", "alice")
            refused(node, 1, "'printer' belongs to 'alice'", "register", "printer", "--owner",
                    "bob")
            assert good(node, "check", "printer") == "alice\n"
        told = names(host, "register", "printer", "--owner", "bob", "--format", "json")
        assert told.returncode == 1, told
        assert json.loads(told.stdout)["owner"] == "alice", told.stdout
        refused(host, 3, "nobody has registered", "check", "nothing")
        refused(host, 1, "'printer' belongs to 'alice'", "release", "printer", "--owner", "bob")
        good(nodes[1], "release", "printer", "--owner", "alice")
        refused(host, 3, "nobody has registered", "check", "printer")
        refused(host, 3, "nobody has registered", "release", "printer", "--owner", "alice")
        good(nodes[2], "register", "printer", "--owner", "bob")
        assert good(nodes[0], "check", "printer") == "bob\n"
        # What is no name, and what is not for everybody to do.
        refused(host, 2, "255 bytes of UTF-8", "register", "a\nb", "--owner", "x")
        refused(host, 2, "255 bytes of UTF-8", "register", "n" * 256, "--owner", "x")
        refused(host, 2, "it takes", "register", "a")
        good(host, "register", "Größe 🐝", "--owner", "ключ")
        assert good(host, "check", "Größe 🐝") == "ключ\n"
        done = subprocess.run([str(HIVEMIND), "log", "delete", "role.names", "--socket",
                               str(host.socket)], env=ENVIRONMENT, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 1 and "belongs to the role" in done.stderr, done
        done = subprocess.run([str(HIVEMIND), "log", "append", "role.names", "x", "--socket",
                               str(host.socket)], env=ENVIRONMENT, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 2 and "hivemind names" in done.stderr, done
        listed = json.loads(good(host, "list", "--format", "json"))
        assert [one["name"] for one in listed] == ["Größe 🐝", "printer"], listed
        assert good(host, "list", "pri").split()[3:5] == ["printer", "bob"]


def race(nodes, name, owners):
    """All at once, each on another node; who was told that it is theirs."""
    won = []

    def try_one(i, owner):
        if names(nodes[i % len(nodes)], "register", name, "--owner", owner).returncode == 0:
            won.append(owner)

    threads = [threading.Thread(target=try_one, args=(i, owner)) for i, owner in enumerate(owners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_leader_killed_and_no_quorum():
    with Cluster() as cluster:
        nodes = begin(cluster, 3)
        controls, host = nodes[:3], nodes[3]
        until("three vote for names", lambda: voters(host) == ["c0", "c1", "c2"])
        owners = {}
        for i in range(6):
            won = race(nodes, f"n{i}", [f"o{j}" for j in range(4)])
            assert len(won) == 1, (i, won)
            owners[f"n{i}"] = won[0]
        first = leader(nodes)
        first.kill()
        living = [node for node in nodes if node.alive()]
        won = race(living, "after", ["a", "b"])
        assert len(won) == 1, won
        owners["after"] = won[0]
        for name, owner in owners.items():
            assert good(host, "check", name) == f"{owner}\n"
        second = next(node for node in controls if node.alive())
        second.kill()
        last = next(node for node in controls if node.alive())
        refused(host, 5, "no leader with a quorum", "check", "after")
        refused(last, 5, "no leader with a quorum", "register", "more", "--owner", "x")
        first.start()
        until("names are found again", lambda: names(host, "check", "after").returncode == 0)
        second.start()
        for node in nodes:
            for name, owner in owners.items():
                until(f"{node.name} knows {name}", lambda node=node, name=name, owner=owner:
                      names(node, "check", name).stdout == f"{owner}\n")


def test_some_control_nodes_have_the_role():
    with Cluster() as cluster:
        nodes = begin(cluster, 3, with_names=1)
        host = nodes[3]
        assert voters(host) == ["c0"]
        for node in nodes:
            good(node, "register", f"of {node.name}", "--owner", node.name)
        # The role comes to the others by a restart: they vote once there are three.
        for node in nodes[1:3]:
            node.stop()
            change(node, "roles: [control]", "roles: [control, names]")
            node.start()
        until("three vote for names", lambda: voters(host) == ["c0", "c1", "c2"])
        nodes[0].kill()
        for node in nodes[1:]:
            assert good(node, "check", "of h0") == "h0\n"
        nodes[0].start()
        until("c0 is healthy", nodes[0].is_healthy)
        # And goes from one: it no longer votes. Back again, it does.
        nodes[2].stop()
        change(nodes[2], "roles: [control, names]", "roles: [control]")
        nodes[2].start()
        until("c2 carries no names", lambda: "c2" not in members(host) and members(host))
        good(nodes[2], "register", "asked elsewhere", "--owner", "c2")
        nodes[2].stop()
        change(nodes[2], "roles: [control]", "roles: [control, names]")
        nodes[2].start()
        until("three vote again", lambda: voters(host) == ["c0", "c1", "c2"])
        assert good(nodes[2], "check", "asked elsewhere") == "c2\n"


def test_nobody_has_the_role():
    with Cluster() as cluster:
        nodes = begin(cluster, 1, with_names=0)
        for node in nodes:
            refused(node, 4, "no node of this cluster has role names", "check", "x")


def test_one_node_keeps_names_over_a_restart():
    with Cluster() as cluster:
        node = begin(cluster, 1, hosts=0)[0]
        for i in (0, 400, 800):
            good(node, "register", f"name {i}", "--owner", "me")
        node.kill()
        node.start()
        until("it is healthy", node.is_healthy)
        assert len(json.loads(good(node, "list", "--format", "json"))) == 3
        good(node, "release", "name 400", "--owner", "me")
        node.kill()
        node.start()
        until("the names are there", lambda: names(node, "check", "name 0").returncode == 0)
        refused(node, 3, "nobody", "check", "name 400")
        assert node.facts()["names.count"] == "2"


if __name__ == "__main__":
    from cluster import main
    main()
