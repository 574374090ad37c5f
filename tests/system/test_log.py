#!/usr/bin/env python3
"""Named logs on real processes: appended to and read on any node, over the loss of a leader, with
what is refused and how."""

import json
import subprocess

from cluster import ENVIRONMENT, HIVEMIND, Cluster, free_ports, hivemind, until


def log(node, verb, *arguments, data=None):
    """Runs `hivemind log VERB` on a node; `data` is bytes for its input."""
    return subprocess.run([str(HIVEMIND), "log", verb, *map(str, arguments), "--socket",
                           str(node.socket)], env=ENVIRONMENT, capture_output=True, timeout=60,
                          input=data if data is not None else b"", check=False)


def good(node, verb, *arguments, data=None):
    done = log(node, verb, *arguments, data=data)
    assert done.returncode == 0, (node.name, verb, arguments, done.stdout, done.stderr)
    return done.stdout.decode()


def refused(node, code, said, verb, *arguments, data=None):
    done = log(node, verb, *arguments, data=data)
    assert done.returncode == code, (verb, arguments, done.returncode, done.stdout, done.stderr)
    assert said in done.stderr.decode(), (verb, arguments, said, done.stderr)


def items(node, name, *arguments):
    return [json.loads(line) for line in
            good(node, "read", name, *arguments, "--format", "json").splitlines()]


def texts(node, name, *arguments):
    return [item["data"] for item in items(node, name, *arguments)]


def info(node, name):
    logs = json.loads(good(node, "list", "--format", "json"))
    return next((one for one in logs if one["name"] == name), None)


def begin(cluster, controls, hosts=1):
    ports = free_ports(controls + hosts)
    joins = ", ".join(f"127.0.0.1:{port}" for port in ports[:controls])
    nodes = []
    for i, port in enumerate(ports):
        role = "control" if i < controls else "host"
        name = f"c{i}" if i < controls else f"h{i - controls}"
        text = f"join: [{joins}]\n"
        if i == 0:
            text = "control: {bootstrap: true}\n" if controls == 1 else \
                text + "control: {bootstrap: true}\n"
        nodes.append(cluster.add(name, port, role, text).start())
    for node in nodes:
        until(f"{node.name} is healthy", node.is_healthy)
    if controls == 3:
        until("three vote", lambda: nodes[0].facts().get("control.voters") == "3")
    return nodes


def leads(nodes, name):
    """The node that leads a log, as soon as one does."""
    def ask():
        told = info(next(node for node in nodes if node.alive()), name)
        return next((node for node in nodes
                     if told and node.name == told["leader"] and node.alive()), None)
    return until(f"somebody leads {name}", ask)


def test_append_and_read_on_every_node():
    with Cluster() as cluster:
        nodes = begin(cluster, 3)
        host = nodes[3]
        good(host, "create", "audit")
        written = []
        for round_number in range(3):
            for node in nodes:
                text = f"{node.name}-{round_number}"
                index = int(good(node, "append", "audit", text))
                written.append(text)
                assert index == len(written), (index, written)
        for node in nodes:
            assert texts(node, "audit") == written, node.name
        assert texts(host, "audit", "--from", 3, "--to", 5) == written[2:5]
        told = info(host, "audit")
        assert told["newest"] == len(written) and told["voters"] == 3, told

        # A follower of the log sees what comes, once and in order, over the loss of the leader.
        leader = leads(nodes, "audit")
        watcher = next(node for node in nodes[:3] if node is not leader)
        with subprocess.Popen([str(HIVEMIND), "log", "follow", "audit", "--raw", "--socket",
                               str(watcher.socket)], env=ENVIRONMENT,
                              stdout=subprocess.PIPE) as follow:
            session = hivemind("log", "session").stdout.strip()
            leader.kill()
            for seq in range(1, 11):
                text = f"after-{seq}"
                for _ in range(2):  # the second is a retry, on another node
                    index = int(good(host if _ else watcher, "append", "audit", text, "--session",
                                     session, "--seq", seq))
                    assert index == len(written) + 1, (index, len(written))
                written.append(text)
            expected = "".join(written).encode()
            assert follow.stdout.read(len(expected)) == expected
            follow.kill()
        left = [node for node in nodes if node.alive()]
        for node in left:
            assert texts(node, "audit") == written, node.name

        # The one that was killed comes back with its journal, and has it all.
        leader.start()
        until("it is back", leader.is_healthy)
        until("it has caught up", lambda: log(leader, "read", "audit", "--local", "--from",
                                              len(written)).returncode == 0)
        assert texts(leader, "audit", "--local") == written

        # Everything stopped and started again.
        good(host, "snapshot", "audit")
        for node in nodes[:3]:
            node.kill()
        for node in nodes[:3]:
            node.start()
        for node in nodes[:3]:
            until(f"{node.name} is healthy", node.is_healthy)
        assert texts(host, "audit") == written
        assert int(good(host, "append", "audit", "last")) == len(written) + 1


def test_bytes_of_any_kind():
    with Cluster() as cluster:
        nodes = begin(cluster, 1)
        good(nodes[0], "create", "blobs", "--keep", 4)
        blob = bytes(range(256)) * 2000
        assert good(nodes[1], "append", "blobs", data=blob).strip() == "1"
        assert good(nodes[0], "append", "blobs", "-", data=b"").strip() == "2"
        done = log(nodes[1], "read", "blobs", "--raw")
        assert done.stdout == blob
        assert "base64" in items(nodes[1], "blobs")[0]
        assert items(nodes[1], "blobs")[1]["data"] == ""
        line = good(nodes[1], "read", "blobs", "--to", 1).split("  ")[2]
        assert line.startswith("\\x00\\x01"), line[:20]

        # A large read comes in pages.
        for number in range(3):
            good(nodes[0], "append", "blobs", data=bytes([48 + number]) * 1000000)
        done = log(nodes[1], "read", "blobs", "--from", 3, "--raw")
        assert done.stdout == b"".join(bytes([48 + n]) * 1000000 for n in range(3))

        # Of five entries four are kept: the first is told to be gone.
        refused(nodes[1], 1, "keeps its entries from 2 on", "read", "blobs", "--from", 1)
        assert [item["index"] for item in items(nodes[0], "blobs")] == [2, 3, 4, 5]


def test_what_is_refused():
    with Cluster() as cluster:
        nodes = begin(cluster, 3)
        host = nodes[3]
        refused(host, 3, "there is no log nothing", "append", "nothing", "x")
        refused(nodes[0], 3, "there is no log nothing", "read", "nothing")
        refused(host, 3, "there is no log nothing", "read", "nothing", "--local")
        refused(host, 3, "there is no log nothing", "delete", "nothing")
        refused(host, 3, "there is no log nothing", "members", "nothing")
        refused(host, 2, "letters, digits", "create", "no_label")
        refused(host, 2, "from 1 to 131072", "create", "big", "--keep", 1000000)
        good(host, "create", "Orders")
        refused(nodes[1], 1, "log orders is there already", "create", "orders")
        assert int(good(host, "append", "orders", "x")) == 1
        refused(host, 3, "log orders ends at 1", "read", "orders", "--from", 2)
        refused(host, 1, "at most", "append", "orders", data=b"x" * (1 << 20))
        refused(host, 2, "come together", "append", "orders", "x", "--seq", 1)
        refused(host, 2, "takes NAME", "append")
        old = "0" * 31 + "1"
        refused(host, 1, "session is not known", "append", "orders", "x", "--session", old, "--seq",
                1)
        refused(host, 2, "has not the role control", "remove", "orders", "h0")
        refused(host, 3, "no member nobody", "add", "orders", "nobody")
        for number in range(63):
            good(nodes[0], "create", f"log-{number}")
        refused(host, 1, "the most there may be", "create", "one-more")
        assert len(json.loads(good(host, "list", "--format", "json"))) == 64

        # Without a quorum it says so, and reads of one's own copy still work.
        leader = leads(nodes, "orders")
        others = [node for node in nodes[:3] if node is not leader]
        for node in others:
            node.kill()
        refused(leader, 5, "no leader with a quorum", "append", "orders", "y")
        refused(host, 5, "no leader with a quorum", "append", "orders", "y")
        refused(leader, 5, "no leader with a quorum", "read", "orders")
        assert texts(leader, "orders", "--local") == ["x"]
        for node in others:
            node.start()
        until("it goes on", lambda: log(host, "append", "orders", "z").returncode == 0)
        assert texts(host, "orders")[-1] == "z"


def test_who_carries_it():
    with Cluster() as cluster:
        nodes = begin(cluster, 3)
        host = nodes[3]
        good(host, "create", "moves")
        good(host, "append", "moves", "a")
        leader = leads(nodes, "moves")
        other = next(node for node in nodes[:3] if node is not leader)
        good(host, "transfer", "moves", other.name)
        until("leadership moved", lambda: info(host, "moves")["leader"] == other.name)
        good(host, "remove", "moves", other.name)

        def states():
            told = log(host, "members", "moves", "--format", "json")
            return {m["name"]: m["state"] for m in json.loads(told.stdout)} \
                if told.returncode == 0 else {}
        until("it is out", lambda: states().get(other.name) == "excluded" and
              any("leader" in state for state in states().values()))
        assert int(good(host, "append", "moves", "b")) == 2
        good(host, "add", "moves", other.name)
        until("it votes again", lambda: "voter" in states().get(other.name, ""))
        until("it has all", lambda: log(other, "read", "moves", "--local", "--from",
                                        2).returncode == 0)

        # A deleted log is gone with its name and its files; a new one of that name is another.
        good(host, "snapshot", "moves")
        good(host, "delete", "moves")
        for node in nodes[:3]:
            until("its snapshot is gone", lambda: not list(node.data.glob("snapshot-00000001")))
        good(host, "create", "moves")
        assert int(good(host, "append", "moves", "new")) == 1
        assert info(host, "moves")["id"] == 2
        for node in nodes[:3]:
            node.kill()
            node.start()
        for node in nodes[:3]:
            until(f"{node.name} is healthy", node.is_healthy)
        assert texts(host, "moves") == ["new"]


if __name__ == "__main__":
    from cluster import main
    main()
