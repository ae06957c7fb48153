use super::*;
use crate::graph::{Graph, GraphBuilder, Rate, START};
use ndarray::Array2;

mod digits;
mod files;
mod lowered;
mod operations;
mod properties;
mod range;
mod slopes;
mod summands;
mod watching;
mod ways;

/// States 1, 2, …; every edge has two coefficients.
fn build<const N: usize>(vertices: u32, edges: impl IntoIterator<Item = (u32, u32, [f64; N])>) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(0.75)).unwrap();
    builder.add_edge(START, 2, Rate::Scalar(0.25)).unwrap();
    for (from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
    }
    builder.finish()
}

fn plan(graph: &Graph) -> Plan {
    Plan::analyze(graph, &Limits::default()).unwrap()
}

/// An M/M/1/K queue started with one customer: arrivals θ₀, services θ₁.
fn queue(places: u32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for k in 1..=places {
        builder.add_vertex(&[k.cast_signed()]).unwrap();
    }
    let empty = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for k in 1..=places {
        if k < places {
            builder.add_edge(k, k + 1, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        }
        builder.add_edge(k, if k == 1 { empty } else { k - 1 }, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.finish()
}

fn close(found: f64, wanted: f64, relative: f64) -> bool {
    (found - wanted).abs() <= relative * wanted.abs()
}

#[test]
fn parameters_that_no_edge_depends_on_change_nothing() {
    fn numbers<const P: usize>(theta: [f64; P]) -> (Vec<u64>, usize) {
        // Up to four coefficients are looked up in another way than more are.
        let list = |a: f64, b: f64| std::array::from_fn(|at| [a, b].get(at).copied().unwrap_or(0.0));
        let edges = (1..40_u32).flat_map(|k| {
            let other = 1 + (7 * k) % 39;
            [
                (k, k + 1, list(f64::from(k % 5), -0.0)),
                (k, other, list(0.0, f64::from(k % 3))),
                (k, 40, list(1.0, 0.5)),
            ]
        });
        let plan = plan(&build::<P>(41, edges.filter(|edge| edge.0 != edge.1)));
        let at = plan.at(&theta).unwrap();
        let numbers = at.moments(3).unwrap();
        (numbers.iter().map(|number| number.to_bits()).collect(), plan.forms.count())
    }
    let wanted = numbers([1.25, 0.75]);
    assert_eq!(numbers([1.25, 0.75, 3.0]), wanted);
    assert_eq!(numbers([1.25, 0.75, 3.0, 4.0]), wanted);
    assert_eq!(numbers([1.25, 0.75, 3.0, 4.0, 5.0]), wanted);
}

#[test]
fn an_overloaded_queue_is_right_to_the_last_digits() {
    // Busy period of M/M/1/K started with one customer: Σ_{k<K} ρ^k / μ. phasic returns infinity.
    let plan = plan(&queue(100));
    let at = plan.at(&[1.5, 1.0]).unwrap();
    let wanted = (0..100).map(|k| 1.5_f64.powi(k)).sum::<f64>();
    assert!(close(at.expectation(), wanted, 1e-14), "{:e} {wanted:e}", at.expectation());
}

#[test]
fn gradients_of_overloaded_queues_keep_their_digits_however_long_they_take() {
    for places in (10..=200).step_by(10) {
        let plan = plan(&queue(places));
        let at = plan.at(&[1.5, 1.0]).unwrap();
        // E = Σ ρ^k / μ with ρ = λ/μ; all terms of either derivative have one sign.
        let terms = (0..f64::from(places) as i32).map(|k| (f64::from(k), 1.5_f64.powi(k)));
        let by_arrivals: f64 = terms.clone().map(|(k, power)| k * power / 1.5).sum();
        let by_services: f64 = terms.map(|(k, power)| -(k + 1.0) * power).sum();
        let found = at.expectation_gradient();
        assert!(
            close(found[0], by_arrivals, 1e-12) && close(found[1], by_services, 1e-12),
            "{places}: {found:?}"
        );
        // m₂ = 2 E² + …: held to its homogeneity, θ·∇m = −m for a first and −2m for a second moment.
        let (m, variance) = (at.moments(2).unwrap()[1], at.variance());
        let along = |gradient: Vec<f64>| 1.5 * gradient[0] + gradient[1];
        assert!(close(along(at.moment_gradient(2).unwrap()), -2.0 * m, 1e-12));
        assert!(close(along(at.variance_gradient()), -2.0 * variance, 1e-11), "{places}");
    }
}

#[test]
fn a_queue_of_a_million_places_is_one_component_without_fill() {
    let plan = plan(&queue(1_000_000));
    let cost = plan.cost();
    assert_eq!(cost.factor_entries, 2 * 999_999);
    let at = plan.at(&[0.25, 1.0]).unwrap();
    assert!(close(at.expectation(), 4.0 / 3.0, 1e-12), "{}", at.expectation());
}

#[test]
fn a_path_of_a_million_vertices_takes_a_million_times_the_mean() {
    let vertices = 1_000_000;
    let graph = build(vertices, (1..vertices - 1).map(|v| (v, v + 1, [1.0, 0.0])));
    let mean = plan(&graph).at(&[0.5, 1.0]).unwrap().expectation();
    let wanted = 2.0 * (f64::from(vertices - 2) - 0.25);
    assert!(close(mean, wanted, 1e-12), "{mean} {wanted}");
}

#[test]
fn unreached_vertices_are_dropped_and_parallel_edges_summed() {
    let edges = [(1, 2, [1.0, 0.0]), (1, 2, [0.0, 1.0]), (2, 3, [1.0, 1.0]), (4, 3, [1.0, 0.0])];
    let plan = plan(&build(5, edges));
    assert_eq!(plan.cost().vertices, 3);
    let at = plan.at(&[1.0, 3.0]).unwrap();
    assert_eq!(at.expectation(), 0.75 / 4.0 + 0.25);
    let waiting = at.waiting_times();
    assert_eq!(waiting[1..4], [0.5, 0.25, 0.0]);
    assert!(waiting[4].is_nan());
    assert_eq!(at.sojourn_times(), [0.0, 0.1875, 0.25, 0.0, 0.0]);
}

#[test]
fn traps_name_a_vertex_and_its_state() {
    let plan =
        plan(&build(5, [(1, 2, [1.0, 0.0]), (2, 1, [1.0, 0.0]), (1, 3, [0.0, 1.0]), (3, 4, [1.0, 1.0])]));
    let trapped = plan.at(&[1.0, 0.0]).unwrap_err();
    let named = |vertex, state| EvaluationError::Trapped { vertex, state: Some(vec![state]) };
    assert!(trapped == named(1, 1) || trapped == named(2, 2), "{trapped}");
    let negative = plan.at(&[1.0, -1.0]).unwrap_err();
    assert!(matches!(negative, EvaluationError::InvalidWeight { weight: -1.0, .. }), "{negative}");
    assert_eq!(plan.at(&[1.0]).unwrap_err(), EvaluationError::ThetaLength { expected: 2, found: 1 });
    assert!(matches!(plan.at(&[1.0, f64::NAN]), Err(EvaluationError::ThetaNotFinite { index: 1, .. })));
    // A trap behind an edge of weight zero does no harm.
    let side = self::plan(&build(
        5,
        [(1, 4, [1.0, 0.0]), (2, 4, [1.0, 0.0]), (1, 3, [0.0, 1.0]), (3, 1, [0.0, 1.0])],
    ));
    assert_eq!(side.at(&[2.0, 0.0]).unwrap().expectation(), 0.5);
}

#[test]
fn an_all_zero_start_is_an_error() {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.add_vertex(&[1]).unwrap();
    builder.add_vertex(&[2]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(0.0)).unwrap();
    builder.add_edge(1, 2, Rate::Coefficients(&[1.0])).unwrap();
    let error = plan(&builder.finish()).at(&[1.0]).unwrap_err();
    assert_eq!(error, EvaluationError::NoStart { vertex: Some(1), state: Some(vec![1]) });
    assert!(error.to_string().contains("vertex 1 (state [1])"), "{error}");
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.add_vertex(&[7]).unwrap();
    builder.add_edge(START, 1, Rate::Scalar(0.0)).unwrap();
    let error = plan(&builder.finish()).at(&[]).unwrap_err();
    assert_eq!(error, EvaluationError::NoStart { vertex: Some(1), state: Some(vec![7]) });
    let empty = GraphBuilder::new(1).unwrap().finish();
    let error = plan(&empty).at(&[]).unwrap_err();
    assert_eq!(error, EvaluationError::NoStart { vertex: None, state: None });
    assert!(error.to_string().contains("no edges"), "{error}");
}

#[test]
fn rates_over_twelve_decades_keep_every_digit() {
    // A birth-death chain, up 1e6 and down 1e-6: the mean is a sum of positive products, summed here directly.
    let plan = plan(&queue(8));
    for (up, down) in [(1e6, 1e-6), (1e-6, 1e6), (1.0, 1e6)] {
        let mean = plan.at(&[up, down]).unwrap().expectation();
        let ratio: f64 = up / down;
        let wanted = (0..8).map(|k| ratio.powi(k) / down).sum::<f64>();
        assert!(close(mean, wanted, 1e-14), "{mean:e} {wanted:e}");
    }
}

#[test]
fn moments_beyond_the_range_of_f64_are_infinite() {
    let plan = plan(&queue(1));
    let at = plan.at(&[1.0, 1e-200]).unwrap();
    assert!(close(at.expectation(), 1e200, 1e-15));
    assert_eq!((at.moments(2).unwrap()[1], at.variance()), (f64::INFINITY, f64::INFINITY));
}

/// START to 1, and the edges given, with two coefficients or fewer.
fn from_first(vertices: u32, edges: &[(u32, u32, &[f64])]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..vertices {
        builder.add_vertex(&[state.cast_signed()]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for &(from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Coefficients(rate)).unwrap();
    }
    builder.finish()
}

/// The moments of one θ, alone and in a batch: the very same.
fn moments_both_ways(plan: &Plan, theta: &[f64], count: usize) -> Vec<f64> {
    let alone = plan.at(theta).unwrap().moments(count).unwrap();
    let rows = Array2::from_shape_fn((3, theta.len()), |(_, parameter)| theta[parameter]);
    let bits = |moments: &[f64]| moments.iter().map(|moment| moment.to_bits()).collect::<Vec<_>>();
    for row in plan.batch(&rows.view()).unwrap().moments(count).unwrap().rows() {
        assert_eq!(bits(row.as_slice().unwrap()), bits(&alone), "{row} {alone:?}");
    }
    alone
}

#[test]
fn high_moments_are_right_as_long_as_they_are_within_range() {
    let plan = plan(&from_first(3, &[(1, 2, &[1.0])]));
    for (theta, power) in [(1e6, 60_u32), (1e3, 105), (100.0, 171), (100.0, 250)] {
        let wanted = (1..=power).fold(1.0, |moment, j| moment * (f64::from(j) / theta));
        let found = moments_both_ways(&plan, &[theta], power as usize);
        assert!(close(found[power as usize - 1], wanted, 1e-13), "{theta} {power}: {wanted:e} {found:?}");
    }
}

#[test]
fn what_is_never_reached_may_leave_the_range_of_f64() {
    let plan = plan(&from_first(4, &[(1, 3, &[1.0, 0.0]), (1, 2, &[0.0, 1.0]), (2, 3, &[1e-200, 0.0])]));
    assert_eq!(moments_both_ways(&plan, &[1.0, 0.0], 3), [1.0, 2.0, 6.0]);
    let at = plan.at(&[1.0, 0.0]).unwrap();
    assert_eq!(at.variance(), 1.0);
    assert_eq!(at.waiting_times()[2], 1e200);
}

#[test]
fn moments_after_one_beyond_the_range_of_f64_are_infinite_too() {
    let plan = plan(&queue(1000));
    let moments = moments_both_ways(&plan, &[1.5, 1.0], 4);
    assert!(moments[0].is_finite() && moments[1..] == [f64::INFINITY; 3], "{moments:?}");
    assert_eq!(plan.at(&[1.5, 1.0]).unwrap().variance(), f64::INFINITY);
}

#[test]
fn pivots_without_a_reciprocal_are_out_of_range() {
    let plan = plan(&from_first(4, &[(1, 2, &[1.0]), (2, 3, &[1e-310])]));
    let out_of_range = EvaluationError::OutOfRange { vertex: 2, state: Some(vec![2]) };
    assert_eq!(plan.at(&[1.0]).unwrap_err(), out_of_range);
    let thetas = Array2::from_elem((1, 1), 1.0);
    assert_eq!(plan.batch(&thetas.view()).unwrap().expectation().unwrap_err().source, out_of_range);
}

#[test]
fn a_batch_checks_parameters_of_no_edge_and_those_of_no_moments() {
    let plan = plan(&from_first(3, &[(1, 2, &[1.0, 0.0])]));
    let thetas = ndarray::array![[1.0, 1.0], [1.0, f64::NAN]];
    let batch = plan.batch(&thetas.view()).unwrap();
    for count in [0, 1, 3] {
        let error = batch.moments(count).unwrap_err();
        assert_eq!(error.index, 1);
        assert!(matches!(error.source, EvaluationError::ThetaNotFinite { index: 1, .. }), "{error}");
    }
}

#[test]
fn more_moments_than_anybody_wants_are_refused() {
    let plan = plan(&from_first(3, &[(1, 2, &[1000.0])]));
    let refused = EvaluationError::MomentCount { count: usize::MAX, limit: 1000 };
    let at = plan.at(&[1.0]).unwrap();
    assert_eq!(at.moments(usize::MAX).unwrap_err(), refused);
    assert_eq!(at.rewarded(&[0.0, 2.0, 0.0]).unwrap().moments(usize::MAX).unwrap_err(), refused);
    assert_eq!(at.moments(1000).unwrap().len(), 1000);
    for rows in [0, 1, 3] {
        let thetas = Array2::from_elem((rows, 1), 1.0);
        let error = plan.batch(&thetas.view()).unwrap().moments(usize::MAX).unwrap_err();
        assert_eq!(error, BatchError { index: 0, source: refused.clone() });
    }
}

#[test]
fn a_slope_that_is_no_number_stays_with_its_own_constant() {
    // The edge of coefficient 0 leads into a trap; E = 1 / θ does not depend on it.
    let plan = plan(&from_first(5, &[(1, 4, &[1.0]), (1, 2, &[0.0]), (2, 3, &[1.0]), (3, 2, &[1.0])]));
    assert_eq!(plan.at(&[2.0]).unwrap().expectation_gradient(), [-0.25]);
}

#[test]
fn the_memory_limit_is_held() {
    let pairs = (1..80).flat_map(|from| (1..=80).map(move |to| (from, to, [1.0, 1.0])));
    let graph = build(81, pairs.filter(|&(from, to, _)| from != to));
    let refused = Plan::analyze(&graph, &Limits::default().with_memory_bytes(1000));
    assert!(matches!(refused, Err(AnalysisError::Memory { .. })));
}

#[test]
fn parallel_edges_whose_sum_leaves_the_range_of_f64_are_named() {
    let large = &[f64::MAX][..];
    for (edges, to) in [([(1, 2, large), (1, 2, large)], 2), ([(1, 3, large), (1, 4, large)], 4)] {
        let refused = Plan::analyze(&from_first(5, &edges), &Limits::default()).unwrap_err();
        assert_eq!(refused, AnalysisError::CoefficientSum { from: 1, to });
    }
}

#[test]
fn gradients_of_high_moments_are_right_as_long_as_they_are_within_range() {
    // Two rates in a row that are one: E[T^k] = (k + 1)! / θ^k.
    let plan = plan(&from_first(4, &[(1, 2, &[1.0]), (2, 3, &[1.0])]));
    for (theta, power) in [(1.0, 20_u32), (3.0, 160), (80.0, 200), (150.0, 300), (1e-3, 60)] {
        let gradient = plan.at(&[theta]).unwrap().moment_gradient(power as usize).unwrap()[0];
        let moment = (1..=power).map(f64::from).fold(f64::from(power + 1), |moment, k| moment * (k / theta));
        let wanted = -f64::from(power) * moment / theta;
        assert!(wanted.is_finite() && close(gradient, wanted, 1e-12), "{power}: {gradient} {wanted}");
    }
    let discrete = build(5, [(1, 2, [1.0, 0.5]), (1, 3, [0.5, 0.0]), (2, 3, [1.0, 1.0]), (3, 4, [2.0, 1.0])]);
    let plan = Plan::analyze(&discrete.discretize(0.1).unwrap(), &Limits::default()).unwrap();
    let theta = vec![1.0; plan.param_length()];
    let at = |theta: &[f64]| plan.at(theta).unwrap().moments(6).unwrap()[5];
    let gradient = plan.at(&theta).unwrap().moment_gradient(6).unwrap();
    for parameter in 0..theta.len() {
        let moved = |by: f64| {
            let mut moved = theta.clone();
            moved[parameter] += by;
            at(&moved)
        };
        let found = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let size = gradient.iter().fold(0.0_f64, |size, slope| size.max(slope.abs()));
        assert!((gradient[parameter] - found).abs() <= 1e-6 * size, "{gradient:?} {found}");
    }
}

#[test]
fn plan_files_are_small_and_notice_every_changed_bit() {
    let graph = queue(300);
    let file = plan(&graph).encode(&graph.content_hash());
    assert!(file.len() < 9 * 302, "{} bytes", file.len());
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(Plan::decode(&changed, &Limits::default()).is_err(), "byte {at}");
    }
    let empty = Plan::decode(&[], &Limits::default());
    assert_eq!(empty.unwrap_err(), PlanFileError::NotAPlan);
}

#[test]
fn a_plan_file_whose_elimination_is_too_large_is_refused() {
    let pairs = (1..60).flat_map(|from| (1..=60).map(move |to| (from, to, [1.0, 1.0])));
    let graph = build(61, pairs.filter(|&(from, to, _)| from != to));
    let file = plan(&graph).encode(&graph.content_hash());
    let refused = Plan::decode(&file, &Limits::default().with_multiply_adds(1000)).unwrap_err();
    assert!(matches!(refused, PlanFileError::Limits(AnalysisError::Work { limit: 1000, .. })), "{refused}");
}

#[test]
fn what_fills_nothing_in_is_counted_all_the_same() {
    let graph = queue(500);
    let refused = |limit: u64| Plan::analyze(&graph, &Limits::default().with_multiply_adds(limit));
    for limit in [0, 100, 498] {
        let error = refused(limit).unwrap_err();
        assert!(matches!(error, AnalysisError::Work { limit: found, .. } if found == limit), "{error}");
    }
    assert_eq!(refused(499).unwrap().cost().multiply_adds, 499);
}

#[test]
fn a_failing_row_of_a_batch_is_named() {
    let plan = plan(&queue(5));
    let mut thetas = Array2::from_elem((20, 2), 1.0);
    thetas[(13, 1)] = 0.0;
    thetas[(17, 1)] = -1.0;
    for parallel in [false, true] {
        let error = plan.batch(&thetas.view()).unwrap().parallel(parallel).expectation().unwrap_err();
        assert_eq!(error.index, 13);
        assert!(matches!(error.source, EvaluationError::Trapped { .. }), "{error}");
    }
}
