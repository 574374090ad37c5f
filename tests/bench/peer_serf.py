"""serf agents on loopback with their default configuration. Each says itself, on its standard
output, what it makes of the others."""

import re
import signal
import subprocess
import time

from voices import Voices

NET = "127.78."
FIRST = 3  # the others join through these


def address(number):
    return f"{NET}{number // 250}.{number % 250 + 1}"


class Serf:
    name = "serf"

    def __init__(self, count=0):
        """With so many agents, each of which knows the others."""
        self.voices = Voices()
        for number in range(1, count + 1):
            self.start(number)
            self.wait_joined(number, self.numbers())

    def numbers(self):
        return list(self.voices.processes)

    def start(self, number):
        others = [n for n in self.voices.processes if n != number][:FIRST]
        command = ["serf", "agent", f"-node=agent-{number}", f"-bind={address(number)}:7946",
                   f"-rpc-addr={address(number)}:7373"]
        command += [f"-join={address(n)}:7946" for n in others[:1]]
        self.voices.start(number, command)

    def start_first(self):
        for number in range(1, FIRST + 1):
            self.start(number)
            self.wait_joined(number, self.numbers())

    def wait_whole(self, count, _new=()):
        """Until each knows so many, itself among them; none has gone since it started."""
        self.voices.wait(self.numbers(), lambda said: said.count("EventMemberJoin: ") >= count,
                         f"{count} times that another joined")

    def wait_joined(self, number, by):
        self.voices.wait(by, lambda said: f"EventMemberJoin: agent-{number} " in said,
                         f"that agent-{number} joined")

    def wait_failed(self, number, by):
        self.voices.wait(by, lambda said: f"EventMemberFailed: agent-{number} " in said,
                         f"that agent-{number} failed")

    def emit(self, event, data, by):
        subprocess.run(["serf", "event", f"-rpc-addr={address(by)}:7373", "-coalesce=false", event,
                        data], check=True, stdout=subprocess.DEVNULL)

    def wait_event(self, event, seconds=60):
        self.voices.wait(self.numbers(), lambda said: f"user-event: {event}\n" in said,
                         f"event {event}", seconds)

    def failed(self):
        """Those of whom anybody has said so since the last `forget`."""
        return {name for said in self.voices.lines.values()
                for name in re.findall(r"EventMemberFailed: (\S+)", said)}

    def crash(self):
        """Kills the last agent. Seconds until all others say that it has failed."""
        number = max(self.numbers())
        others = [other for other in self.numbers() if other != number]
        self.voices.forget()
        start = time.monotonic()
        self.voices.send(number, signal.SIGKILL)
        self.wait_failed(number, others)
        took = time.monotonic() - start
        self.voices.end(number)
        self.start(number)
        self.wait_joined(number, others)
        return took

    def pids(self):
        return self.voices.pids()

    def stop(self):
        self.voices.stop()
