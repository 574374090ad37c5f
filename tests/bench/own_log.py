"""The three control nodes of the demo with one named log, their data where the bench says."""

from commands import Control, Refused
from demo import CONTROLS, Cluster, until

LOG = "bench"
NAMES = "role.names"


class Hivemind(Cluster):
    name = "hivemind"

    def __init__(self, directory, build):
        super().__init__(build)
        self.generator = self.build / "tests" / "bench" / "load_log"
        for node in CONTROLS:
            file = self.dir / f"{node}.yaml"
            file.write_text(file.read_text().replace(f"data: {self.dir}", f"data: {directory}"))

    def bring_up(self):
        for node in CONTROLS:
            self.start(node)
        until("three voters", lambda: self.voters() == 3)
        control = Control(self.socket(CONTROLS[0]))
        control.create_log(LOG)
        control.close()
        self.settled()

    def socket(self, node):
        return self.dir / f"{node}.sock"

    def settled(self):
        until("three voters", lambda: self.voters() == 3)
        for log in (LOG, NAMES):
            until(f"log {log} has a leader", lambda log=log: self.leader_of_log(log))
        for node in CONTROLS:
            until(f"{node} is well",
                  lambda n=node: self.ask(n, "status", check=False).returncode == 0)

    def leader_of_log(self, log=LOG):
        """Its name, once all that run agree; else None."""
        found = set()
        for node in self.processes:
            try:
                control = Control(self.socket(node))
                found.add(control.leader_of_log(log))
                control.close()
            except (OSError, Refused):
                return None
        leader = found.pop() if len(found) == 1 else None
        return leader if leader in self.processes else None

    def targets(self, verb):
        """Where the generator connects: the leader of the verb's log, then the others."""
        log = NAMES if verb == "register" else LOG
        first, _ = until(f"log {log} has a leader", lambda: self.leader_of_log(log))
        return [self.socket(node) for node in sorted(CONTROLS, key=lambda n: n != first)]

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def kill_leader(self):
        """Returns what `start` needs to bring it back."""
        node = self.leader_of_log()
        self.kill(node)
        return node
