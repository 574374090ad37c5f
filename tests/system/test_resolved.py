#!/usr/bin/env python3
"""systemd-resolved forwards a zone, set up by the stanza of README.md as it stands there: with its
address, its zone and port 53, in a network namespace of its own. test_resolved.py [UNPACKED], where
UNPACKED is what `./build.sh test` made of Debian's packages; they are not installed, as that would
replace /etc/resolv.conf. The daemon runs in a root directory of its own, which needs no mounts, so
this works in a chroot as well. Skipped where there is no daemon, without root, and where the kernel
gives no namespace or no pair of interfaces."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import cluster as system
from test_forward import ADDRESS, PATH, SKIPPED, ZONE, Forwarder, check, stanza, start_node

DAEMON = "lib/systemd/systemd-resolved"
LIBRARIES = "usr/lib/*/systemd"
STUB = ("127.0.0.53", 53)
INSIDE = "HIVEMIND_TEST_INSIDE"
UID = 64999


def skip(why):
    print(f"skipped systemd-resolved: {why}", flush=True)
    sys.exit(SKIPPED)


def run(*command):
    return subprocess.run(command, env={**os.environ, "PATH": PATH}, capture_output=True, text=True,
                          check=False)


def find_daemon():
    """The root below which the daemon and its libraries lie."""
    for root in (*sys.argv[1:2], "/"):
        if (pathlib.Path(root).resolve() / DAEMON).exists():
            return pathlib.Path(root).resolve()
    skip(f"no {DAEMON}, neither unpacked by `./build.sh test` nor installed")


def make_root(source, root):
    """What the daemon needs and nothing else: its libraries, a user, the stanza."""
    private = [str(path) for path in source.glob(LIBRARIES)]
    for path in [source / DAEMON, *(p for d in private for p in pathlib.Path(d).glob("*.so"))]:
        place = root / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    found = subprocess.run(["ldd", source / DAEMON], env={"LD_LIBRARY_PATH": ":".join(private)},
                           capture_output=True, text=True, check=True).stdout
    if missing := re.findall(r"(\S+) => not found", found):
        skip(f"libraries are missing: {' '.join(missing)}")
    for name in re.findall(r"(/\S+) \(0x", found):
        if not any(name.startswith(d) for d in private):
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, root / name[1:])
    for name in ("dev", "run/systemd/resolve", "etc/systemd/resolved.conf.d"):
        (root / name).mkdir(parents=True)
    for name, minor in (("null", 3), ("urandom", 9)):
        os.mknod(root / "dev" / name, 0o020666, os.makedev(1, minor))
    (root / "etc/passwd").write_text(f"root:x:0:0::/:\nsystemd-resolve:x:{UID}:{UID}::/:\n")
    (root / "etc/group").write_text(f"root:x:0:\nsystemd-resolve:x:{UID}:\n")
    os.chown(root / "run/systemd/resolve", UID, UID)
    config = root / "etc/systemd/resolved.conf.d"
    (config / "corp.conf").write_text(stanza("systemd-resolved", ADDRESS, ZONE))
    # Without /proc it does not know the host's name, which these would tell to others.
    (config / "test.conf").write_text("[Resolve]\nLLMNR=no\nMulticastDNS=no\n")


def make_network():
    """It asks nobody unless an interface other than loopback is up."""
    commands = ("ip link set lo up", "ip link add inner type veth peer name outer",
                "ip link set outer up", f"ip addr add {ADDRESS}/24 dev inner",
                "ip link set inner up")
    for command in commands:
        if (done := run(*command.split())).returncode:
            skip(f"`{command}`: {done.stderr.strip()}")


def main():
    source = find_daemon()
    if os.geteuid() != 0:
        skip("only root makes namespaces")
    if INSIDE not in os.environ:
        if (done := run("unshare", "-n", "true")).returncode:
            skip(f"no network namespace: {done.stderr.strip()}")
        os.environ[INSIDE] = "yes"
        os.execvp("unshare", ["unshare", "-n", sys.executable, *sys.argv])
    make_network()
    with system.Cluster() as cluster:
        root = cluster.dir / "root"
        make_root(source, root)
        port, web, late = system.free_ports(3)
        node = start_node(cluster, port, ADDRESS, ZONE, web)
        directory = cluster.dir / "resolved"
        directory.mkdir()
        forwarder = Forwarder([shutil.which("chroot", path=PATH), root, f"/{DAEMON}"], "", STUB[1],
                              directory, STUB[0])
        try:
            check(forwarder, ZONE, node, (web, late))
        except BaseException:
            print(f"---- systemd-resolved\n{forwarder.log.read_text()[-4000:]}", file=sys.stderr)
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                forwarder.stop()
        assert node.stop() == 0
    print("ok   systemd-resolved", flush=True)


if __name__ == "__main__":
    main()
