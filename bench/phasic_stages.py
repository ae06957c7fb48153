"""The stages of the published phasic, through the methods of its extension; a process of its own.

    phasic_stages.py < requests

Its options are environment variables, set by who starts it: PHASIC_DYN_ORDERING for its minimum-degree ordering,
PHASIC_CACHE_DIR for its files.
"""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))

import numpy
import phasic
from phasic.phasic_pybind import Graph

import graphs
import protocol
import timing

# Steps of phasic's scheme times edges: beyond, one density at the grid takes more than about two seconds, and all of them
# together more than ten minutes.
MOST_WORK = 2e8
# Beyond this one density at a single time takes it long: that is not compared.
MOST_COMPARED = 2e7
SAMPLES = 1000
PROGRAMS = pathlib.Path(os.environ["PHASIC_CACHE_DIR"]) / "parameterized_reward_compute"
MAGIC = b"PTDPRMC3"


class Phasic(timing.Stages):
    """A workload in phasic. `program` is a file to install in its cache; without one phasic makes it."""

    SWEPT = ("replay", "replay_file", "moments", "pdf", "cdf")

    def __init__(self, graph, theta, program=None):
        super().__init__(theta)
        self.graph = graphs.phasic_graph(json.loads(pathlib.Path(graph).read_text()))
        self.file = PROGRAMS / f"{self.content_hash()}.bin"
        shutil.rmtree(PROGRAMS, ignore_errors=True)
        self.program = program
        self.kept, self.kept_file = None, None

    def content_hash(self):
        return phasic.hash.compute_graph_hash(self.graph).hash_hex

    def describe(self):
        mean = self.held().expectation()
        self.grid = numpy.linspace(0.02 * mean, 2 * mean, 100)
        steps = 2 * mean * 2 * max(512, max(vertex.rate() for vertex in self.held().vertices()))
        work = steps * sum(len(vertex.edges()) for vertex in self.held().vertices())
        slow = work > MOST_WORK
        found = {"graph_hash": self.content_hash(), "expectation": mean, "slow": ["pdf", "cdf"] if slow else []}
        found["moments"] = list(Graph.moments(self.kept, 4))
        if work <= MOST_COMPARED:
            found["density"] = Graph.pdf(self.kept, mean)
        Graph.update_weights(self.kept, self.vectors[0])
        found["swept"] = Graph.expectation(self.kept)
        return found

    def written(self):
        """Has phasic write its program, or use the one it was given; what the file is then."""
        if self.program:
            PROGRAMS.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.program, self.file)
            given = self.file.stat()
        expectation = self.held_from_file().expectation()
        found = self.file.stat()
        if self.program and (found.st_ino, found.st_mtime_ns) != (given.st_ino, given.st_mtime_ns):
            raise SystemExit("phasic did not take the program it was given: it wrote its own")
        with self.file.open("rb") as opened:
            magic, commands = opened.read(8), int.from_bytes(opened.read(8), "little")
        if magic != MAGIC:
            raise SystemExit(f"phasic's file begins with {magic}, not {MAGIC}")
        return {"file": str(self.file), "bytes": found.st_size, "commands": commands, "expectation": expectation}

    def hash(self):
        return timing.timed(lambda: phasic.hash.compute_graph_hash(self.graph))

    def eliminate(self):
        """The first expectation of a fresh graph, less the same computation again."""
        graph = self.fresh()
        return timing.timed(lambda: Graph.expectation(graph)) - self.again(graph)

    def load(self):
        """The same with the file in the cache: the first expectation hashes, finds, opens and maps it."""
        with computation_cache():
            graph = self.fresh()
            return timing.timed(lambda: Graph.expectation(graph)) - self.again(graph)

    def first(self):
        """That first expectation, whole."""
        with computation_cache():
            graph = self.fresh()
            return timing.timed(lambda: Graph.expectation(graph))

    def replay(self, theta):
        Graph.update_weights(self.held(), theta)
        Graph.expectation(self.kept)

    def replay_file(self, theta):
        """With the program of the file."""
        Graph.update_weights(self.held_from_file(), theta)
        Graph.expectation(self.kept_file)

    def moments(self, theta):
        Graph.update_weights(self.held(), theta)
        Graph.moments(self.kept, 4)

    def pdf(self, theta):
        """At the grid of workloads.json, by steps as phasic chooses them."""
        Graph.update_weights(self.held(), theta)
        Graph.pdf(self.kept, self.grid)

    def cdf(self, theta):
        Graph.update_weights(self.held(), theta)
        Graph.cdf(self.kept, self.grid)

    def sample(self, stage):
        # The name of a stage, and of the method that takes its samples.
        return super().sample("draws" if stage == "sample" else stage)

    def draws(self):
        """One sample of the time to absorption."""
        return timing.timed(lambda: Graph.sample(self.held(), SAMPLES)) / SAMPLES

    def copy(self):
        """Makes the graph ready whose first expectation `answer` asks for."""
        self.ready = self.fresh()
        return 0.0

    def answer(self):
        return timing.timed(lambda: Graph.expectation(self.ready))

    def held(self):
        """A graph that holds its program."""
        if self.kept is None:
            self.kept = self.fresh()
            Graph.expectation(self.kept)
        return self.kept

    def held_from_file(self):
        """A graph that holds the program of the file; the file is made if there is none."""
        if self.kept_file is None:
            with computation_cache():
                if not self.file.exists():
                    Graph.expectation(self.fresh())
                self.kept_file = self.fresh()
                Graph.expectation(self.kept_file)
        return self.kept_file

    def fresh(self):
        """A copy that holds no program yet, at θ."""
        graph = self.graph.clone()
        Graph.update_weights(graph, self.theta)
        return graph

    def again(self, graph):
        seconds = []
        for _ in range(3):
            Graph.update_weights(graph, self.theta)
            seconds.append(timing.timed(lambda: Graph.expectation(graph)))
        return statistics.median(seconds)


@contextlib.contextmanager
def computation_cache():
    """phasic's cache of programs, off by default."""
    os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = "1"
    try:
        yield
    finally:
        os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = "0"


if __name__ == "__main__":
    protocol.serve(lambda request: Phasic(**request))
