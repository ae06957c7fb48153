"""The tables of docs/performance.md."""

import datetime
import math
import os
import pathlib
import platform
import statistics
import subprocess

import metrics

HERE = pathlib.Path(__file__).parent


def page(results, chosen, samples, extra_rows=()):
    """The tables, as Markdown: the summary, then a table for each theme."""
    lines = [
        f"Measured {datetime.date.today()} at commit {commit()} on {machine()}; load average {os.getloadavg()[1]:.1f}.",
        f"Medians of {samples}, of three where one takes more than half a second; ± is half the interquartile range.",
        "",
        "| | geometric mean | goal | | worst | goal | |",
        "|---|--:|--:|---|---|--:|---|",
        *(summary(metric, results) for metric in chosen),
        *extra_rows,
    ]
    for theme, members in metrics.THEMES.items():
        if members := [metric for metric in members if metric in chosen]:
            lines += ["", f"### {theme}", "", *details(members, results)]
    return "\n".join(lines) + "\n"


def summary(metric, results):
    ratios = {f"{r['workload']} {r['n']}": ratio for r in results if (ratio := metric.ratio(r))}
    if not ratios:
        return f"| {metric.title} | not measured | | | | | |"
    mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
    worst = (max if metric.at_most else min)(ratios, key=ratios.get)
    cells = [metric.title, times(mean), *verdict(metric, mean, metric.goals[0])]
    cells += [f"{times(ratios[worst])} ({worst})", *verdict(metric, ratios[worst], metric.goals[1])]
    return "| " + " | ".join(cells) + " |"


def times(ratio):
    """A ratio; none where one side would have taken too long."""
    if ratio is None:
        return "–"
    return f"{ratio:,.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}x"


def verdict(metric, found, goal):
    """Two cells: the goal, and whether it is met."""
    if goal is None:
        return "", ""
    met = found <= goal if metric.at_most else found >= goal
    return f"{'≤' if metric.at_most else '≥'} {goal:g}x", "met" if met else "**missed**"


def details(members, results):
    """A table: a line for each workload; for each metric theirs, ours (unless just shown) and the ratio."""
    head, rule, shown, pick = ["workload", "V", "E"], ["---", "--:", "--:"], set(), []
    for metric in members:
        for side, heading in zip((metric.theirs, (metric.ours,)), metric.columns):
            if side not in shown:
                shown.add(side)
                head.append(heading)
                pick.append((metric.kind, side))
        head.append("")
        pick.append(metric)
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join(rule + ["--:"] * len(pick)) + "|"
    for r in results:
        cells = [f"{r['workload']} {r['n']}", f"{r['vertices']:,}", f"{r['edges']:,}"]
        cells += [times(it.ratio(r)) if isinstance(it, metrics.Metric) else cell(*it, r) for it in pick]
        yield "| " + " | ".join(cells) + " |"


def cell(kind, sources, result):
    """The best of the sources; marked when that is phasic's ordering by minimum degree."""
    if not all(result.get(source) for source in sources):
        return "too long"
    best = metrics.best(sources, result)
    return quantity(kind, result[best]) + (" *" if best[0] == "degree" else "")


def quantity(kind, samples):
    """Median and spread, in a unit that suits."""
    if kind == "seconds":
        low, middle, high = statistics.quantiles(samples, n=4)
        unit, factor = ("µs", 1e6) if middle < 1e-3 else ("ms", 1e3)
        return f"{middle * factor:.3g} {unit} ±{50 * (high - low) / middle:.0f} %"
    number = statistics.median(samples)
    if kind == "count":
        return f"{number:,.0f}"
    return f"{number:,.0f} B" if number < 1e4 else f"{number / 1e3:,.0f} kB" if number < 1e7 else f"{number / 1e6:,.0f} MB"


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{cpu} ({os.cpu_count()} cores, {platform.system()}, {platform.machine()})"


def commit():
    describe = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
