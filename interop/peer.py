"""What the published, unmodified phasic does, one command a process; results go to standard output as JSON.

    peer.py pull URL                the three coalescents from a hub, and a number computed with what was pulled
    peer.py publish                 the registry entry phasic would publish for the demo two-step chain
    peer.py graphs FOLDER COUNT     random graphs as documents, each with phasic's own hash and files
    peer.py take URL FILE           pulls and numbers of models from a hub, whatever it serves for them
    peer.py replay FILE             numbers of models, as phasic alone finds them and by programs that are put in its way

`interop.py` runs these with a home and a cache directory of their own.
"""

import hashlib
import json
import os
import pathlib
import shutil
import sys

import phasic
import phasic.compute_repository as repository

import graphs


def pull(url):
    """The lines a user adds: point the registry at the hub, pull, compute."""
    repository.ComputeRegistry.REGISTRY_URL_TEMPLATE = f"{url}/registry.json"
    results = {"listed": [compute["compute_id"] for compute in phasic.list_computes()]}
    for lineages in (5, 10, 20):
        graph = coalescent(lineages)
        pulled = graph.pull_cache()
        graph.update_weights([1.0])
        results[f"coal_n{lineages}"] = {
            "pulled": pulled,
            "graph_hash": content_hash(graph),
            "expectation": graph.expectation(),
        }
    unregistered = coalescent(6)
    results["coal_n6"] = {"pulled": unregistered.pull_cache()}
    return results


def take(url, cases):
    """For each model whether it was pulled, and its expectation and moments with what was pulled."""
    repository.ComputeRegistry.REGISTRY_URL_TEMPLATE = f"{url}/registry.json"
    listed = {compute["compute_id"]: compute for compute in phasic.list_computes()}
    results = []
    for case in cases:
        graph = graphs.phasic_graph(json.loads(pathlib.Path(case["document"]).read_text()))
        pulled = graph.pull_cache()
        by_theta = []
        for theta in case["thetas"]:
            graph.update_weights(theta)
            by_theta.append([graph.expectation(), *graph.moments(4)])
        entries = {name: entry for name, entry in listed.items() if entry["graph_hash"] == content_hash(graph)}
        results.append({"pulled": pulled, "entries": entries, "numbers": by_theta})
    return results


def coalescent(lineages):
    """Kingman's coalescent as the phasic documentation writes it."""

    def transitions(state):
        n = int(state[0])
        return [([n - 1], [n * (n - 1) / 2])] if n > 1 else []

    return phasic.Graph(transitions, ipv=[lineages])


def publish():
    graph = phasic.Graph(1)
    first, second = graph.create_vertex([1]), graph.create_vertex([2])
    graph.starting_vertex().add_edge(first, 1.0)
    first.add_edge(second, [1.0])
    graph.update_weights([2.0])
    return {"graph": graphs.document(graph), "theta": [2.0], "entry": dry_run(graph)}


def dry_run(graph):
    entries = json.loads(
        graph.push_cache(
            id="interop",
            description="interoperability",
            domain="test",
            model_type="test",
            tags=["test"],
            author="nobody",
            dry_run=True,
        )
    )
    return entries["interop"]


def random_graphs(folder, count):
    """For each graph a document; phasic's hash; checksum and size of both of its files."""
    results = []
    cache = pathlib.Path(os.environ["PHASIC_CACHE_DIR"], "parameterized_reward_compute")
    for seed in range(count):
        kind, graph, theta = graphs.random_graph(seed)
        path = pathlib.Path(folder, f"{seed}.json")
        path.write_text(json.dumps(graphs.document(graph)))
        graph.update_weights(theta)
        # The entry is made first: phasic publishes nothing of a graph whose program came from its own cache.
        parent = dry_run(graph)["artifacts"]["parent"]
        os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = "1"
        fresh = graph.clone()
        fresh.update_weights(theta)
        fresh.expectation()
        os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = "0"
        cached = (cache / f"{content_hash(graph)}.bin").read_bytes()
        results.append(
            {
                "seed": seed,
                "kind": kind,
                "document": str(path),
                "theta": theta,
                "graph_hash": content_hash(graph),
                "ptdprmc1": {"sha256": parent["sha256"], "size_bytes": parent["size_bytes"]},
                "ptdprmc3": {"sha256": hashlib.sha256(cached).hexdigest(), "size_bytes": len(cached)},
            }
        )
    return results


def replay(cases):
    """For each model its expectation and moments: first without any file, then with the given program in the cache."""
    cache = pathlib.Path(os.environ["PHASIC_CACHE_DIR"], "parameterized_reward_compute")
    cache.mkdir(parents=True)
    results = []
    for case in cases:
        document = json.loads(pathlib.Path(case["document"]).read_text())
        numbers = {}
        for name, used in (("own", "0"), ("lowered", "1")):
            os.environ["PHASIC_REWARD_COMPUTE_CACHE"] = used
            graph = graphs.phasic_graph(document)
            if used == "1":
                shutil.copy(case["program"], cache / f"{content_hash(graph)}.bin")
            by_theta = []
            for theta in case["thetas"]:
                graph.update_weights(theta)
                by_theta.append([graph.expectation(), *graph.moments(4)])
            numbers[name] = by_theta
        results.append(numbers)
    return results


def content_hash(graph):
    return phasic.hash.compute_graph_hash(graph).hash_hex


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["pull", url]:
            answer = pull(url)
        case ["publish"]:
            answer = publish()
        case ["replay", path]:
            answer = replay(json.loads(pathlib.Path(path).read_text()))
        case ["take", url, path]:
            answer = take(url, json.loads(pathlib.Path(path).read_text()))
        case ["graphs", folder, count]:
            answer = random_graphs(folder, int(count))
        case _:
            sys.exit(__doc__)
    json.dump(answer, sys.stdout)
