#!/usr/bin/env python3
"""A majority of the control plane is lost for good: a survivor goes on, the others are fenced and
come back, and whoever asks DNS sees nothing of it. On real processes."""

import json
import shutil
import threading

import dnsquery
from cluster import Cluster, free_ports, main, until
from test_control import by_name, control_plane, voters


class Asker(threading.Thread):
    """Asks for a name all the time; what is not answered as ever is noted."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.server, self.name, self.wrong, self.asked = server, name, [], 0
        self.stop = threading.Event()

    def run(self):
        while not self.stop.wait(0.02):
            reply = dnsquery.ask(self.server, self.name, dnsquery.A)
            self.asked += 1
            if not reply or reply[0] != dnsquery.NOERROR or len(reply[1]) != 1:
                self.wrong.append(reply)

    def end(self):
        self.stop.set()
        self.join()
        assert self.asked > 20 and not self.wrong, (self.asked, self.wrong[:3])


def start(cluster, roles="control"):
    """Three control nodes, a dns server and a host, which serves web; where DNS is asked."""
    nodes, join = control_plane(cluster, roles=roles)
    ports = free_ports(2)
    server = ("127.0.0.1", free_ports(1)[0])
    dns = cluster.add("d1", ports[0], "dns", f"{join}dns:\n  listen: [\"{server[0]}:{server[1]}\"]\n"
                      "  threads: 1\n  zones:\n    - name: corp.internal\n").start()
    host = cluster.add("h1", ports[1], "host",
                       f"{join}services:\n  - name: web\n    port: 8080\n").start()
    for node in (dns, host):
        until(f"{node.name} is ready", node.is_healthy)
    until("the name is served", lambda: (dnsquery.ask(server, "web.corp.internal", dnsquery.A)
                                         or (1, []))[1])
    return nodes, join, dns, host, server


def rcode(server, name):
    reply = dnsquery.ask(server, name, dnsquery.A)
    return reply[0] if reply else None


def lose_majority(nodes):
    """Kills the first and the last; the one in between survives."""
    first, survivor, last = nodes
    first.kill()
    last.kill()
    until("degraded", lambda: survivor.ask("control status").returncode == 5)
    return first, survivor, last


def test_a_survivor_goes_on():
    with Cluster() as cluster:
        nodes, join, dns, host, server = start(cluster)
        early = nodes[1].ask("control recover", "--yes")
        assert early.returncode == 1 and "there is nothing to recover" in early.stderr, early
        asker = Asker(server, "web.corp.internal")
        asker.start()
        serial = dnsquery.serial(server, "corp.internal")
        first, survivor, last = lose_majority(nodes)

        asked = survivor.ask("control recover")  # without a terminal: no
        assert asked.returncode == 1 and "nothing was changed" in asked.stderr, asked
        assert "epoch 65537 follows epoch 1" in asked.stdout and "c3 at" in asked.stdout, asked
        assert survivor.ask("control status").returncode == 5
        done = survivor.ask("control recover", "--yes")
        assert done.returncode == 0 and "epoch 65537" in done.stdout, done
        until("it has a quorum of one", lambda: voters(survivor) == 1)
        assert survivor.ask("control status").returncode == 0
        # The others follow by themselves, and what they serve is of the new epoch.
        until("the dns server follows", lambda: dns.facts().get("epoch") == "65537")
        until("the host follows", lambda: host.facts().get("epoch") == "65537")
        until("they are healthy", lambda: dns.is_healthy() and host.is_healthy())
        until("the serial is another",
              lambda: dnsquery.serial(server, "corp.internal") >= serial + (1 << 20))
        done = host.ask("announce", "api", "9090", "--timeout", "10s")
        assert done.returncode == 0, done

        # An old voter with its disk is fenced, stays so over a restart, and comes back anew.
        old = ("127.0.0.1", free_ports(1)[0])  # it answered for the zone, too
        assert "roles: [control]" in last.text
        last.file.write_text(last.text.replace("roles: [control]", "roles: [control, dns]") +
                             f"dns:\n  listen: [\"{old[0]}:{old[1]}\"]\n  zones:\n"
                             "    - name: corp.internal\n")
        last.start()
        until("it is fenced", lambda: "fenced" in last.ask("status").stdout)
        until("it answers nothing any more",
              lambda: rcode(old, "web.corp.internal") == dnsquery.SERVFAIL)
        refused = last.ask("members", "--all")
        assert refused.returncode == 1 and "control rejoin" in refused.stderr, refused
        assert last.stop() == 0
        last.start()
        until("it is still fenced", lambda: "fenced" in last.ask("control status").stdout)
        assert rcode(old, "web.corp.internal") == dnsquery.SERVFAIL
        assert last.facts()["dns.complete"] == "no: fenced", last.facts()
        assert by_name(survivor).keys() == {"c2"}, by_name(survivor)
        assert host.ask("control rejoin", "--yes").returncode == 1
        done = last.ask("control rejoin", "--yes", "--format", "json")
        assert done.returncode == 0 and json.loads(done.stdout) == {"rejoins": True}, done
        until("it is a member again", last.is_healthy)
        until("it answers again", lambda: rcode(old, "web.corp.internal") == dnsquery.NOERROR)
        assert (last.data / "aside-1" / "identity").exists()
        assert list((last.data / "aside-1").glob("journal-*"))
        # One that lost its disk is new.
        shutil.rmtree(first.data)
        first.file.write_text(first.text.replace("control:", join + "control:"))
        first.start()
        until("it joins", first.is_healthy)
        until("all three vote", lambda: voters(survivor) == 3)
        assert survivor.members() == ["c1", "c2", "c3", "d1", "h1"]
        survivor.kill()
        done = host.ask("announce", "late", "9091", "--timeout", "15s")
        assert done.returncode == 0, done
        asker.end()


def test_two_recoveries_fence_each_other():
    with Cluster() as cluster:
        nodes, _ = control_plane(cluster)
        for node in nodes:
            node.kill()
        # Each goes on alone, unaware of the other.
        for node in (nodes[1], nodes[2]):
            node.start()
            until("degraded", lambda node=node: node.ask("control status").returncode == 5)
            until("it recovers", lambda node=node:
                  node.ask("control recover", "--yes").returncode == 0)  # once it has started
            until("it goes on", lambda node=node: voters(node) == 1)
            node.kill()
        for node in (nodes[1], nodes[2]):
            node.start()
        for node in (nodes[1], nodes[2]):
            until(f"{node.name} is fenced", lambda node=node: "fenced" in node.ask("status").stdout)
        # People say which one counts.
        done = nodes[1].ask("control recover", "--yes")
        assert done.returncode == 0 and "epoch 131073" in done.stdout, done
        assert nodes[2].ask("control rejoin", "--yes").returncode == 0
        until("one control plane", nodes[2].is_healthy)
        assert nodes[1].members() == nodes[2].members() == ["c2", "c3"]


def ids(node):
    return {one["name"]: one["id"] for one in node.json("members", "--all")["members"]}


def test_a_voter_without_its_journal_is_another():
    """Who deletes a journal deletes votes: the node comes back, but not as the voter it was."""
    with Cluster() as cluster:
        nodes, _ = control_plane(cluster)
        victim = nodes[1]
        before = ids(nodes[0])[victim.name]
        victim.kill()
        lost = list(victim.data.glob("journal-*"))
        assert lost
        for file in lost + list(victim.data.glob("snapshot-*")):
            file.unlink()
        victim.start()
        until("it says so", lambda: victim.logged("journal is gone"))
        until("it is back", victim.is_healthy)
        until("all vote", lambda: voters(nodes[0]) == 3)
        assert ids(nodes[0])[victim.name] != before
        assert ids(victim) == ids(nodes[0])


if __name__ == "__main__":
    main()
