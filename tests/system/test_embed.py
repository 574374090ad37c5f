#!/usr/bin/env python3
"""libhivemind as others use it: the two programs of docs/examples, built against a staged install
and nothing else, as three processes each."""

import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading

from cluster import BUILD, free_ports, main, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False,
                          **more)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Stage:
    """What `build.sh install` puts in place, in a directory of its own."""

    def __init__(self, place):
        self.dir = pathlib.Path(place)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet",
            env={**os.environ, "DESTDIR": str(self.dir / "root")})
        pc = next(self.dir.rglob("hivemind.pc"))
        self.lib = pc.parents[1]
        self.env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent),
                    "PKG_CONFIG_SYSROOT_DIR": str(self.dir / "root")}
        self.include = next(self.dir.rglob("log.h")).parents[1]
        self.key = self.dir / "key"
        self.key.write_text("5eed" * 16 + "\n")
        self.key.chmod(0o600)

    def flags(self, *which):
        return run("pkg-config", *which, "hivemind", env=self.env).split()

    def build(self, name, static=False):
        """As the example's own text says, from a directory that is not the source tree."""
        out = self.dir / name
        libs = self.flags("--libs", "--static") if static else self.flags("--libs")
        if static:
            libs = ["-l:libhivemind.a" if flag == "-lhivemind" else flag for flag in libs]
        run("cc", "-Wall", "-Wextra", "-Werror", *self.flags("--cflags"), EXAMPLES / f"{name}.c",
            "-o", out, *libs, cwd=self.dir)
        return out


class Process:
    """One of the programs: lines in, lines out."""

    def __init__(self, stage, program, name, arguments, directory=None):
        self.name = name
        self.lines = []
        self.commands = 0
        self.arguments = [stage.dir / program, name, stage.key,
                          directory or stage.dir / f"{program}-{name}.d", *arguments]
        self.env = {**os.environ, "LD_LIBRARY_PATH": str(stage.lib)}
        self.start()

    def start(self):
        self.lines, self.commands = [], 0
        self.process = subprocess.Popen([str(a) for a in self.arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=self.env)
        threading.Thread(target=self.read, args=(self.process, self.lines), daemon=True).start()

    @staticmethod
    def read(process, lines):
        for line in process.stdout:
            lines.append(line.rstrip("\n"))

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        self.commands += 1
        return self.commands

    def answers(self, number):
        return [line.split(" ", 1)[1] for line in list(self.lines)
                if line.startswith(f"{number} ")]

    def ask(self, text):
        number = self.say(text)
        return until(f"{self.name}: {text}", lambda: self.answers(number))[0]

    def state(self):
        return dict(pair.split("=") for pair in self.ask("state").split())

    def pulled(self):
        number = self.say("list 1")
        until(f"{self.name} lists", lambda: "end" in self.answers(number))
        return [a[len("entry "):] for a in self.answers(number) if a.startswith("entry ")]

    def pushed(self):
        return [line[2:] for line in list(self.lines) if line.startswith("+ ")]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            assert self.process.wait(20) == 0, f"{self.name} ended with {self.process.returncode}"


def leader_of(processes):
    return until("somebody leads", lambda: next(
        (p for p in processes if p.process.poll() is None and p.state()["role"] == "leader" and
         p.state()["ready"] == "1"), None))


def throw_garbage(port):
    """What is no frame, half of one, and a frame of another key."""
    for data in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(24), os.urandom(5000), b"\0" * 4096):
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.sendall(data)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            datagram.sendto(data[:1400], ("127.0.0.1", port))


def test_what_is_installed_is_whole():
    with tempfile.TemporaryDirectory() as place:
        stage = Stage(place)
        header = "".join((stage.include / "hivemind" / file).read_text()
                         for file in ("log.h", "names.h"))
        assert '#include "' not in header
        plain = re.sub(r"(?<=hm_status)\n(?=hivemind_)", " ", header.replace("HM_MUST_USE ", ""))
        declared = set(re.findall(r"^(?:[\w ]+ \**|\w+ )(hivemind_\w+)\(", plain, re.M))
        declared -= set(re.findall(r"^typedef \w+ (hivemind_\w+)\(", header, re.M))
        library = next(stage.lib.glob("libhivemind.so.*.*.*"))
        exported = {line.split()[-1].split("@")[0] for line in
                    run("nm", "-D", "--defined-only", library).splitlines()} - {"HIVEMIND_1"}
        statuses = {"hm_status_text", "hm_status_name", "hm_status_exit_code"}
        assert exported == declared | statuses, exported ^ (declared | statuses)
        hidden = {line.split()[-1] for line in
                  run("nm", "-g", "--defined-only", stage.lib / "libhivemind.a").splitlines()
                  if len(line.split()) == 3}
        assert hidden == exported, hidden ^ exported
        # Nothing of the cluster's node, and none of its libraries.
        names = run("nm", library.resolve(), stage.lib / "libhivemind.a")
        assert not re.search(r" hm_(node|state|conf)_\w+$", names, re.M)
        needed = re.findall(r"NEEDED.*\[(\S+?)\.so", run("readelf", "-d", library))
        assert set(needed) <= {"libuv", "libsodium", "libc"}, needed
        soname = re.search(r"SONAME.*\[(\S+)\]", run("readelf", "-d", library)).group(1)
        assert (stage.lib / soname).exists() and (stage.lib / "libhivemind.so").exists()
        # Each header alone, as C and as C++.
        for language in ("c", "c++"):
            source = stage.dir / "alone.h.c"
            for file in ("log.h", "names.h", "status.h"):
                source.write_text(f"#include <hivemind/{file}>\n#include <hivemind/log.h>\n"
                                  "int main(void) { return hivemind_abi() != HIVEMIND_ABI; }\n")
                run("g++" if language == "c++" else "cc", "-Wall", "-Wextra", "-Werror", "-x",
                    language, *stage.flags("--cflags"), source, "-x", "none", "-o",
                    stage.dir / "alone", *stage.flags("--libs"))
                run(stage.dir / "alone", env={"LD_LIBRARY_PATH": str(stage.lib)})
        # The archive makes a program that needs no libhivemind.so.
        program = stage.build("kv", static=True)
        assert "libhivemind" not in run("readelf", "-d", program)


def test_a_store_keeps_what_it_said():
    with tempfile.TemporaryDirectory() as place:
        stage = Stage(place)
        stage.build("kv")
        ports = free_ports(4)
        peers = [f"{n}=127.0.0.1:{p}" for n, p in zip("abcd", ports)]
        nodes = [Process(stage, "kv", name, peers[:3]) for name in "abc"]
        for node in nodes:
            assert node.ask("follow 1") == "ok 1"
        leader = leader_of(nodes)
        assert nodes[0].ask("set first 1").startswith("ok ")
        for node in nodes:
            assert node.ask("get first") == "value 1"
        assert nodes[1].ask("cas first 2 3") == "refused CONFLICT the value is 1"
        for port in ports[:3]:
            throw_garbage(port)
        assert nodes[1].ask("cas first 1 2").startswith("ok ")

        # The leader is killed while the others have requests on their way.
        others = [n for n in nodes if n is not leader]
        asked = {}
        for i in range(200):
            node = others[i % 2]
            asked[f"k{i}"] = (node, node.say(f"set k{i} v{i}"))
            if i == 100:
                leader.kill()
        for key, (node, number) in asked.items():
            answer = until(f"{node.name}: {key}", lambda: node.answers(number))
            assert len(answer) == 1 and answer[0].startswith("ok "), answer
        for i in range(200):
            assert others[i % 2].ask(f"get k{i}") == f"value v{i}"

        # It comes back with its directory, and a fourth one starts from a snapshot.
        leader.start()
        assert leader.ask("follow 1") == "ok 1"
        saved = stage.dir / "saved"
        assert others[0].ask(f"save {saved}") == "ok 0"
        assert others[1].ask("set later 1").startswith("ok ")
        joiner = Process(stage, "kv", "d", ["--join-from", saved, *peers])
        assert until("d has the snapshot", lambda: joiner.ask("peek k199") == "value v199")
        assert joiner.state()["role"] == "unjoined"
        assert joiner.ask("join").startswith("ok ")
        until("d votes", lambda: joiner.state()["role"] == "follower")
        assert joiner.ask("get later") == "value 1"
        assert joiner.ask("follow 1") == "ok 1"
        nodes.append(joiner)

        # Nothing twice, nothing missing, pulled or pushed, anywhere.
        want = joiner.pulled()
        assert [int(w.split()[0]) for w in want] == list(range(1, len(want) + 1))
        assert sorted(w.split()[1] for w in want if w.split()[1].startswith("k")) == sorted(
            f"k{i}=v{i}" for i in range(200))
        for node in nodes:
            until(f"{node.name} has all", lambda: node.ask("peek later") == "value 1")
            assert node.pulled() == want, node.name
            until(f"{node.name} was told all", lambda: node.pushed() == want)

        # Out again, by its own wish; leadership to a named one; then all of them start again.
        assert joiner.ask("remove d").startswith("ok ")
        until("d is out", lambda: joiner.state()["role"] == "removed")
        assert joiner.ask("set never 1").startswith("refused REMOVED")
        assert others[0].ask(f"transfer {others[1].name}").startswith("ok ")
        assert leader_of(nodes[:3]) is others[1]
        for node in nodes:
            node.stop()
        for node in nodes[:3]:
            node.start()
        for node in nodes[:3]:
            assert node.ask("get k7") == "value v7"
            assert node.pulled() == want
        for node in nodes[:3]:
            node.stop()


def test_a_list_is_the_same_everywhere():
    with tempfile.TemporaryDirectory() as place:
        stage = Stage(place)
        stage.build("strings")
        peers = [f"{n}=127.0.0.1:{p}" for n, p in zip("abc", free_ports(3))]
        nodes = [Process(stage, "strings", name, peers) for name in "abc"]
        for i in range(30):
            nodes[i % 3].say(f"before {i}")
        until("30 everywhere", lambda: all(len(n.lines) == 30 for n in nodes))
        # Whoever it is, one of three may be killed.
        nodes[0].kill()
        for i in range(30):
            nodes[1 + i % 2].say(f"after {i}")
        until("60 where they live", lambda: all(len(n.lines) == 60 for n in nodes[1:]))
        nodes[0].start()
        until("60 where one came back", lambda: len(nodes[0].lines) == 60)
        pushed = list(nodes[0].lines)
        assert sorted(line.split(" ", 1)[1] for line in pushed) == sorted(
            f"{when} {i}" for when in ("before", "after") for i in range(30))
        for node in nodes:
            assert node.lines == pushed, node.name
            node.say("?11")
            until(f"{node.name} lists", lambda: node.lines[-1] == "=end")
            assert node.lines[60:-1] == ["=" + line for line in pushed[10:]]
            node.stop()


def test_a_directory_is_used_once():
    with tempfile.TemporaryDirectory() as place:
        stage = Stage(place)
        stage.build("kv")
        env = {**os.environ, "LD_LIBRARY_PATH": str(stage.lib)}
        ports = free_ports(2)

        def fails(*arguments):
            done = subprocess.run([str(a) for a in (stage.dir / "kv", *arguments)], env=env,
                                  capture_output=True, text=True, check=False, timeout=20,
                                  stdin=subprocess.DEVNULL)
            assert done.returncode == 1, done
            return done.stderr

        node = Process(stage, "kv", "a", [f"a=127.0.0.1:{ports[0]}"], stage.dir / "data")
        assert node.ask("set x 1").startswith("ok ")
        other = f"127.0.0.1:{ports[1]}"
        assert "uses" in fails("a", stage.key, stage.dir / "data", f"a={other}")
        assert "is in use by" in fails("a", stage.key, stage.dir / "else",
                                       f"a=127.0.0.1:{ports[0]}")
        node.stop()
        assert "data" in fails("b", stage.key, stage.dir / "data", f"b={other}")
        assert "keygen" in fails("b", stage.dir / "none", stage.dir / "b", f"b={other}")


if __name__ == "__main__":
    main()
