"""The hub's table in docs/performance.md."""

import datetime
import os
import pathlib
import subprocess

import tables

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- hub: begin -->", "<!-- hub: end -->"


def page(rows, seconds, rounds):
    lines = [
        f"Measured {datetime.date.today()} at commit {tables.commit()} on {tables.machine()}; load average "
        f"{os.getloadavg()[1]:.1f}. Medians of {rounds} rounds of {seconds} s; {version('nginx', '-v')}, {version('wrk', '-v')}.",
        "",
        "| | the hub | beside it | goal | |",
        "|---|---|---|---|---|",
    ]
    for what, found, beside, goal, met in rows:
        verdict = "" if met is None else "met" if met else "**missed**"
        lines.append(f"| {what} | {found} | {beside} | {goal} | {verdict} |")
    return "\n".join(lines) + "\n"


def version(program, flag):
    for path in (None, "/usr/sbin"):
        name = program if path is None else f"{path}/{program}"
        try:
            ran = subprocess.run([name, flag], capture_output=True, text=True)
        except FileNotFoundError:
            continue
        words = (ran.stdout + ran.stderr).splitlines()[0].split()
        return f"{program} {words[1]}" if program == "wrk" else words[-1].replace("/", " ")
    return f"no {program}"


def write(text):
    old = PAGE.read_text()
    before, rest = old.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
