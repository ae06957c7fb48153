"""Timing of stages written in Python."""

import time

SAMPLE_SECONDS = 2e-3
VECTORS = 64


def timed(run):
    """Seconds of processor time of this process."""
    before = time.process_time()
    run()
    return time.process_time() - before


class Stages:
    """Methods that are timed by name.

    A method listed in `SWEPT` is a run at one θ; any other one runs once and returns the seconds it wants counted.
    """

    SWEPT = ()

    def __init__(self, theta):
        self.theta = theta
        # The sweep of workloads.json.
        self.vectors = [
            [value * (0.8 + 0.4 * ((draw * 0.6180339887498949 + place * 0.37) % 1)) for place, value in enumerate(theta)]
            for draw in range(1, VECTORS + 1)
        ]

    def once(self, stage):
        """Seconds of one run."""
        run = getattr(self, stage)
        return timed(lambda: run(self.vectors[0])) if stage in self.SWEPT else run()

    def sample(self, stage):
        """Mean seconds of as many runs as make a sample long enough."""
        run = getattr(self, stage)
        return self.together(run) if stage in self.SWEPT else repeated(run)

    def together(self, run):
        """All runs timed together, for one may be as short as the reading of the clock."""
        runs = 1
        while True:
            chosen = [self.vectors[draw % VECTORS] for draw in range(runs)]

            def all_runs():
                for theta in chosen:
                    run(theta)

            seconds = timed(all_runs)
            if seconds >= SAMPLE_SECONDS:
                return seconds / runs
            # Those were a warming up.
            runs *= 2


def repeated(run):
    runs, seconds = 0, 0.0
    # A difference of two times may be small or, by noise, negative: hence the second bound.
    while seconds < SAMPLE_SECONDS and runs < 200:
        seconds += run()
        runs += 1
    return seconds / runs
