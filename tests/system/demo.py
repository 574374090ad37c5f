"""A whole cluster on loopback, from conf.examples/demo: three control nodes, two DNS servers, an nginx
with the module, hosts with real HTTP servers. Without --once it runs until Ctrl-C and says what to
try; with --once it plays the accidents itself, prints how long everything took, and fails when a
step does. Nothing waits for a time to pass: what must become true is asked for, with a deadline."""

import argparse
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "conf.examples" / "demo"
EXAMPLE_NET = "127.77.0."
EXAMPLE_DIR = "/tmp/hivemind-demo"
CONTROLS = ["control-1", "control-2", "control-3"]
SERVERS = ["dns-1", "dns-2"]
HOSTS = {"web-1": 31, "web-2": 32, "web-3": 33}
DEADLINE_S = 30
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0"}


class Failed(Exception):
    """A step of the demo did not come true."""


def until(what, check, seconds=DEADLINE_S):
    """Asks until it is true; returns what it gave and the seconds that it took."""
    start = time.monotonic()
    while True:
        try:
            result = check()
        except (OSError, http.client.HTTPException) as error:
            result, why = None, error
        else:
            why = result
        took = time.monotonic() - start
        if result:
            return result, took
        if took > seconds:
            raise Failed(f"not within {seconds} s: {what} (last: {why})")
        time.sleep(0.002)


# ---- what a user would ask with dig and curl ----

def dns_query(server, name, port=5353, qtype=1, timeout=1.0):
    """Addresses of an A answer; None when there is no answer or an error code."""
    number = random.randrange(65536)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = struct.pack("!6H", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", qtype, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((server, port))
        sock.send(query)
        reply = sock.recv(4096)
    if reply[:2] != query[:2] or reply[3] & 15:
        return None
    count, at = struct.unpack("!H", reply[6:8])[0], len(query)
    found = set()
    for _ in range(count):
        while reply[at] and reply[at] < 192:
            at += 1 + reply[at]
        at += 2 if reply[at] else 1
        kind, _, _, size = struct.unpack("!HHIH", reply[at:at + 10])
        if kind == 1:
            found.add(socket.inet_ntoa(reply[at + 10:at + 10 + size]))
        at += 10 + size
    return found


def http_get(address, path="/", host=None, timeout=2.0):
    """Status and body."""
    connection = http.client.HTTPConnection(address, 8080, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else head and body wait 40 ms for each other

    def do_GET(self):
        body = f"{self.server.name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class BackendServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


# ---- the cluster ----

class Cluster:
    """The processes of the demo. Addresses and paths of the examples are moved to free ones."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.binary = self.build / "bin" / "hivemind"
        self.module = self.build / "nginx" / "ngx_hivemind.so"
        self.nginx_program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hivemind-demo-"))
        self.dir.chmod(0o755)
        self.net = self.free_net()
        self.processes = {}
        self.backends = {}
        self.nginx = None
        for example in EXAMPLES.iterdir():
            text = example.read_text().replace(EXAMPLE_NET, self.net)
            text = text.replace(EXAMPLE_DIR, str(self.dir))
            text = text.replace("modules/ngx_hivemind.so", str(self.module))
            (self.dir / example.name).write_text(text)
        self.hivemind("keygen", "-o", self.dir / "cluster.key")

    @staticmethod
    def free_net():
        """A loopback network that no other demo uses now: its first address can be bound."""
        for third in random.sample(range(1, 255), 100):
            net = f"127.77.{third}."
            try:
                with socket.socket() as probe:
                    probe.bind((net + "1", 9610))
                return net
            except OSError:
                continue
        raise Failed("no free loopback network under 127.77.0.0/16")

    def hivemind(self, *arguments, check=True, timeout=20):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout, env={**os.environ, **SANITIZERS})
        if check and done.returncode:
            raise Failed(f"hivemind {' '.join(map(str, arguments))}: exit {done.returncode}: "
                         f"{done.stderr.strip()}")
        return done

    def ask(self, node, *arguments, check=True):
        return self.hivemind(*arguments, "--socket", self.dir / f"{node}.sock", check=check)

    def start(self, node):
        with open(self.dir / f"{node}.log", "a", encoding="utf-8") as log:
            self.processes[node] = subprocess.Popen(
                [self.binary, "run", "-c", self.dir / f"{node}.yaml"], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **SANITIZERS, "HIVEMIND_MODULES": str(self.build / "modules")})

    def start_backend(self, host):
        server = BackendServer((self.net + str(HOSTS[host]), 8080), Backend)
        server.name = host
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.backends[host] = server

    def kill(self, node, number=signal.SIGKILL):
        process = self.processes.pop(node)
        process.send_signal(number)
        return process.wait(timeout=DEADLINE_S)

    def start_nginx(self):
        if not self.nginx_program or not self.module.exists():
            return
        log = open(self.dir / "nginx.out", "a", encoding="utf-8")
        command = [self.nginx_program, "-c", str(self.dir / "nginx.conf"), "-p", str(self.dir),
                   "-g", "daemon off;"]
        self.nginx = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self):
        if self.nginx:
            self.nginx.send_signal(signal.SIGQUIT)
        for process in self.processes.values():
            process.terminate()
        for process in [*self.processes.values(), *([self.nginx] if self.nginx else [])]:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for server in self.backends.values():
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # What is served, as a client sees it.

    def dns(self, server, name="web.demo.test"):
        return dns_query(self.net + ("11" if server == "dns-1" else "12"), name)

    def routed(self, path="/app/", host=None, requests=8):
        """The names of the backends that nginx chose for some requests."""
        found = set()
        for _ in range(requests):
            status, body = http_get(self.net + "21", path, host)
            if status != 200:
                return set()
            found.add(body.strip())
        return found

    def addresses(self, *hosts):
        return {self.net + str(HOSTS[host]) for host in hosts}

    def members(self, node="control-1"):
        reply = self.ask(node, "members", "--all", "--format", "json", check=False)
        return json.loads(reply.stdout)["members"] if reply.returncode == 0 else []

    def names(self, node="control-1"):
        return {member["name"] for member in self.members(node)}

    def leader(self):
        for node in CONTROLS:
            if node not in self.processes:
                continue
            for member in self.members(node):
                if "leader" in member["state"]:
                    return member["name"]
        return None

    def voters(self):
        return sum("voter" in member["state"] for member in self.members())


class Story:
    """Prints the steps as they go, and the table of times at the end."""

    def __init__(self):
        self.rows = []

    def step(self, text):
        print(f"-- {text}", flush=True)

    def took(self, what, seconds):
        self.rows.append((what, seconds))
        print(f"   {what}: {seconds * 1000:.0f} ms", flush=True)

    def fact(self, what):
        print(f"   {what}", flush=True)

    def table(self):
        width = max(len(what) for what, _ in self.rows)
        print(f"\n{'what':<{width}}  seconds")
        for what, seconds in self.rows:
            print(f"{what:<{width}}  {seconds:7.3f}")


def wait_served(cluster, story, what, hosts, has_nginx):
    """All DNS servers answer with exactly these hosts, nginx routes to exactly them."""
    wanted = cluster.addresses(*hosts)
    start = time.monotonic()
    for server in SERVERS:
        if server in cluster.processes:
            until(f"{server} answers {wanted}", lambda s=server: cluster.dns(s) == wanted)
            story.took(f"{what}: {server}", time.monotonic() - start)
    if has_nginx:
        until(f"nginx routes to {set(hosts)}", lambda: cluster.routed() == set(hosts))
        story.took(f"{what}: nginx", time.monotonic() - start)


def bring_up(cluster, story):
    story.step("three control nodes, two DNS servers, nginx, two hosts")
    start = time.monotonic()
    for node in CONTROLS + SERVERS:
        cluster.start(node)
    for host in ("web-1", "web-2"):
        cluster.start_backend(host)
        cluster.start(host)
    cluster.start_nginx()
    has_nginx = cluster.nginx is not None
    if not has_nginx:
        story.fact("without nginx: the module is not built, or nginx is not installed")
    until("three voters", lambda: cluster.voters() == 3)
    story.took("three voters", time.monotonic() - start)
    wait_served(cluster, story, "first answer", ["web-1", "web-2"], has_nginx)
    if has_nginx:
        until("the virtual host is routed",
              lambda: cluster.routed("/", "shop.demo.test") == {"web-1", "web-2"})
        until("DNS names nginx for the virtual host",
              lambda: cluster.dns("dns-1", "shop.demo.test") == {cluster.net + "21"})
    return has_nginx


def a_host_comes_and_dies(cluster, story, has_nginx):
    story.step("a new host, web-3")
    cluster.start_backend("web-3")
    cluster.start("web-3")
    wait_served(cluster, story, "new host", ["web-1", "web-2", "web-3"], has_nginx)
    story.step("kill -9 of web-3")
    cluster.kill("web-3")
    wait_served(cluster, story, "killed host gone", ["web-1", "web-2"], has_nginx)
    until("web-3 is no member", lambda: "web-3" not in cluster.names())


def announce(cluster, service, port, check=True):
    return cluster.ask("web-1", "announce", service, port, check=check)


def the_leader_dies(cluster, story):
    story.step("kill -9 of the leader")
    done = announce(cluster, "before", 7001)
    story.fact(done.stdout.strip())
    leader = cluster.leader()
    cluster.kill(leader)
    start = time.monotonic()
    announce(cluster, "after", 7002)
    story.took("leader killed to the next committed event", time.monotonic() - start)
    alive = next(node for node in CONTROLS if node in cluster.processes)
    events = cluster.ask(alive, "events", "--format", "json").stdout
    for service in ("before", "after"):
        until(f"{service} is served", lambda s=service: cluster.dns("dns-1", f"{s}.demo.test"))
    if "web-3" not in events:
        raise Failed("the log lost the events of web-3")
    cluster.start(leader)
    until("it is a member again", lambda: len(cluster.names(leader) & set(CONTROLS)) == 3)


def without_quorum(cluster, story, has_nginx):
    story.step("two of three control nodes stopped: no quorum")
    leader = cluster.leader()
    stopped = [leader, next(node for node in CONTROLS if node != leader)]
    for node in stopped:
        cluster.kill(node)
    alive = next(node for node in CONTROLS if node in cluster.processes)
    until("the survivor says so", lambda: cluster.ask(alive, "status", check=False).returncode == 5)
    story.fact(cluster.ask(alive, "status", check=False).stdout.splitlines()[0])
    before = cluster.names(alive)
    cluster.start("web-3")
    cluster.kill("web-2")
    start = time.monotonic()
    done = announce(cluster, "frozen", 7003, check=False)
    story.fact((done.stdout + done.stderr).strip())
    if done.returncode != 5:
        raise Failed(f"announce without quorum exits {done.returncode}, not 5")
    for server in SERVERS:
        until(f"{server} serves the change",
              lambda s=server: cluster.dns(s, "frozen.demo.test") == cluster.addresses("web-1"))
    story.took("a change without quorum reaches DNS (and is reported)", time.monotonic() - start)
    if cluster.dns("dns-1") != cluster.addresses("web-1", "web-2"):
        raise Failed(f"without quorum an answer changed: {cluster.dns('dns-1')}")
    if has_nginx and not cluster.routed():
        raise Failed("nginx stopped routing without quorum")
    if cluster.names(alive) != before:
        raise Failed("without quorum the members changed")
    story.step("the control plane is back: it heals")
    start = time.monotonic()
    for node in stopped:
        cluster.start(node)
    until("web-3 got in", lambda: "web-3" in cluster.names())
    until("web-2 is out", lambda: "web-2" not in cluster.names())
    cluster.start("web-2")
    wait_served(cluster, story, "healed", ["web-1", "web-2", "web-3"], has_nginx)
    story.took("healed, with all hosts", time.monotonic() - start)


class Watcher(threading.Thread):
    """Asks all the time, and remembers an empty or wrong answer. A server that is restarting may be
    silent; it may not lie."""

    def __init__(self, cluster, has_nginx):
        super().__init__(daemon=True)
        self.cluster, self.has_nginx = cluster, has_nginx
        self.finished = threading.Event()
        self.asked = 0
        self.bad = []

    def look(self):
        for server in SERVERS:
            try:
                found = self.cluster.dns(server)
            except OSError:
                continue
            self.asked += 1
            if found is not None and not found:
                self.bad.append(f"{server} answered without an address")
        if self.has_nginx:
            status, _ = http_get(self.cluster.net + "21", "/app/")
            self.asked += 1
            if status != 200:
                self.bad.append(f"nginx answered {status}")

    def run(self):
        while not self.finished.wait(0.005):
            try:
                self.look()
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(f"nginx: {error}")


def rolling_restart(cluster, story, has_nginx):
    story.step("a rolling restart of every node, asked all the while")
    watcher = Watcher(cluster, has_nginx)
    watcher.start()
    start = time.monotonic()
    for node in CONTROLS + SERVERS + list(HOSTS):
        status = cluster.kill(node, signal.SIGTERM)
        if status:
            raise Failed(f"{node} ended with {status} on SIGTERM")
        cluster.start(node)
        until(f"{node} is ready", lambda n=node: cluster.ask(n, "status", check=False).returncode
              == 0)
    if has_nginx:
        cluster.nginx.send_signal(signal.SIGHUP)
    wait_served(cluster, story, "after the restarts", list(HOSTS), has_nginx)
    watcher.finished.set()
    watcher.join()
    story.took("rolling restart of all nodes", time.monotonic() - start)
    story.fact(f"{watcher.asked} answers watched, {len(watcher.bad)} bad")
    if watcher.bad:
        raise Failed(f"during the restart: {watcher.bad[:5]}")


def say_what_to_try(cluster, has_nginx):
    net, binary = cluster.net, os.path.relpath(cluster.binary)
    print(f"""
The cluster is up. Try, in another terminal:

  dig @{net}11 -p 5353 web.demo.test
  dig @{net}12 -p 5353 _web._tcp.demo.test SRV
  {binary} --help
  export HIVEMIND_SOCKET={cluster.dir}/web-1.sock
  {binary} members --all
  {binary} services
  {binary} announce api 9000
  dig @{net}11 -p 5353 +short api.demo.test
  {binary} withdraw api""")
    if has_nginx:
        print(f"  curl http://{net}21:8080/app/\n"
              f"  curl -H 'Host: shop.demo.test' http://{net}21:8080/\n"
              f"  curl http://{net}21:8080/hivemind")
    for node, process in cluster.processes.items():
        if node.startswith("web") or node.startswith("control"):
            print(f"  kill -9 {process.pid}    # {node}")
    print(f"\nLogs are in {cluster.dir}. Ctrl-C stops it all.", flush=True)


def play(cluster, story):
    has_nginx = bring_up(cluster, story)
    a_host_comes_and_dies(cluster, story, has_nginx)
    the_leader_dies(cluster, story)
    without_quorum(cluster, story, has_nginx)
    rolling_restart(cluster, story, has_nginx)
    story.table()


def show_logs(cluster):
    for log in sorted(cluster.dir.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-12:]
        print(f"\n{log.name}:\n  " + "\n  ".join(lines), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("build", help="where bin, modules and nginx are")
    parser.add_argument("--once", action="store_true", help="play the accidents, then end")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    story = Story()
    cluster = Cluster(options.build)
    try:
        if options.once:
            play(cluster, story)
            print("\ndemo: every step came true")
            return 0
        has_nginx = bring_up(cluster, story)
        say_what_to_try(cluster, has_nginx)
        signal.pause()
    except KeyboardInterrupt:
        print("\nstopping")
        return 0
    except Failed as failed:
        show_logs(cluster)
        print(f"\ndemo: FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
