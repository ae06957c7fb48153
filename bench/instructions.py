"""Counts the instructions of the main kernels with callgrind and compares them with those in instructions.json.

    instructions.py WORKLOAD_TIMINGS [--record]

Ends with status 1 when a kernel takes more instructions than recorded, by more than the threshold; that shows a
regression without a quiet machine. With --record the file is written anew. Without valgrind nothing is counted: a
comparison is then skipped, and says so; recording fails with status 2.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RECORD = pathlib.Path(__file__).parent / "instructions.json"
# A small one of each shape: a second is enough for callgrind.
WORKLOADS = (
    ("kingman", 500),
    ("mm1k", 300),
    ("two_island", 20),
    ("rabbit", 20),
    ("two_locus_arg", 4),
    ("sfs", 20),
    ("stepping_stone", 20),
    ("random_sparse", 100),
)
THRESHOLD = 0.02


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", help="the example workload_timings, built for release")
    arguments.add_argument("--record", action="store_true", help=f"write {RECORD.name} anew")
    options = arguments.parse_args()
    if not shutil.which("valgrind"):
        print(
            "SKIPPED, nothing was counted or compared: instructions are counted by valgrind, and it is not installed "
            "(apt-get install valgrind).",
            file=sys.stderr,
        )
        # Whoever wants a record must not take the old one for it.
        sys.exit(2 if options.record else 0)
    found = {
        "rustc": output("rustc", "--version"),
        "valgrind": output("valgrind", "--version"),
        "instructions": {f"{name} {n}": count(options.program, name, n) for name, n in WORKLOADS},
    }
    if options.record:
        RECORD.write_text(json.dumps(found, indent=2) + "\n")
        print(f"Recorded in {RECORD}.")
    else:
        sys.exit(compare(json.loads(RECORD.read_text()), found))


def count(program, name, n):
    """Instructions of each kernel on one workload."""
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        out = pathlib.Path(folder) / "callgrind"
        # Only what `measured` does counts, and each call of it has a file of its own.
        function = "workload_timings::count::measured"
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        valgrind += [f"--toggle-collect={function}", f"--dump-after={function}", program, "count", name, str(n)]
        run = subprocess.run(valgrind, capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"counting {name} {n} failed:\n{run.stderr}")
        stages = run.stdout.split()
        counts = {stage: total(out.with_name(f"{out.name}.{call}")) for call, stage in enumerate(stages, 1)}
    print(f"{name} {n}: {', '.join(f'{stage} {number:,}' for stage, number in counts.items())}", file=sys.stderr)
    return counts


def total(file):
    return int(re.search(r"^totals: (\d+)", file.read_text(), re.MULTILINE)[1])


def compare(recorded, found):
    """Prints what differs; 1 if anything takes more than it may."""
    for tool in ("rustc", "valgrind"):
        if recorded[tool] != found[tool]:
            print(f"Recorded with {recorded[tool]}, counted with {found[tool]}: differences may be theirs.")
    more = fewer = 0
    for workload, counts in found["instructions"].items():
        for stage, number in counts.items():
            before = recorded["instructions"].get(workload, {}).get(stage)
            if before is None:
                print(f"{workload}, {stage}: {number:,}; not recorded")
                continue
            change = number / before - 1
            if abs(change) > THRESHOLD:
                print(f"{workload}, {stage}: {before:,} before, {number:,} now ({change:+.1%})")
            more += change > THRESHOLD
            fewer += change < -THRESHOLD
    print(f"{more} kernels take more instructions than recorded, {fewer} fewer; within {THRESHOLD:.0%} is the same.")
    if fewer and not more:
        print("Record them: just bench-instructions --record")
    return 1 if more else 0


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
