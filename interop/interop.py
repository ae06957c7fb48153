"""Holds a real hub and the `phasic` command against the published, unmodified phasic. `interop/run` calls it.

    interop.py FOLDER_OF_PROGRAMS [--graphs N]

Exit status 0 when everything agrees; otherwise a line for each difference, and 1. Needs no network but 127.0.0.1.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
LOADED = "rev3 LOAD"
COALESCENTS = {
    "coal_n5": ("4d652ed73c66ed4ada3dd13e0dde2051c151aa24be097bcd96c5bc04713be0f6", 5),
    "coal_n10": ("2c6488c6486ae2d2285f08c0c224dbb72e70c044127fa18acb0c39ea5dd8efd3", 10),
    "coal_n20": ("6f7690305bd5c9ecc4fb86d1b714d49d488a78adf2afd92d8eec6ad088ffcc1d", 20),
}
# Model, constants, parameters per θ, and whether phasic's own numbers are right: it loses digits in an overloaded queue,
# and edges beside others with the same ends in a cycle.
LOWERED = [
    ("kingman", {"n": 100}, 1, True),
    ("two_island", {"start_a": 12, "start_b": 0}, 2, True),
    ("mm1k", {"capacity": 40, "start": 40}, 2, False),
    ("rabbits", {"n": 20}, 3, True),
    ("sfs", {"n": 12}, 1, True),
    ("arg2_merged", {"n": 4}, 2, True),
    ("stepping_stone", {"demes": 12}, 2, True),
    ("arg2", {"n": 4}, 2, True),
    ("stepping_stone_parallel", {"demes": 3}, 2, False),
]
TOLERANCE = 1e-12
DEMO = HERE.parent / "engine/tests/golden/demo_two_step_chain.json"
START_SECONDS = 60
PEER_SECONDS = 300


class Report:
    """What was checked; differences are printed at once."""

    def __init__(self):
        self.differences = 0

    def equal(self, what, found, wanted):
        if found != wanted:
            self.differences += 1
            print(f"DIFFERENT  {what}: {found!r}, not {wanted!r}", flush=True)

    def near(self, what, found, wanted):
        if not abs(found - wanted) <= TOLERANCE * abs(wanted):
            self.differences += 1
            print(f"DIFFERENT  {what}: {found!r}, not {wanted!r}", flush=True)

    def done(self, what, before):
        verdict = "ok" if self.differences == before else "FAILED"
        print(f"{verdict:10} {what}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("programs", type=pathlib.Path, help="folder with phasic and phasic-hub")
    arguments.add_argument("--graphs", type=int, default=200, help="random graphs to compare")
    options = arguments.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="phasic-interop-") as folder:
        folder = pathlib.Path(folder)
        check_hub(options.programs / "phasic-hub", folder, report)
        command = options.programs / "phasic"
        check_entries(options.programs / "phasic-hub", command, folder, report)
        check_publication(command, folder, report)
        check_lowered(command, folder, report)
        check_random_graphs(command, folder, options.graphs, report)
    sys.exit(1 if report.differences else 0)


def check_hub(program, folder, report):
    """A hub started with nothing configured serves the coalescents, and phasic really uses what it pulled."""
    before = report.differences
    with hub(program, folder / "hub") as url:
        wait_for_entries(url, 3)
        results, log = peer(folder / "puller", "pull", url)
    for name, (graph_hash, lineages) in COALESCENTS.items():
        result = results[name]
        report.equal(f"{name}: listed", f"{name}_theta1" in results["listed"], True)
        report.equal(f"{name}: pulled", result["pulled"], True)
        report.equal(f"{name}: content hash", result["graph_hash"], graph_hash)
        expectation = 2 * (1 - 1 / lineages)
        report.equal(f"{name}: expectation", round(result["expectation"], 12), round(expectation, 12))
    report.equal("coal_n5: expectation, to the bit", results["coal_n5"]["expectation"], 1.6)
    report.equal("a graph nobody registered: pulled", results["coal_n6"]["pulled"], False)
    report.equal("programs phasic loaded from our files", log.count(LOADED), len(COALESCENTS))
    report.done("phasic lists, pulls, loads and computes from the hub", before)


def check_entries(program, command, folder, report):
    """phasic pulls mirrored and published entries, what was computed on demand, and our program where its own is wrong."""
    before = report.differences
    mirrored = lowered_case(command, folder, "kingman", {"n": 30}, 1, True)
    computed = lowered_case(command, folder, "rabbits", {"n": 6}, 3, True)
    parallel = lowered_case(command, folder, "stepping_stone_parallel", {"demes": 4}, 2, False)
    published = lowered_case(command, folder, "sfs", {"n": 8}, 1, True)
    upstream = folder / "upstream"
    write_upstream(command, mirrored, upstream)
    run(program, "mirror", "sync", "--from", upstream, "--data", folder / "entries", home=folder)
    with hub(program, folder / "entries", PHASIC_HUB_ACCESS_ANONYMOUS="compute") as url:
        for case in (computed, parallel):
            document = json.loads(pathlib.Path(case["document"]).read_text())
            ask(url, "/v1/eliminations", {"model": {"document": document}, "variant": "phasic"})
        words = ("--name", "publisher", "--scope", "publish", "--data", folder / "entries")
        token = run(program, "token", "create", *words, home=folder).strip()
        publish(command, published, folder, url, token)
        # Seven reference computes, one that was mirrored, two that were computed, one that was published.
        wait_for_entries(url, 11)
        cases = [mirrored, computed, parallel, published]
        work = folder / "entries.json"
        work.write_text(json.dumps(cases))
        results, log = peer(folder / "taker", "take", url, work)
    report.equal("programs phasic loaded of these entries", log.count(LOADED), len(cases))
    origins = []
    for case, result in zip(cases, results, strict=True):
        report.equal(f"{case['name']}: pulled", result["pulled"], True)
        origins += [entry.get("hub", {}) for entry in result["entries"].values()]
        for theta, ours, found in zip(case["thetas"], case["ours"], result["numbers"], strict=True):
            for number, (one, wanted) in enumerate(zip(found, ours, strict=True)):
                report.near(f"{case['name']} from the hub at {theta}, number {number}", one, wanted)
    said = [(about.get("origin"), about.get("variant"), about.get("variant_reason")) for about in origins]
    nothing = (None, None, None)
    wanted = [nothing, ("computed", "phasic", None), ("computed", "fast", "parallel_edges"), nothing]
    report.equal("what the entries say", said, wanted)
    report.done("phasic pulls mirrored, published and computed entries, and our program where its own is wrong", before)


def write_upstream(command, case, folder):
    """A registry in a directory, with the file phasic would publish of a model."""
    (folder / "artifacts").mkdir(parents=True)
    entry, content = entry_of(command, case, folder)
    (folder / entry["artifacts"]["parent"]["cid_or_path"]).write_bytes(content)
    document = {"version": "2.0", "format": "ptd_pcg", "computes": {"mirrored": entry}}
    (folder / "registry.json").write_text(json.dumps(document))


def entry_of(command, case, folder):
    """The entry phasic would publish of a model, and its file."""
    graph_hash = hash_of(command, case["document"])
    made = folder / "made.bin"
    run(command, "eliminate", case["document"], "-o", made, "--format", "ptdprmc1", "--theta", "1.0")
    content = made.read_bytes()
    made.unlink()
    path = f"artifacts/{graph_hash}.bin"
    parent = {"cid_or_path": path, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    entry = {
        "graph_hash": graph_hash,
        "format_revision": 3,
        "artifacts": {"parent": parent, "scc": []},
        "metadata": {"description": "interoperability", "author": "nobody", "license": "MIT"},
    }
    return entry, content


def publish(command, case, folder, url, token):
    """Uploads the file phasic would publish of a model, and makes a compute of it."""
    entry, content = entry_of(command, case, folder)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    digest = entry["artifacts"]["parent"]["sha256"]
    for path, body in (
        (f"/v1/blobs/sha256/{digest}", content),
        ("/v1/computes/ourlab-published", json.dumps(entry).encode()),
    ):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(url + path, body, headers, method="PUT")
        with direct.open(request, timeout=PEER_SECONDS) as response:
            response.read()


def ask(url, path, body):
    """Sends JSON to a hub, and waits for the result of a job."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": "application/json", "Prefer": "wait=50"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    with direct.open(request, timeout=PEER_SECONDS) as response:
        return json.load(response)


@contextlib.contextmanager
def hub(program, data, **settings):
    """A hub process on a free port; ended, at the latest by force, when the block is left."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(data.parent), **settings}
    command = [program, "serve", "--data", data, "--listen", "127.0.0.1:0", "--offline"]
    log = data.with_suffix(".log")
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    # The process is ended if it says nothing in time, which ends the reading as well.
    deadline = threading.Timer(START_SECONDS, process.kill)
    deadline.start()
    try:
        first = process.stdout.readline()
        deadline.cancel()
        if "http://" not in first:
            raise SystemExit(f"the hub did not start; it said {first!r} and\n{log.read_text()[-4000:]}")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield "http://" + first.split("http://")[1].split()[0].rstrip("/")
    finally:
        deadline.cancel()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_entries(url, count):
    """Reference computes are published soon after the start."""
    deadline = time.monotonic() + START_SECONDS
    # Whatever proxies the environment names, this is our own machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        with direct.open(f"{url}/registry.json", timeout=10) as response:
            if len(json.load(response)["computes"]) >= count:
                return
        time.sleep(0.2)
    raise SystemExit(f"the hub did not publish {count} reference computes within {START_SECONDS} s")


def check_publication(command, folder, report):
    """What phasic would publish for the demo two-step chain at θ = 2 is our file, byte for byte."""
    before = report.differences
    result, _ = peer(folder / "publisher", "publish", cached=False)
    document = folder / "demo.json"
    document.write_text(json.dumps(result["graph"]))
    parent = result["entry"]["artifacts"]["parent"]
    ours = eliminate(command, document, folder / "demo.bin", "ptdprmc1", result["theta"])
    report.equal("demo chain: file to be published", ours, file_of(parent))
    recorded = [run["artifact"] for run in json.loads(DEMO.read_text())["runs"] if run["theta"] == [2.0]]
    report.equal("demo chain: checksum as recorded", [parent["sha256"]], [file["sha256"] for file in recorded])
    report.equal("demo chain: content hash", hash_of(command, document), result["entry"]["graph_hash"])
    report.done("the demo chain is published with our bytes", before)


def check_lowered(command, folder, report):
    """Programs in our own order, `--ordering fast`, are loaded and replayed by phasic, and give our numbers."""
    before = report.differences
    cases = [lowered_case(command, folder, *model) for model in LOWERED]
    work = folder / "lowered.json"
    work.write_text(json.dumps(cases))
    results, log = peer(folder / "replayer", "replay", work)
    report.equal("programs phasic loaded in our order", log.count(LOADED), len(LOWERED))
    for case, result in zip(cases, results, strict=True):
        for theta, ours, lowered in zip(case["thetas"], case["ours"], result["lowered"], strict=True):
            for number, (found, wanted) in enumerate(zip(lowered, ours, strict=True)):
                report.near(f"{case['name']} at {theta}, number {number}", found, wanted)
        own, expectation = result["own"][0][0], case["ours"][0][0]
        agrees = abs(own - expectation) <= 1e-11 * expectation
        report.equal(f"{case['name']}: phasic's own {own} agrees with {expectation}", agrees, case["phasic is right"])
    # Two lineages at the ends of three demes, coalescence 1 and migration 1/2: 5.6, by hand.
    stepping = results[-1]["lowered"][0][0]
    report.near("stepping stone of 3 demes through phasic", stepping, 5.6)
    report.done(f"{len(cases)} programs in our own order replayed by phasic, parallel edges counted right", before)


def lowered_case(command, folder, name, constants, parameters, right):
    """A model as a document, our program for it, and our numbers at three θ."""
    model = f"builtin:{name}"
    if name == "stepping_stone_parallel":
        text = (HERE.parent / "engine/models/stepping_stone.json").read_text()
        path = folder / "stepping_stone_parallel.model.json"
        path.write_text(text.replace('"parallel": "merge"', '"parallel": "keep"'))
        model = path
    settings = [word for constant in constants.items() for word in ("--set", "=".join(map(str, constant)))]
    document, program = folder / f"{name}.json", folder / f"{name}.bin"
    run(command, "graph", model, *settings, "-o", document)
    run(command, "eliminate", document, "--ordering", "fast", "-o", program)
    thetas = [[1.0, 0.5, 4.0], [0.03, 0.7, 11.0], [2.5, 3.5, 0.4]]
    thetas = [theta[:parameters] for theta in thetas]
    flags = [word for theta in thetas for word in ("--theta", ",".join(map(repr, theta)))]
    asked = ("--quantity", "expectation", "--quantity", "moments=4", "--json")
    answers = json.loads(run(command, "eval", document, *flags, *asked))
    ours = [[answer["expectation"], *answer["moments"]] for answer in answers]
    return {
        "name": name,
        "document": str(document),
        "program": str(program),
        "thetas": thetas,
        "ours": ours,
        "phasic is right": right,
    }


def check_random_graphs(command, folder, count, report):
    """Hash and both files of random graphs, phasic's against those of our command."""
    before = report.differences
    documents = folder / "graphs"
    documents.mkdir()
    results, _ = peer(folder / "maker", "graphs", documents, count, cached=False)
    report.equal("random graphs made", len(results), count)
    for result in results:
        what = f"random graph {result['seed']} ({result['kind']})"
        document = pathlib.Path(result["document"])
        report.equal(f"{what}: content hash", hash_of(command, document), result["graph_hash"])
        for name, theta in (("ptdprmc1", result["theta"]), ("ptdprmc3", None)):
            ours = eliminate(command, document, document.with_suffix(".bin"), name, theta)
            report.equal(f"{what}: {name}", ours, file_of(result[name]))
    kinds = sorted({result["kind"] for result in results})
    report.done(f"{len(results)} random graphs ({', '.join(kinds)}): hash and both files are equal", before)


def peer(home, *arguments, cached=True):
    """Runs `peer.py` in a home of its own; gives its answer and what it logged."""
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PHASIC_CACHE_DIR": str(home / "cache"),
        "PHASIC_DISABLE_GRAPH_CACHE": "1",
        "PHASIC_REWARD_COMPUTE_CACHE": "1" if cached else "0",
        "PHASIC_PCG_LOADLOG": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, HERE / "peer.py", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PEER_SECONDS)
    if done.returncode != 0:
        raise SystemExit(f"phasic failed at {arguments[0]}:\n{done.stderr[-4000:]}")
    # phasic may log to standard output; the answer is the last line.
    *log, answer = done.stdout.splitlines()
    return json.loads(answer), "\n".join([*log, done.stderr])


def eliminate(command, document, output, form, theta):
    """Checksum and size of the file our command writes."""
    extra = ["--theta", ",".join(map(repr, theta))] if theta else []
    run(command, "eliminate", document, "-o", output, "--format", form, *extra)
    content = output.read_bytes()
    output.unlink()
    return hashlib.sha256(content).hexdigest(), len(content)


def hash_of(command, document):
    return run(command, "hash", document).strip()


def run(command, *arguments, home="/nonexistent"):
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run([command, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"phasic {arguments[0]} {arguments[1]} failed:\n{done.stderr}")
    return done.stdout


def file_of(entry):
    return entry["sha256"], entry["size_bytes"]


if __name__ == "__main__":
    main()
