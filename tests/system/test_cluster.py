#!/usr/bin/env python3
"""Nodes on loopback: joining, changes, a killed leader, restarts, and everything that is refused."""

import json
import re
import signal
import socket
import subprocess

from cluster import DEADLINE_S, ENVIRONMENT, HIVEMIND, Cluster, free_ports, hivemind, until

CONTROLS = ["c1", "c2", "c3"]


def start_cluster(cluster, hosts=()):
    """Three control nodes and these hosts, all of them members."""
    ports = free_ports(3 + len(hosts))
    join = ", ".join(f'"127.0.0.1:{port}"' for port in ports[:3])
    for name, port in zip(CONTROLS, ports):
        bootstrap = "control: {bootstrap: true}\n" if name == "c1" else ""
        others = "" if name == "c1" else f"join: [{join}]\n"
        cluster.add(name, port, "control", others + bootstrap).start()
        if name == "c1":
            until("c1 is ready", cluster.nodes["c1"].is_healthy)
    for name, port in zip(hosts, ports[3:]):
        cluster.add(name, port, "host", f"join: [{join}]\n").start()
    everyone = sorted([*CONTROLS, *hosts])
    for node in cluster.nodes.values():
        until(f"{node.name} is ready", node.is_healthy)
        until(f"{node.name} knows all", lambda node=node: node.members() == everyone)
    until("all three vote", lambda: cluster.nodes["c1"].facts().get("control.voters") == "3")
    return cluster.nodes


def committed(done):
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return int(re.search(r"committed at (\d+)", done.stdout)[1])


def services(node):
    return sorted({(i["service"], i["host"]) for i in node.json("services") or []})


def test_a_cluster():
    with Cluster() as cluster:
        nodes = start_cluster(cluster, ["h1", "h2"])
        first = committed(nodes["h1"].ask("announce", "web", "8080"))
        second = committed(nodes["h2"].ask("announce", "web", "8081", "--vhost", "Web.Example."))
        assert second > first
        assert services(nodes["c2"]) == [("web", "h1"), ("web", "h2")]
        kinds = [line.split()[2] for line in nodes["h1"].ask("events").stdout.splitlines()]
        assert kinds[0] == "epoch_raised" and kinds.count("member_joined") == 5, kinds

        # Its leader killed, a cluster loses nothing and commits what follows.
        old = nodes["c1"].leader()
        nodes[old].kill()
        rest = [nodes[name] for name in CONTROLS if name != old]
        until("another leads", lambda: rest[0].leader() not in (old, "none", None))
        committed(nodes["h1"].ask("announce", "api", "9090", "--timeout", "10s"))
        assert services(rest[1]) == [("api", "h1"), ("web", "h1"), ("web", "h2")]

        # Back with its data it is the same member.
        nodes[old].start()
        until("it is back", nodes[old].is_healthy)
        until("it caught up", lambda: ("api", "h1") in services(nodes[old]))

        # A host that is stopped comes back with what it announced; one that leaves is gone.
        assert nodes["h1"].stop() == 0
        nodes["h1"].start()
        until("h1 is back", nodes["h1"].is_healthy)
        assert services(nodes["c1"]) == [("api", "h1"), ("web", "h1"), ("web", "h2")]
        done = nodes["h2"].ask("leave")
        assert done.returncode == 0 and "left, committed at" in done.stdout, (done.stdout,
                                                                               done.stderr)
        assert nodes["h2"].wait() == 0
        until("h2 is gone", lambda: nodes["c1"].members() == ["c1", "c2", "c3", "h1"])
        assert ("web", "h2") not in services(nodes["c1"])


def test_without_quorum():
    with Cluster() as cluster:
        nodes = start_cluster(cluster, ["h1"])
        committed(nodes["h1"].ask("announce", "web", "8080"))
        nodes["c2"].kill()
        nodes["c3"].kill()
        until("c1 is degraded", lambda: nodes["c1"].ask("status").returncode == 5)
        done = nodes["h1"].ask("announce", "api", "9090", "--timeout", "1s")
        assert done.returncode == 5 and "pushed, not committed" in done.stdout, (done.stdout,
                                                                                 done.stderr)
        assert nodes["c1"].members() == ["c1", "c2", "c3", "h1"]
        nodes["c2"].start()
        until("it heals", lambda: nodes["c1"].ask("status").returncode == 0)
        until("it is committed", lambda: ("api", "h1") in services(nodes["c2"]))


def test_a_failed_host():
    with Cluster() as cluster:
        nodes = start_cluster(cluster, ["h1", "h2"])
        committed(nodes["h2"].ask("announce", "web", "8080"))
        nodes["h2"].kill()
        until("h2 is removed", lambda: nodes["c1"].members() == ["c1", "c2", "c3", "h1"])
        until("and its service", lambda: services(nodes["c1"]) == [])


def test_refused():
    with Cluster() as cluster, Cluster() as other:
        port, stranger, taken, late, same = free_ports(5)
        join = f'join: ["127.0.0.1:{port}"]\n'
        one = cluster.add("c1", port, "control", "control: {bootstrap: true}\n").start()
        until("c1 is ready", one.is_healthy)

        # Another key: silence, and his own log says why.
        lost = other.add("lost", stranger, "host", join).start()
        until("it says so", lambda: lost.logged("connected but unanswered: another key? ours is "))
        key_id = hivemind("keygen", "-o", other.dir / "another").stdout.split()[-1]
        assert re.search(r"ours is [0-9a-f]{8}\b", lost.log.read_text()) and len(key_id) == 8
        assert lost.ask("status").returncode == 1
        assert lost.stop() == 0

        # A taken name.
        twin = other.add("C1", taken, "host", join)
        twin.file.write_text(twin.text.replace(str(other.key), str(cluster.key)))
        twin.start()
        until("it is told who has it", lambda: twin.logged(f"held by the member at 127.0.0.1:{port}"))
        assert one.members() == ["c1"]
        twin.kill()

        # Another cluster with the same key.
        founder = cluster.add("f1", late, "control", "control: {bootstrap: true}\n").start()
        until("f1 is ready", founder.is_healthy)
        assert founder.stop() == 0
        founder.file.write_text(founder.text.replace("control: {bootstrap: true}\n", join)
                                .replace("[control]", "[host]"))
        founder.start()
        until("it is told of the cluster", lambda: founder.logged("WRONG_CLUSTER"))
        assert one.facts()["cluster"] in founder.log.read_text()
        assert one.members() == ["c1"]
        founder.kill()

        # The data directory of a living node, and of another one.
        second = cluster.add("second", same, "host", join)
        second.file.write_text(second.text.replace(str(second.data), str(one.data)))
        done = hivemind("run", "-c", second.file)
        assert done.returncode == 1 and str(one.data) in done.stderr, done.stderr
        assert one.stop() == 0
        done = hivemind("run", "-c", second.file)
        assert done.returncode == 1 and "belongs to node c1" in done.stderr, done.stderr


def test_sighup():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control, host",
                           "control: {bootstrap: true}\nservices: [{name: web, port: 80}]\n")
        node.start()
        until("it is ready", node.is_healthy)
        node.file.write_text(node.text.replace("port: 80", "port: 81"))
        node.signal(signal.SIGHUP)
        until("the port changes", lambda: any(i["addr"].endswith(":81")
                                              for i in node.json("services") or []))
        node.file.write_text(node.text.replace("port: 80", "prot: 81"))
        node.signal(signal.SIGHUP)
        until("the error is told", lambda: node.logged("did you mean 'port'?"))
        assert [i["addr"][-3:] for i in node.json("services")] == [":81"]
        # What only the module finds is told the same way, and nothing else of the file is taken.
        twice = node.text.replace("port: 80}", "port: 82}, {name: web, port: 82}")
        node.file.write_text(twice.replace("advertise", "log_level: error\nadvertise"))
        node.signal(signal.SIGHUP)
        until("the finding is told", lambda: re.search(
            r"node.yaml:\d+:\d+: service 'web' on port 82 is declared in ", node.log.read_text()))
        assert [i["addr"][-3:] for i in node.json("services")] == [":81"]
        assert not node.logged("key=log_level")
        # What can change does, the rest is named.
        changed = node.text.replace("port: 80", "port: 82").replace("advertise", "log_level: debug\n"
                                                                    "advertise")
        node.file.write_text(changed.replace(f":{node.port}", f":{node.port - 1}"))
        node.signal(signal.SIGHUP)
        until("a restart is asked for", lambda: re.search(
            r'msg="change needs a restart" key=advertise', node.log.read_text()))
        until("the port changes", lambda: any(i["addr"].endswith(":82")
                                              for i in node.json("services") or []))
        assert node.stop() == 0


def test_one_after_a_crash():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control, host", "control: {bootstrap: true}\n")
        node.start()
        until("it is ready", node.is_healthy)
        last = 0
        for port in range(8001, 8006):
            last = committed(node.ask("announce", "web", port))
            node.kill()
            node.start()
            until("it is back", node.is_healthy, DEADLINE_S)
        assert len(node.json("services")) == 5
        assert int(node.facts()["index"]) >= last


def test_nobody_there():
    with Cluster() as cluster:
        port, own, other = free_ports(3)
        lost = cluster.add("lost", own, "host", f'join: ["127.0.0.1:{port}"]\n').start()
        until("it says whom it misses", lambda: lost.logged(f'"not reached" addr=127.0.0.1:{port}'))
        nameless = cluster.add("nameless", other, "host", "join: [no-such-host.invalid]\n").start()
        until("it says what does not resolve", lambda: nameless.logged(
            '"a name under join: does not resolve" name=no-such-host.invalid why='))
        until("and that nothing is left", lambda: nameless.logged("can be resolved"))
        one = cluster.add("c1", port, "control", "control: {bootstrap: true}\n").start()
        until("it is let in", lambda: one.is_healthy() and one.members() == ["c1", "lost"])
        assert lost.stop() == 0 and nameless.stop() == 0


def test_ipv6_and_names():
    with Cluster() as cluster:
        one, two, three = free_ports(3)
        first = cluster.add("c1", one, "control", "control: {bootstrap: true}\n")
        first.file.write_text(first.text.replace(f"127.0.0.1:{one}", f'"[::1]:{one}"'))
        first.start()
        until("c1 is ready", first.is_healthy)
        host = cluster.add("h1", two, "host", f'join: ["[::1]:{one}"]\n')
        host.file.write_text(host.text.replace(f"127.0.0.1:{two}", f'"[::1]:{two}"'))
        host.start()
        until("h1 is ready", host.is_healthy)
        done = host.ask("announce", "web", "80")
        assert committed(done) and "web [::1]:80 " in done.stdout, done.stdout

    with Cluster() as cluster:
        first = cluster.add("c1", one, "control", "control: {bootstrap: true}\n").start()
        until("c1 is ready", first.is_healthy)
        named = cluster.add("h1", three, "host", f"join: [\"localhost:{one}\"]\n").start()
        until("a name will do", named.is_healthy)


def test_moved():
    with Cluster() as cluster:
        nodes = start_cluster(cluster, ["h1"])
        before = nodes["c1"].json("members", "--all")["members"]
        host, port = nodes["h1"], free_ports(1)[0]
        assert host.stop() == 0
        host.file.write_text(host.text.replace(f":{host.port}\n", f":{port}\n"))
        host.start()
        until("it is back", host.is_healthy)

        def moved():
            now = nodes["c1"].json("members", "--all")["members"]
            return [m["id"] for m in now if m["addr"] == f"127.0.0.1:{port}"]
        until("its new address is known", moved)
        assert moved() == [m["id"] for m in before if m["name"] == "h1"]
        kinds = [line.split()[2] for line in nodes["c1"].ask("events").stdout.splitlines()]
        assert kinds.count("member_joined") == 4 and "member_changed" in kinds, kinds


def test_the_service_manager():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control", "control: {bootstrap: true}\n")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(cluster.dir / "notify"))
            manager.settimeout(DEADLINE_S)
            node.start({"NOTIFY_SOCKET": str(cluster.dir / "notify")})
            assert manager.recv(100) == b"READY=1"
            assert node.is_healthy()
            node.signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert node.wait() == 0


def test_follow():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control, host", "control: {bootstrap: true}\n")
        node.start()
        until("it is ready", node.is_healthy)
        newest = int(node.facts()["index"])
        follower = subprocess.Popen([str(HIVEMIND), "events", "--socket", str(node.socket), "--follow",
                                     "--from", str(newest + 1), "--format", "json"],
                                    stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        try:
            index = committed(node.ask("announce", "web", "8080"))
            event = json.loads(follower.stdout.readline())
            assert event["index"] == index and event["kind"] == "host_changed", event
            committed(node.ask("drain"))
            assert "draining" in node.ask("services", "web").stdout
            committed(node.ask("undrain", "web"))
            committed(node.ask("withdraw", "web", "8080"))
            assert node.ask("withdraw", "web").returncode == 3
            assert [json.loads(follower.stdout.readline())["index"] for _ in range(3)] == \
                [index + 1, index + 2, index + 3]
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()


def test_junk_on_the_control_socket():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control", "control: {bootstrap: true}\n").start()
        until("it is ready", node.is_healthy)
        for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\x05\0\0\0hello", b"\0\0\0\0", b"\xff" * 4,
                     b"\1\0\0\0"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(node.socket))
                sock.sendall(junk)
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(DEADLINE_S)
                while sock.recv(4096):
                    pass
        assert node.is_healthy()
        assert node.stop() == 0


def test_a_damaged_journal():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control, host", "control: {bootstrap: true}\n")
        node.start()
        until("it is ready", node.is_healthy)
        for port in range(1, 6):
            committed(node.ask("announce", "web", port))
        assert node.stop() == 0
        journal = sorted(node.data.glob("journal-*"))[0]
        whole = journal.read_bytes()
        at = whole.index(b"web")
        journal.write_bytes(whole[:at] + b"bew" + whole[at + 3:])
        damaged = journal.read_bytes()
        done = hivemind("run", "-c", node.file)
        assert done.returncode == 1, done
        assert journal.name in done.stderr and re.search(r"\d{2,}", done.stderr), done.stderr
        assert journal.read_bytes() == damaged
        journal.write_bytes(whole)
        node.start()
        until("it is back", node.is_healthy)
        assert len(node.json("services")) == 5


if __name__ == "__main__":
    from cluster import main
    main()
