"""Graphs on both sides of the fence: `phasic-graph/1` documents and phasic's own graphs, and random ones."""

import random

import phasic


def phasic_graph(document):
    """The phasic graph of a `phasic-graph/1` document: same vertices, same edges, same order."""
    graph = phasic.Graph(document["state_length"])
    vertices = [graph.starting_vertex()]
    vertices += [graph.create_vertex(state) for state in document["vertices"][1:]]
    for source, target, coefficients in document["edges"]:
        rate = coefficients if source and document["parameterized"] else coefficients[0]
        vertices[source].add_edge(vertices[target], rate)
    return graph


def document(graph):
    """The `phasic-graph/1` document of a phasic graph."""
    edges = []
    for vertex in graph.vertices():
        plain, weighted = vertex.edges(), vertex.parameterized_edges()
        if len(weighted) == len(plain):
            for edge in weighted:
                length = edge.coefficients_length()
                edges.append([vertex.index(), edge.to().index(), list(edge.edge_state(length))])
        elif not weighted:
            # Edges without coefficients, such as those back from auxiliary vertices: the weight is all they have.
            edges += [[vertex.index(), edge.to().index(), [], edge.weight()] for edge in plain]
        else:
            raise ValueError(f"vertex {vertex.index()} mixes edges with and without coefficients")
    return {
        "format": "phasic-graph/1",
        "state_length": graph.state_length(),
        "param_length": graph.param_length(),
        "parameterized": graph.parameterized(),
        "was_dph": graph.get_was_dph(),
        "vertices": [[int(value) for value in vertex.state()] for vertex in graph.vertices()],
        "edges": edges,
    }


KINDS = ("acyclic", "cyclic", "parallel", "into start", "unreachable", "discrete")


def random_graph(seed):
    """A random parameterized graph: its kind, the phasic graph, and a parameter vector."""
    draw = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    parameters = 1 + seed // len(KINDS) % 3
    transient = draw.randint(2, 28)
    absorbing = draw.randint(1, 2)
    graph = phasic.Graph(2)
    states = draw.sample(range(1000), transient + absorbing)
    vertices = [graph.create_vertex([state // 30, state % 30 - 10]) for state in states]
    order = list(range(transient + absorbing))

    def coefficients():
        values = [draw.choice([0.0, 1.0, 2.5, draw.uniform(0.1, 9.0)]) for _ in range(parameters)]
        values[draw.randrange(parameters)] = draw.uniform(0.5, 4.0)
        return values

    def reachable(source):
        later = order[source + 1 :]
        if kind == "acyclic":
            return later
        return later + [other for other in order[:source] if draw.random() < 0.4]

    for source in range(transient):
        targets = reachable(source)
        chosen = draw.sample(targets, min(len(targets), draw.randint(1, 4)))
        # One edge onwards, somewhere among the others: from everywhere something absorbing can be reached.
        chosen.insert(draw.randint(0, len(chosen)), draw.choice(order[source + 1 :]))
        if kind != "parallel":
            chosen = list(dict.fromkeys(chosen))
        for target in chosen:
            vertices[source].add_edge(vertices[target], coefficients())
            if kind == "parallel" and draw.random() < 0.3:
                vertices[source].add_edge(vertices[target], coefficients())
        if kind == "into start" and draw.random() < 0.2:
            vertices[source].add_edge(graph.starting_vertex(), coefficients())
    # What the start does not lead to stays unreachable unless a cycle happens to go there.
    first = transient // 2 if kind == "unreachable" else 0
    entries = draw.sample(range(first, transient), min(transient - first, draw.randint(1, 3)))
    for entry in entries:
        graph.starting_vertex().add_edge(vertices[entry], draw.uniform(0.1, 1.0) / len(entries))
    if kind == "discrete":
        graph = graph.discretize(draw.uniform(0.05, 0.5))
    theta = [draw.uniform(0.2, 3.0) for _ in range(graph.param_length())]
    return kind, graph, theta
