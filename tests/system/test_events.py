#!/usr/bin/env python3
"""User events on real nodes, and a role from outside the tree that runs a command for each event:
docs/examples/role_webhook.c, built against what is installed."""

import os
import pathlib
import subprocess

from cluster import BUILD, Cluster, free_ports, main, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
HANDLER = """#!/bin/sh
# Writes in one go: others may write at the same moment.
echo "$SERF_EVENT|$SERF_SELF_NAME|$SERF_SELF_ROLE|$SERF_USER_EVENT|$SERF_USER_LTIME|$(cat)" >>{}
"""


def build_role(place):
    """Installs headers and pkg-config file into `place`, builds the role as its text says."""
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--tags", "devel", "--destdir",
                    place], check=True, capture_output=True)
    pc = next(place.rglob("hivemind-module.pc"))
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(place)}
    flags = subprocess.run(["pkg-config", "--cflags", "hivemind-module"], env=env, check=True,
                           capture_output=True, text=True).stdout.split()
    modules = place / "modules"
    modules.mkdir()
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags,
                    ROOT / "docs/examples/role_webhook.c", "-o", modules / "webhook.so"],
                   check=True, cwd=place)
    return modules


def handler(cluster, name):
    """A command that appends to a file, and that file."""
    output = cluster.dir / f"{name}.out"
    command = cluster.dir / f"{name}.sh"
    command.write_text(HANDLER.format(output))
    command.chmod(0o755)
    return command, output


def test_a_role_of_ones_own_sees_events():
    with Cluster() as cluster:
        place = cluster.dir / "stage"
        place.mkdir()
        modules = build_role(place)
        ports = free_ports(3)
        outputs = {}
        for name, port, role in (("c1", ports[0], "control"), ("h1", ports[1], "host")):
            command, outputs[name] = handler(cluster, name)
            join = f"join: [127.0.0.1:{ports[0]}]\n" if name != "c1" else ""
            cluster.add(name, port, f"{role}, webhook",
                        f"{join}modules: [{modules}]\nwebhook: {{command: {command}}}\n" +
                        ("control: {bootstrap: true}\n" if name == "c1" else "")).start()
            until(f"{name} is there", cluster.nodes[name].is_healthy)

        def lines(name):
            file = outputs[name]
            return file.read_text(errors="replace").split("\n") if file.exists() else []

        said = cluster.nodes["h1"].ask("emit", "deploy", "version 7")
        assert said.returncode == 0 and said.stdout.startswith("deploy committed at "), said
        index = said.stdout.split()[-1]
        for name, role in (("c1", "control"), ("h1", "host")):
            want = f"user|{name}|{role}|deploy|{index}|version 7"
            until(f"{name} ran its command", lambda: want in lines(name))
        assert f"member-join|c1|control|||h1\t127.0.0.1\thost,webhook\t" in lines("c1"), lines("c1")

        # Data from standard input, whatever bytes they are.
        done = subprocess.run([BUILD / "bin" / "hivemind", "emit", "--socket",
                               cluster.nodes["c1"].socket, "bytes", "-"], input=b"\x01\xff" * 256,
                              capture_output=True, check=False)
        assert done.returncode == 0, done
        for name, output in outputs.items():
            until(f"{name} got the bytes", lambda o=output: b"|bytes|" in o.read_bytes()
                  and o.read_bytes().endswith(b"\x01\xff" * 256 + b"\n"))

        # Restarted, the control node does not run its commands for what was before.
        count = len(lines("c1"))
        assert cluster.nodes["c1"].stop() == 0
        cluster.nodes["c1"].start()
        until("c1 is back", cluster.nodes["c1"].is_healthy)
        assert cluster.nodes["h1"].ask("emit", "after").returncode == 0
        until("c1 ran it", lambda: len(lines("c1")) > count)
        assert [line.split("|")[3] for line in lines("c1")[count - 1:] if line] == ["after"]
        told = cluster.nodes["c1"].ask("events").stdout
        assert "user_event" in told and "deploy: version 7" in told, told
        until("none is left running", lambda: "running=0 waiting=0" in
              cluster.nodes["c1"].facts()["webhook"])


def test_commands_are_bounded():
    """What hangs takes its place for ever; what finds none is dropped and told; the node goes on."""
    with Cluster() as cluster:
        place = cluster.dir / "stage"
        place.mkdir()
        modules = build_role(place)
        command = cluster.dir / "hang.sh"
        command.write_text(f"#!/bin/sh\necho $$ >>{cluster.dir}/pids\nexec tail -f /dev/null\n")
        command.chmod(0o755)
        port = free_ports(1)[0]
        node = cluster.add("c1", port, "control, webhook",
                           f"modules: [{modules}]\nwebhook: {{command: {command}}}\n"
                           "control: {bootstrap: true}\n").start()
        until("it is there", node.is_healthy)
        try:
            for number in range(70):
                assert node.ask("emit", f"e{number}").returncode == 0
            fact = node.facts()["webhook"]
            assert fact == "running=4 waiting=64 done=0 failed=0 dropped=2", fact
            assert node.logged("command dropped")
        finally:
            pids = cluster.dir / "pids"
            until("all that run have said who they are",
                  lambda: pids.exists() and len(pids.read_text().split()) == 4)
            code = node.stop()  # which waits for none of them
            for pid in pids.read_text().split():
                os.kill(int(pid), 9)
        assert code == 0, code


def test_commands_that_fail_are_counted():
    """One that ends badly, and one that is not there."""
    with Cluster() as cluster:
        place = cluster.dir / "stage"
        place.mkdir()
        modules = build_role(place)
        command = cluster.dir / "fail.sh"
        command.write_text(f"#!/bin/sh\necho $SERF_USER_EVENT >>{cluster.dir}/said\n"
                           "[ $SERF_USER_EVENT = good ]\n")
        command.chmod(0o755)
        node = cluster.add("c1", free_ports(1)[0], "control, webhook",
                           f"modules: [{modules}]\nwebhook: {{command: {command}}}\n"
                           "control: {bootstrap: true}\n").start()
        until("it is there", node.is_healthy)

        def counts(text):
            until(text, lambda: node.facts()["webhook"] == f"running=0 waiting=0 {text} dropped=0")

        for name in ("good", "bad", "good"):
            assert node.ask("emit", name).returncode == 0
        counts("done=3 failed=1")
        command.unlink()
        assert node.ask("emit", "gone").returncode == 0
        counts("done=3 failed=2")
        assert node.logged("not run")
        assert sorted((cluster.dir / "said").read_text().split()) == ["bad", "good", "good"]


def test_bad_events_are_refused():
    with Cluster() as cluster:
        node = cluster.add("c1", free_ports(1)[0], "control", "control: {bootstrap: true}\n").start()
        until("it is there", node.is_healthy)
        for arguments, code, said in (((), 2, "it takes NAME"), (("",), 2, "1 to 255 bytes"),
                                      (("x" * 256,), 2, "1 to 255 bytes"),
                                      (("x", "y" * 513), 2, "at most 512 bytes"),
                                      (("x", "y", "z"), 2, "what is 'z'?"),
                                      (("two\nlines",), 2, "no control characters")):
            done = node.ask("emit", *arguments)
            assert done.returncode == code and said in done.stderr, (arguments, done)


def test_without_quorum_an_emit_exits_with_5():
    with Cluster() as cluster:
        ports = free_ports(3)
        join = ", ".join(f"127.0.0.1:{port}" for port in ports)
        for number, port in enumerate(ports):
            bootstrap = "control: {bootstrap: true}\n" if number == 0 else ""
            cluster.add(f"c{number}", port, "control", f"join: [{join}]\n{bootstrap}").start()
        nodes = list(cluster.nodes.values())
        until("all are voters", lambda: all(node.facts().get("control.voters") == "3"
                                            for node in nodes))
        assert nodes[2].ask("emit", "now").returncode == 0
        nodes[0].kill()
        nodes[1].kill()
        done = nodes[2].ask("emit", "late", "--timeout", "1s")
        assert done.returncode == 5 and "not known to be committed" in done.stderr, done


if __name__ == "__main__":
    main()
