#!/usr/bin/env python3
"""The nginx module in a real nginx: nginx.py MODULE.so, built with the line feeder of this folder.

Everything runs on loopback, on free ports, in a directory of its own. Nothing waits for a time to
pass: what must become true is asked for until it is, with a deadline."""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MODULE = os.path.abspath(sys.argv[1])
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
DEADLINE_S = 20


def until(what, check):
    end = time.monotonic() + DEADLINE_S
    while not (result := check()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.01)
    return result


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def process_stat(pid):
    """State, parent and what follows of /proc/PID/stat."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()


def alive(pid):
    try:
        return process_stat(pid)[0] != "Z"
    except OSError:
        return False


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class BackendServer(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def start_backend():
    server = BackendServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


CONFIG = """
load_module %(module)s;
worker_processes 2;
pid %(dir)s/pid;
error_log %(dir)s/error.log notice;
events { worker_connections 512; }
hivemind {
    key_file %(dir)s/key;
    join %(join)s;
    listen 127.0.0.1:%(node)d;
    state %(dir)s/state;
    socket %(dir)s/state/node.sock;
    name test-nginx;
    table_size %(size)s;
}
http {
    access_log off;
    client_body_temp_path %(dir)s/t1; proxy_temp_path %(dir)s/t2; fastcgi_temp_path %(dir)s/t3;
    uwsgi_temp_path %(dir)s/t4; scgi_temp_path %(dir)s/t5;
    upstream app { hivemind service=web; keepalive 16; }
    upstream zoned { zone zoned 64k; hivemind service=web; }
    upstream sites { hivemind vhost=$host; keepalive 64; }
    server {
        listen 127.0.0.1:%(http)d;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {
            if ($hivemind_vhost = "") { return 404; }
            proxy_pass http://sites;
        }
        location /app { proxy_pass http://app; }
        location /zoned { proxy_pass http://zoned; }
        location /status { hivemind_status; }
    }
}
"""


class Nginx:
    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.http, self.node = free_ports(2)
        self.values = {"module": MODULE, "dir": directory, "http": self.http, "node": self.node,
                       "join": "127.0.0.1:1 127.0.0.2", "size": "256k"}
        self.write(CONFIG)
        self.key = random.Random(1).randbytes(32)
        (self.dir / "key").write_text(self.key.hex() + "\n")
        (self.dir / "key").chmod(0o600)
        self.masters = []  # process ids; the last one counts

    def write(self, text, name="conf"):
        (self.dir / name).write_text(text % self.values)

    def command(self, *args):
        return [NGINX, "-p", str(self.dir), "-c", str(self.dir / "conf"), "-e",
                str(self.dir / "error.log"), *args]

    def start(self):
        subprocess.run(self.command(), check=True, stderr=subprocess.DEVNULL)
        until("nginx listens", lambda: self.status() is not None)
        self.masters.append(until("its pid file", self.pid))

    def pid(self, name="pid"):
        try:
            return int((self.dir / name).read_text())
        except (OSError, ValueError):
            return None

    def get(self, path, host="localhost"):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": host})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def status(self):
        try:
            code, body = self.get("/status")
        except OSError:
            return None
        return json.loads(body) if code == 200 else None

    def feed(self, *lines):
        """Shows a table to nginx; the answer comes when the workers see it."""
        text = "".join(line + "\n" for line in (*lines, "commit")).encode()

        def attempt():
            try:
                with socket.create_connection(("127.0.0.1", self.node), DEADLINE_S) as s:
                    s.sendall(text)
                    return s.makefile().readline().strip()
            except OSError:  # reset: the node's process was replaced at this moment
                return ""

        return until("the node answers", attempt)

    def echo(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            s.connect(("127.0.0.1", self.node))
            try:
                s.send(b"datagram")
                return s.recv(100) == b"datagram"
            except OSError:
                return False

    def processes(self, title):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if line.startswith("nginx: " + title) and self.owns(entry):
                        found.append(int(entry.name))
        return found

    def owns(self, entry):
        """Descends from a master of this test."""
        pid = int(entry.name)
        while pid > 1:
            if pid in self.masters:
                return True
            pid = int(process_stat(pid)[1])
        return False

    def log(self):
        return (self.dir / "error.log").read_text()

    def stop(self):
        for pid in self.masters:
            if alive(pid):
                os.kill(pid, signal.SIGQUIT)
        until("nginx stops", lambda: not any(map(alive, self.masters)))


class Load:
    """Requests without pause from several threads, until it is left; none may fail."""

    def __init__(self, nginx, path, host="localhost"):
        self.nginx, self.path, self.host = nginx, path, host
        self.done, self.count, self.failed = False, 0, []
        self.threads = [threading.Thread(target=self.run) for _ in range(3)]

    def run(self):
        while not self.done:
            try:
                code, body = self.nginx.get(self.path, self.host)
                if code != 200:
                    self.failed.append((code, body))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            self.count += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def more(self, count=100):
        start = self.count
        until(f"{count} requests more", lambda: self.count >= start + count)

    def __exit__(self, *error):
        self.done = True
        for thread in self.threads:
            thread.join()
        if error[0] is None:
            assert not self.failed, f"{len(self.failed)} of {self.count} failed: {self.failed[:3]}"


def endpoint(port, service="web", weight=1, state="passing", host="h1"):
    return f"endpoint {service} 127.0.0.1:{port} {weight} {state} {host}"


def expect(got, wanted, what=""):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def test_bad_directives(nginx):
    block = "hivemind { key_file %(dir)s/key; listen 127.0.0.1:%(node)d; state %(dir)s/s; }\n"
    head = "load_module %(module)s;\npid %(dir)s/pid2;\nevents { }\n"
    http_head = "http {\naccess_log off; client_body_temp_path %(dir)s/t1;\n"
    cases = [
        ("hivemind { jion 1.2.3.4; }", 'unknown directive "jion" in "hivemind", did you mean "join"?', 4),
        ("hivemind { frobnicate; }", 'in "hivemind", it takes key_file, join, listen,', 4),
        ("hivemind {\n}", '"hivemind" needs a "key_file", such as "key_file /etc/', 5),
        ("hivemind { key_file; }", 'invalid number of arguments in "key_file"', 4),
        ("hivemind { key_file /nonexistent; }", 'cannot open the key file "/nonexistent", `hivemind keygen', 4),
        ("hivemind {\nkey_file %(dir)s/open; }", "can be reached by others", 5),
        ("hivemind {\nkey_file %(dir)s/nokey; }", "as `hivemind keygen` writes them", 5),
        ("hivemind { listen here; }", '"listen" takes PORT', 4),
        ("hivemind { listen 1; listen 2; }", '"listen" directive is duplicate', 4),
        ("hivemind { advertise moon; }", '"advertise" takes IP', 4),
        ("hivemind { name -x; }", '"name" takes letters', 4),
        ("hivemind { table_size 1k; }", '"table_size" takes 64k', 4),
        (block.replace("state", f"socket /{'x' * 120}; state"), '"socket" names a shorter one', 4),
        (block + block, '"hivemind" directive is duplicate', 5),
        (block + http_head + "upstream a {\nhivemind servce=x;\n}}", "takes service=NAME or vhost=", 8),
        (block + http_head + "upstream a { keepalive 2;\nhivemind service=x;\n}}",
         'must stand before "keepalive"', 8),
        (block + http_head + "upstream a { hivemind service=x;\nserver 127.0.0.1:1;\n}}",
         '"server" cannot stand beside "hivemind"', 7),
        (http_head + "upstream a {\nhivemind service=x;\n}}", 'needs a "hivemind { }" block', 7),
    ]
    (nginx.dir / "open").write_text("ab" * 32)
    (nginx.dir / "open").chmod(0o644)
    (nginx.dir / "nokey").write_text("secret")
    (nginx.dir / "nokey").chmod(0o600)
    for text, message, line in cases:
        nginx.write(head + text, "bad")
        run = subprocess.run([NGINX, "-t", "-p", nginx.dir, "-c", nginx.dir / "bad"],
                             stderr=subprocess.PIPE, text=True)
        assert run.returncode == 1, (text, run.stderr)
        assert message in run.stderr, (text, run.stderr)
        assert f"{nginx.dir}/bad:{line}" in run.stderr, (text, run.stderr)


def test_example(nginx):
    """conf.examples/nginx.conf, with this test's own places."""
    text = (pathlib.Path(__file__).parents[2] / "conf.examples" / "nginx.conf").read_text()
    for there, here in [("modules/ngx_hivemind.so", MODULE), ("user www-data;", ""),
                        ("/etc/hivemind/cluster.key", f"{nginx.dir}/key"),
                        ("listen 9611", f"listen {nginx.node}"), ("listen 80", f"listen {nginx.http}"),
                        ("/var/lib/nginx/hivemind", f"{nginx.dir}/example"),
                        ("events {", f"pid {nginx.dir}/pid2; events {{")]:
        assert there in text, there
        text = text.replace(there, here)
    (nginx.dir / "example.conf").write_text(text)
    run = subprocess.run([NGINX, "-t", "-p", nginx.dir, "-c", nginx.dir / "example.conf"],
                         stderr=subprocess.PIPE, text=True)
    expect(run.returncode, 0, run.stderr)


def test_routes(nginx, ports):
    expect(nginx.status()["services"], [], "an empty table")
    expect(nginx.get("/", "shop.example")[0], 404, "an unknown virtual host")
    expect(nginx.get("/app")[0], 502, "an unknown service")
    assert 'hivemind: no service "web" in the cluster' in nginx.log()
    expect(nginx.feed(endpoint(ports[0], state="draining")), "ok")
    expect(nginx.get("/app")[0], 502, "nothing but draining endpoints")
    assert 'hivemind: service "web" has no endpoint' in nginx.log()
    expect(nginx.feed(endpoint(ports[0]), endpoint(ports[1], service="api"),
                      endpoint(ports[2], state="suspect"), "vhost Shop.Example web",
                      "vhost api.example api"), "ok")
    for path, host, port in [("/app", "x", 0), ("/zoned", "x", 0), ("/", "shop.EXAMPLE", 0),
                             ("/", "shop.example.:80", 0), ("/", "api.example", 1)]:
        for _ in range(5):
            expect(nginx.get(path, host), (200, str(ports[port])), (path, host))
    expect(nginx.get("/", "other.example")[0], 404, "another virtual host")
    status = nginx.status()
    expect([s["name"] for s in status["services"]], ["web", "api"])
    expect(status["services"][0]["endpoints"][1],
           {"address": f"127.0.0.1:{ports[2]}", "host": "h1", "weight": 1, "state": "suspect"})
    expect(status["vhosts"][0], {"name": "shop.example", "service": "web"})


def test_tries_every_endpoint(nginx, ports):
    dead = free_ports(5)
    expect(nginx.feed(*map(endpoint, dead), endpoint(ports[0], state="suspect")), "ok")
    for _ in range(20):
        expect(nginx.get("/zoned"), (200, str(ports[0])), "the one that lives")
    expect(nginx.feed(*map(endpoint, dead)), "ok")
    expect(nginx.get("/zoned")[0], 502, "none lives")


def test_changes_under_load(nginx, ports):
    nginx.feed(*map(endpoint, ports), "vhost shop.example web")
    with Load(nginx, "/", "shop.example") as load:
        for i in range(200):
            some = [port for j, port in enumerate(ports) if (i >> j) & 1] or ports
            expect(nginx.feed(*map(endpoint, some), "vhost shop.example web"), "ok")
        load.more()
    nginx.feed(endpoint(ports[3]), "vhost shop.example web")
    for _ in range(20):
        expect(nginx.get("/app"), (200, str(ports[3])), "at once after the change")


def test_test_touches_nothing(nginx):
    table = nginx.dir / "state" / "table"
    before = table.stat().st_ino, table.read_bytes()
    nginx.values["size"] = "512k"
    nginx.write(CONFIG)
    expect(subprocess.run(nginx.command("-t"), stderr=subprocess.DEVNULL).returncode, 0)
    assert (table.stat().st_ino, table.read_bytes()) == before
    nginx.values["size"] = "256k"
    nginx.write(CONFIG)


def test_too_large(nginx, ports):
    generation = nginx.status()["generation"]
    many = [f"endpoint web 10.0.{i >> 8}.{i & 255}:80 1 passing h" for i in range(5000)]
    expect(nginx.feed(*many), "too large")
    expect(nginx.status()["generation"], generation, "the old table")
    assert 'raise "table_size"' in nginx.log()


def node_pid(nginx):
    return until("one node", lambda: len(p := nginx.processes("hivemind node")) == 1 and p[0])


def test_node_killed(nginx, ports):
    nginx.feed(endpoint(ports[0]), "vhost shop.example web")
    old = node_pid(nginx)
    with Load(nginx, "/", "shop.example") as load:
        load.more()
        os.kill(old, signal.SIGKILL)
        new = until("another node", lambda: next(
            (p for p in nginx.processes("hivemind node") if p != old), None))
        assert new != old
        expect(nginx.feed(endpoint(ports[1]), "vhost shop.example web"), "ok")
        load.more()
    expect(nginx.get("/app"), (200, str(ports[1])))
    until("datagrams", nginx.echo)


def test_reload(nginx, ports):
    nginx.feed(endpoint(ports[0]), "vhost shop.example web")
    with Load(nginx, "/", "shop.example") as load:
        for size in ["256k", "512k", "512k"]:  # the same, then another size of the table
            old = node_pid(nginx)
            nginx.values["size"] = size
            nginx.write(CONFIG)
            os.kill(nginx.masters[-1], signal.SIGHUP)
            until("the next node", lambda: nginx.processes("hivemind node") not in ([], [old]))
            until("the last node is gone", lambda: old not in nginx.processes("hivemind node"))
            load.more()
            expect(nginx.feed(endpoint(ports[2]), "vhost shop.example web"), "ok")
        load.more()
    expect(nginx.get("/app"), (200, str(ports[2])))
    until("datagrams", nginx.echo)
    expect(nginx.status()["bytes_max"], 256 << 10)


def memory_holds(pid, secret):
    """Whether readable memory of a process holds these bytes."""
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            start, end = (int(x, 16) for x in place.split("-"))
            with contextlib.suppress(OSError, ValueError):  # not every mapping can be read
                memory.seek(start)
                if rights.startswith("r") and secret in memory.read(end - start):
                    return True
    return False


def test_key_is_wiped(nginx):
    """After the first start and after reloads; a test of a process that is not ours needs root."""
    assert memory_holds(node_pid(nginx), nginx.key), "where it is needed"
    for pid in nginx.processes("worker process"):
        for secret in nginx.key, nginx.key.hex().encode():
            assert not memory_holds(pid, secret), f"worker {pid} holds the key"


def test_upgrade(nginx, ports):
    old = nginx.masters[-1]
    with Load(nginx, "/", "shop.example") as load:
        os.kill(old, signal.SIGUSR2)
        new = until("the new master", lambda: nginx.pid("pid.oldbin") == old and nginx.pid())
        nginx.masters.append(new)
        until("its workers", lambda: len(nginx.processes("worker process")) >= 4)
        load.more()
        expect(nginx.feed(endpoint(ports[1]), "vhost shop.example web"), "ok")
        os.kill(old, signal.SIGQUIT)
        until("the old master is gone", lambda: not alive(old))
        expect(nginx.feed(endpoint(ports[3]), "vhost shop.example web"), "ok")
        load.more()
    expect(nginx.get("/app"), (200, str(ports[3])))
    until("datagrams", nginx.echo)


def test_restart_serves_the_last_table(nginx, ports):
    expect(nginx.get("/app"), (200, str(ports[3])), "before anyone feeds")


def test_stop(nginx):
    nginx.stop()
    log = nginx.log()
    assert "the feeder says goodbye" in log
    for line in log.splitlines():
        if "exited on signal 9" in line:
            continue  # that was us
        assert "[alert]" not in line and "[emerg]" not in line and "signal 11" not in line, line


def main():
    directory = tempfile.mkdtemp(prefix="hm-nginx-")
    os.chmod(directory, 0o755)
    nginx = Nginx(directory)
    ports = [start_backend() for _ in range(4)]

    def step(test, *args):
        start = time.monotonic()
        test(nginx, *args)
        print(f"ok {test.__name__[5:]} ({time.monotonic() - start:.1f} s)", flush=True)

    try:
        step(test_bad_directives)
        step(test_example)
        nginx.start()
        step(test_key_is_wiped)
        step(test_routes, ports)
        step(test_tries_every_endpoint, ports)
        step(test_changes_under_load, ports)
        step(test_test_touches_nothing)
        step(test_too_large, ports)
        step(test_node_killed, ports)
        step(test_reload, ports)
        step(test_key_is_wiped)
        step(test_upgrade, ports)
        step(test_stop)
        nginx.start()
        step(test_restart_serves_the_last_table, ports)
        step(test_stop)
    except BaseException:
        print((nginx.log() if (nginx.dir / "error.log").exists() else "")[-6000:], file=sys.stderr)
        raise
    finally:
        with contextlib.suppress(AssertionError):
            nginx.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
