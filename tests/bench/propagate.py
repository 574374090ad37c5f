"""How fast the cluster of the demo follows a change, a crash and a lost leader, and what its nodes
cost when nothing happens; beside serf, where serf does the same. Everything runs on this machine, so
the times hold no network, and one client that asks without a pause takes a processor for itself."""

import argparse
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import peer_serf
from asking import A, SRV, Dns, Http, race
from commands import Control, Refused
from demo import CONTROLS, SERVERS, Cluster, Failed, until
from figures import Figures, percentile
from processes import busy_percent, worst_mib
from traffic import bytes_by_pid

ANNOUNCER, VICTIM, CHECKER = "bench-1", "bench-2", "web-1"
ADDRESSES = {ANNOUNCER: "41", VICTIM: "42"}
BACKEND_PORT = 7001
ROUTES = {"bench": 8081, "victim": 8082}  # service -> port of nginx that leads to it
VHOST = "vhost.demo.test"
WARM_UP = 20
IDLE_SECONDS = 10

HOST = """name: {name}
key: {dir}/cluster.key
data: {dir}/{name}
socket: {dir}/{name}.sock
advertise: {address}
join: [{net}1, {net}2, {net}3]
roles: [host]
"""

# The backend is nginx itself, so that it outlives its host's node and costs next to nothing.
ROUTE = """
    upstream {service} {{ hivemind service={service}; keepalive 16; }}
    server {{
        listen {net}21:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{ proxy_pass http://{service}; }}
    }}
"""
BACKEND = """
    server {{ listen {address}:{port}; return 200 "here\\n"; }}
"""


def progress(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


class Bench(Cluster):
    """The demo's cluster with two hosts of its own, which have no checks."""

    def __init__(self, build):
        super().__init__(build)
        for host in ADDRESSES:
            text = HOST.format(name=host, dir=self.dir, net=self.net, address=self.address(host))
            if host == VICTIM:
                text += f"services:\n  - name: victim\n    port: {BACKEND_PORT}\n"
            (self.dir / f"{host}.yaml").write_text(text)
        conf = self.dir / "nginx.conf"
        own = "\n    keepalive_requests 100000000;"
        own += "".join(BACKEND.format(address=self.address(host), port=BACKEND_PORT)
                      for host in ADDRESSES)
        own += "".join(ROUTE.format(service=service, net=self.net, port=port)
                       for service, port in ROUTES.items())
        conf.write_text(conf.read_text().replace("http {", "http {" + own, 1))

    def address(self, host):
        return self.net + ADDRESSES[host]

    def bring_up(self):
        for node in [*CONTROLS, *SERVERS, *ADDRESSES]:
            self.start(node)
        self.start_nginx()
        if not self.nginx:
            raise Failed("nginx or its module is missing")
        self.settled()

    def settled(self):
        """Until all are there and say that they are well."""
        until("three voters", lambda: self.voters() == 3)
        until("a leader", self.leader)
        for node in [*CONTROLS, *SERVERS, *ADDRESSES]:
            until(f"{node} is well",
                  lambda n=node: self.ask(n, "status", check=False).returncode == 0)

    def dns_client(self, server, name, kind):
        return Dns(self.net + ("11" if server == "dns-1" else "12"), 5353, name, kind)

    def http_client(self, service):
        return Http(self.net + "21", ROUTES[service], service)


# ---- a change of a host's services ----

def announcements(cluster, figures, changes):
    """One change at a time: the next is made when the last is served everywhere."""
    control = Control(cluster.dir / f"{ANNOUNCER}.sock")
    servers = {server: cluster.dns_client(server, "_bench._tcp.demo.test", SRV)
               for server in SERVERS}
    routes = {"nginx": cluster.http_client("bench"),
              "nginx, virtual host": Http(cluster.net + "21", 8080, VHOST)}
    here = {s: lambda c=c: BACKEND_PORT in c.ask() for s, c in servers.items()}
    here.update({r: lambda c=c: c.ask() == 200 for r, c in routes.items()})
    gone = {s: lambda c=c: not c.ask() for s, c in servers.items()}
    gone.update({r: lambda c=c: c.ask() != 200 for r, c in routes.items()})
    came, went, reported, turns, asked = {w: [] for w in here}, {w: [] for w in gone}, [], 0, 0.0
    for number in range(changes + WARM_UP):
        start = time.monotonic()
        control.announce("bench", BACKEND_PORT, VHOST)
        took, some = race(here, start)
        control.reported()
        said = time.monotonic() - start
        start = time.monotonic()
        control.withdraw("bench")
        left, _ = race(gone, start)
        control.reported()
        if number < WARM_UP:
            continue
        turns, asked = turns + some, asked + max(took.values())
        reported.append(said * 1000)
        for what in here:
            came[what].append(took[what] * 1000)
            went[what].append(left[what] * 1000)
    for client in [control, *servers.values(), *routes.values()]:
        client.close()
    for what, values in came.items():
        figures.add_percentiles(f"announce to {what}", values, "ms", 50)
    figures.add_percentiles("announce to its report (committed, all serve it)", reported, "ms")
    for what, values in went.items():
        figures.add_percentiles(f"withdraw to {what}", values, "ms")
    figures.add("one turn of asking them all (times are at most so much too long)",
                asked / turns * 1000, "ms")


# ---- a node dies ----

class Victim:
    """The host that dies, as everyone sees it."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.dns = {}
        for server in SERVERS:
            self.dns[f"{server} A"] = cluster.dns_client(server, "victim.demo.test", A)
            self.dns[f"{server} SRV"] = cluster.dns_client(server, "_victim._tcp.demo.test", SRV)
            self.dns[f"{server} host"] = cluster.dns_client(server, f"{VICTIM}.host.demo.test", A)
        self.http = cluster.http_client("victim")
        self.here = {what: lambda c=c: bool(c.ask()) for what, c in self.dns.items()}
        self.here["nginx"] = lambda: self.http.ask() == 200
        self.gone = {what: lambda c=c: not c.ask() for what, c in self.dns.items()}
        self.gone["nginx"] = lambda: self.http.ask() != 200
        race(self.here, time.monotonic(), pause=0.001)

    def close(self):
        for client in [self.http, *self.dns.values()]:
            client.close()

    def dies(self, number):
        """Seconds to the last answer without it. A stopped process is silent: nothing refuses what
        is sent to it, as when the machine loses its power."""
        start = time.monotonic()
        self.cluster.processes[VICTIM].send_signal(number)
        took, _ = race(self.gone, start, pause=0.0005)
        self.cluster.kill(VICTIM)
        self.cluster.start(VICTIM)
        race(self.here, time.monotonic(), pause=0.001)
        self.cluster.settled()
        return max(took.values())


def crashes(cluster, serf, figures, rounds):
    victim = Victim(cluster)
    killed, silent, peers = [], [], []
    for number in range(rounds):
        progress(f"crash {number + 1} of {rounds}")
        killed.append(victim.dies(signal.SIGKILL))
        peers.append(serf.crash())
        silent.append(victim.dies(signal.SIGSTOP))
    victim.close()
    for what, percent in (("median", 50), ("worst", 100)):
        peer = percentile(peers, percent)
        figures.add(f"host killed to gone everywhere, {what}", percentile(killed, percent), "s",
                    2 if percent == 100 else None, "serf", peer)
        figures.add(f"host silent to gone everywhere, {what}", percentile(silent, percent), "s",
                    2 if percent == 100 else None, "serf, killed", peer)


def leaders(cluster, figures, rounds):
    took = []
    for number in range(rounds):
        progress(f"leader lost {number + 1} of {rounds}")
        control = Control(cluster.dir / f"{ANNOUNCER}.sock")
        leader = cluster.leader()
        start = time.monotonic()
        cluster.processes[leader].send_signal(signal.SIGKILL)
        control.announce("bench", BACKEND_PORT, VHOST)
        if not control.reported():
            raise Failed("an announcement was reported without its event")
        took.append(time.monotonic() - start)
        control.withdraw("bench")
        control.reported()
        control.close()
        cluster.kill(leader)
        cluster.start(leader)
        cluster.settled()
    figures.add("leader killed to the next committed event, median", percentile(took, 50), "s")
    figures.add("leader killed to the next committed event, worst", max(took), "s", 1)


# ---- what it costs to be there ----

def memory(cluster, figures, when, peer=None):
    for role, nodes, goal in (("host", [ANNOUNCER], 4), ("control", CONTROLS, 10),
                              ("dns", SERVERS, 10), ("host with an HTTP check", [CHECKER], None)):
        if nodes[0] not in cluster.processes:
            continue
        rss, pss = worst_mib([cluster.processes[node].pid for node in nodes])
        who = "serf" if peer and role == "host" else None
        figures.add(f"RSS {when}, {role}", rss, "MiB", goal, who, peer[0] if who else None)
        figures.add(f"PSS {when}, {role}", pss, "MiB", None, who, peer[1] if who else None)


def traffic(cluster, serf, figures):
    """What each role sends, beside an agent of serf."""
    pids = {node: process.pid for node, process in cluster.processes.items()}
    rates = bytes_by_pid([*pids.values(), *serf.pids()], IDLE_SECONDS)
    peer = sum(rates[pid] for pid in serf.pids()) / len(serf.pids())
    for role, nodes in (("host", [ANNOUNCER]), ("dns", SERVERS), ("control", CONTROLS)):
        rate = sum(rates[pids[node]] for node in nodes) / len(nodes)
        figures.add(f"sent when idle, {role} (with headers from IP up)", rate, "B/s", None, "serf",
                    peer)
    figures.add("sent when idle, by nginx's node and by what has ended since", rates[None], "B/s")


def idle(cluster, figures, own_network):
    """Nothing is asked and nothing changes. Returns the serf agents, for the crashes."""
    progress("idle")
    serf = peer_serf.Serf(5)
    time.sleep(10)
    memory(cluster, figures, "idle", worst_mib(serf.pids()))
    if own_network:
        traffic(cluster, serf, figures)
    return serf


def idle_afterwards(cluster, figures):
    progress("idle afterwards")
    cluster.start_backend(CHECKER)
    cluster.start(CHECKER)
    until("its check has passed", lambda: cluster.dns("dns-1") == cluster.addresses(CHECKER))
    time.sleep(5)
    memory(cluster, figures, "idle after all that")


# ---- all of it ----

def measure(cluster, figures, options):
    serf = None
    try:
        progress("a cluster: 3 control nodes, 2 dns nodes, nginx, 2 hosts")
        cluster.bring_up()
        serf = idle(cluster, figures, options.own_network)
        progress(f"{options.changes} changes")
        announcements(cluster, figures, options.changes)
        crashes(cluster, serf, figures, options.rounds)
        leaders(cluster, figures, options.rounds)
        idle_afterwards(cluster, figures)
    finally:
        if serf:
            serf.stop()


def main():
    parser = argparse.ArgumentParser(prog="bench propagate", description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="also write the rows there")
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10, help="of every kind of crash")
    parser.add_argument("--build", default="build", help="where bin, modules and nginx are")
    parser.add_argument("--own-network", action="store_true",
                        help="nothing else uses this loopback, and we are root: count what is sent")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures = Figures()
    busy = busy_percent()
    cluster = Bench(options.build)
    try:
        measure(cluster, figures, options)
    except (Failed, Refused, OSError) as failed:
        print(f"bench propagate: could not measure: {failed}", file=sys.stderr)
        return 1
    finally:
        cluster.stop()
    print(figures.table())
    print(f"""
{os.cpu_count()} processors, {busy:.0f}% busy before this began. All nodes, nginx, serf and the client that
asks are on this machine and this loopback. A change is timed from before its command is sent to the
end of the first answer that shows it (DNS: SRV over UDP; nginx: a proxied request), each server asked
in turn without a pause, one change at a time. A killed host's ports refuse at once; a silent one is a
stopped process. serf: 5 agents with their default configuration, killed to `failed` at the other 4.""")
    if options.json:
        figures.write(options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
