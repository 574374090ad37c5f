#!/usr/bin/env python3
"""A backup of the control plane, and a cluster that goes on from it when every control node has lost
its data: on real processes, with a dns server and a host that live on."""

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess

import dnsquery
from cluster import ENVIRONMENT, HIVEMIND, Cluster, free_ports, hivemind, main, until
from test_control import control_plane, voters
from test_recovery import start

EPOCH = 65536


def addresses(server, name):
    reply = dnsquery.ask(server, f"{name}.corp.internal", dnsquery.A)
    return reply[1] if reply and reply[0] == dnsquery.NOERROR else []


def good(node, command, *arguments):
    done = node.ask(command, *arguments)
    assert done.returncode == 0, (node.name, command, arguments, done)
    return done.stdout


def bad(done, code, *said):
    assert done.returncode == code and all(text in done.stderr for text in said), (done, said)


def read(node, name):
    return [json.loads(line)["data"] for line in
            good(node, "log read", name, "--format", "json").splitlines()]


def indexes(node):
    return [json.loads(line)["index"] for line in
            good(node, "events", "--format", "json").splitlines()]


def told_of(file):
    done = hivemind("control", "backup", "--check", file, "--format", "json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    return told, {one["name"]: one for one in told["logs"]}


def restore(node, file, *arguments):
    return hivemind("control", "restore", file, "-c", node.file, *arguments)


def test_a_lost_control_plane_comes_back():
    with Cluster() as cluster:
        nodes, join, dns, host, server = start(cluster, "control, names")
        file = cluster.dir / "backup"
        good(host, "log create", "audit")
        for number in range(1, 6):
            assert good(host, "log append", "audit", f"paid {number}").strip() == str(number)
        good(host, "names register", "printer", "--owner", "alice")
        good(host, "emit", "deploy", "v7")
        events = indexes(host)
        serial = dnsquery.serial(server, "corp.internal")
        good(nodes[2], "control backup", file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert sorted(path.name for path in cluster.dir.glob("backup*")) == ["backup"]
        told, logs = told_of(file)
        assert list(logs) == ["events", "audit", "role.names"], logs
        assert told["epoch"] == 1 and told["members"] == 5 and told["hosts"] >= 1, told
        assert told["node"] == "c3" and not told["local"], told

        # Everything is lost that the control nodes had.
        for node in nodes:
            node.kill()
        bad(restore(nodes[1], file, "--yes"), 1, "identity is there already")
        for node in nodes:
            shutil.rmtree(node.data)
        asked = restore(nodes[1], file)  # without a terminal: no
        bad(asked, 1, "nothing was changed")
        assert "epoch 65537 follows epoch 1" in asked.stdout, asked
        assert restore(nodes[1], file, "--check").returncode == 0
        assert not nodes[1].data.exists()
        done = restore(nodes[1], file, "--yes")
        assert done.returncode == 0 and "epoch 65537 begins" in done.stdout, done
        bad(restore(nodes[1], file, "--yes"), 1, "is there already")

        survivor = nodes[1].start()
        until("it has a quorum of one", lambda: voters(survivor) == 1)
        bad(restore(survivor, file, "--yes"), 1, "another hivemind")
        for node in (dns, host):
            until(f"{node.name} follows", lambda node=node:
                  node.facts().get("epoch") == str(1 + EPOCH) and node.is_healthy())
        nodes[0].file.write_text(nodes[0].text.replace("control: {bootstrap: true}\n", join))
        for node in (nodes[0], nodes[2]):
            node.start()
            until(f"{node.name} joins", node.is_healthy)
        until("all three vote", lambda: voters(survivor) == 3)
        assert survivor.members() == ["c1", "c2", "c3", "d1", "h1"]

        # What was there is there, for all of them, and goes on.
        for node in (*nodes, host):
            assert read(node, "audit") == [f"paid {number}" for number in range(1, 6)]
            assert "alice" in good(node, "names check", "printer")
        bad(host.ask("names register", "printer", "--owner", "bob"), 1, "alice")
        good(host, "names register", "scanner", "--owner", "bob")
        assert good(host, "log append", "audit", "paid 6").strip() == "6"
        assert addresses(server, "web")
        until("the serial is higher",
              lambda: dnsquery.serial(server, "corp.internal") >= serial + (1 << 20))
        good(host, "announce", "api", "9090", "--timeout", "10s")
        until("the new service is served", lambda: addresses(server, "api"))
        later = indexes(host)
        assert later == list(range(later[0], later[-1] + 1)), later
        assert events[-1] < later[-1] and set(events) <= set(later), (events, later)

        # It needs none of what it was made from: the others carry on without it.
        for name in ("audit", "role.names"):
            until(f"three vote in {name}", lambda name=name: next(
                one["voters"] for one in json.loads(good(host, "log list", "--format", "json"))
                if one["name"] == name) == 3)
        survivor.kill()
        good(host, "announce", "late", "9091", "--timeout", "15s")
        until("the log has another leader",
              lambda: host.ask("log append", "audit", "paid 7").returncode == 0)
        until("the names have another leader",
              lambda: host.ask("names check", "scanner").returncode == 0)
        # A backup of the new cluster begins above it once more.
        good(nodes[0], "control backup", file)
        assert told_of(file)[0]["next_epoch"] == 1 + 2 * EPOCH


def backup_behind(node, file, write):
    """Has it asked for while the node stands still and others go on; it has all of that to catch up
    with when it answers."""
    node.signal(signal.SIGSTOP)
    write()
    unix = pathlib.Path("/proc/net/unix")
    before = unix.read_text().count(str(node.socket))
    with subprocess.Popen([str(HIVEMIND), "control", "backup", str(file), "--socket",
                           str(node.socket), "--timeout", "20s"], env=ENVIRONMENT,
                          stdout=subprocess.DEVNULL) as asked:
        until("it has asked", lambda: unix.read_text().count(str(node.socket)) > before)
        node.signal(signal.SIGCONT)
        assert asked.wait(30) == 0


def test_a_backup_misses_nothing():
    with Cluster() as cluster:
        nodes, _, _, host, _ = start(cluster, "control, names")
        file = cluster.dir / "backup"
        data = cluster.dir / "data"
        data.write_bytes(b"x" * 900000)
        good(host, "log create", "audit")
        leader = {one["name"]: one["leader"] for one in
                  json.loads(good(host, "log list", "--format", "json"))}["audit"]
        follower = next(node for node in nodes
                        if node.name not in (leader, nodes[0].leader()))
        last = 0

        def write():
            nonlocal last
            for _ in range(4):
                with data.open("rb") as content:
                    last = int(subprocess.run(
                        [str(HIVEMIND), "log", "append", "audit", "-", "--socket",
                         str(host.socket)], env=ENVIRONMENT, stdin=content, check=True,
                        capture_output=True, timeout=30).stdout)

        for count in (4, 8):
            backup_behind(follower, file, write)
            _, logs = told_of(file)
            assert logs["audit"]["index"] == last == count, (logs, last)
        # Over a pipe it is the same file.
        piped = subprocess.run([str(HIVEMIND), "control", "backup", "-", "--socket",
                                str(nodes[0].socket)], env=ENVIRONMENT, capture_output=True,
                               timeout=30, check=True).stdout
        (cluster.dir / "piped").write_bytes(piped)
        assert told_of(cluster.dir / "piped")[1] == logs

        # What is not whole is not taken, and said where.
        data = file.read_bytes()
        wrong = cluster.dir / "wrong"
        for content, said in ((data[:-1], "is cut off"), (data[:300], "is cut off"),
                              (b"", "in its header"), (b"x" * 100, "it is no backup"),
                              (data[:-100] + b"?" + data[-99:], "do not match their checksum"),
                              (data[:8] + b"\2" + data[9:], "it is of format 2")):
            wrong.write_bytes(content)
            bad(hivemind("control", "backup", "--check", wrong), 1, str(wrong), said)
            bad(restore(nodes[0], wrong, "--yes"), 1, str(wrong), said)
        bad(hivemind("control", "backup", "--check", cluster.dir / "none"), 3, "No such file")
        bad(host.ask("control backup", file), 3, "not of the control plane")
        bad(nodes[0].ask("control backup", cluster.dir / "no" / "where"), 1, "No such file",
            "make its directory first")
        bad(nodes[0].ask("control backup"), 2, "it takes FILE")
        bad(hivemind("control", "restore", file), 2, "-c CONFIG")

        # Another key, other roles, a name that is somebody else's.
        other = cluster.add("c9", free_ports(1)[0], "control")
        bad(restore(other, file, "--yes"), 1, "role names")
        other.file.write_text(other.text.replace("roles: [control]", "roles: [control, names]")
                              .replace("name: c9", "name: h1"))
        bad(restore(other, file, "--yes"), 1, "name h1 is held")
        key = cluster.dir / "other.key"
        assert hivemind("keygen", "-o", key).returncode == 0
        other.file.write_text(other.text.replace("roles: [control]", "roles: [control, names]")
                              .replace(str(cluster.key), str(key)))
        bad(restore(other, file, "--yes"), 1, "--other-key")
        done = restore(other, file, "--yes", "--other-key")
        assert done.returncode == 0, done
        other.start()
        until("the copy is a cluster of its own", lambda: voters(other) == 1)
        assert good(other, "log append", "audit", "y").strip() == "9"

        # Without a quorum there is what one node has, when it is asked for.
        for node in nodes[:2]:
            node.kill()
        until("degraded", lambda: nodes[2].ask("control status").returncode == 5)
        bad(nodes[2].ask("control backup", file, "--timeout", "10s"), 5, "--local")
        assert file.read_bytes() == data
        good(nodes[2], "control backup", file, "--local")
        told, logs = told_of(file)
        assert told["local"] and logs["audit"]["index"] == 8, told


def test_who_lacks_a_log_names_who_has_all():
    with Cluster() as cluster:
        nodes, _ = control_plane(cluster)
        file = cluster.dir / "backup"
        good(nodes[0], "log create", "audit")
        good(nodes[0], "log append", "audit", "one")
        lacking = nodes[2]
        others = [node.name for node in nodes[:2]]
        good(nodes[0], "log remove", "audit", lacking.name)

        def told():
            done = lacking.ask("control backup", file)
            return done if "does not carry log audit" in done.stderr else None

        done = until("it knows that it is kept out", told)
        named = done.stderr.strip().rsplit(": ", 1)[1].split(", ")
        assert done.returncode == 3 and sorted(named) == sorted(others), done
        good(nodes[0], "control backup", file)
        good(nodes[0], "log create", "other")
        for node in nodes[:2]:
            good(nodes[0], "log remove", "other", node.name)
        bad(nodes[0].ask("control backup", file), 3, "other", "no control node carries all")


def test_who_lacks_a_role_names_who_has_it():
    with Cluster() as cluster:
        nodes, join = control_plane(cluster, roles="control, names")
        lacking = cluster.add("c4", free_ports(1)[0], "control", join).start()
        until("it is in", lacking.is_healthy)
        file = cluster.dir / "backup"

        def told():
            done = lacking.ask("control backup", file)
            return done if "does not carry log role.names" in done.stderr else None

        done = until("the role has its log", told)
        named = done.stderr.strip().rsplit(": ", 1)[1].split(", ")
        assert done.returncode == 3 and sorted(named) == [node.name for node in nodes], done


def test_a_second_restore_is_told_from_the_first():
    with Cluster() as cluster:
        nodes, _, dns, host, _ = start(cluster, "control, names")
        file = cluster.dir / "backup"
        good(nodes[0], "control backup", file)
        for node in nodes:
            node.kill()
        for epoch in (1 + EPOCH, 1 + 2 * EPOCH):
            shutil.rmtree(nodes[1].data)
            owner = 65534 if os.geteuid() == 0 else os.geteuid()
            nodes[1].data.mkdir(mode=0o700)
            os.chown(nodes[1].data, owner, -1)
            done = restore(nodes[1], file, "--yes")
            assert done.returncode == 0, done
            assert {path.stat().st_uid for path in nodes[1].data.iterdir()} == {owner}
            nodes[1].start()
            if epoch > 1 + EPOCH:  # they know another one of this number
                until("it is fenced", lambda: "fenced" in nodes[1].ask("status").stdout)
                good(nodes[1], "control recover", "--yes")
            for node in (dns, host):
                until(f"{node.name} follows", lambda node=node: node.facts().get("epoch") ==
                      str(epoch) and node.is_healthy())
            nodes[1].kill()


if __name__ == "__main__":
    main()
