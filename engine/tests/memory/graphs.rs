//! Graphs of which it is known what they take.

use phasic_engine::graph::{Graph, GraphBuilder, Rate, START};

/// Every vertex leads to every other one: fill grows with the cube.
pub(crate) fn dense(vertices: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 1..vertices {
        for to in (1..=vertices).filter(|&to| to != from) {
            builder.add_edge(from, to, Rate::Coefficients(&[1.0])).unwrap();
        }
    }
    builder.finish()
}

/// Vertices in a row that lead to their neighbours, with a different rate each, and every hundredth to all in reach.
pub(crate) fn strip(vertices: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 1..vertices {
        let reach = if from % 100 == 0 { 50 } else { 2 };
        for to in (from.saturating_sub(reach).max(1)..=vertices.min(from + reach)).filter(|&to| to != from) {
            builder.add_edge(from, to, Rate::Coefficients(&[f64::from(from) + 1.0 / f64::from(to)])).unwrap();
        }
    }
    builder.finish()
}

/// Vertices one after another, each left at θ for the next; for absorption or for the one before at constant rates. With
/// exits few are passed, with ways back so many that plain numbers are not enough.
pub(crate) fn row(vertices: u32, exit: f64, back: f64) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 1..vertices {
        builder.add_edge(from, from + 1, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        let constants = [(vertices, exit), (from - 1, back)];
        for (to, rate) in constants.into_iter().filter(|&(to, rate)| rate > 0.0 && to > 0 && to != from + 1) {
            builder.add_edge(from, to, Rate::Coefficients(&[0.0, rate])).unwrap();
        }
    }
    builder.finish()
}

/// Four groups of vertices, each a component in which all lead to all.
pub(crate) fn groups(size: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=4 * size + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 0..4 * size {
        let group = from / size * size;
        let next = (group + size).min(4 * size);
        for to in (group..group + size).chain([next]).filter(|&to| to != from) {
            builder.add_edge(from + 1, to + 1, Rate::Coefficients(&[1.0])).unwrap();
        }
    }
    builder.finish()
}

/// A walk on a torus with a way out of one corner.
pub(crate) fn torus(side: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let place = |x: u32, y: u32| 1 + (x % side) * side + y % side;
    for state in 1..=side * side + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, place(0, 0), Rate::Scalar(1.0)).unwrap();
    for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
        for to in [place(x + 1, y), place(x + side - 1, y), place(x, y + 1), place(x, y + side - 1)] {
            builder.add_edge(place(x, y), to, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        }
    }
    builder.add_edge(place(0, 0), side * side + 1, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    builder.finish()
}

/// Two sides that lead to each other, and then to a ring with shortcuts (by Marsaglia's xorshift). The factors of the ring come first; of the sides,
/// one has many entries above the diagonal in each row, and none below.
pub(crate) fn sides(many: u32, few: u32, ring: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=many + few + ring + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    let mut add =
        |from: u32, to: u32| builder.add_edge(from + 1, to + 1, Rate::Coefficients(&[1.0])).unwrap();
    for (from, to) in (0..many).flat_map(|from| (many..many + few).map(move |to| (from, to))) {
        add(from, to);
        add(to, from);
    }
    let first = many + few;
    add(0, first);
    let mut random = 88_172_645_463_325_252_u64;
    for at in 0..ring {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let shortcut = (random >> 33) as u32 % ring;
        for to in [(at + 1) % ring, shortcut].into_iter().filter(|&to| to != at) {
            add(first + at, first + to);
            add(first + to, first + at);
        }
    }
    add(first, first + ring);
    builder.finish()
}

/// A path that may be long, but is left for good after a few steps.
pub(crate) fn leaking_path(vertices: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices + 1 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for v in 1..=vertices {
        builder.add_edge(v, v + 1, Rate::Coefficients(&[3.0, 0.0])).unwrap();
        builder.add_edge(v, vertices + 1, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.finish()
}
