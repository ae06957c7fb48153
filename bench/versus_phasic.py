"""Times the stages of our engine, of the published phasic and of sparse direct solvers on the same graphs, in turn.

    versus_phasic.py WORKLOAD_TIMINGS SPARSE_LU HEAP_COUNTER [--samples N] [--only NAME] [--stages KEY,…] [--write]

How each stage is timed is told in docs/performance.md; with --write the tables there are replaced by this run's.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import metrics
import protocol
import tables

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
RABBITS, RABBITS_SECONDS, RABBITS_BYTES = 1000, 10, 4e9
# Processes that run our engine; all others are peers.
ENGINES = {"ours", "ours_counted", "cores"}
# Stages that need phasic's kind of program from us, or phasic's own file.
OUR_PROGRAM_STAGES = {"eliminate", "load", "first", "replay", "lowered_commands"}
FILE_STAGES = {"load", "first", "bytes", "commands", "replay_file"}
# What takes this long needs no more samples than this: it is not disturbed by much.
LONG_SECONDS, FEWEST = 0.5, 3
# Numbers that are there without a sample.
FACTS = {"plan_bytes", "lowered_commands", "bytes", "commands", "peak"}


def main():
    options = parse()
    chosen = [metric for metric in metrics.METRICS if not options.stages or metric.key in options.stages]
    with tempfile.TemporaryDirectory(prefix="versus-phasic-") as folder, contextlib.ExitStack() as stack:
        run = Run(options, chosen, pathlib.Path(folder), stack)
        results = [run.measure(name, n) for name, n in run.workloads()]
        rows = [] if options.stages and "rabbits" not in options.stages else [rabbits(options.program)]
    text = tables.page(results, chosen, options.samples, rows)
    print(text)
    if options.write:
        head, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}{END}{rest.split(END)[1]}")


def parse():
    keys = [metric.key for metric in metrics.METRICS] + ["rabbits"]
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", help="the example workload_timings, built for release")
    arguments.add_argument("sparse_lu", help="the program of bench/sparse_lu, built for release")
    arguments.add_argument("counter", help="the library of heap_counter.c")
    arguments.add_argument("--samples", type=int, default=9, help="samples of each stage, at least 7")
    arguments.add_argument("--only", default="", help="one family or one workload, such as sfs or 'sfs 20'")
    arguments.add_argument(
        "--stages", type=lambda text: text.split(","), default=[], help=f"some of {','.join(keys)}; all by default"
    )
    arguments.add_argument("--write", action="store_true", help=f"replace the tables of {PAGE.name}")
    options = arguments.parse_args()
    if options.samples < 7:
        arguments.error("medians need at least 7 samples")
    if unknown := set(options.stages) - set(keys):
        arguments.error(f"there is no stage {', '.join(unknown)}; there are {', '.join(keys)}")
    if options.write and (options.only or options.stages):
        arguments.error("the page holds everything; --write excludes --only and --stages")
    return options


class Run:
    """The processes, and what is asked of them."""

    def __init__(self, options, chosen, folder, stack):
        self.options, self.chosen, self.folder = options, chosen, folder
        self.sources = list(dict.fromkeys(source for metric in chosen for source in metric.sources))
        self.programs = any(
            process == "lowered" or process == "ours" and stage in OUR_PROGRAM_STAGES for process, stage in self.sources
        )
        wanted = {process for process, _ in self.sources} | {"ours", "default"}
        if ("ours", "peak") in self.sources:
            wanted |= {"ours_counted", "default_counted", "degree_counted"}
        self.processes = {}
        # One process may use all cores. The others, which inherit it, share one and never run at the same time.
        self.start(wanted & {"cores"}, stack)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        self.start(wanted - {"cores"}, stack)

    def start(self, names, stack):
        for name in sorted(names):
            command, environment = self.command(name)
            counter = self.options.counter if name.endswith("_counted") else None
            self.processes[name] = protocol.Process(
                name, command, self.folder, environment, counter, urgent=name == "cores"
            )
            stack.callback(self.processes[name].close)

    def command(self, name):
        """The command and the environment of a process."""
        if name in ENGINES:
            return [self.options.program, "serve"], {}
        if name == "faer":
            return [self.options.sparse_lu], {}
        if name == "superlu":
            return [sys.executable, str(HERE / "superlu_stages.py")], {}
        environment = {"PHASIC_CACHE_DIR": str(self.folder / name), "PHASIC_REWARD_COMPUTE_CACHE": "0"}
        if name.startswith("degree"):
            environment["PHASIC_DYN_ORDERING"] = "1"
        return [sys.executable, str(HERE / "phasic_stages.py")], environment

    def output(self, *arguments):
        return subprocess.run([self.options.program, *arguments], check=True, capture_output=True, text=True).stdout

    def workloads(self):
        only = self.options.only
        found = [(name, n) for name, n in json.loads(self.output("list")) if only in (name, f"{name} {n}", "")]
        if not found:
            raise SystemExit(f"there is no workload {only!r}")
        return found

    def measure(self, name, n):
        """All samples of one workload, of all processes in turn, after showing that all do the same work."""
        result = self.prepare(name, n)
        timed = [source for source in self.sources if source[1] not in FACTS]
        for source in timed:
            result[source] = []
        for turn in range(self.options.samples):
            for source in timed if turn % 2 == 0 else reversed(timed):
                process, stage = source
                taken = result[source]
                enough = len(taken) >= FEWEST and min(taken) >= LONG_SECONDS
                if enough or stage in result.get((process, "slow"), ()):
                    continue
                taken.append(self.processes[process].sample(stage))
        for file in self.folder.glob(f"{name}_{n}.*"):
            file.unlink()
        ratios = ", ".join(f"{metric.key} {tables.times(metric.ratio(result))}" for metric in self.chosen)
        print(f"{name} {n}: {ratios}", file=sys.stderr)
        return result

    def prepare(self, name, n):
        """The workload in every process, and what is known of it before anything is timed."""
        graph = self.folder / f"{name}_{n}.graph"
        graph.write_text(self.output("graph", name, str(n)))
        ours = {"workload": name, "n": n, "folder": str(self.folder)}
        result = self.processes["ours"].ask(**ours, programs=self.programs)
        for process in ENGINES & self.processes.keys() - {"ours"}:
            self.processes[process].ask(**ours)
        theirs = {"graph": str(graph), "theta": result["theta"]}
        for process in self.peers():
            program = result["lowered_file"] if process == "lowered" else None
            answer = self.processes[process].ask(**theirs, program=program)
            same(name, n, process, result, answer)
            # Stages that would take it too long here.
            result[process, "slow"] = answer.get("slow", ())
        for process in {process for process, stage in self.sources if stage in FILE_STAGES} & set(self.peers()):
            written = self.processes[process].ask(call="written")
            same(name, n, process, result, written)
            result[process, "bytes"], result[process, "commands"] = [written["bytes"]], [written["commands"]]
            if process == "default" and self.programs:
                require(name, n, "program", checksum(written["file"]), checksum(result["file"]))
        result["ours", "plan_bytes"] = [result["plan_bytes"]]
        if self.programs:
            result["ours", "lowered_commands"] = [result["lowered_commands"]]
        if "ours_counted" in self.processes:
            self.count_heap(result)
        return result

    def peers(self):
        return [name for name in self.processes if name not in ENGINES]

    def count_heap(self, result):
        """Peaks of heap, of the second run each: what is allocated only once has been."""
        for process in ("ours", "default", "degree"):
            for _ in range(2):
                if process != "ours":
                    self.processes[f"{process}_counted"].ask(stage="copy", once=True)
                peak = self.processes[f"{process}_counted"].peak_bytes("answer")
            result[process, "peak"] = [peak]


def same(name, n, process, ours, theirs):
    """Whether a process works on the same graph and finds the same number."""
    if "graph_hash" in theirs:
        require(name, n, f"content hash of {process}", theirs["graph_hash"], ours["graph_hash"])
    near(name, n, f"expectation of {process}", theirs["expectation"], ours["expectation"], 1e-5)
    for power, (found, wanted) in enumerate(zip(theirs.get("moments", ()), ours["moments"]), 1):
        near(name, n, f"moment {power} of {process}", found, wanted, 1e-5)
    # By steps of phasic's choice, which is good to about a thousandth.
    for quantity, tolerance in ("swept", 1e-5), ("density", 1e-2):
        if quantity in theirs:
            near(name, n, f"{quantity} of {process}", theirs[quantity], ours[quantity], tolerance)


def near(name, n, what, found, wanted, tolerance):
    if not abs(found - wanted) <= tolerance * abs(wanted):
        raise SystemExit(f"{name} {n}: {what} is {found}, ours is {wanted}; nothing was timed")


def require(name, n, what, theirs, ours):
    if theirs != ours:
        raise SystemExit(f"{name} {n}: {what} is {theirs}, ours is {ours}; nothing was timed")


def checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rabbits(program):
    """The row of the model that is too large for phasic: medians of three processes."""
    runs = [json.loads(subprocess.check_output([program, "rabbits", str(RABBITS)])) for _ in range(3)]
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "theta"}
    seconds = sum(middle[key] for key in ("read_s", "build_s", "analyze_s", "evaluate_s"))
    size = middle["peak_rss_bytes"]
    steps = f"rules to graph {middle['build_s']:.2f} s, plan {middle['analyze_s']:.2f} s, numbers {middle['evaluate_s']:.2f} s"
    verdicts = ["met" if found < goal else "**missed**" for found, goal in ((seconds, RABBITS_SECONDS), (size, RABBITS_BYTES))]
    return (
        f"| Rabbits {RABBITS:,}, rules to expectation ({middle['vertices']:,.0f} vertices; {steps}) | {seconds:.2f} s "
        f"| < {RABBITS_SECONDS} s | {verdicts[0]} | {size / 1e9:.2f} GB peak | < {RABBITS_BYTES / 1e9:.0f} GB | {verdicts[1]} |"
    )


if __name__ == "__main__":
    main()
