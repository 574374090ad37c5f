#!/usr/bin/env python3
"""The zones that a cluster has agreed on, as its DNS servers answer them: real processes, real
questions."""

import re
import signal

from cluster import Cluster, free_ports, hivemind, until
from dnsquery import A, NOERROR, NS, NXDOMAIN, REFUSED, SERVFAIL, ask, serial, ttl


def section(server, service="5s", more=""):
    return (f"dns:\n  listen: [\"{server[0]}:{server[1]}\"]\n  threads: 1\n{more}"
            f"  zones:\n    - name: corp.internal\n      ttl: {{service: {service}}}\n")


class Servers:
    """One control node that is also a host, and dns nodes d1, d2, .. with what each has in its file."""

    def __init__(self, cluster, sections):
        own, *self.spare = free_ports(3 + 2 * len(sections))
        self.dns = [("127.0.0.1", self.spare.pop()) for _ in sections]
        ports = [self.spare.pop() for _ in sections]
        join = f'join: ["127.0.0.1:{own}"]\n'
        self.control = cluster.add("c1", own, "control, host", "control: {bootstrap: true}\n")
        self.nodes = [cluster.add(f"d{i + 1}", port, "dns", join + make(self.dns[i]))
                      for i, (port, make) in enumerate(zip(ports, sections))]
        self.control.start()
        until("the control node is ready", self.control.is_healthy)

    def start(self):
        for node in self.nodes:
            node.start()
        for node, server in zip(self.nodes, self.dns):
            until(f"{node.name} answers", lambda s=server: serial(s, "corp.internal") is not None)
        return self

    def rewrite(self, i, text, number=signal.SIGHUP):
        """Another section for a dns node, and a signal to read it (0: none)."""
        node = self.nodes[i]
        node.text = node.text[:node.text.index("dns:\n")] + text
        node.file.write_text(node.text)
        if number:
            node.signal(number)

    def zone(self, i, name="corp.internal"):
        return self.nodes[i].facts().get(f"dns.zone.{name}", "")

    def ttls(self, name="web.corp.internal"):
        return [ttl(server, name) for server in self.dns]

    def one_serial(self):
        """All have the same; then what it is."""
        serials = {serial(server, "corp.internal") for server in self.dns}
        return serials.pop() if len(serials) == 1 else None


def announce(node, *arguments):
    return node.ask("announce", *arguments, "--timeout", "10s")


def test_a_reload_commits_the_file():
    """Two dns nodes with one file and one with another, which all start at once."""
    with Cluster() as cluster:
        servers = Servers(cluster, [section, section, lambda server: section(server, "7s")])
        assert announce(servers.control, "web", 80).returncode == 0
        servers.start()
        # Whoever was first founded it; the others have found it, and say where they differ.
        founded = until("all agree", lambda: len(set(servers.ttls())) == 1 and servers.ttls()[0])
        assert founded in (5, 7)
        odd = 2 if founded == 5 else 0
        until("it says so", lambda: "not as in the file (ttl.service" in servers.zone(odd))
        assert f"{12 - founded}s in the file, {founded}s committed" in servers.zone(odd)
        assert servers.nodes[odd].logged('msg="zone differs"')
        for i in {0, 1, 2} - {odd} - ({1} if founded == 7 else set()):
            assert servers.zone(i).startswith("as in the file, committed at "), servers.zone(i)
        before = until("one serial", servers.one_serial)

        # Another file changes nothing before it is reloaded, and then the answers of all.
        servers.rewrite(1, section(servers.dns[1], "9s"), 0)
        assert servers.ttls() == [founded] * 3 and servers.one_serial() == before
        servers.rewrite(1, section(servers.dns[1], "9s"))
        until("all answer so", lambda: servers.ttls() == [9, 9, 9])
        until("it is agreed", lambda: servers.zone(1).startswith("as in the file"))
        until("the others differ", lambda: "5s in the file, 9s committed" in servers.zone(0))
        after = until("one serial", servers.one_serial)
        assert after > before
        assert announce(servers.control, "api", 81).returncode == 0
        until("one serial, another one", lambda: (servers.one_serial() or 0) > after)

        # A restart takes the committed zone, whatever the file says now.
        servers.rewrite(1, section(servers.dns[1], "3s"), 0)
        assert servers.nodes[1].stop() == 0
        servers.nodes[1].start()
        until("it answers", lambda: servers.ttls() == [9, 9, 9])
        until("it says so", lambda: "3s in the file, 9s committed" in servers.zone(1))
        until("one serial", servers.one_serial)
        # A reload commits it, though the file is as it was at the start.
        servers.nodes[1].signal(signal.SIGHUP)
        until("all answer so", lambda: servers.ttls() == [3, 3, 3])
        until("one serial", servers.one_serial)


def test_a_bad_file_changes_nothing():
    with Cluster() as cluster:
        servers = Servers(cluster, [section]).start()
        server = servers.dns[0]
        assert announce(servers.control, "web", 80).returncode == 0
        twice = section(server, "9s") + "    - name: Corp.Internal\n"
        servers.rewrite(0, "log_level: debug\n" + twice)
        line = servers.nodes[0].text[:servers.nodes[0].text.index("    - name: Corp")].count("\n") + 1
        place = f"{servers.nodes[0].file}:{line}:7: zone 'corp.internal' is there twice"
        until("the finding is told", lambda: servers.nodes[0].logged(place))
        assert servers.nodes[0].logged("configuration unchanged, the file is wrong")
        assert servers.ttls() == [5] and servers.zone(0).startswith("as in the file")
        done = hivemind("check-config", servers.nodes[0].file)
        assert done.returncode == 2 and place in done.stderr, done
        # Another zone comes and goes without a restart.
        servers.rewrite(0, section(server, "9s") + "    - name: lab.internal\n")
        until("both are served", lambda: servers.ttls() == [9] and
              ask(server, "web.lab.internal", A)[0] == NOERROR)
        servers.rewrite(0, section(server, "9s"))
        until("it is gone", lambda: ask(server, "web.lab.internal", A)[0] == REFUSED)


def test_virtual_hosts_outside_are_refused():
    with Cluster() as cluster:
        servers = Servers(cluster, [section])
        host, server = servers.control, servers.dns[0]
        # While no zone limits it everything is granted, and stays so.
        assert announce(host, "old", 79, "--vhost", "old.example").returncode == 0
        servers.start()
        assert announce(host, "shop", 80, "--vhost", "buy.corp.internal").returncode == 0
        until("it is served", lambda: ask(server, "buy.corp.internal", A)[0] == NOERROR)
        done = announce(host, "web", 81, "--vhost", "shop.example")
        assert done.returncode == 1 and "committed at" in done.stdout, done
        assert "shop.example is outside vhosts_allow (corp.internal)" in done.stderr, done.stderr
        until("the service itself is served", lambda: ttl(server, "web.corp.internal") == 5)
        # What was granted stays when its replacement is not, until another one is.
        done = announce(host, "shop", 80, "--vhost", "new.example")
        assert done.returncode == 1 and "what was granted before stays" in done.stderr, done
        assert ask(server, "buy.corp.internal", A)[0] == NOERROR
        done = announce(host, "shop", 80, "--vhost", "new.corp.internal")
        assert done.returncode == 0 and not done.stderr, done  # what web is refused is not its matter
        assert announce(host, "api", 82).returncode == 0
        done = announce(host, "web", 81, "--vhost", "shop.example")
        assert done.returncode == 1 and "shop.example is outside vhosts_allow" in done.stderr, done
        until("it is replaced", lambda: ask(server, "new.corp.internal", A)[0] == NOERROR and
              ask(server, "buy.corp.internal", A)[0] != NOERROR)
        events = host.ask("events").stdout
        assert "vhosts old.example is of service old" in events and "shop.example is" not in events
        # The file that allows it commits it, and who asked for it has it.
        servers.rewrite(0, section(server, more="  vhosts_allow: [example, corp.internal]\n"))
        until("it is granted", lambda: "vhosts shop.example is of service web" in
              host.ask("events").stdout)
        assert announce(host, "web", 81, "--vhost", "shop.example").returncode == 0


def test_nameservers_outlive_a_failure():
    with Cluster() as cluster:
        servers = Servers(cluster, [section, section]).start()

        def names():
            reply = ask(servers.dns[0], "corp.internal", NS)
            return reply and sorted(data[1:3].decode() for kind, _, data in reply[1] if kind == NS)
        until("both are nameservers", lambda: names() == ["d1", "d2"])
        servers.nodes[1].kill()
        until("it is removed", lambda: servers.control.members() == ["c1", "d1"])
        until("its record says so", lambda: re.search(r"consumers d2 .*failed=yes",
                                                      servers.control.ask("events").stdout))
        assert names() == ["d1", "d2"]
        servers.nodes[1].start()
        until("it is back", lambda: servers.control.members() == ["c1", "d1", "d2"])
        until("it serves", lambda: serial(servers.dns[1], "corp.internal"))
        assert servers.nodes[1].ask("leave").returncode == 0
        until("a leave takes it out", lambda: names() == ["d1"])


def test_a_zone_that_nobody_names_is_forgotten():
    with Cluster() as cluster:
        more = "    - name: lab.internal\n"
        servers = Servers(cluster, [section, lambda s: section(s) + more,
                                    lambda s: section(s) + more]).start()
        host, (d1, d2, d3) = servers.control, servers.nodes

        def namers(zone):
            told = d1.json("dns zones")
            return [[n["node"] for n in z["named_by"]] for z in told if z["zone"] == zone]
        until("it is recorded", lambda: namers("corp.internal") == [["d1", "d2", "d3"]] and
              namers("lab.internal") == [["d2", "d3"]])
        assert announce(host, "web", 80, "--vhost", "www.lab.internal").returncode == 0

        # While it is named nothing happens, and who names it is told.
        done = d1.ask("dns forget", "lab.internal", "--yes")
        assert done.returncode == 1 and "still named by d2, d3: " in done.stderr, done
        servers.rewrite(1, section(servers.dns[1]))
        until("one is left", lambda: namers("lab.internal") == [["d3"]])
        done = d1.ask("dns forget", "lab.internal", "--yes")
        assert done.returncode == 1 and "still named by d3: " in done.stderr, done
        assert ask(servers.dns[2], "www.lab.internal", A)[0] == NOERROR
        # A node that is gone stands in nobody's way; nothing is done without a yes.
        d3.kill()
        until("it is removed", lambda: "d3" not in host.members())
        done = d1.ask("dns forget", "Lab.internal.")
        assert done.returncode == 1 and "nothing was changed" in done.stderr, done
        assert "d3 named it and failed" in done.stdout and namers("lab.internal") == [["d3"]], done
        done = d1.ask("dns forget", "Lab.internal.", "--yes", "--format", "json")
        assert done.returncode == 0 and '"zone": "lab.internal"' in done.stdout, done
        until("it is gone", lambda: namers("lab.internal") == [])
        events = host.ask("events").stdout
        assert "zones lab.internal deleted" in events and "zones_named lab.internal d3 deleted" in events
        done = announce(host, "web", 80, "--vhost", "www.lab.internal", "--vhost", "new.lab.internal")
        assert done.returncode == 1 and "new.lab.internal is outside vhosts_allow (corp.internal)" in \
            done.stderr, done
        assert d1.ask("dns forget", "lab.internal", "--yes").returncode == 3
        done = host.ask("dns forget", "lab.internal", "--yes")
        assert done.returncode == 3 and "run it on a node with role dns" in done.stderr, done
        # One that comes back with it in its file founds it.
        d3.start()
        until("it is founded", lambda: namers("lab.internal") == [["d3"]])
        until("it is served", lambda: serial(servers.dns[2], "lab.internal"))


def test_no_quorum_at_the_start():
    """Nothing is answered that is not agreed, and nothing blocks."""
    with Cluster() as cluster:
        servers = Servers(cluster, [section])
        node, server = servers.nodes[0], servers.dns[0]
        join = f'join: ["127.0.0.1:{servers.control.port}"]\n'
        second = cluster.add("c2", servers.spare.pop(), "control", join)
        third = cluster.add("c3", servers.spare.pop(), "control", join)
        node.start()
        until("it is founded", lambda: serial(server, "corp.internal"))
        second.start()
        third.start()
        until("three voters", lambda: servers.control.facts().get("control.voters") == "3")
        servers.rewrite(0, section(server) + "    - name: old.internal\n")
        until("it is committed", lambda: servers.zone(0, "old.internal").startswith("as in the file"))
        servers.rewrite(0, section(server))
        until("nobody names it", lambda: node.json("dns zones")[1] ==
              {"zone": "old.internal", "index": node.json("dns zones")[1]["index"], "named_by": []})
        second.kill()
        third.kill()
        until("no quorum", lambda: servers.control.ask("status").returncode == 5)
        servers.rewrite(0, section(server, "9s") + "    - name: lab.internal\n")
        until("the zone is known, not agreed",
              lambda: ask(server, "web.lab.internal", A)[0] == SERVFAIL)
        assert servers.zone(0, "lab.internal") == "not committed yet: not served"
        done = node.ask("dns forget", "old.internal", "--yes", "--timeout", "500ms")
        assert done.returncode == 5 and "not known to be committed" in done.stderr, done
        assert ask(server, "x.corp.internal", A)[0] == NXDOMAIN  # as it is committed
        second.start()
        until("both are committed", lambda: servers.zone(0).startswith("as in the file") and
              servers.zone(0, "lab.internal").startswith("as in the file"))
        assert ask(server, "web.lab.internal", A)[0] == NXDOMAIN


if __name__ == "__main__":
    from cluster import main
    main()
