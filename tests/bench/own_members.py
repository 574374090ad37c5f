"""Three control nodes and many hosts on loopback. Each says itself, by its log and by the role of
teller.c, what it makes of the others."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from demo import SANITIZERS, until
from voices import Voices

NET = "127.79."
FIRST = 3  # the control plane

NODE = """name: {name}
key: {dir}/cluster.key
data: {dir}/{name}
socket: {dir}/{name}.sock
advertise: {address}
modules: [{teller}]
roles: [{role}, teller]
teller: {{members: {count}}}
"""


def address(number):
    return f"{NET}{number // 250}.{number % 250 + 1}"


def name_of(number):
    return f"control-{number}" if number <= FIRST else f"host-{number}"


class Hivemind:
    name = "hivemind"

    def __init__(self, build, count):
        self.build = pathlib.Path(build).resolve()
        self.binary = self.build / "bin" / "hivemind"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hivemind-bench-"))
        self.environment = {**os.environ, **SANITIZERS,
                            "HIVEMIND_MODULES": str(self.build / "modules")}
        self.voices = Voices()
        self.whole = re.compile(r"^whole$", re.M)
        self.run("keygen", "-o", self.dir / "cluster.key")
        for number in range(1, count + 1):
            self.write(number, count)

    def write(self, number, count):
        text = NODE.format(name=name_of(number), dir=self.dir, address=address(number), count=count,
                           role="control" if number <= FIRST else "host",
                           teller=self.build / "tests" / "bench" / "teller.so")
        others = [address(n) for n in range(1, FIRST + 1) if n != number]
        text += "control: {bootstrap: true}\n" if number == 1 else f"join: [{', '.join(others)}]\n"
        self.file(number).write_text(text)

    def file(self, number):
        return self.dir / f"{name_of(number)}.yaml"

    def run(self, *arguments):
        return subprocess.run([self.binary, *map(str, arguments)], capture_output=True, text=True,
                              check=True, env=self.environment, timeout=60).stdout

    def ask(self, number, *arguments):
        return self.run(*arguments, "--socket", self.dir / f"{name_of(number)}.sock")

    def numbers(self):
        return list(self.voices.processes)

    def start(self, number):
        self.voices.start(number, [self.binary, "run", "-c", self.file(number)], self.environment)

    def start_first(self):
        """A control plane of three voters."""
        for number in range(1, FIRST + 1):
            self.start(number)
        self.voices.wait(self.numbers(), lambda said: 'msg="ready"' in said, "ready")
        until("three voters", lambda: sum("voter" in m["state"] for m in self.members()) == FIRST)

    def members(self):
        return json.loads(self.ask(1, "members", "--all", "--format", "json"))["members"]

    def wait_whole(self, count, new=()):
        """Until each knows of so many, the new ones are ready, and a control node lists them."""
        self.voices.wait(new, lambda said: 'msg="ready"' in said, "ready")
        self.voices.wait(self.numbers(), self.whole.search, f"that there are {count} members")
        until(f"{count} members", lambda: len(self.members()) == count)

    def wait_joined(self, number, by):
        self.voices.wait([number, *by], self.whole.search, f"that {name_of(number)} is in again")

    def wait_failed(self, number, by):
        self.voices.wait(by, lambda said: f"failed {name_of(number)}\n" in said,
                         f"that {name_of(number)} failed")

    def emit(self, event, data, by):
        self.ask(by, "emit", event, data)

    def wait_event(self, event, seconds=60):
        self.voices.wait(self.numbers(), lambda said: f"event {event}\n" in said, f"event {event}",
                         seconds)

    def failed(self):
        """Those who were removed since the last `forget`."""
        return {name for said in self.voices.lines.values()
                for name in re.findall(r"^failed (\S+)$", said, re.M)}

    def stop(self):
        self.voices.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
