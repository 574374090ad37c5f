#!/usr/bin/env python3
"""nginx as a member of a cluster: nginx_cluster.py MODULE.so ONE_NODE HIVEMIND, the module that is
shipped, the small cluster of one_node.c, and the command that asks."""

import contextlib
import grp
import os
import pathlib
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

from nginx import CONFIG, Load, Nginx, alive, expect, free_ports, node_pid, start_backend, until

ONE_NODE = os.path.abspath(sys.argv[2])
HIVEMIND = os.path.abspath(sys.argv[3])
NAME = f"nginx-{os.getpid()}"
SYSTEM_SOCKET = pathlib.Path(f"/run/hivemind/{NAME}.sock")
PRIVATE_RUN = "HIVEMIND_TEST_PRIVATE_RUN"


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
    nginx.stop()


# ---- its control socket, where nobody names a place ----


def ask(directory, *arguments):
    """`hivemind status` as somebody who has no other runtime directory than this."""
    env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(directory)}
    return subprocess.run([HIVEMIND, "status", *arguments], env=env, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL, check=False)


def answers(nginx, *arguments, name=NAME):
    """The node itself says how it is: without its cluster, not well."""
    return f"{name}: " in ask(nginx.dir, *arguments).stdout


def without_place(nginx, user=None):
    text = CONFIG.replace("socket %(dir)s/state/node.sock;", "").replace("test-nginx", NAME)
    text = text.replace("%(dir)s/state", f"%(dir)s/state-{user}")
    return (f"user {user};\n" if user else "") + text


def test_socket_of_root(nginx, cluster, ports):
    """Its workers and its node are www-data, which may write nothing in /run/hivemind."""
    if os.geteuid() != 0 or SYSTEM_SOCKET.parent.exists():
        print("skipped: not root, or other nodes run here and there is no /run of its own")
        return
    nginx.write(without_place(nginx, "www-data"))
    # A test of the configuration and a signal make nothing; what a dead process left is replaced.
    subprocess.run(nginx.command("-t"), check=True, stderr=subprocess.DEVNULL)
    assert not SYSTEM_SOCKET.parent.exists()
    nginx.start()
    until("it is found and answers", lambda: answers(nginx))
    about = SYSTEM_SOCKET.stat()
    expect(stat.S_IMODE(about.st_mode), 0o660)
    with contextlib.suppress(KeyError):
        expect(about.st_gid, grp.getgrnam("hivemind").gr_gid)
    expect(os.stat(f"/proc/{node_pid(nginx)}").st_uid, pwd.getpwnam("www-data").pw_uid)
    old = node_pid(nginx)
    os.kill(old, signal.SIGKILL)
    assert answers(nginx), "a command waits for the node that comes"
    assert node_pid(nginx) != old
    for _ in range(2):
        old = node_pid(nginx)
        os.kill(nginx.masters[-1], signal.SIGHUP)
        until("the next node", lambda: node_pid(nginx) not in (None, old))
        assert answers(nginx)
    subprocess.run(nginx.command("-t"), check=True, stderr=subprocess.DEVNULL)
    subprocess.run(nginx.command("-s", "reopen"), check=True, stderr=subprocess.DEVNULL)
    assert answers(nginx)
    upgrade(nginx)
    assert answers(nginx)
    expect(stat.S_IMODE(SYSTEM_SOCKET.stat().st_mode), 0o660)
    other = SYSTEM_SOCKET.with_name("other.sock")
    nginx.write(without_place(nginx, "www-data").replace("name ", f"socket {other}; name "))
    os.kill(nginx.masters[-1], signal.SIGHUP)
    until("it moves", lambda: not SYSTEM_SOCKET.exists() and answers(nginx, "--socket", other))
    nginx.stop()
    SYSTEM_SOCKET.parent.rmdir()  # with nothing left in it


def upgrade(nginx):
    """Another binary takes over (SIGUSR2), the old master leaves."""
    old = nginx.masters[-1]
    os.kill(old, signal.SIGUSR2)
    new = until("a new master", lambda: nginx.pid() not in (None, old) and nginx.pid())
    nginx.masters.append(new)
    os.kill(old, signal.SIGQUIT)
    until("the old one leaves", lambda: not alive(old))
    until("its node", lambda: node_pid(nginx))


def test_stale_socket(nginx, cluster, ports):
    """What a killed nginx left is replaced; what another one answers on stays its own."""
    nginx.write(CONFIG)
    path = nginx.dir / "state" / "node.sock"
    nginx.start()
    until("it answers", lambda: answers(nginx, "--socket", path, name="test-nginx"))
    done = subprocess.run(nginx.command(), stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0 and "another node answers on the control socket" in nginx.log()
    until("it still answers", lambda: answers(nginx, "--socket", path, name="test-nginx"))
    processes = [nginx.masters[-1], *nginx.processes("")]
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until("it is gone", lambda: not any(alive(pid) for pid in processes))
    assert path.is_socket()
    nginx.start()
    until("it answers", lambda: answers(nginx, "--socket", path, name="test-nginx"))
    nginx.stop()
    assert not path.exists()


def test_socket_of_a_user(nginx, cluster, ports):
    """Where /run/hivemind is not for it, it is found in $XDG_RUNTIME_DIR."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if os.access("/run/hivemind", os.W_OK) and not user:
        print("skipped: this user may write in /run/hivemind")
        return
    nginx.write(without_place(nginx))
    place = nginx.dir / "hivemind" / f"{NAME}.sock"
    env = {**os.environ, "XDG_RUNTIME_DIR": str(nginx.dir)}
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    if user:
        for path in (nginx.dir, *nginx.dir.rglob("*")):
            shutil.chown(path, user.pw_uid, user.pw_gid)
    subprocess.run(nginx.command(), check=True, stderr=subprocess.DEVNULL, env=env, **as_user)
    nginx.masters.append(until("its pid file", nginx.pid))
    until("it is found and answers", lambda: answers(nginx, "--socket", place))
    assert f'control socket "{place}"' in nginx.log()
    nginx.stop()
    assert not place.exists()


def with_private_run():
    """As root, /run becomes one of this test's own: other nodes of the machine are not found there.
    In a chroot it cannot."""
    if os.geteuid() == 0 and PRIVATE_RUN not in os.environ and subprocess.run(
            ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"], stderr=subprocess.DEVNULL,
            check=False).returncode == 0:
        os.environ[PRIVATE_RUN] = "yes"
        script = 'mount -t tmpfs none /run && exec "$0" "$@"'
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, sys.executable, *sys.argv])


def main():
    with_private_run()
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
                     test_without_the_cluster, test_socket_of_root, test_stale_socket,
                     test_socket_of_a_user):
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
