#!/usr/bin/env python3
"""nginx as a member of a cluster: nginx_cluster.py MODULE.so ONE_NODE, the module that is shipped and
the small cluster of one_node.c."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile

from nginx import CONFIG, Load, Nginx, expect, free_ports, node_pid, start_backend, until

ONE_NODE = os.path.abspath(sys.argv[2])


class Cluster:
    def __init__(self, key, port):
        self.process = subprocess.Popen([ONE_NODE, key, str(port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        expect(self.process.stdout.readline(), "ready\n")

    def publish(self, config):
        self.process.stdin.write(config + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()


def follows(nginx, cluster, port):
    """A change of the host reaches the workers."""
    cluster.publish(f"web {port} shop.example")
    until(f"requests go to {port}", lambda: nginx.get("/", "shop.example") == (200, str(port)))


def test_joins_and_follows(nginx, cluster, ports):
    cluster.publish(f"web {ports[0]} shop.example")
    nginx.start()
    until("the service is there", lambda: nginx.get("/app") == (200, str(ports[0])))
    until("the virtual host is there", lambda: nginx.get("/", "Shop.example")[0] == 200)
    expect(nginx.get("/", "other.example")[0], 404)
    with Load(nginx, "/", "shop.example"):
        for i in range(40):
            follows(nginx, cluster, ports[i % 3])
    expect(nginx.status()["services"][0]["endpoints"][0]["host"], "one")
    until("a control socket", (nginx.dir / "state" / "node.sock").is_socket)


def test_node_killed(nginx, cluster, ports):
    old = node_pid(nginx)
    with Load(nginx, "/", "shop.example") as load:
        os.kill(old, signal.SIGKILL)
        until("another node is ready", lambda: nginx.log().count('msg="ready"') == 2)
        assert node_pid(nginx) != old
        load.more()
        follows(nginx, cluster, ports[0])
        follows(nginx, cluster, ports[1])


def test_reload(nginx, cluster, ports):
    old = node_pid(nginx)
    with Load(nginx, "/", "shop.example") as load:
        os.kill(nginx.masters[-1], signal.SIGHUP)
        until("the next node is ready", lambda: nginx.log().count('msg="ready"') == 3)
        assert node_pid(nginx) != old
        load.more()
        follows(nginx, cluster, ports[2])
        follows(nginx, cluster, ports[0])


def test_without_the_cluster(nginx, cluster, ports):
    cluster.kill()
    for _ in range(2):  # then again from the table alone
        with Load(nginx, "/", "shop.example") as load:
            load.more()
        expect(nginx.get("/app"), (200, str(ports[0])))
        nginx.stop()
        nginx.start()


def main():
    directory = tempfile.mkdtemp(prefix="hm-nginx-")
    os.chmod(directory, 0o755)
    nginx = Nginx(directory)
    ports = [start_backend() for _ in range(3)]
    port, = free_ports(1)
    nginx.values["join"] = f"localhost:{port}"
    nginx.write(CONFIG)
    cluster = Cluster(nginx.dir / "key", port)
    try:
        for test in (test_joins_and_follows, test_node_killed, test_reload,
                     test_without_the_cluster):
            test(nginx, cluster, ports)
            print("ok", test.__name__[5:], flush=True)
        assert "signal 11" not in nginx.log() and "signal 6" not in nginx.log()
    except BaseException:
        print(nginx.log()[-6000:], file=sys.stderr)
        raise
    finally:
        cluster.kill()
        nginx.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
