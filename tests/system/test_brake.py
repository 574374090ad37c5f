#!/usr/bin/env python3
"""The removal brake on real processes: when many hosts of a service go at once, its answers stay for
a while and then end."""

import dnsquery
from cluster import Cluster, free_ports, main, until


def addresses(server, name):
    reply = dnsquery.ask(server, name, dnsquery.A)
    return [data[-1] for kind, _, data in reply[1] if kind == dnsquery.A] if reply else []


def test_many_hosts_at_once():
    with Cluster() as cluster:
        port, at_dns, *at = free_ports(6)
        server = ("127.0.0.1", free_ports(1)[0])
        join = f'join: ["127.0.0.1:{port}"]\n'
        control = cluster.add("c1", port, "control",
                              "control: {bootstrap: true, removal_brake: 4s}\n").start()
        until("c1 is ready", control.is_healthy)
        dns = cluster.add("d1", at_dns, "dns", join + f"dns:\n  listen: [\"{server[0]}:{server[1]}\"]\n"
                          "  threads: 1\n  zones:\n    - name: corp.internal\n").start()
        hosts = []
        for number, own in enumerate(at, 1):
            # An address of its own, so that an answer tells the hosts apart.
            text = (f"addresses: [127.0.0.{number}]\nservices:\n  - name: web\n"
                    f"    port: 8080\n")
            hosts.append(cluster.add(f"h{number}", own, "host", join + text).start())
        for node in (dns, *hosts):
            until(f"{node.name} is ready", node.is_healthy)
        until("all four are answered",
              lambda: sorted(addresses(server, "web.corp.internal")) == [1, 2, 3, 4])

        for host in hosts[1:]:
            host.kill()
        until("the members are gone", lambda: control.members() == ["c1", "d1", "h1"])
        until("the brake holds", lambda: control.facts()["braked"] == "3")
        until("it holds at the dns node", lambda: dns.facts()["braked"] == "3")
        assert sorted(addresses(server, "web.corp.internal")) == [1, 2, 3, 4]
        assert addresses(server, "web.corp.internal")[0] == 1, "suspects come last"
        said = control.ask("status").stdout
        assert "3 hosts failed at once: the removal brake keeps" in said, said
        told = {one["host"]: one["reason"] for one in control.json("services")}
        assert told["h1"] == "" and "removal brake" in told["h2"], told

        until("they are let go", lambda: control.facts()["braked"] == "0")
        until("only the living one is answered",
              lambda: addresses(server, "web.corp.internal") == [1])
        # Back with its disk, a host is served as ever.
        hosts[1].start()
        until("h2 is answered again",
              lambda: sorted(addresses(server, "web.corp.internal")) == [1, 2])
        # One host alone is no disaster, whatever it takes along.
        hosts[1].kill()
        hosts[0].kill()
        until("nothing is left", lambda: addresses(server, "web.corp.internal") == [])


if __name__ == "__main__":
    main()
