"""Processes that say on their standard output what they learn, and waiting until they have."""

import os
import selectors
import subprocess
import time

from demo import Failed


class Unheard(Failed):
    """Not everybody said in time what was waited for."""


class Voices:
    def __init__(self):
        self.processes = {}
        self.lines = {}  # what each has said since `forget`
        self.selector = selectors.DefaultSelector()

    def start(self, number, command, environment=None):
        # Our own descriptors end at an exec: no need to close each of many in every child.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, env=environment, close_fds=False)
        os.set_blocking(process.stdout.fileno(), False)
        self.processes[number] = process
        self.lines[number] = ""
        self.selector.register(process.stdout, selectors.EVENT_READ, number)

    def listen(self, seconds):
        """Takes what is there, waiting so long at most for anything. Returns who has spoken."""
        spoke = set()
        for key, _ in self.selector.select(max(0, seconds)):
            said = key.fileobj.read()
            if said:
                self.lines[key.data] += said.decode(errors="replace")
                spoke.add(key.data)
            elif said == b"":
                self.selector.unregister(key.fileobj)
        return spoke

    def wait(self, numbers, heard, what, seconds=60):
        """Until `heard` is true of what each of these has said since `forget`."""
        missing = {number for number in numbers if not heard(self.lines[number])}
        end = time.monotonic() + seconds
        while missing:
            left = end - time.monotonic()
            if left <= 0:
                some = sorted(missing)[:5]
                raise Unheard(f"{len(missing)} of {len(self.processes)} did not say in {seconds} s: "
                             f"{what} (numbers {some}; {some[0]}: {self.lines[some[0]][-800:]})")
            missing -= {n for n in self.listen(left) & missing if heard(self.lines[n])}

    def listen_for(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.listen(left)

    def forget(self):
        while self.listen(0):
            pass
        for number in self.lines:
            self.lines[number] = ""

    def send(self, number, signal):
        self.processes[number].send_signal(signal)

    def end(self, number):
        """Killed, if it still runs, and reaped."""
        process = self.processes.pop(number)
        process.kill()
        process.wait()
        try:
            self.selector.unregister(process.stdout)
        except KeyError:
            pass
        process.stdout.close()
        del self.lines[number]

    def pid(self, number):
        return self.processes[number].pid

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def stop(self):
        for process in self.processes.values():
            process.kill()
        for number in list(self.processes):
            self.end(number)
