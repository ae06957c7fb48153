"""Times the stages of our engine and of the published phasic on the same graphs, in alternation, on one core.

    versus_phasic.py WORKLOAD_TIMINGS [--samples N] [--only NAME] [--write]

How each stage is timed is told in docs/performance.md; with --write the tables there are replaced by this run's.
"""

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "interop"))

import phasic
from phasic.phasic_pybind import Graph

import graphs

PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
SAMPLE_SECONDS = 2e-3
THEIRS = ("hash", "eliminate", "load", "first", "replay")
OURS = ("hash", "eliminate", "load", "first", "replay", "analyze", "evaluate", "answer")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One table: a stage of ours beside the stage of phasic that does that work for its users."""

    title: str
    theirs: str
    ours: str
    goal: float | None = None

    def ratio(self, result):
        return statistics.median(result["theirs"][self.theirs]) / statistics.median(result["ours"][self.ours])


COMPARISONS = (
    Comparison("Content hash", "hash", "hash", 5.0),
    Comparison("Elimination: graph to trace", "eliminate", "eliminate", 5.0),
    Comparison("Load: file to checked trace", "load", "load", 1.0),
    Comparison("File to first expectation", "first", "first"),
    Comparison("Replay of the trace: new θ to expectation", "replay", "replay"),
    Comparison("Analysis: graph to plan, beside phasic's elimination", "eliminate", "analyze"),
    Comparison("Plan: new θ to expectation, beside phasic's replay", "replay", "evaluate"),
    Comparison("Plan: graph to first expectation without a file, beside phasic's with one", "first", "answer"),
)


class Phasic:
    """The published package as it ships, through the methods of its extension; called in this process."""

    def __init__(self, document, theta):
        self.graph = graphs.phasic_graph(document)
        self.theta = theta
        self.draws = 0

    def content_hash(self):
        return phasic.hash.compute_graph_hash(self.graph).hash_hex

    def write_artifact(self):
        """Has phasic write its own PTDPRMC3 file into its cache."""
        with computation_cache():
            clone = self.fresh()
            clone.expectation()
        return clone

    def sample(self, stage):
        runs, seconds = 0, 0.0
        # A difference of two times may be small or, by noise, negative: hence the second bound.
        while seconds < SAMPLE_SECONDS and runs < 200:
            seconds += getattr(self, stage)()
            runs += 1
        return seconds / runs

    def hash(self):
        return timed(lambda: phasic.hash.compute_graph_hash(self.graph))

    def eliminate(self):
        """The first expectation of a fresh graph, less the same computation again."""
        graph = self.fresh()
        return timed(lambda: Graph.expectation(graph)) - self.again(graph)

    def load(self):
        """The same with the file in the cache: the first expectation hashes, finds, opens and maps it."""
        with computation_cache():
            graph = self.fresh()
            return timed(lambda: Graph.expectation(graph)) - self.again(graph)

    def first(self):
        """That first expectation, whole."""
        with computation_cache():
            graph = self.fresh()
            return timed(lambda: Graph.expectation(graph))

    def replay(self):
        if self.draws == 0:
            self.kept = self.fresh()
            Graph.expectation(self.kept)
        self.draws += 1
        # The sweep of bench/workloads.json.
        steps = [(self.draws * 0.6180339887498949 + place * 0.37) % 1 for place in range(len(self.theta))]
        theta = [value * (0.8 + 0.4 * step) for value, step in zip(self.theta, steps)]

        def run():
            Graph.update_weights(self.kept, theta)
            Graph.expectation(self.kept)

        return timed(run)

    def fresh(self):
        """A copy that holds no program yet, at θ."""
        graph = self.graph.clone()
        Graph.update_weights(graph, self.theta)
        return graph

    def again(self, graph):
        seconds = []
        for _ in range(3):
            Graph.update_weights(graph, self.theta)
            seconds.append(timed(lambda: Graph.expectation(graph)))
        return statistics.median(seconds)


@contextlib.contextmanager
def computation_cache():
    """phasic's cache of programs, off by default."""
    os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = "1"
    try:
        yield
    finally:
        os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = "0"


def timed(run):
    """Seconds of processor time of this process."""
    before = time.process_time()
    run()
    return time.process_time() - before


class Engine:
    """Our engine: a process that answers one request a line."""

    def __init__(self, program):
        self.program = program
        self.process = subprocess.Popen(
            [program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"our engine failed at {request}")
        return json.loads(answer)

    def output(self, *arguments):
        return subprocess.run([self.program, *arguments], check=True, capture_output=True, text=True).stdout

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", help="the example workload_timings, built for release")
    arguments.add_argument("--samples", type=int, default=9, help="samples of each stage, at least 7")
    arguments.add_argument("--only", default="", help="workloads whose name contains this")
    arguments.add_argument("--write", action="store_true", help=f"replace the tables of {PAGE.name}")
    options = arguments.parse_args()
    if options.samples < 7:
        arguments.error("medians need at least 7 samples")
    if options.write and options.only:
        arguments.error("the page holds all workloads; --write and --only exclude each other")
    # One core for this process and, inherited, for our engine's: they never run at the same time.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    engine = Engine(options.program)
    results = []
    with tempfile.TemporaryDirectory(prefix="versus-phasic-") as folder:
        os.environ |= {"PHASIC_CACHE_DIR": folder, "PHASIC_REWARD_COMPUTE_CACHE": "0"}
        for name, n in json.loads(engine.output("list")):
            if options.only in name:
                results.append(measure(engine, name, n, options.samples, pathlib.Path(folder)))
    engine.close()
    text = page(results, options.samples)
    print(text)
    if options.write:
        head, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}{END}{rest.split(END)[1]}")


def measure(engine, name, n, samples, folder):
    """All samples of one workload, ours and phasic's in turn, after showing that both do the same work."""
    ours_file = folder / f"{name}_{n}.ours"
    workload = engine.ask(workload=name, n=n, file=str(ours_file))
    theirs = Phasic(json.loads(engine.output("graph", name, str(n))), workload["theta"])
    same(name, n, "content hash", theirs.content_hash(), workload["graph_hash"])
    expectation = theirs.write_artifact().expectation()
    file = folder / "parameterized_reward_compute" / f"{workload['graph_hash']}.bin"
    same(name, n, "program", checksum(file), checksum(ours_file))
    same(name, n, "expectation", f"{expectation:.6g}", f"{workload['expectation']:.6g}")
    result = {**workload, "theirs": {stage: [] for stage in THEIRS}, "ours": {stage: [] for stage in OURS}}
    for turn in range(samples):
        for stage in OURS if turn % 2 == 0 else reversed(OURS):
            if stage in THEIRS:
                result["theirs"][stage].append(theirs.sample(stage))
            result["ours"][stage].append(engine.ask(stage=stage)["seconds"])
    ours_file.unlink()
    file.unlink()
    ratios = ", ".join(f"{comparison.ours} {comparison.ratio(result):.2f}x" for comparison in COMPARISONS)
    print(f"{name} {n}: {ratios}", file=sys.stderr)
    return result


def same(name, n, what, theirs, ours):
    if theirs != ours:
        raise SystemExit(f"{name} {n}: {what} of phasic is {theirs}, ours is {ours}; nothing was timed")


def checksum(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def page(results, samples):
    """The tables, as Markdown."""
    lines = [
        f"Measured {datetime.date.today()} at commit {commit()} on {machine()}; load average {os.getloadavg()[1]:.1f}.",
        f"Medians of {samples}; ± is half the interquartile range. Above 1.0x we are faster.",
        "",
        "| stage | geometric mean | worst | goal | |",
        "|---|--:|---|--:|---|",
    ]
    for comparison in COMPARISONS:
        ratios = {f"{r['workload']} {r['n']}": comparison.ratio(r) for r in results}
        mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
        worst = min(ratios, key=ratios.get)
        goal = comparison.goal
        verdict = "" if goal is None else "met" if mean >= goal else "**missed**"
        goal = "" if goal is None else f"{goal:.0f}x"
        lines.append(f"| {comparison.title} | {mean:.2f}x | {ratios[worst]:.2f}x ({worst}) | {goal} | {verdict} |")
    for comparison in COMPARISONS:
        lines += ["", f"### {comparison.title}", ""]
        lines += ["| workload | V | E | commands | phasic | ours | ratio |", "|---|--:|--:|--:|--:|--:|--:|"]
        for r in results:
            lines.append(
                f"| {r['workload']} {r['n']} | {r['vertices']:,} | {r['edges']:,} | {r['commands']:,} "
                f"| {duration(r['theirs'][comparison.theirs])} | {duration(r['ours'][comparison.ours])} "
                f"| {comparison.ratio(r):.2f}x |"
            )
    return "\n".join(lines) + "\n"


def duration(seconds):
    low, middle, high = statistics.quantiles(seconds, n=4)
    unit, factor = ("µs", 1e6) if middle < 1e-3 else ("ms", 1e3)
    return f"{middle * factor:.3g} {unit} ±{50 * (high - low) / middle:.0f} %"


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{cpu} ({os.cpu_count()} cores, {platform.system()}, {platform.machine()})"


def commit():
    describe = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
