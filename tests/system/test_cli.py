#!/usr/bin/env python3
"""The command line without a cluster: help, usage, exit codes, files, configurations."""

import contextlib
import http.client
import http.server
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from cluster import BUILD, DEADLINE_S, ENVIRONMENT, HIVEMIND, Cluster, free_ports, hivemind, until

# Every group of commands, by the words that lead to it, and what is in it.
GROUPS = {
    (): ["run", "dev", "check-config", "keygen", "status", "members", "services", "events", "emit",
         "announce", "withdraw", "drain", "undrain", "log", "control", "names", "dns", "leave", "schema",
         "protocol"],
    ("log",): ["create", "list", "delete", "append", "session", "read", "follow", "members", "add",
               "remove", "transfer", "snapshot"],
    ("control",): ["status", "backup", "restore", "recover", "rejoin"],
    ("names",): ["register", "check", "release", "list"],
    ("dns",): ["zones", "forget"],
}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def expect(code, *arguments, said="", env=None):
    done = hivemind(*arguments, env=env)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    assert said in done.stdout + done.stderr, (arguments, said, done.stdout, done.stderr)
    return done


def test_help():
    for words, commands in GROUPS.items():
        path = " ".join(("hivemind", *words))
        text = expect(0, *words, "--help", said=f"Usage: {path} COMMAND [OPTION...]").stdout
        listed = [line.split()[0] for line in text.splitlines() if re.match(r"  \S", line)]
        assert listed == commands, (path, listed)
        for same in ("help", "-h", "-?"):
            assert expect(0, *words, same).stdout == text, (path, same)
        for command in commands:
            told = expect(0, *words, command, "--help", said=f"Usage: {path} {command} ").stdout
        for same in ((*words, "help", command), ("help", *words, command)):
            assert expect(0, *same).stdout == told, same
        expect(0, *words, command, "--version", said="hivemind ")
        expect(0, *words, "--version", said="hivemind ")
        assert not expect(0, *words, "-V").stderr
    # The words that it takes, and what is common to those that ask a node.
    told = expect(0, "log", "append", "--help").stdout
    assert "NAME [DATA|-]" in told and "--seq=N" in told and "--socket=PATH" in told, told
    for alone in (("keygen",), ("check-config",), ("log", "session")):
        assert "--socket" not in expect(0, *alone, "--help").stdout, alone
        expect(2, *alone, "--socket", "/x", said="unrecognized option")


def test_groups_usage():
    for words, commands in GROUPS.items():
        path = " ".join(("hivemind", *words))
        # What is missing is told where errors are, and what is near is told.
        done = expect(2, *words, said=f"Usage: {path} COMMAND [OPTION...]")
        assert not done.stdout, (path, done.stdout)
        slip = commands[0][0] + commands[0][2] + commands[0][1] + commands[0][3:]
        expect(2, *words, slip, said=f"unknown command '{slip}': did you mean '{commands[0]}'? "
               f"`{path} --help` lists all")
        expect(2, *words, "xyzzyxyzzy", said=f"'xyzzyxyzzy'; `{path} --help` lists all")
        expect(2, *words, "help", "xyzzyxyzzy", said="unknown command 'xyzzyxyzzy'")
        expect(2, *words, "--socket", "/x", commands[0],
               said=f"options come after it: `{path} COMMAND [OPTION...]`")
        said = expect(2, *words, "\x1b[31m").stderr
        assert "\x1b" not in said, said


def test_words():
    # Too few and too many: what it takes, with an example.
    for given, said in (
            (("announce",), "it takes NAME PORT: `hivemind announce web 8080`"),
            (("announce", "web"), "it takes NAME PORT: `hivemind announce web 8080`"),
            (("announce", "web", "1", "x"), "what is 'x'? it takes NAME PORT"),
            (("withdraw",), "it takes NAME [PORT]: `hivemind withdraw web`"),
            (("drain", "a", "b"), "what is 'b'? it takes [NAME]"),
            (("emit",), "it takes NAME [DATA|-]: `hivemind emit deploy 'v7 of the shop'`"),
            (("emit", "a", "b", "c"), "what is 'c'?"),
            (("emit", "n" * 256), "1 to 255 bytes, not 256"),
            (("check-config",), "it takes FILE"),
            (("check-config", "a", "b"), "what is 'b'? it takes FILE"),
            (("status", "extra"), "what is 'extra'? it takes no words, only options"),
            (("log", "append"), "it takes NAME [DATA|-]: `hivemind log append audit 'door 7 opened'`"),
            (("log", "append", "a", "b", "c"), "what is 'c'?"),
            (("log", "append", "a_b", "x"), "the name of a log consists of"),
            (("log", "append", "a", "x", "--seq", "1"), "--session and --seq come together"),
            (("log", "append", "a", "x", "--seq", "1", "--session", "12"), "32 hex digits"),
            (("log", "add", "a"), "it takes NAME NODE: `hivemind log add audit control-3`"),
            (("log", "add", "a", "b_c"), "the name of a node consists of"),
            (("log", "read", "a", "--from", "5", "--to", "3"), "--to 3 lies before --from"),
            (("log", "list", "a"), "what is 'a'?"),
            (("control", "status", "a"), "what is 'a'?"),
            (("names", "check"), "it takes NAME: `hivemind names check printer`"),
            (("names", "register", "a"),
             "it takes NAME --owner OWNER: `hivemind names register printer --owner alice`"),
            (("names", "register", "a", "b"), "what is 'b'? it takes NAME --owner OWNER"),
            (("names", "list", "a", "b"), "what is 'b'? it takes [PREFIX]")):
        expect(2, *given, said=said)


def test_usage():
    expect(2, "status", "--nonsense")
    expect(2, "run", said="-c FILE is missing")
    expect(2, "announce", "web", "0", said="from 1 to 65535")
    expect(2, "announce", "web", "80x", said="from 1 to 65535")
    expect(2, "announce", "we_b", "80", said="letters, digits and inner hyphens")
    expect(2, "announce", "web", "80", "--ttl", "0", said="--ttl is from 1s to 168h (7 days), not '0'")
    expect(2, "announce", "web", "80", "--vhost", "", said="--vhost is a domain name such as")
    tags = [f"--tag=t{i}" for i in range(33)]
    expect(2, "announce", "web", "80", *tags, said="--tag t32: a service has at most 32")
    expect(2, "dev", "--zone", "a/b", said="--zone is a domain name such as home.arpa, not 'a/b'")
    expect(2, "status", "--format", "xml", said="table or json")
    expect(2, "status", "--timeout", "soon", said="such as 500ms")


def test_unreachable():
    with tempfile.TemporaryDirectory() as directory:
        nobody = f"{directory}/nobody.sock"
        expect(4, "status", "--socket", nobody, said="hivemind run -c FILE")
        expect(4, "members", said=nobody, env={"HIVEMIND_SOCKET": nobody})
        expect(4, "status", "--socket", directory + "x" * 200, said="too long for a socket, at most "
               "107 bytes")


def test_several_sockets():
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "hivemind").mkdir()
        with socket.socket(socket.AF_UNIX) as a, socket.socket(socket.AF_UNIX) as b:
            for sock, name in (a, "a"), (b, "b"):
                sock.bind(f"{directory}/hivemind/{name}.sock")
                sock.listen()
            done = expect(2, "status", said="several nodes run here",
                          env={"XDG_RUNTIME_DIR": directory})
            assert f"{directory}/hivemind/a.sock" in done.stderr
            assert f"{directory}/hivemind/b.sock" in done.stderr


def test_keygen():
    with tempfile.TemporaryDirectory() as directory:
        key = pathlib.Path(directory) / "key"
        expect(0, "keygen", "-o", key)
        first = key.read_text()
        assert key.stat().st_mode & 0o777 == 0o600 and len(first) == 65
        expect(1, "keygen", "-o", key, said=f"cannot make the key file {key}: File exists; it is never "
               "overwritten: name another file, or remove it first")
        expect(1, "keygen", "-o", f"{directory}/none/key", said="make its directory first")
        assert key.read_text() == first
        assert expect(0, "keygen").stdout != first


def test_check_config():
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "node.yaml"
        for command in ("check-config",), ("run", "-c"):
            expect(2, *command, file, said=f"{file}: No such file or directory; `hivemind schema "
                   "--manual` tells")
            expect(2, *command, directory, said=f"{directory}: Is a directory; name a file in it")
        file.write_text("key: /k\nroles: [contrl, host]\nserve_joins: 7\njion: [a]\ndns: {}\n")
        said = expect(2, "check-config", file).stderr.splitlines()
        for line in (f"{file}:2:9: unknown role 'contrl': did you mean 'control'?",
                     f"{file}:4:1: unknown key 'jion': did you mean 'join'?"):
            assert line in said, (line, said)
        assert any(line.startswith(f"{file}:3:14: ") for line in said), said
        assert any(line.startswith(f"{file}:5:1: ") and "dns" in line for line in said), said
        expect(2, "run", "-c", file, said=f"{file}:2:9")
        # 'log' is near, but no role.
        file.write_text("key: /k\nroles: [lgo]\nmiddlewares: [hots]\n")
        said = expect(2, "check-config", file).stderr
        assert f"{file}:2:9: unknown role 'lgo': known are " in said, said
        assert f"{file}:3:15: unknown middleware 'hots': known are " in said, said
        file.write_text("key: [/k\n")
        expect(2, "check-config", file, said=f"{file}:")
        file.write_text("key: /k\nroles: [host]\n")
        expect(0, "check-config", file, said="ok")


def test_modules_are_asked():
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "node.yaml"
        # The findings of all of them, in one go.
        file.write_text("key: /k\nroles: [control, dns]\ncontrol: {voters: 4}\n"
                        "dns: {zones: [{name: a.test}, {name: A.test}]}\n")
        said = expect(2, "check-config", file,
                      said=f"{file}:3:11: voters is 4: write an odd number").stderr
        assert f"{file}:4:31: zone 'a.test' is there twice" in said, said
        file.write_text("key: /k\nroles: [dns]\n")
        expect(2, "check-config", file, said=f"{file}:2:1: role dns needs a section 'dns' with "
               "its zones, such as dns: {zones: [{name: corp.internal}]}")
        # The example is one.
        file.write_text("key: /k\nroles: [dns]\ndns: {zones: [{name: corp.internal}]}\n")
        expect(0, "check-config", file)
        file.write_text("key: /k\nroles: [host]\nservices:\n- {name: a, port: 1}\n"
                        "- {name: a, port: 1}\n")
        expect(2, "check-config", file, said=f"{file}:5:3: service 'a' on port 1 is declared")


def test_conf_d():
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "node.yaml"
        beside = pathlib.Path(directory) / "conf.d"
        beside.mkdir()
        file.write_text("key: /k\nroles: [host]\nname: a\n")
        (beside / "10-web.yaml").write_text("services: [{name: web, port: 80}]\n")
        expect(0, "check-config", file)
        (beside / "20-name.yaml").write_text("name: b\n")
        said = expect(2, "check-config", file).stderr
        assert f"{beside}/20-name.yaml:1:" in said and f"{file}:3" in said, said


def test_modules():
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / "odd.c"
        source.write_text("#include \"core/include/hivemind/module.h\"\n"
                          "const struct hm_module hm_module = {.abi = 99, .name = \"odd\"};\n")
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT}", source, "-o", f"{directory}/odd.so"],
                       check=True)
        (pathlib.Path(directory) / "junk.so").write_text("junk")
        file = pathlib.Path(directory) / "node.yaml"
        shutil.copy(f"{directory}/odd.so", f"{directory}/even.so")
        (pathlib.Path(directory) / "none.so").write_bytes(
            next((BUILD / "modules").glob("host.so")).read_bytes().replace(b"hm_module\0", b"hm_nodule\0"))
        for name, said in (("odd", "module odd has ABI 99, this hivemind speaks"),
                           ("odd", f"rebuild {directory}/odd.so"),
                           ("junk", f"module junk cannot be loaded: {directory}/junk.so"),
                           ("none", "none.so is no module of hivemind: it does not export hm_module"),
                           ("control", "module control is no middleware: write it under 'roles'")):
            file.write_text(f"key: /k\nroles: [host]\nmiddlewares: [{name}]\n")
            expect(2, "check-config", file, said=f"{file}:3:15: ", env={"HIVEMIND_MODULES": directory})
            expect(2, "check-config", file, said=said, env={"HIVEMIND_MODULES": directory})
        # A program that was moved away from its modules says where it looked; on a machine where
        # modules are installed it finds those.
        installed = re.search(rb"/[^\0]+/lib/hivemind/modules(?=\0)", HIVEMIND.read_bytes())
        if installed and pathlib.Path(installed[0].decode()).exists():
            return
        alone = pathlib.Path(directory) / "alone" / "bin"
        alone.mkdir(parents=True)
        shutil.copy(HIVEMIND, alone / "hivemind")
        done = subprocess.run([alone / "hivemind", "check-config", file], env=ENVIRONMENT, text=True,
                              capture_output=True, check=False)
        assert done.returncode == 2, done
        for said in (f"{file}:2:9: role 'host': there is no module at all in ",
                     f"{alone.parent}/lib/hivemind/modules", "; `modules: [DIRECTORY]`, or $HIVEMIND_MODULES"):
            assert said.replace("/lib/", "/bin/../lib/") in done.stderr, (said, done.stderr)


def test_documents():
    assert expect(0, "protocol").stdout == (ROOT / "docs" / "PROTOCOL.md").read_text(), \
        "docs/PROTOCOL.md is old: write what `hivemind protocol` prints"
    schema = json.loads(expect(0, "schema").stdout)
    assert {"key", "roles", "control", "dns", "services"} <= schema["properties"].keys()
    expect(0, "schema", "--manual", said="| `key` |")


def test_run_refuses():
    with Cluster() as cluster:
        node = cluster.add("a", free_ports(1)[0], "host", "join: [127.0.0.1:9]\n")
        cluster.key.chmod(0o644)
        expect(1, "run", "-c", node.file, said=f"{node.file}:1:1: others can read the key file "
               f"{cluster.key} (mode 0644): chmod 0600 {cluster.key}")
        cluster.key.chmod(0o600)
        with socket.socket() as other:
            other.bind(("127.0.0.1", node.port))
            other.listen()
            said = expect(1, "run", "-c", node.file, said="advertise: IP:PORT").stderr
            assert str(node.port) in said and "python" in said, said
        node.file.write_text(node.text.replace("127.0.0.1:9]", "192.0.2.1]"))
        expect(2, "run", "-c", node.file, said="advertise: IP")
        node.file.write_text(node.text.replace(str(cluster.key), "/nowhere/key"))
        expect(1, "run", "-c", node.file, said=f"{node.file}:1:1: cannot read the key file /nowhere/key: "
               "No such file or directory; `hivemind keygen -o /nowhere/key` makes one")
        node.file.write_text(node.text.replace(str(cluster.key), "/dev/null"))
        expect(1, "run", "-c", node.file, said="the key file /dev/null is no plain file")
        node.file.write_text(node.text.replace(str(node.data), "/dev/null/data"))
        expect(1, "run", "-c", node.file, said="cannot make the directory /dev/null/data: Not a "
               "directory; name another data directory (`data`, in nginx `state`)")
        node.file.write_text(node.text.replace(str(node.socket), f"/tmp/{'x' * 120}"))
        expect(1, "run", "-c", node.file, said="`socket` names a shorter one")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(node.socket))
            other.listen()
            node.file.write_text(node.text)
            expect(1, "run", "-c", node.file, said=f"another node answers on the control socket "
                   f"{node.socket}; stop it, or give this one another `name` or `socket`")


@contextlib.contextmanager
def backend():
    """A web server that answers "here"; its port."""
    class Here(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"here")

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Here) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def fetch(port, host):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/", headers={"Host": host})
    response = connection.getresponse()
    return response.status, response.read()


def lite_is_routed(directory, path, nginx, port, env):
    """What is no member but kept by one, nginx routes to as to a member."""
    status = json.loads(expect(0, "status", "--socket", path, "--format", "json").stdout)
    lite = subprocess.Popen([str(HIVEMIND) + "-lite", "--join", status["facts"]["addr"], "--name",
                             "cam", "--service", f"video:{port}", "--vhost", "cam.home.arpa",
                             "--key", next(pathlib.Path(directory).glob("hivemind-dev-*/key"))],
                            env=env, stderr=subprocess.DEVNULL)
    try:
        until("nginx routes to it", lambda: fetch(nginx, "cam.home.arpa") == (200, b"here"))
        lite.terminate()
        assert lite.wait(DEADLINE_S) == 0
        until("and no more", lambda: fetch(nginx, "cam.home.arpa")[0] == 404)
    finally:
        lite.kill()
        lite.wait()


def test_dev():
    with tempfile.TemporaryDirectory() as directory:
        env = {**ENVIRONMENT, "XDG_RUNTIME_DIR": directory}
        name = f"dev-{free_ports(1)[0]}"
        dev = subprocess.Popen([str(HIVEMIND), "dev", "--name", name], env=env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            text = ""
            while "Ctrl-C" not in text:
                line = dev.stdout.readline()
                assert line, f"dev ended: {text}"
                text += line
            paths = [f"/run/hivemind/{name}.sock", f"{directory}/hivemind/{name}.sock"]
            path = next(p for p in paths if pathlib.Path(p).exists())
            nginx = re.search(r"curl .* http://127.0.0.1:(\d+)/", text)
            if nginx:
                until("nginx is a member", lambda: f"{name}-nginx" in expect(
                    0, "members", "--socket", path).stdout)
            with backend() as port:
                expect(0, "announce", "--socket", path, "web", port, "--vhost", "www.home.arpa",
                       said="nginx 1/1" if nginx else "dns 1/1")
                if nginx:
                    assert fetch(int(nginx[1]), "www.home.arpa") == (200, b"here")
                    assert fetch(int(nginx[1]), "other.home.arpa")[0] == 404
                    lite_is_routed(directory, path, int(nginx[1]), port, env)
            said = expect(0, "services", "--socket", path, "web").stdout
            assert f"127.0.0.1:{port}" in said, said
            expect(3, "services", "--socket", path, "nope")
            dev.send_signal(signal.SIGINT)
            assert dev.wait(DEADLINE_S) == 0, dev.stdout.read()
            until("its directory is gone",
                  lambda: not list(pathlib.Path(directory).glob("hivemind-dev-*")))
        finally:
            dev.kill()
            dev.wait()


if __name__ == "__main__":
    from cluster import main
    main()
