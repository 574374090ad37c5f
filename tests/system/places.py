"""Where nodes run that are to be cut off and to fill their disks: each in a network namespace of its
own, joined by a bridge, with a small file system. All of it is inside namespaces of this process
and ends with it."""

import contextlib
import os
import pathlib
import subprocess
import sys

NOWHERE = "02:00:00:00:00:99"  # nobody has this address: what is sent there is lost without a word


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)


def enter():
    """Goes on in namespaces of its own; returns why that is not permitted, or None."""
    if os.environ.get("HIVEMIND_INSIDE"):
        return None
    unshare = ["unshare", "--net", "--mount", "--propagation", "private"]
    done = subprocess.run([*unshare, "sh", "-c", "ip link add probe0 type veth peer name probe1 && "
                           "ip link add probe2 type bridge && mount -t tmpfs none /mnt"],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "unshare fails"
    os.environ["HIVEMIND_INSIDE"] = "1"
    sys.stdout.flush()
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    return None


class Place:
    """A host: a network namespace at 10.9.0.NUMBER."""

    def __init__(self, net, number):
        self.address = f"10.9.0.{number}"
        own = os.readlink("/proc/self/ns/net")
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        where = pathlib.Path(f"/proc/{self.holder.pid}/ns/net")
        while os.readlink(where) == own:
            assert self.holder.poll() is None
        self.inside = ["nsenter", "--target", str(self.holder.pid), "--net"]
        _run("ip", "link", "add", f"veth{number}", "type", "veth", "peer", "name", "eth0", "netns",
             str(self.holder.pid))
        _run("ip", "link", "set", f"veth{number}", "master", net.bridge, "up")
        _run(*self.inside, "ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _run(*self.inside, "ip", "link", "set", link, "up")

    def lose(self, to):
        """Nothing that is sent from here arrives there."""
        _run(*self.inside, "ip", "neighbour", "replace", to.address, "lladdr", NOWHERE, "dev", "eth0",
             "nud", "permanent")

    def heal(self):
        _run(*self.inside, "ip", "neighbour", "flush", "dev", "eth0", "nud", "permanent")


class Net:
    def __init__(self, count):
        self.bridge = "bridge0"
        self.places = []
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", self.bridge, "type", "bridge")
        _run("ip", "link", "set", self.bridge, "up")
        for number in range(1, count + 1):
            self.places.append(Place(self, number))

    def cut(self, pairs):
        for one, other in pairs:
            self.places[one].lose(self.places[other])

    def heal(self):
        for place in self.places:
            place.heal()

    def close(self):
        for place in self.places:
            place.holder.kill()
            place.holder.wait()
        _run("ip", "link", "delete", self.bridge)


class Disk:
    """A file system of some MiB, which can be filled."""

    def __init__(self, path, mebibytes):
        self.path = pathlib.Path(path)
        self.path.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(self.path))

    def fill(self):
        with contextlib.suppress(OSError), open(self.path / "filler", "ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self):
        (self.path / "filler").unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)
