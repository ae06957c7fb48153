//! Very many ways from one vertex, or to one; very long ones; and visits whose weights are far from 1.

use ndarray::array;

use super::{close, plan};
use crate::double_double::Dd;
use crate::graph::{Graph, GraphBuilder, Rate, START};

/// From the start to one of `count` places alike; each is left at θ₀ for a last one, which is left at θ₁.
fn fan(count: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=count + 2 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    for place in 1..=count {
        builder.add_edge(START, place, Rate::Scalar(1.0 / f64::from(count))).unwrap();
        builder.add_edge(place, count + 1, Rate::Coefficients(&[1.0, 0.0])).unwrap();
    }
    builder.add_edge(count + 1, count + 2, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    builder.finish()
}

#[test]
fn sums_over_very_many_ways_keep_twelve_digits() {
    for count in [100, 3_000, 200_000] {
        let plan = plan(&fan(count));
        for theta in [[0.7, 3.0], [3.0, 0.7], [0.3, 0.3]] {
            let [first, last] = theta;
            let at = plan.at(&theta).unwrap();
            let wanted = 1.0 / first + 1.0 / last;
            assert!(close(at.expectation(), wanted, 1e-13), "{count}: {:e} {wanted:e}", at.expectation());
            let sojourn = at.sojourn_times();
            assert!(close(sojourn[1], 1.0 / (f64::from(count) * first), 1e-13), "{:e}", sojourn[1]);
            let of_last = sojourn[count as usize + 1];
            assert!(close(of_last, 1.0 / last, 1e-13), "{count}: {of_last:e}");
            let gradient = at.expectation_gradient();
            assert!(close(gradient[0], -1.0 / (first * first), 1e-12), "{count}: {:e}", gradient[0]);
            assert!(close(gradient[1], -1.0 / (last * last), 1e-12), "{count}: {:e}", gradient[1]);
            let batch = plan.batch(&array![theta].view()).unwrap().moments(1).unwrap()[(0, 0)];
            assert_eq!(batch.to_bits(), at.expectation().to_bits());
        }
    }
}

/// A hub with loops of two places alike, at constant rates, and a way out; all within one component.
fn hub(loops: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=2 * loops + 2 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(1, 2 * loops + 2, Rate::Coefficients(&[1.0])).unwrap();
    for first in (2..2 * loops + 2).step_by(2) {
        builder.add_edge(1, first, Rate::Coefficients(&[0.7])).unwrap();
        builder.add_edge(first, first + 1, Rate::Coefficients(&[3.0])).unwrap();
        builder.add_edge(first + 1, 1, Rate::Coefficients(&[1.0])).unwrap();
    }
    builder.finish()
}

#[test]
fn sums_over_very_many_ways_within_a_component_keep_twelve_digits() {
    for loops in [1_000, 100_000] {
        let plan = plan(&hub(loops));
        // So many visits to each of the loops, beside one unit of time in the hub.
        let wanted = 1.0 + 0.7 * f64::from(loops) * (1.0 / 3.0 + 1.0);
        let at = plan.at(&[1.0]).unwrap();
        assert!(close(at.expectation(), wanted, 1e-13), "{loops}: {:e} {wanted:e}", at.expectation());
        let batch = plan.batch(&array![[1.0]].view()).unwrap().expectation().unwrap();
        assert_eq!(batch[0].to_bits(), at.expectation().to_bits());
    }
}

/// Jumps between two vertices, of which the second is left for good by one in so many; all weights by θ.
fn jumps(back: f64) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    let [first, second, end] = vertices[..] else { unreachable!() };
    builder.add_edge(START, first, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(first, second, Rate::Coefficients(&[1.0])).unwrap();
    builder.add_edge(second, first, Rate::Coefficients(&[back])).unwrap();
    builder.add_edge(second, end, Rate::Coefficients(&[1.0])).unwrap();
    builder.set_was_dph(true);
    builder.finish()
}

#[test]
fn visits_do_not_depend_on_the_scale_of_weights() {
    let seldom = {
        let mut builder = GraphBuilder::new(1).unwrap();
        let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
        let [first, second, end] = vertices[..] else { unreachable!() };
        builder.add_edge(START, first, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(first, end, Rate::Coefficients(&[1.0])).unwrap();
        builder.add_edge(first, second, Rate::Coefficients(&[1e-20])).unwrap();
        builder.add_edge(second, end, Rate::Coefficients(&[1.0])).unwrap();
        builder.set_was_dph(true);
        builder.finish()
    };
    for (graph, wanted) in [(seldom, 1e-20), (jumps(1e10), 1e10)] {
        let plan = plan(&graph);
        for theta in [1.0, 1e-300, 1e295, 1e-100, 1e200] {
            let visits = plan.at(&[theta]).unwrap().sojourn_times();
            assert!(close(visits[2], wanted, 1e-9), "{theta:e}: {:e}", visits[2]);
            assert!(close(visits[2], plan.at(&[1.0]).unwrap().sojourn_times()[2], 1e-13), "{theta:e}");
        }
    }
}

/// A choice at θ₀ and θ₁ between a long way of equal vertices, each left for one of the next two, and a single vertex.
fn two_branches(length: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=length + 3 {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    let (single, end) = (length + 2, length + 3);
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(1, 2, Rate::Coefficients(&[1.0, 0.0, 0.0, 0.0])).unwrap();
    builder.add_edge(1, single, Rate::Coefficients(&[0.0, 1.0, 0.0, 0.0])).unwrap();
    for place in 2..=length + 1 {
        let far = |places: u32| if place + places > length + 1 { end } else { place + places };
        builder.add_edge(place, far(1), Rate::Coefficients(&[0.0, 0.0, 1.0, 0.0])).unwrap();
        builder.add_edge(place, far(2), Rate::Coefficients(&[0.0, 0.0, 0.3, 0.0])).unwrap();
    }
    builder.add_edge(single, end, Rate::Coefficients(&[0.0, 0.0, 0.0, 1.0])).unwrap();
    builder.finish()
}

#[test]
fn slopes_between_long_ways_that_hardly_differ_keep_twelve_digits() {
    for (length, apart) in [(300, 3.0), (1_000, 3.0), (2_000, 3.0), (3_000, 6.0), (3_000, 0.001)] {
        // From the last but so many: x = 1 / 1.3 + (x' + 0.3 x'') / 1.3, with the weights that f64 has.
        let (on, skip) = (Dd::from(1.0), Dd::from(0.3));
        let rate = on + skip;
        let (mut x, mut next) = (Dd::from(0.0), Dd::from(0.0));
        for _ in 0..length {
            (x, next) = ((Dd::from(1.0) + on * x + skip * next) / rate, x);
        }
        let slow = 1.0 / (x.0 - apart);
        let single = Dd::from(1.0) / Dd::from(slow);
        let plan = plan(&two_branches(length));
        let at = plan.at(&[1.0, 1.0, 1.0, slow]).unwrap();
        // E = (1 + x + single) / 2 at the choice; by θ₀: (x − E) / 2.
        let Dd(wanted, _) = (x - single - Dd::from(1.0)) / Dd::from(4.0);
        let found = at.expectation_gradient()[0];
        assert!(close(found, wanted, 1e-12), "{length} {apart}: {found:e} {wanted:e}");
    }
}
