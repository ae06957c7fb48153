"""Measures the numbers a hub is held to; see `bench/hub`.

usage: hub.py HUB CLIENT [--write] [--quick] [--only PART,PART]
"""

import argparse
import concurrent.futures
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import hub_report
from hub_data import Seed
from hub_peers import Hub, Nginx, wrk

PARTS = ("size", "registry", "artifact", "busy", "evaluate", "stream", "submissions", "mirror")
ENVIRONMENT = {
    "PHASIC_HUB_ACCESS_ANONYMOUS": "compute",
    "PHASIC_HUB_RATE_PER_SECOND": "0",
    "PHASIC_HUB_LOG_FILTER": "warn",
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("hub")
    arguments.add_argument("client")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="fewer and shorter samples")
    arguments.add_argument("--only", default=",".join(PARTS))
    options = arguments.parse_args()
    seconds, rounds = (1, 3) if options.quick else (3, 5)
    parts = options.only.split(",")
    bench = Bench(options.hub, options.client, seconds, rounds)
    with tempfile.TemporaryDirectory(prefix="bench-hub-") as directory:
        bench.run(pathlib.Path(directory), parts)
    text = hub_report.page(bench.rows, seconds, rounds)
    print(text)
    if options.write:
        hub_report.write(text)
    return 0


class Bench:
    def __init__(self, hub, client, seconds, rounds):
        self.program, self.client = hub, client
        self.seconds, self.rounds = seconds, rounds
        self.rows = []

    def row(self, what, found, goal, met, beside=""):
        print(f"{what}: {found} ({goal}; beside: {beside or '-'})", file=sys.stderr, flush=True)
        self.rows.append((what, found, beside, goal, met))

    def run(self, directory, parts):
        data = directory / "data"
        hub = Hub(self.program, data, environment=ENVIRONMENT)
        if "size" in parts:
            self.row("first start of an empty hub, until it is ready", ms(hub.ready_seconds), "", None)
            time.sleep(2)
            memory = hub.memory()[0]
            self.row("idle memory, a new hub", mb(memory), "< 60 MB", memory < 60e6)
        hub.stop()
        seed = Seed(data)
        seed.write()
        self.start(data, parts)
        hub = Hub(self.program, data, environment=ENVIRONMENT)
        nginx = Nginx.start(directory / "nginx")
        if nginx is None:
            print("nginx is not installed: rows beside it are left out", file=sys.stderr)
        try:
            for part in parts:
                if part not in ("size",):
                    getattr(self, part)(hub, nginx, seed, directory)
        finally:
            hub.stop()
            if nginx:
                nginx.stop()

    def start(self, data, parts):
        if "size" not in parts:
            return
        # The address of a hub stays the same, and with it what was rendered before; the first start finds nothing.
        address = "http://127.0.0.1:8787"
        listening, ready, memory, peak = [], [], [], []
        for _ in range(1 + self.rounds):
            hub = Hub(self.program, data, "--public-url", address, environment=ENVIRONMENT)
            listening.append(hub.listening_seconds)
            ready.append(hub.ready_seconds)
            time.sleep(1)
            now, most = hub.memory()
            memory.append(now)
            peak.append(most)
            hub.stop()
        held = "10,000 computes and 100,000 blobs"
        cold, warm = ready[0], ready[1:]
        self.row(f"first start with {held}, nothing rendered before", ms(cold), "< 1 s", cold < 1)
        found = statistics.median(warm)
        text = f"{ms(found)} (listening after {ms(statistics.median(listening[1:]))}, slowest {ms(max(warm))})"
        self.row(f"start with {held}, until it is ready", text, "< 1 s", found < 1)
        found = statistics.median(memory)
        text = f"{mb(found)} (at most {mb(max(peak))})"
        self.row(f"memory with {held}", text, "< 150 MB", found < 150e6)

    def beside(self, what, hub, nginx, measure, show, goals):
        """Medians of rounds in which hub and nginx take turns."""
        ours, theirs = [], []
        for _ in range(self.rounds):
            ours.append(measure(hub))
            if nginx:
                theirs.append(measure(nginx))
        found = [statistics.median(column) for column in zip(*ours)]
        text = show(found)
        if not theirs:
            self.row(what, text, "", None)
            return
        other = [statistics.median(column) for column in zip(*theirs)]
        index = goals["by"]
        ratio = found[index] / other[index]
        self.row(what, f"{text}: **{ratio:.2f}x**", goals["text"], ratio >= goals["least"], show(other))

    def registry(self, hub, nginx, seed, directory):
        with urllib.request.urlopen(f"{hub.url}/registry.json") as answer:
            document, tag = answer.read(), answer.headers["ETag"]
        tags = {hub.url: tag}
        if nginx:
            nginx.put("registry.json", document)
            with urllib.request.urlopen(f"{nginx.url}/registry.json") as answer:
                answer.read()
                tags[nginx.url] = answer.headers["ETag"]

        def full(peer):
            return wrk(f"{peer.url}/registry.json", self.seconds, 8)

        def conditional(peer):
            return wrk(f"{peer.url}/registry.json", self.seconds, 32, [f"If-None-Match: {tags[peer.url]}"])

        size = f"{len(document) / 1e6:.1f} MB"
        goals = {"by": 0, "least": 0.5, "text": "≥ 0.5x, want 0.9x"}
        show = lambda found: f"{found[0]:,.0f}/s, p99 {ms(found[2])}"
        self.beside("`GET /registry.json`, 10,000 entries, 304", hub, nginx, conditional, show, goals)
        self.beside(f"`GET /registry.json`, 10,000 entries, 200 ({size})", hub, nginx, full, show, goals)

    def artifact(self, hub, nginx, seed, directory):
        graph_hash, sha256 = seed.large
        path = f"/artifacts/{graph_hash}.bin"
        with urllib.request.urlopen(f"{hub.url}{path}") as answer:
            content = answer.read()
        if nginx:
            nginx.put(path[1:], content)
        measure = lambda peer: wrk(f"{peer.url}{path}", self.seconds, 8)
        show = lambda found: f"{found[1] / 1e9:.2f} GB/s, p99 {ms(found[2])}"
        goals = {"by": 1, "least": 0.8, "text": "≥ 0.8x"}
        self.beside("artifact of 5 MB", hub, nginx, measure, show, goals)

    def busy(self, hub, nginx, seed, directory):
        with urllib.request.urlopen(f"{hub.url}/registry.json") as answer:
            tag = answer.headers["ETag"]
            answer.read()
        stop, done = threading.Event(), []

        def eliminate():
            size = 150
            while not stop.is_set():
                body = {"model": {"builtin": "rabbits", "constants": {"n": size}}}
                done.append(post(hub.url, "/v1/eliminations", body, {"Prefer": "wait=60"})["job"]["state"])
                size += 1

        worker = threading.Thread(target=eliminate)
        worker.start()
        time.sleep(2)
        latencies, strays = [], []
        connection = http.client.HTTPConnection(hub.url.removeprefix("http://"))
        deadline = time.monotonic() + 5 * self.seconds
        while time.monotonic() < deadline:
            begun = time.monotonic()
            connection.request("GET", "/registry.json", headers={"If-None-Match": tag})
            answer = connection.getresponse()
            answer.read()
            # What was eliminated is an entry, too: then the document is read anew, and asked for by its new tag.
            if answer.status == 200 and answer.headers["ETag"] != tag:
                tag = answer.headers["ETag"]
            elif answer.status != 304:
                strays.append(answer.status)
            latencies.append(time.monotonic() - begun)
            time.sleep(0.002)
        running = [job["state"] for job in get(hub.url, "/v1/jobs?state=running")["jobs"]]
        stop.set()
        worker.join()
        assert not strays and set(done) <= {"done"}, (strays, done)
        latencies.sort()
        p99 = latencies[int(len(latencies) * 0.99)]
        text = f"median {ms(statistics.median(latencies))}, p99 {ms(p99)}, of {len(latencies):,}"
        self.row("reading the registry while eliminations saturate the pool", text, "p99 < 20 ms", p99 < 0.02,
                 f"{len(done)} eliminations, {len(running)} running at the end")

    def evaluate(self, hub, nginx, seed, directory):
        address = hub.url.removeprefix("http://")
        lines = subprocess.run([self.client, address], capture_output=True, text=True, check=True).stdout
        for case in map(json.loads, lines.splitlines()):
            direct, over_http = case["direct"], case["http"]
            most = 1.5 * direct["median"] + 0.001
            found = over_http["median"]
            what = f"`POST /v1/evaluate`, warm, {case['model']} ({case['vertices']:,} states), {case['thetas']:,} θ"
            text = f"{ms(found)}, p99 {ms(over_http['p99'])}"
            self.row(what, text, "≤ 1.5x + 1 ms", found <= most, f"the engine: {ms(direct['median'])}")

    def stream(self, hub, nginx, seed, directory):
        # A hub of its own, once it has nothing else to do: the one of the other parts verifies what was eliminated and renders
        # what was published meanwhile, and that takes memory, too.
        alone = Hub(self.program, directory / "stream", environment=ENVIRONMENT)
        try:
            time.sleep(2)
            self.stream_of(alone)
        finally:
            alone.stop()

    def stream_of(self, hub):
        count = 100_000
        body = {
            "model": {"builtin": "kingman", "constants": {"n": 1000}},
            "theta": [[1 + index / count] for index in range(count)],
            "quantities": [{"moments": 2}],
        }
        before, lines, memory = hub.memory()[0], 0, []
        connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=300)
        begun = time.monotonic()
        connection.request("POST", "/v1/evaluate", json.dumps(body), {"Accept": "application/x-ndjson"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        for line in answer:
            lines += 1
            if lines % 1000 == 0:
                memory.append(hub.memory()[0])
        elapsed = time.monotonic() - begun
        assert lines == count
        tenth = len(memory) // 10
        growth = max(memory[tenth:]) - memory[tenth]
        text = (
            f"{count / elapsed:,.0f} θ/s, memory +{mb(memory[tenth] - before)} for the request and the first tenth of the "
            f"answer, then +{mb(growth)} until the end"
        )
        self.row("100,000 θ of a model of 1,000 states, line by line", text, "flat memory", growth < 8e6)

    def submissions(self, hub, nginx, seed, directory):
        times = []
        for round_number in range(self.rounds):
            body = {"model": {"builtin": "kingman", "constants": {"n": 400 + round_number}}}
            begun = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(64) as pool:
                ask = lambda _: post(hub.url, "/v1/eliminations", body, {"Prefer": "wait=60"})
                answers = list(pool.map(ask, range(64)))
            times.append(time.monotonic() - begun)
            assert len({answer["artifact"]["sha256"] for answer in answers}) == 1
            graph_hash = answers[0]["graph"]["graph_hash"]
            jobs = get(hub.url, f"/v1/jobs?graph={graph_hash}")["jobs"]
            assert len(jobs) == 1, jobs
        text = f"1 elimination, 64 answers in {ms(statistics.median(times))}, slowest {ms(max(times))}"
        self.row("64 submissions of a new graph at a time (kingman 400)", text, "1 elimination, 64 answers", True)

    def mirror(self, hub, nginx, seed, directory):
        if nginx is None:
            return
        upstream = Nginx.start(directory / "upstream", log=True)
        try:
            self.passes(hub, upstream, directory)
        finally:
            upstream.stop()

    def passes(self, hub, upstream, directory):
        source = Hub(self.program, directory / "source", environment=ENVIRONMENT)
        with urllib.request.urlopen(f"{source.url}/registry.json?paths=relative") as answer:
            document = answer.read()
        for entry in json.loads(document)["computes"].values():
            for file in [entry["artifacts"]["parent"], *entry["artifacts"]["scc"]]:
                with urllib.request.urlopen(f"{source.url}/{file['cid_or_path']}") as answer:
                    upstream.put(file["cid_or_path"], answer.read())
        source.stop()
        upstream.put("registry.json", document)
        command = [self.program, "mirror", "sync", "--from", f"{upstream.url}/registry.json"]
        command += ["--data", str(directory / "mirror")]
        subprocess.run(command, check=True, capture_output=True)
        times, requests = [], []
        for _ in range(self.rounds):
            before = len(upstream.log.read_text().splitlines())
            begun = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.monotonic() - begun)
            requests.append(len(upstream.log.read_text().splitlines()) - before)
        found, most = statistics.median(times), max(requests)
        text = f"{most} request{'s' * (most != 1)}, {ms(found)} (with the start of the command)"
        self.row("mirror pass with nothing new", text, "1 request, < 200 ms", most == 1 and found < 0.2)


def post(url, path, body, headers=()):
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), dict(headers))
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def get(url, path):
    with urllib.request.urlopen(f"{url}{path}") as answer:
        return json.load(answer)


def ms(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def mb(size):
    return f"{size / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
