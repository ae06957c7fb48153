"""Times sampling by our engine and by the published phasic on the same graphs, one core, in alternation.

    sampling_versus_phasic.py SAMPLING_TIMINGS

SAMPLING_TIMINGS is the built example of that name. Prints a table for docs/performance.md: the least processor time per
sample of five rounds on either side. phasic is called through the method of its extension.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))

import graphs

CASES = [
    ("kingman", 500, 2000),
    ("coxian", 1000, 20000),
    ("mm1k", 300, 1000),
    ("two_island", 40, 20000),
    ("rabbit", 40, 100000),
    ("two_locus_arg", 6, 40000),
    ("sfs", 25, 20000),
    ("stepping_stone", 20, 3000),
    ("random_sparse", 300, 5000),
]
ROUNDS = 5


def ours(program, name, n, count):
    command = [program, name, str(n), str(count)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(found, count):
    graph = graphs.phasic_graph(found["graph"])
    graph.update_weights(found["theta"])
    sample = getattr(graph, "_graph", graph).sample
    sample(10)
    best = math.inf
    for _ in range(ROUNDS):
        begin = time.process_time()
        sample(count)
        best = min(best, time.process_time() - begin)
    return best / count


def main():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    program = sys.argv[1]
    logs = []
    print("| workload | phasic, per sample | ours | ratio | mean of ours | exact |\n|---|--:|--:|--:|--:|--:|")
    for name, n, count in CASES:
        rounds = []
        for _ in range(3):
            found = ours(program, name, n, 5 * count)
            rounds.append((found["seconds"], theirs(found, count)))
        mine, other = (min(column) for column in zip(*rounds))
        logs.append(math.log(other / mine))
        print(
            f"| {name} {n} | {other * 1e6:.3g} µs | {mine * 1e6:.3g} µs | {other / mine:.1f}x"
            f" | {found['mean']:.4g} | {found['exact']:.4g} |",
            flush=True,
        )
    print(f"\nGeometric mean {math.exp(sum(logs) / len(logs)):.1f}x.")


if __name__ == "__main__":
    main()
