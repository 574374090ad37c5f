"""The three control nodes of the demo, with their data where the bench says."""

from demo import CONTROLS, Cluster, until


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
        self.settled()

    def settled(self):
        until("three voters", lambda: self.voters() == 3)
        until("a leader", self.leader)
        for node in CONTROLS:
            until(f"{node} is well",
                  lambda n=node: self.ask(n, "status", check=False).returncode == 0)

    def targets(self):
        """Where the generator connects: the leader, then the others."""
        first, _ = until("a leader", self.leader)
        return [self.dir / f"{node}.sock" for node in sorted(CONTROLS, key=lambda n: n != first)]

    def pids(self):
        return [process.pid for process in self.processes.values()]

    def kill_leader(self):
        """Returns what `start` needs to bring it back."""
        node = self.leader()
        self.kill(node)
        return node
