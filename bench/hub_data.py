"""A data directory with ten thousand computes and a hundred thousand blobs, made without the hub's help.

The hub makes the tables; rows and files are written beside it while it is stopped. The files are random bytes: the hub
serves what has the digest, and decodes only what is published.
"""

import hashlib
import json
import os
import pathlib
import random
import sqlite3

COMPUTES = 10_000
COMPONENTS = 9
SMALL_BYTES = 64
LARGE_BYTES = 5 << 20


class Seed:
    """What was put into a data directory."""

    def __init__(self, data):
        self.data = pathlib.Path(data)
        self.random = random.Random(18)
        # The first compute's parent is the large artifact.
        self.large = None

    def write(self):
        database = sqlite3.connect(self.data / "hub.db")
        with database:
            for index in range(COMPUTES):
                self.compute(database, index)
        database.close()

    def compute(self, database, index):
        graph_hash = self.digest()
        parent = self.blob(database, LARGE_BYTES if index == 0 else SMALL_BYTES)
        if index == 0:
            self.large = (graph_hash.hex(), parent[0].hex())
        components = [(self.digest(), self.blob(database, SMALL_BYTES)) for _ in range(COMPONENTS)]
        name = f"bench_{index:05}"
        entry = {
            "graph_hash": graph_hash.hex(),
            "format_revision": 3,
            "artifacts": {
                "parent": location(f"{graph_hash.hex()}.bin", parent),
                "scc": [
                    {**location(f"scc_{scc_hash.hex()}.bin", blob), "scc_hash": scc_hash.hex()}
                    for scc_hash, blob in components
                ],
            },
            "metadata": {
                "description": f"A compute made for measuring, number {index}",
                "domain": "population-genetics",
                "model_type": "coalescent",
                "author": "nobody",
                "license": "MIT",
                "tags": ["bench", f"n{index % 100}"],
                "vertices": 10 + index % 1000,
                "param_length": 1 + index % 4,
            },
        }
        text = json.dumps(entry)
        place = 1_000_000 + index
        database.execute(
            "INSERT INTO computes (id, origin, place, entry) VALUES (?, 'mirror', ?, ?)", (name, place, text)
        )
        database.execute(
            "INSERT INTO revisions (compute_id, origin, entry) VALUES (?, 'mirror', ?)", (name, text)
        )
        for role, key, blob in [("parent", graph_hash, parent), *(("scc", key, blob) for key, blob in components)]:
            database.execute(
                "INSERT INTO compute_artifacts (compute_id, role, graph_hash, original_sha256, served_sha256) "
                "VALUES (?, ?, ?, ?, ?)",
                (name, role, key, blob[0], blob[0]),
            )
            database.execute(
                "INSERT INTO artifact_versions (role, graph_hash, sha256) VALUES (?, ?, ?)", (role, key, blob[0])
            )

    def digest(self):
        return self.random.randbytes(32)

    def blob(self, database, size_bytes):
        content = self.random.randbytes(size_bytes)
        sha256 = hashlib.sha256(content).digest()
        directory = self.data / "blobs" / "sha256" / sha256.hex()[:2]
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / sha256.hex()
        path.write_bytes(content)
        # As old as a file that has been there for a while.
        os.utime(path, (1_700_000_000, 1_700_000_000))
        database.execute("INSERT OR IGNORE INTO blobs (sha256, size_bytes) VALUES (?, ?)", (sha256, size_bytes))
        return sha256, size_bytes


def location(name, blob):
    return {"cid_or_path": f"artifacts/{name}", "sha256": blob[0].hex(), "size_bytes": blob[1]}
