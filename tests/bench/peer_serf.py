"""Some serf agents on loopback with their default configuration, one of which is killed and comes
back. Each agent says itself, on its standard output, what it makes of the others."""

import os
import selectors
import signal
import subprocess
import time

from demo import Failed

NET = "127.78.0."


class Serf:
    def __init__(self, count=5):
        self.agents = {}
        self.lines = {}
        self.selector = selectors.DefaultSelector()
        for number in range(1, count + 1):
            self.start(number)
            self.wait(f"EventMemberJoin: agent-{number} ", self.agents)

    def start(self, number):
        command = ["serf", "agent", f"-node=agent-{number}", f"-bind={NET}{number}:7946",
                   f"-rpc-addr={NET}{number}:7373"]
        others = [other for other in self.agents if other != number]
        if others:
            command.append(f"-join={NET}{others[0]}")
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL)
        os.set_blocking(agent.stdout.fileno(), False)
        self.agents[number] = agent
        self.lines[number] = ""
        self.selector.register(agent.stdout, selectors.EVENT_READ, number)

    def wait(self, words, numbers, seconds=60):
        """Until each of these agents has said the words since it was last waited for."""
        missing = {number for number in numbers if words not in self.lines[number]}
        end = time.monotonic() + seconds
        while missing:
            ready = self.selector.select(max(0, end - time.monotonic()))
            if not ready:
                raise Failed(f"serf agents {sorted(missing)} did not say \"{words}\"")
            for key, _ in ready:
                said = key.fileobj.read()
                if not said:
                    self.selector.unregister(key.fileobj)
                    continue
                self.lines[key.data] += said.decode(errors="replace")
                if words in self.lines[key.data]:
                    missing.discard(key.data)
        for number in self.lines:
            self.lines[number] = ""

    def crash(self):
        """Kills the last agent. Seconds until all others say that it has failed."""
        number = max(self.agents)
        others = [other for other in self.agents if other != number]
        victim = self.agents[number]
        start = time.monotonic()
        victim.send_signal(signal.SIGKILL)
        self.wait(f"EventMemberFailed: agent-{number} ", others)
        took = time.monotonic() - start
        victim.wait()
        self.forget(victim)
        self.start(number)
        self.wait(f"EventMemberJoin: agent-{number} ", others)
        return took

    def forget(self, agent):
        try:
            self.selector.unregister(agent.stdout)
        except KeyError:
            pass
        agent.stdout.close()

    def pids(self):
        return [agent.pid for agent in self.agents.values()]

    def stop(self):
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
            self.forget(agent)
