#!/usr/bin/env python3
"""Somebody who is not root: nodes and commands with what such a user may write to, and what is said
where it may not."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from cluster import BUILD, DEADLINE_S, ENVIRONMENT, free_ports, until

STRANGER, OTHER = 65534, 65533


class Place:
    """The program as it is installed, where everybody can read it, and a home of the stranger's."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.dir.chmod(0o755)
        self.hivemind = self.dir / "bin" / "hivemind"
        modules = self.dir / "lib" / "hivemind" / "modules"
        modules.mkdir(parents=True)
        self.hivemind.parent.mkdir()
        shutil.copy(BUILD / "bin" / "hivemind", self.hivemind)
        for module in (BUILD / "modules").glob("*.so"):
            shutil.copy(module, modules)
        self.home = self.dir / "home"
        self.runtime = self.home / "run"
        for made in (self.home, self.runtime):
            made.mkdir(mode=0o700)
            os.chown(made, STRANGER, STRANGER)

    def command(self, arguments, user, env, **how):
        return subprocess.Popen([self.hivemind, *map(str, arguments)], env={**ENVIRONMENT, **env},
                                stdin=subprocess.DEVNULL, text=True, cwd="/", user=user, group=user,
                                extra_groups=[], **how)

    def ask(self, *arguments, user=STRANGER, env=None):
        """The exit code, and all that is said."""
        env = {"XDG_RUNTIME_DIR": str(self.runtime)} if env is None else env
        with self.command(arguments, user, env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
            said = process.communicate(timeout=30)[0]
        return process.returncode, said

    def expect(self, code, *arguments, said="", **who):
        got, text = self.ask(*arguments, **who)
        assert got == code, (arguments, got, text)
        assert said in text, (arguments, said, text)
        return text

    @contextlib.contextmanager
    def running(self, *arguments, env=None):
        env = {"XDG_RUNTIME_DIR": str(self.runtime)} if env is None else env
        with self.command(arguments, STRANGER, env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
            try:
                yield process
            finally:
                process.kill()

    def write(self, name, text, mode=0o644, owner=STRANGER):
        file = self.home / name
        file.write_text(text)
        file.chmod(mode)
        os.chown(file, owner, owner)
        return file


@contextlib.contextmanager
def place():
    with tempfile.TemporaryDirectory(prefix="hm-test-") as directory:
        yield Place(directory)


def test_refused():
    """Where it may not read or write, the error says what, who it is, and what to do."""
    with place() as at:
        key = at.home / "key"
        at.expect(1, "keygen", "-o", "/etc/key", said="cannot make the key file /etc/key: Permission "
                  "denied; it must be possible for this user (uid 65534)")
        at.expect(0, "keygen", "-o", key)
        text = f"key: {key}\nname: a\nroles: [host]\nadvertise: 127.0.0.1:{free_ports(1)[0]}\n"
        file = at.write("a.yaml", text)
        at.expect(1, "run", "-c", file, said=": Permission denied; let this user (uid 65534) do so, or "
                  "name another data directory (`data`, in nginx `state`)")
        secret = at.write("b.yaml", text, mode=0o600, owner=0)
        at.expect(2, "check-config", secret, said=f"{secret}: Permission denied; let this user (uid "
                  "65534) read it")
        os.chown(key, 0, 0)
        at.expect(1, "run", "-c", file, said=f"{file}:1:1: cannot read the key file {key}: Permission "
                  "denied; it must be possible for this user (uid 65534), or for the group hivemind")
        os.chown(key, STRANGER, STRANGER)
        at.expect(4, "status", said="start a node with `hivemind run -c FILE`")
        # No place for a socket: $XDG_RUNTIME_DIR is not set, or is somebody else's.
        file.write_text(text + f"data: {at.home}/a\n")
        for env in {}, {"XDG_RUNTIME_DIR": "/root"}:
            at.expect(1, "run", "-c", file, env=env, said=".sock: ")
            at.expect(1, "run", "-c", file, env=env, said="; `socket` names another place")


def test_two_nodes():
    """Two nodes with their sockets in one directory: commands ask which, and are told in two ways."""
    with place() as at, contextlib.ExitStack() as stack:
        at.expect(0, "keygen", "-o", at.home / "key")
        ports = free_ports(2)
        for name, port in zip("ab", ports):
            file = at.write(f"{name}.yaml", f"key: {at.home}/key\nname: {name}\nroles: [control]\n"
                            f"advertise: 127.0.0.1:{port}\njoin: [127.0.0.1:{ports[0]}]\n"
                            f"data: {at.home}/{name}\ncontrol: {{bootstrap: {str(name == 'a').lower()}}}\n")
            stack.enter_context(at.running("run", "-c", file))
        sockets = [at.runtime / "hivemind" / f"{name}.sock" for name in "ab"]
        until("both are there", lambda: all(socket.exists() for socket in sockets))
        for socket in sockets:
            assert socket.stat().st_mode & 0o777 == 0o660, socket
        said = at.expect(2, "status", said="several nodes run here; name one with --socket or "
                         "$HIVEMIND_SOCKET:")
        assert [line.strip() for line in said.splitlines()[1:]] == list(map(str, sockets)), said
        named = {"HIVEMIND_SOCKET": str(sockets[0])}
        until("both joined", lambda: re.search(r"^b ", at.ask("members", env=named)[1], re.M))
        for name, socket in zip("ab", sockets):
            until("it is healthy", lambda s=socket: at.ask("status", "--socket", s)[0] == 0)
            told = re.compile(rf"^  name +{name}$", re.M)
            # The option has the last word.
            for env in None, named, {"HIVEMIND_SOCKET": "/nobody"}:
                assert told.search(at.ask("status", "--socket", socket, env=env)[1]), (name, env)
        # Of somebody else's node it is said whose it is.
        at.home.chmod(0o755)
        at.runtime.chmod(0o755)
        at.expect(4, "status", user=OTHER, env=named, said=f"{sockets[0]}: not allowed; it is for its "
                  "user and the group hivemind: become one of them")


def test_dev():
    """Where the usual places for a socket are closed, dev has its own and says so first."""
    with place() as at:
        for env in {}, {"XDG_RUNTIME_DIR": "/root"}, {"XDG_RUNTIME_DIR": str(at.runtime)}:
            with at.running("dev", env=env) as dev:
                text = ""
                while "Ctrl-C" not in text:
                    line = dev.stdout.readline()
                    assert line, f"dev ended: {text}"
                    text += line
                told = re.search(r"^  export (HIVEMIND_SOCKET)=(.*)$", text, re.M)
                assert bool(told) != (env.get("XDG_RUNTIME_DIR") == str(at.runtime)), text
                socket = pathlib.Path(told[2] if told else at.runtime / "hivemind" / "dev.sock")
                env = dict([told.groups()]) if told else env
                at.expect(0, "announce", "web", 8080, env=env, said="committed at")
                # What it tells to type can be typed.
                assert re.search(rf"^  {re.escape(str(at.hivemind))} services$", text, re.M), text
                dev.send_signal(signal.SIGINT)
                assert dev.wait(DEADLINE_S) == 0, dev.stdout.read()
                assert not socket.exists(), socket


if __name__ == "__main__":
    from cluster import main
    if os.geteuid() == 0:
        main()
    print("skipped: only root can be somebody else")
