"""Expectations by SuperLU as scipy offers it; a process of its own.

    superlu_stages.py < requests

Each run weighs the edges at θ, orders, factorizes and solves: scipy keeps nothing from one matrix to the next.
"""

import json
import pathlib

import numpy
import scipy.sparse
import scipy.sparse.linalg

import protocol
import timing


class SuperLu(timing.Stages):
    """The system S x = -1 over the transient vertices, S the sub-intensity matrix."""

    SWEPT = ("colamd", "symmetric")

    def __init__(self, graph, theta, program=None):
        super().__init__(theta)
        self.vectors = [numpy.array(vector) for vector in self.vectors]
        document = json.loads(pathlib.Path(graph).read_text())
        transient = dict.fromkeys(source for source, *_ in document["edges"] if source)
        row = {vertex: at for at, vertex in enumerate(transient)}
        self.start = numpy.zeros(len(row))
        entries = {}
        for source, target, coefficients in document["edges"]:
            if source == 0:
                self.start[row[target]] += coefficients[0]
                continue
            add(entries, row[source], row[source], -numpy.array(coefficients))
            if target in row:
                add(entries, row[target], row[source], numpy.array(coefficients))
        places = sorted(entries)
        # An entry of the matrix is a row of this one times θ.
        self.coefficients = numpy.array([entries[place] for place in places])
        columns, rows = numpy.array(places).T
        ends = numpy.searchsorted(columns, numpy.arange(len(row) + 1))
        shape = (len(row), len(row))
        self.matrix = scipy.sparse.csc_matrix((numpy.ones(len(places)), rows, ends), shape=shape)
        self.right = numpy.full(len(row), -1.0)

    def describe(self):
        return {"expectation": self.colamd(numpy.array(self.theta))}

    def colamd(self, theta):
        """As scipy does it unless told otherwise."""
        return self.solve(theta, permc_spec="COLAMD")

    def symmetric(self, theta):
        """As SuperLU's guide advises for diagonally dominant matrices: the diagonal as pivots."""
        return self.solve(theta, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def solve(self, theta, **options):
        self.matrix.data[:] = self.coefficients @ theta
        return float(self.start @ scipy.sparse.linalg.splu(self.matrix, **options).solve(self.right))


def add(entries, column, row, coefficients):
    entries[column, row] = entries.get((column, row), 0.0) + coefficients


if __name__ == "__main__":
    protocol.serve(lambda request: SuperLu(**request))
