#!/usr/bin/env python3
"""hivemind-lite among real nodes: what it announces is answered for, by all and at once; it goes
when it says so and when it falls silent; its keeper's death is no outage of it."""

import signal
import subprocess
import time

from cluster import BUILD, ENVIRONMENT, Cluster, free_ports, hivemind, main, until
from demo import dns_query

LITE = BUILD / "bin" / "hivemind-lite"
ZONE = "lite.test"


class Lite:
    """A running hivemind-lite; on leaving the block it is killed."""

    def __init__(self, cluster, name, *arguments, device=None, interval="1", key=None,
                 prefix=()):
        self.log = cluster.dir / f"{name}.{device or 'lite'}.log"
        self.command = [*prefix, LITE, "--name", name, "--interval", interval, "--key", key or cluster.key,
                        "--device", device or name, *arguments]
        self.process = None

    def __enter__(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen([str(word) for word in self.command], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        return self

    def __exit__(self, kind, value, trace):
        self.process.kill()
        self.process.wait()
        if kind:
            print(f"---- {self.log.name}\n{self.log.read_text()}")

    def said(self, text):
        return self.log.exists() and text in self.log.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


class Answering(Cluster):
    """A control node and two DNS servers."""

    def __init__(self, control=""):
        super().__init__()
        ports = free_ports(6)
        self.join = f"127.0.0.1:{ports[0]}"
        self.dns = {}
        self.add("c1", ports[0], "control", f"control: {{bootstrap: true{control}}}\n").start()
        for number, name in enumerate(("d1", "d2")):
            self.dns[name] = ports[2 + number]
            self.add(name, ports[4 + number], "dns", f"join: [{self.join}]\ndns:\n  "
                     f"listen: [\"127.0.0.1:{self.dns[name]}\"]\n  zones: [{{name: {ZONE}}}]\n"
                     ).start()
        for node in self.nodes.values():
            until(f"{node.name} is there", node.is_healthy)

    def answer(self, server, name):
        try:
            return dns_query("127.0.0.1", f"{name}.{ZONE}", port=self.dns[server]) or set()
        except OSError:
            return set()

    def answers(self, name, want, servers=("d1", "d2"), seconds=20):
        for server in servers:
            until(f"{server} answers {want or 'nothing'} for {name}",
                  lambda s=server: self.answer(s, name) == want, seconds)

    def keeper(self, service):
        told = self.nodes["c1"].json("services", service)
        found = [one["reason"] for one in told or []]
        return found[0].rsplit(" ", 1)[1] if found else None


HERE = {"127.0.0.1"}


def test_it_comes_and_goes():
    with Answering() as cluster:
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080",
                  "--vhost", f"cam.{ZONE}") as lite:
            cluster.answers("video", HERE)
            cluster.answers("cam.host", HERE)
            cluster.answers("cam", HERE)  # its virtual host
            until("it says that it is committed",
                  lambda: lite.said("kept by") and "committed yet" not in
                  lite.log.read_text().strip().split("\n")[-1])
            keeper = until("somebody keeps it", lambda: cluster.keeper("video"))
            assert keeper in ("d1", "d2")
            assert cluster.nodes[keeper].facts()["keeps"] == "1 of 1 lite hosts"
            assert cluster.nodes["c1"].members() == ["c1", "d1", "d2"]
            # Its name is its own: no member gets it, and no other lite host.
            with Lite(cluster, "CAM", "--join", cluster.join, "--service", "other:1", "--once",
                      device="b") as other:
                assert other.process.wait(20) == 1
                assert other.said("name CAM is held by the lite host at 127.0.0.1:"), \
                    other.log.read_text()
            with Lite(cluster, "d1", "--join", cluster.join, "--service", "other:1",
                      "--once") as other:
                assert other.process.wait(20) == 1
                assert other.said("name d1 is held by the member at"), other.log.read_text()
            taken = cluster.add("cam", free_ports(1)[0], "host", f"join: [{cluster.join}]\n").start()
            until("a member of that name is refused",
                  lambda: taken.logged("name cam is held by the lite host at"))
            taken.kill()
            del cluster.nodes["cam"]
            assert lite.stop() == 0 and lite.said("cam is withdrawn")
        for name in ("video", "cam.host", "cam"):
            cluster.answers(name, set())
        told = cluster.nodes["c1"].ask("events").stdout
        assert "lite_kept" in told and "withdrew" in told, told


def test_silence_ends_it():
    with Answering() as cluster:
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080") as lite:
            cluster.answers("video", HERE)
            lite.process.kill()
            start = time.monotonic()
            cluster.answers("video", set())
            assert 1.5 < time.monotonic() - start < 15
            until("the log says so", lambda: "was silent" in cluster.nodes["c1"].ask("events").stdout)
        # The same device comes back under its name, whatever it was before.
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080"):
            cluster.answers("video", HERE)


def test_it_outlives_its_keeper():
    with Answering() as cluster:
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080") as lite:
            cluster.answers("video", HERE)
            first = until("somebody keeps it", lambda: cluster.keeper("video"))
            other = "d2" if first == "d1" else "d1"
            cluster.nodes[first].kill()
            outages = 0

            def moved():
                nonlocal outages
                outages += cluster.answer(other, "video") != HERE
                return cluster.keeper("video") == other
            until("the other keeps it", moved)
            end = time.monotonic() + 4  # longer than the lease that the first one had
            until("the lease of old is over", lambda: moved() and time.monotonic() > end)
            assert outages == 0
            assert lite.said("kept by")
            # And when it dies later, the new keeper notices.
            lite.process.kill()
            cluster.answers("video", set(), servers=(other,))


def test_both_die():
    """Nobody tells that the lite host is gone but the lack of its word to the next keeper."""
    with Answering() as cluster:
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080") as lite:
            cluster.answers("video", HERE)
            first = until("somebody keeps it", lambda: cluster.keeper("video"))
            other = "d2" if first == "d1" else "d1"
            lite.process.kill()
            cluster.nodes[first].kill()
            cluster.answers("video", set(), servers=(other,))


def test_the_brake_holds_for_many():
    """They lose touch together: it may be the network. One that is heard again is as ever, one that
    says that it goes is gone, the others go when the brake ends."""
    with Answering(", removal_brake: 6s") as cluster:
        devices = [Lite(cluster, f"cam{number}", "--join", cluster.join, "--service", "video:8080",
                        "--address", f"127.0.0.{number}") for number in range(1, 5)]
        every = {f"127.0.0.{number}" for number in range(1, 5)}
        for device in devices:
            device.__enter__()
        try:
            cluster.answers("video", every)
            for device in devices[1:]:
                device.process.send_signal(signal.SIGSTOP)
            until("the brake holds", lambda: cluster.nodes["c1"].facts()["braked"] == "3")
            cluster.answers("video", every)
            told = {one["host"]: one["reason"] for one in cluster.nodes["d1"].json("services", "video")}
            assert "removal brake" in told["cam2"] and "brake" not in told["cam1"], told
            devices[1].process.send_signal(signal.SIGCONT)
            until("one is back", lambda: cluster.nodes["c1"].facts()["braked"] == "2")
            devices[2].process.send_signal(signal.SIGCONT)
            assert devices[2].stop() == 0
            cluster.answers("video", every - {"127.0.0.3"})
            cluster.answers("video", {"127.0.0.1", "127.0.0.2"})
            assert cluster.nodes["c1"].facts()["braked"] == "0"
        finally:
            for device in devices:
                device.process.send_signal(signal.SIGCONT)
                device.__exit__(None, None, None)


def test_without_quorum_it_still_goes():
    with Answering() as cluster:
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080") as lite:
            cluster.answers("video", HERE)
            keeper = until("somebody keeps it", lambda: cluster.keeper("video"))
            cluster.nodes["c1"].kill()
            port = cluster.nodes[keeper].port
            lite.process.kill()
            cluster.answers("video", set())
            with Lite(cluster, "cam", "--join", f"127.0.0.1:{port}", "--service",
                      "video:8080") as again:
                cluster.answers("video", HERE)  # back, by the push alone
                assert again.said("not committed yet")


def test_it_says_why_not():
    with Answering() as cluster:
        wrong = cluster.dir / "wrong"
        assert hivemind("keygen", "-o", wrong).returncode == 0
        with Lite(cluster, "cam", "--join", cluster.join, "--service", "video:8080", "--once",
                  key=wrong) as lite:
            assert lite.process.wait(30) == 4
            assert lite.said(f"no answer from {cluster.join}: not reachable, no member, or of "
                             "another key; ours is "), lite.log.read_text()
        unused = free_ports(1)[0]
        with Lite(cluster, "cam", "--join", f"127.0.0.1:{unused}", "--service", "video:8080",
                  "--once") as lite:
            assert lite.process.wait(30) == 4
        with Lite(cluster, "cam", "--join", f"127.0.0.1:{unused},{cluster.join}", "--service",
                  "video:8080"):
            cluster.answers("video", HERE)  # one that answers is enough


def test_names_are_looked_up():
    """Again and again, until one of them stands for a member. In a mount namespace of its own, whose
    /etc/hosts is written here."""
    with Answering() as cluster:
        port = cluster.join.rsplit(":", 1)[1]
        with Lite(cluster, "cam", "--join", "member.invalid", "--service", "video:8080",
                  "--once") as lite:
            assert lite.process.wait(30) == 4
            assert lite.said("nobody to ask: member.invalid ("), lite.log.read_text()
        with Lite(cluster, "cam", "--join", f"localhost:{port}", "--service", "video:8080"):
            cluster.answers("video", HERE)
        hosts = cluster.dir / "hosts"
        hosts.write_text("127.0.0.1 other.test\n")
        mount = f"mount --bind {hosts} /etc/hosts"
        if subprocess.run(["unshare", "-m", "sh", "-c", mount], check=False).returncode:
            print("not tried: names that change; there are no mount namespaces here")
            return
        with Lite(cluster, "dog", "--join", f"member.invalid:{port}", "--service", "bark:8080",
                  prefix=["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"]) as lite:
            until("it finds nobody", lambda: lite.said("nobody to ask: member.invalid"))
            hosts.write_text("127.0.0.1 member.invalid\n")
            cluster.answers("bark", HERE)


def test_the_command_line():
    for arguments, said in (([], "--join HOST[:PORT] of a member is needed"),
                            (["--join", "127.0.0.1"], "--service NAME:PORT is needed"),
                            (["--join", "no where"], "'no where' is no address or name"),
                            (["--join", "10.0.0.300"], "'10.0.0.300' is no address or name"),
                            (["--join", "a:0"], "'a:0' is no address or name"),
                            (["--join", "a:9610x"], "'a:9610x' is no address or name"),
                            (["--join", "a..b"], "'a..b' is no address or name"),
                            (["--service", "web"], "'web' is not NAME:PORT"),
                            (["--service", "web:0"], "'web:0' is not NAME:PORT"),
                            (["--service", "a-very-long-name-indeed:1"], "at most 15"),
                            (["--vhost", "a.b"], "follows the --service"),
                            (["--service", "web:1", "--vhost", "a b"], "'a b' is no domain name"),
                            (["--interval", "0.2"], "'0.2' is not from 1 to 3600 seconds"),
                            (["--name", "a_b"], "'a_b' is no name of a host"),
                            (["--join", "127.0.0.1", "--service", "web:1"] +
                             [word for i in range(30) for word in ("--vhost", f"{i}" + "x" * 60)],
                             "run `hivemind` with role host instead"),
                            (["what"], "what is 'what'?")):
        done = subprocess.run([LITE, *arguments], capture_output=True, text=True, check=False,
                              env=ENVIRONMENT)
        assert done.returncode == 2 and said in done.stderr, (arguments, done)
    done = subprocess.run([LITE, "--join", "127.0.0.1", "--service", "web:1", "--key", "/nowhere"],
                          capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 1 and "/nowhere" in done.stderr, done


if __name__ == "__main__":
    main()
