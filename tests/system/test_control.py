#!/usr/bin/env python3
"""The control plane as those see it who keep it alive: its status, on real processes."""

from cluster import Cluster, free_ports, main, until


def control_plane(cluster, count=3, text="", after="", roles="control"):
    """Control nodes c1.. that have become voters; the ports of others are for the caller."""
    ports = free_ports(count)
    join = "join: [" + ", ".join(f"127.0.0.1:{port}" for port in ports) + "]\n"
    for number, port in enumerate(ports, 1):
        how = "control: {bootstrap: true" if number == 1 else f"{join}control: {{voters: 3"
        node = cluster.add(f"c{number}", port, roles, f"{how}{after}}}\n{text}").start()
        until(f"{node.name} is healthy", node.is_healthy)
    nodes = list(cluster.nodes.values())
    until("all vote", lambda: voters(nodes[0]) == count)
    return nodes, join


def voters(node):
    told = node.json("control status")
    return sum(one["votes"] for one in told["nodes"]) if told else 0


def by_name(node, *arguments):
    told = node.json("control status", *arguments)
    return {one["name"]: one for one in told["nodes"]} if told else {}


def test_status():
    with Cluster() as cluster:
        nodes, _ = control_plane(cluster)
        told = until("nobody lacks anything", lambda: (lambda t: t if t and all(
            one["lag"] == 0 for one in t["nodes"]) else None)(nodes[1].json("control status")))
        assert told["status"] == "OK" and told["disk"] == "ok", told
        assert told["journal_bytes"] > 0 and told["sync_p99_us"] >= told["sync_p50_us"] > 0, told
        leader = [one["name"] for one in told["nodes"] if one["state"] == "leader"]
        assert leader == [told["teller"]], told
        assert told["applied"] == told["commit"] <= told["last"] and told["epoch"] == 1, told
        table = nodes[2].ask("control status")
        assert table.returncode == 0 and "LAG" in table.stdout and leader[0] in table.stdout, table

        # A follower knows itself only; what it says of others is that it does not know.
        follower = next(node for node in nodes if node.name != leader[0])
        local = follower.json("control status", "--local")
        assert local["teller"] == follower.name, local
        assert {one["lag"] for one in local["nodes"]} == {None}, local

        follower.kill()
        first = next(node for node in nodes if node.name == leader[0])
        until("the killed voter is silent",
              lambda: by_name(first).get(follower.name, {}).get("state") in ("silent", None))
        second = next(node for node in nodes if node not in (first, follower))
        second.kill()
        until("degraded", lambda: first.ask("control status").returncode == 5)
        assert "no quorum" in first.ask("control status").stdout
        wrong = first.ask("control statsu")
        assert wrong.returncode == 2 and "did you mean 'status'" in wrong.stderr, wrong


if __name__ == "__main__":
    main()
