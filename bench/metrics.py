"""What is compared, and the goals."""

import dataclasses
import statistics


def phasic(stage):
    """phasic with the better of its two orderings."""
    return (("default", stage), ("degree", stage))


def default(stage):
    """phasic as it ships."""
    return (("default", stage),)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A stage of ours beside those that do the same for others' users; of these the lowest median counts.

    Stages are pairs of a process and the name of its stage. The ratio is theirs over ours, or ours over theirs where
    less is better (`at_most`). Goals are for the geometric mean over the workloads and for the worst one.
    """

    key: str
    title: str
    columns: tuple
    theirs: tuple
    ours: tuple
    goals: tuple = (None, None)
    at_most: bool = False
    kind: str = "seconds"

    @property
    def sources(self):
        return (*self.theirs, self.ours)

    def ratio(self, result):
        """None where a side was not measured."""
        if not all(result.get(source) for source in self.sources):
            return None
        theirs, ours = (statistics.median(result[source]) for source in (best(self.theirs, result), self.ours))
        return ours / theirs if self.at_most else theirs / ours


def best(sources, result):
    """The source with the lowest median."""
    return min(sources, key=lambda source: statistics.median(result[source]))


NEW_PARAMETERS = (
    Metric(
        "analyze",
        "Analysis: graph to plan, beside elimination",
        ("phasic: elimination", "analysis"),
        phasic("eliminate"),
        ("ours", "analyze"),
        goals=(15, 3),
    ),
    Metric(
        "read",
        "Analysis, in readings of the graph's document",
        ("reading", "analysis"),
        (("ours", "read"),),
        ("ours", "analyze"),
        at_most=True,
    ),
    Metric(
        "evaluate",
        "Replay: one new θ to expectation",
        ("phasic: replay", "replay"),
        phasic("replay"),
        ("ours", "evaluate"),
        goals=(25, 3),
    ),
    Metric(
        "moments",
        "Moments 1 to 4 at a new θ",
        ("phasic: moments", "moments"),
        phasic("moments"),
        ("ours", "moments"),
        goals=(25, 3),
    ),
)
BATCHES = (
    Metric(
        "batch",
        "Replay per θ in a batch of 1,024, one core",
        ("phasic: replay", "in a batch"),
        phasic("replay"),
        ("ours", "batch"),
        goals=(120, 20),
    ),
    Metric(
        "cores",
        "The same batch, all cores beside one core",
        ("one core, wall clock", "all cores, wall clock"),
        (("cores", "batch_wall"),),
        ("cores", "batch_wall_all_cores"),
        goals=(1.8, None),
    ),
    Metric(
        "gradient",
        "Gradient of the expectation at a new θ, in replays",
        ("replay", "gradient"),
        (("ours", "evaluate"),),
        ("ours", "gradient"),
        goals=(4, 4),
        at_most=True,
    ),
)
DISTRIBUTIONS = (
    Metric(
        "pdf",
        "Density at 100 times for a new θ, error ≤ 1e-10 of its peak",
        ("phasic: pdf", "pdf"),
        default("pdf"),
        ("ours", "pdf"),
        goals=(100, 10),
    ),
    Metric(
        "cdf",
        "Distribution function at 100 times for a new θ",
        ("phasic: cdf", "cdf"),
        default("cdf"),
        ("ours", "cdf"),
        goals=(100, 10),
    ),
    Metric(
        "sample",
        "One sample of the time to absorption",
        ("phasic: sample", "sample"),
        default("sample"),
        ("ours", "sample"),
        goals=(20, None),
    ),
    Metric(
        "likelihood",
        "Gradient of the log-likelihood of 1,000 observations, in values",
        ("value", "gradient"),
        (("ours", "likelihood"),),
        ("ours", "likelihood_gradient"),
        goals=(5, 5),
        at_most=True,
    ),
)
FILES = (
    Metric(
        "plan_first",
        "Plan file to first expectation",
        ("phasic: graph, file to expectation", "plan file to expectation"),
        phasic("first"),
        ("ours", "plan_first"),
        goals=(10, 2),
    ),
    Metric(
        "plan_hit",
        "The same, the file found by the graph's hash",
        ("phasic: graph, file to expectation", "graph, plan file to expectation"),
        phasic("first"),
        ("ours", "plan_hit"),
    ),
    Metric(
        "answer",
        "Graph to first expectation without a file",
        ("phasic: graph, file to expectation", "graph to expectation"),
        phasic("first"),
        ("ours", "answer"),
    ),
    Metric(
        "plan_bytes",
        "Plan file, bytes",
        ("phasic: file", "plan file"),
        phasic("bytes"),
        ("ours", "plan_bytes"),
        goals=(60, 15),
        kind="bytes",
    ),
    Metric(
        "memory",
        "Peak memory, graph to first expectation",
        ("phasic: memory", "memory"),
        phasic("peak"),
        ("ours", "peak"),
        goals=(20, 5),
        kind="bytes",
    ),
)
LOWERED = (
    Metric(
        "lowered",
        "Lowered program, commands",
        ("phasic: commands", "commands"),
        phasic("commands"),
        ("ours", "lowered_commands"),
        goals=(3, 1),
        kind="count",
    ),
    Metric(
        "lowered_replay",
        "Lowered program replayed by phasic, beside its own",
        ("phasic: its program", "phasic: our program"),
        phasic("replay_file"),
        ("lowered", "replay_file"),
        goals=(2, None),
    ),
)
SAME_PROGRAM = (
    Metric(
        "hash",
        "Content hash",
        ("phasic: hash", "hash"),
        default("hash"),
        ("ours", "hash"),
        goals=(5, None),
    ),
    Metric(
        "eliminate",
        "Elimination: graph to trace",
        ("phasic: elimination", "elimination"),
        default("eliminate"),
        ("ours", "eliminate"),
        goals=(5, None),
    ),
    Metric(
        "load",
        "Load: file to checked trace",
        ("phasic: load", "load"),
        default("load"),
        ("ours", "load"),
        goals=(1, None),
    ),
    Metric(
        "first",
        "Trace file to first expectation",
        ("phasic: file to expectation", "file to expectation"),
        default("first"),
        ("ours", "first"),
    ),
    Metric(
        "replay",
        "Replay of the trace: new θ to expectation",
        ("phasic: replay", "replay"),
        default("replay"),
        ("ours", "replay"),
    ),
)
SPARSE_LU = (
    Metric(
        "faer_refactor",
        "Replay, beside faer's sparse LU with ordering and pattern kept",
        ("faer: refactorization", "replay"),
        (("faer", "refactor"),),
        ("ours", "evaluate"),
        goals=(None, 1),
    ),
    Metric(
        "faer_factor",
        "Replay, beside faer's sparse LU from scratch",
        ("faer: from scratch", "replay"),
        (("faer", "factor"),),
        ("ours", "evaluate"),
        goals=(None, 1),
    ),
    Metric(
        "superlu",
        "Replay, beside scipy's SuperLU from scratch",
        ("SuperLU", "replay"),
        (("superlu", "colamd"), ("superlu", "symmetric")),
        ("ours", "evaluate"),
        goals=(None, 1),
    ),
    Metric(
        "superlu_all",
        "Graph to first expectation, beside scipy's SuperLU from scratch",
        ("SuperLU", "graph to expectation"),
        (("superlu", "colamd"), ("superlu", "symmetric")),
        ("ours", "answer"),
    ),
)
THEMES = {
    "Numbers at new parameters": NEW_PARAMETERS,
    "Batches and gradients": BATCHES,
    "Distributions": DISTRIBUTIONS,
    "Files and memory": FILES,
    "Sparse direct solvers": SPARSE_LU,
    "Lowered programs": LOWERED,
    "phasic's own program, made and run by us": SAME_PROGRAM,
}
METRICS = tuple(metric for metrics in THEMES.values() for metric in metrics)
