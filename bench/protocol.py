"""Processes that answer one request a line, as JSON; and how much heap they hold meanwhile."""

import contextlib
import json
import mmap
import os
import pathlib
import struct
import subprocess
import sys


class Process:
    """A process that answers requests.

    With `counter`, the library of heap_counter.c, its heap is counted. With `urgent` it goes before all ordinary
    processes if the system permits: what is measured in wall-clock time must not wait for others.
    """

    def __init__(self, name, command, folder, environment=None, counter=None, urgent=False):
        self.name = name
        environment = os.environ | (environment or {})
        if counter:
            file = pathlib.Path(folder) / f"{name}.heap"
            file.write_bytes(bytes(16))
            with file.open("r+b") as opened:
                self.counts = mmap.mmap(opened.fileno(), 16)
            environment |= {"LD_PRELOAD": str(counter), "HEAP_COUNTS": str(file)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        if urgent:
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(self.process.pid, os.SCHED_FIFO, os.sched_param(1))

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} failed at {request}")
        return json.loads(answer)

    def sample(self, stage):
        return self.ask(stage=stage)["seconds"]

    def peak_bytes(self, stage):
        """Most bytes of heap held at one time during one run, beyond those before it."""
        before, _ = struct.unpack("qq", self.counts)
        self.counts[8:16] = struct.pack("q", before)
        self.ask(stage=stage, once=True)
        return struct.unpack("qq", self.counts)[1] - before

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def serve(prepare):
    """Answers requests: a stage by a sample of it, a call by what it returns, others by preparing a workload."""
    current = None
    for line in sys.stdin:
        request = json.loads(line)
        if "stage" in request:
            method = current.once if request.get("once") else current.sample
            answer = {"seconds": method(request["stage"])}
        elif "call" in request:
            answer = getattr(current, request["call"])()
        else:
            current = None
            current = prepare(request)
            answer = current.describe()
        print(json.dumps(answer), flush=True)
