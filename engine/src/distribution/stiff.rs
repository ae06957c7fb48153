//! Rates many decades apart: the other ways through time, against matrix exponentials of 106 bits.

use proptest::prelude::*;

use super::double_double::{Dd, exponential};
use super::sweep::{Segment, Sweep};
use super::tests::plan;
use super::*;
use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::plan::Plan;

/// A scalar graph of edges between vertices from 1 on, the last absorbing; it starts in each vertex named with the same
/// probability.
pub(super) fn graph(vertices: u32, starts: &[u32], edges: &[(u32, u32, f64)]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    for &start in starts {
        builder.add_edge(START, start, Rate::Scalar(1.0 / starts.len() as f64)).unwrap();
    }
    for &(from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Scalar(rate)).unwrap();
    }
    builder.finish()
}

/// State probabilities by vertex at a time, the last entry what was absorbed, and the density.
pub(super) fn exact(vertices: u32, start: u32, edges: &[(u32, u32, f64)], time: f64) -> (Vec<f64>, f64) {
    let n = vertices as usize;
    let mut matrix = vec![vec![Dd::ZERO; n]; n];
    for &(from, to, rate) in edges {
        let row = &mut matrix[from as usize - 1];
        row[to as usize - 1] = row[to as usize - 1] + Dd::from(rate);
        row[from as usize - 1] = row[from as usize - 1] - Dd::from(rate);
    }
    let power = exponential(&matrix, Dd::from(time));
    let state = power[start as usize - 1].iter().map(|mass| mass.0).collect::<Vec<f64>>();
    let density = state.iter().zip(&matrix).take(n - 1).map(|(mass, row)| mass * row[n - 1].0).sum();
    (state, density)
}

pub(super) fn at_one(plan: &Plan) -> Distribution<'_> {
    plan.distribution(&[1.0]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn rates_decades_apart_in_one_component_are_passed_by_leaps(
        decades in prop::collection::vec(-1.0..8.0_f64, 6),
        back in prop::collection::vec((1..=6_u32, 1..=6_u32, -1.0..8.0_f64), 6),
        out in -2.0..0.0_f64,
    ) {
        let mut edges: Vec<_> = decades.iter().zip(1..).map(|(e, at)| (at, at % 6 + 1, 10.0_f64.powf(*e))).collect();
        edges.extend(back.into_iter().filter(|(from, to, _)| from != to).map(|(from, to, e)| (from, to, 10.0_f64.powf(e))));
        edges.push((3, 7, 10.0_f64.powf(out)));
        let plan = plan(&graph(7, &[1], &edges));
        let times = [3.0, 0.01, 1.0, 20.0];
        let distribution = at_one(&plan).with_jump_limit(1_000_000);
        let curve = distribution.curve(&times).unwrap();
        let survival = distribution.survival(&times).unwrap();
        let states = distribution.stop_probability(&times).unwrap();
        let all: Vec<_> = times.iter().map(|&time| exact(7, 1, &edges, time)).collect();
        let peak = all.iter().map(|(_, density)| *density).fold(0.0, f64::max);
        for (at, (state, density)) in all.iter().enumerate() {
            prop_assert!((curve.pdf[at] - density).abs() <= 1e-11 * peak, "{} {}", curve.pdf[at], density);
            prop_assert!((curve.cdf[at] - state[6]).abs() <= 1e-11, "{} {}", curve.cdf[at], state[6]);
            let alive: f64 = state[..6].iter().sum();
            prop_assert!((survival[at] - alive).abs() <= 1e-11 * alive, "{} {}", survival[at], alive);
            prop_assert!((0..6).all(|v| (states[[at, v + 1]] - state[v]).abs() <= 1e-11));
        }
    }
}

/// A hub with many leaves, which lump into one.
fn star(leaves: u32) -> (Plan, [(u32, u32, f64); 3]) {
    star_with(leaves, 0.5)
}

/// The same, with a rate of leaving the hub for good.
pub(super) fn star_with(leaves: u32, exit: f64) -> (Plan, [(u32, u32, f64); 3]) {
    let (hub, last) = (leaves + 1, leaves + 2);
    let mut edges: Vec<_> = (1..=leaves).flat_map(|leaf| [(leaf, hub, 1e6), (hub, leaf, 1e3)]).collect();
    edges.push((hub, last, exit));
    (plan(&graph(last, &[hub], &edges)), [(1, 2, 1e6), (2, 1, 1e3 * f64::from(leaves)), (2, 3, exit)])
}

/// A pair of vertices that mass goes back and forth between at the rates 3e11 and 7e11, and is absorbed from at `exit`.
pub(super) fn pair(exit: f64) -> (Plan, [(u32, u32, f64); 3]) {
    let edges = [(1, 2, 3e11), (2, 1, 7e11), (2, 3, exit)];
    (plan(&graph(3, &[1], &edges)), edges)
}

#[test]
fn quantiles_of_stiff_models_are_found_by_leaps() {
    let (plan, edges) = pair(0.7);
    let distribution = at_one(&plan).with_jump_limit(1_000_000);
    // Far out on both sides, twice, and one that jumps find.
    let asked = [0.5, 1e-9, 0.99, 1.0 - 1e-13, 0.5, 1e-14, 0.25];
    let found = distribution.quantile(&asked).unwrap();
    for (&q, &time) in asked.iter().zip(&found) {
        let (state, _) = exact(3, 1, &edges, time);
        let (wrong, scale) = ((state[2] - q).abs(), q.min(1.0 - q));
        // Entries of 42 doublings, and what is asked and the time are rounded to f64.
        assert!(wrong <= 1e-12 * scale + f64::EPSILON * f64::EPSILON, "{q}: {time:e} {wrong:e}");
    }
    assert!(found[5] < found[1] && found[1] < found[6] && found[0] == found[4] && found[2] < found[3]);
    assert_eq!(distribution.quantile(&[0.0, 1.0]).unwrap(), [0.0, f64::INFINITY]);
}

/// Back to a defective start, at which some is lost each time.
#[test]
fn leaps_know_what_is_lost_on_the_way_back_through_the_start() {
    for (start, exit) in [(0.2, 0.3), (1.0 - 1e-9, 0.3), (1.0 - 1e-10, 0.7), (1.0 - 1e-12, 0.7)] {
        let mut builder = GraphBuilder::new(1).unwrap();
        let [first, second, last] = [1, 2, 3].map(|state| builder.add_vertex(&[state]).unwrap());
        builder.add_edge(START, first, Rate::Scalar(start)).unwrap();
        for (from, to, rate) in [(first, second, 1e10), (second, START, 1e9), (second, last, exit)] {
            builder.add_edge(from, to, Rate::Scalar(rate)).unwrap();
        }
        let plan = plan(&builder.finish());
        let distribution = at_one(&plan).with_jump_limit(1_000_000);
        // The fourth holds what is lost, with its own way to get there.
        let edges = [(1, 2, 1e10), (2, 1, start * 1e9), (2, 3, exit), (2, 4, (1.0 - start) * 1e9)];
        let times = [0.01, 1.0, 3.0];
        let curve = distribution.curve(&times).unwrap();
        let states = distribution.stop_probability(&times).unwrap();
        for (at, &time) in times.iter().enumerate() {
            let (state, _) = exact(4, 1, &edges, time);
            assert!(
                (curve.cdf[at] - start * state[2]).abs() < 1e-12 * start * state[2],
                "{start} {time}: {curve:?}"
            );
            for vertex in 0..2 {
                let wanted = start * state[vertex];
                assert!((states[[at, vertex + 1]] - wanted).abs() < 1e-12, "{start} {time}: {states}");
            }
        }
        let most = distribution.cdf(&[f64::INFINITY]).unwrap()[0];
        let asked = [0.1 * most, 0.9 * most, most * (1.0 - f64::EPSILON), 1.0];
        let found = distribution.quantile(&asked).unwrap();
        for (&q, &time) in asked.iter().zip(&found).take(2) {
            let wanted = start * exact(4, 1, &edges, time).0[2];
            assert!((q - wanted).abs() < 1e-11 * q, "{start}: {q} {wanted} {time}");
        }
        assert!(found[2] > found[1] && found[3] == f64::INFINITY, "{found:?}");
    }
}

#[test]
fn visiting_times_of_stiff_models_are_counted_by_leaps() {
    let (plan, edges) = pair(0.7);
    let times = [1e-3, 5.0, 1.0, f64::INFINITY];
    let distribution = at_one(&plan).with_jump_limit(1_000_000);
    let visited = distribution.accumulated_visiting_time(&times).unwrap();
    for (at, &time) in times.iter().enumerate().take(3) {
        let found = [1, 2].map(|vertex| integrated(3, &edges, vertex, time));
        for (vertex, wanted) in (1..).zip(found) {
            let got = visited[[at, vertex]];
            assert!((got / wanted - 1.0).abs() < 1e-12, "{time} {vertex}: {got:e} {wanted:e}");
        }
    }
    let sojourn = distribution.sojourn_times().unwrap();
    assert_eq!(visited.row(3).to_vec(), sojourn);
    // A steady state of a large process counts, too.
    let (plan, lumped) = star(1100);
    let distribution = at_one(&plan).with_jump_limit(1_000_000);
    let visited = distribution.accumulated_visiting_time(&[4.0]).unwrap();
    let (state, _) = exact(3, 2, &lumped, 4.0);
    // What is absorbed came from the hub.
    assert!((0.5 * visited[[0, 1101]] - state[2]).abs() < 1e-10, "{} {}", visited[[0, 1101]], state[2]);
}

/// The time spent in a vertex of some until `time`, from the first on: absorption at rate 1 of a copy of its mass.
fn integrated(vertices: usize, edges: &[(u32, u32, f64)], vertex: u32, time: f64) -> f64 {
    let mut matrix = vec![vec![Dd::ZERO; vertices + 1]; vertices + 1];
    for &(from, to, rate) in edges {
        let row = &mut matrix[from as usize - 1];
        row[to as usize - 1] = row[to as usize - 1] + Dd::from(rate);
        row[from as usize - 1] = row[from as usize - 1] - Dd::from(rate);
    }
    matrix[vertex as usize - 1][vertices] = Dd::from(1.0);
    exponential(&matrix, Dd::from(time))[0][vertices].0
}

/// Fast to and fro between two vertices, slowly to a third, and the same exit from each.
fn evenly_left(fast: f64, exits: [f64; 3]) -> Vec<(u32, u32, f64)> {
    let mut edges = vec![(1, 2, fast), (2, 1, fast), (2, 3, 0.5), (3, 2, 0.5)];
    edges.extend(exits.into_iter().zip(1..).map(|(exit, from)| (from, 4, exit)));
    edges
}

#[test]
fn a_hazard_that_is_the_same_everywhere_does_not_stop_the_state() {
    for (fast, time) in [(1e3, 20.0), (1e10, 2.0)] {
        let edges = evenly_left(fast, [0.1; 3]);
        let plan = plan(&graph(4, &[1], &edges));
        let distribution = at_one(&plan);
        let (state, _) = exact(4, 1, &edges, time);
        let states = distribution.stop_probability(&[time]).unwrap();
        let visited = distribution.accumulated_visiting_time(&[time]).unwrap();
        for vertex in 1..=3 {
            let wanted = state[vertex - 1];
            assert!(
                (states[[0, vertex]] - wanted).abs() < 1e-11,
                "{fast} {vertex}: {} {wanted}",
                states[[0, vertex]]
            );
            let wanted = integrated(4, &edges, vertex as u32, time);
            assert!(
                (visited[[0, vertex]] - wanted).abs() < 1e-10 * time,
                "{fast} {vertex}: {visited} {wanted}"
            );
        }
        assert!((distribution.cdf(&[time]).unwrap()[0] - state[3]).abs() < 1e-12);
    }
}

#[test]
fn a_large_model_that_is_left_evenly_goes_on_mixing() {
    // Many leaves that lump into one, behind the hub a vertex that is seldom reached.
    let leaves = 1100;
    let (hub, far, last) = (leaves + 1, leaves + 2, leaves + 3);
    let mut edges: Vec<_> = (1..=leaves).flat_map(|leaf| [(leaf, hub, 1e3), (hub, leaf, 1.0)]).collect();
    edges.extend([(hub, far, 0.5), (far, hub, 0.5)]);
    edges.extend((1..=far).map(|from| (from, last, 0.1)));
    let lumped = [
        (1, 2, 1e3),
        (2, 1, f64::from(leaves)),
        (2, 3, 0.5),
        (3, 2, 0.5),
        (1, 4, 0.1),
        (2, 4, 0.1),
        (3, 4, 0.1),
    ];
    let plan = plan(&graph(last, &[hub], &edges));
    let (state, _) = exact(4, 2, &lumped, 18.0);
    let states = at_one(&plan).stop_probability(&[18.0]).unwrap();
    for (vertex, wanted) in [(hub, state[1]), (far, state[2])] {
        let found = states[[0, vertex as usize]];
        assert!((found - wanted).abs() < 1e-10, "{vertex}: {found} {wanted}");
    }
}

#[test]
fn survivors_of_stiff_models_are_drawn_where_leaps_lead() {
    // After the pair, a slow exponential time; at 200 nothing that matters is left in the pair.
    let plan = plan(&graph(4, &[1], &[(1, 2, 3e11), (2, 1, 7e11), (2, 3, 0.7), (3, 4, 1e-3)]));
    let survivors = at_one(&plan).with_jump_limit(1_000_000).survivors(200.0).unwrap();
    let count = 10_000_u32;
    let mean = survivors.times(1, count as usize).unwrap().iter().sum::<f64>() / f64::from(count);
    // Five standard errors.
    assert!((mean - 1000.0).abs() < 5.0 * 1000.0 / f64::from(count).sqrt(), "{mean}");
}

#[test]
fn a_steady_state_ends_the_jumps_of_a_large_component() {
    let (plan, lumped) = star(1100);
    let times = [0.5, 1.0, 4.0, 30.0];
    // Up to 30 there are some 3·10⁷ jumps.
    let curve = at_one(&plan).with_jump_limit(1_000_000).curve(&times).unwrap();
    for (at, &time) in times.iter().enumerate() {
        let (state, density) = exact(3, 2, &lumped, time);
        assert!((curve.pdf[at] - density).abs() < 1e-11, "{} {density}", curve.pdf[at]);
        assert!((curve.cdf[at] - state[2]).abs() < 1e-11, "{} {}", curve.cdf[at], state[2]);
    }
}

/// Up to the median there are some 10¹³ jumps.
#[test]
fn quantiles_of_a_large_component_are_found_by_its_steady_state() {
    let (plan, lumped) = star_with(1100, 1e-7);
    let distribution = at_one(&plan).with_jump_limit(20_000_000);
    for asked in [&[0.5, 1e-3, 0.25, 0.9, 0.999][..], &[0.7, 1e-9, 1.0 - 1e-12]] {
        let alone = distribution.quantile(asked).unwrap();
        for (&q, &time) in asked.iter().zip(&alone) {
            let left = exact(3, 2, &lumped, time).0[..2].iter().sum::<f64>();
            let (wrong, scale) = ((left - (1.0 - q)).abs(), q.min(1.0 - q));
            assert!(wrong <= 1e-10 * scale, "{q}: {time:e} {wrong:e}");
        }
    }
}

#[test]
fn quantiles_of_a_large_component_are_found_across_epochs() {
    let (plan, lumped) = star_with(1100, 0.01);
    let epochs = plan.epochs(&[100.0], &[[1.0], [3.0]]).unwrap().with_jump_limit(20_000_000);
    // In the first epoch, and in the second.
    let asked = [0.2, 0.5, 0.8];
    for (&q, &time) in asked.iter().zip(&epochs.quantile(&asked).unwrap()) {
        let left = exact(3, 2, &lumped, time + 2.0 * (time - 100.0).max(0.0)).0[..2].iter().sum::<f64>();
        assert!((left - (1.0 - q)).abs() <= 1e-10 * q.min(1.0 - q), "{q}: {time:e} {left}");
    }
}

#[test]
fn a_process_that_is_over_is_in_no_steady_state() {
    let plan = plan(&graph(3, &[1], &[(1, 2, 1e3), (2, 1, 1e3), (1, 3, 1e3)]));
    let curve = at_one(&plan).curve(&[1e6, 1e7]).unwrap();
    assert!(curve.cdf.iter().all(|below| (below - 1.0).abs() < 1e-14), "{curve:?}");
    assert_eq!((&curve.pdf[..], &curve.survival[..]), (&[0.0; 2][..], &[0.0; 2][..]));
}

#[test]
fn what_no_method_reaches_is_refused_early() {
    let n = 1100;
    let mut edges: Vec<_> = (1..=n).map(|at| (at, at % n + 1, 1e9)).collect();
    edges.push((5, n + 1, 1e-3));
    let plan = plan(&graph(n + 1, &[1], &edges));
    let refused = at_one(&plan).with_jump_limit(100_000).pdf(&[1.0]);
    let Err(DistributionError::Jumps { time, limit: 100_000, .. }) = refused else { panic!("{refused:?}") };
    assert!(time < 1e-4, "{time}");
    // Gradients need every jump, and know beforehand.
    let likelihood = plan.likelihood(&[1.0]).unwrap().with_jump_limit(100_000);
    let refused = likelihood.value_and_gradient(&[1.0]).unwrap_err();
    assert!(matches!(refused, DistributionError::Jumps { time: 0.0, .. }), "{refused:?}");
}

#[test]
fn rounding_does_not_add_up_over_many_jumps() {
    let edges = [(1, 2, 3e5), (2, 1, 7e5), (2, 3, 0.7)];
    let plan = plan(&graph(3, &[1], &edges));
    let chain = plan.chain(&[1.0]).unwrap();
    let precision = super::curve::precision(&chain, 2.0, 1e-10, super::curve::Accuracy::Peak);
    // Without stops there is no way but jumps.
    let mut sweep = Sweep::new(&chain, precision);
    sweep.advance(&chain, 2.0, None, &mut Segment::default(), |_| ()).unwrap();
    let (state, _) = exact(3, 1, &edges, 2.0);
    assert!((sweep.absorbed - state[2]).abs() < 1e-13, "{} {}", sweep.absorbed, state[2]);
    let alive = state[0] + state[1];
    assert!((sweep.alive() - alive).abs() < 1e-13, "{} {alive}", sweep.alive());
}

#[test]
fn a_tiny_probability_to_start_keeps_its_digits() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(1e-20)).unwrap();
    builder.add_edge(on, off, Rate::Coefficients(&[1.0])).unwrap();
    let plan = plan(&builder.finish());
    let curve = plan.distribution(&[2.0]).unwrap().curve(&[1.0]).unwrap();
    let left = (-2.0_f64).exp();
    assert!((curve.pdf[0] / (2e-20 * left) - 1.0).abs() < 1e-12, "{:e}", curve.pdf[0]);
    assert!((curve.cdf[0] / (1e-20 * (1.0 - left)) - 1.0).abs() < 1e-12, "{:e}", curve.cdf[0]);
}

#[test]
fn epochs_keep_the_tail_of_the_survival_function() {
    let plan = plan(&super::tests::erlang(1));
    let epochs = plan.epochs(&[20.0], &[[1.0], [3.0]]).unwrap();
    let found = epochs.survival(&[60.0]).unwrap()[0];
    assert!((found / (-140.0_f64).exp() - 1.0).abs() < 1e-11, "{found:e}");
    // What is left after an epoch without much absorption is let out by the next.
    let epochs = plan.epochs(&[45.0], &[[1.0], [1e9]]).unwrap();
    let time = 45.0 + 1e-10;
    let found = epochs.pdf(&[time]).unwrap()[0];
    let wanted = 1e9 * (-45.0_f64 - 1e9 * (time - 45.0)).exp();
    assert!((found / wanted - 1.0).abs() < 1e-9, "{found:e} {wanted:e}");
}

#[test]
fn a_steady_decay_far_from_time_zero_comes_to_an_end() {
    // So many leaves that no power of a matrix has room for them; at 10¹⁰ times are further apart than 256 lifetimes.
    let leaves = 1100;
    let (hub, last) = (leaves + 1, leaves + 2);
    let mut edges: Vec<_> =
        (1..=leaves).flat_map(|leaf| [(leaf, hub, vec![1e9]), (hub, leaf, vec![1e6])]).collect();
    edges.push((hub, last, vec![3e8]));
    let plan = plan(&closed_forms::graph(last, hub, &edges));
    let epochs = plan.epochs(&[1e10], &[[1e-20], [1.0]]).unwrap();
    assert_eq!(epochs.survival(&[10_000_000_001.0]).unwrap(), [0.0]);
}

#[test]
fn survival_is_found_where_densities_are_too_rare_to_be() {
    let edges = [(1, 2, 1e6), (2, 1, 1e6), (2, 3, 1e-25), (3, 4, 1e6)];
    let plan = plan(&graph(4, &[1], &edges));
    let distribution = at_one(&plan);
    // Half of what is alive leaves at a rate of 1e-25.
    let times = [1.0, 1e25, 3e25];
    for (time, found) in times.into_iter().zip(distribution.survival(&times).unwrap()) {
        assert!((found / (-0.5e-25 * time).exp() - 1.0).abs() < 1e-12, "{time:e}: {found}");
    }
    assert!(matches!(distribution.hazard(&[1.0]), Err(DistributionError::Jumps { index: Some(0), .. })));
}
