//! Samples are random, but seeded: a test either passes always or never. Bounds are five standard errors, computed from
//! exact moments; one comparison in 1.7 million would fail for another seed.

use proptest::prelude::*;

use super::super::random_graphs::{pushed, recipe};
use super::*;
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};
use crate::plan::Limits;

const COUNT: usize = 20_000;

fn sampler(graph: &Graph, theta: &[f64]) -> Sampler {
    Plan::analyze(graph, &Limits::default()).unwrap().sampler(theta).unwrap()
}

fn ones(graph: &Graph) -> Vec<f64> {
    vec![1.0; graph.param_length()]
}

/// Asserts that the mean of `samples` is `mean`, given the variance of one.
fn assert_mean(what: &str, samples: impl ExactSizeIterator<Item = f64>, mean: f64, variance: f64) {
    let count = samples.len() as f64;
    let found = samples.sum::<f64>() / count;
    let bound = 5.0 * (variance / count).sqrt() + 1e-12 * mean.abs();
    assert!((found - mean).abs() <= bound, "{what}: {found}, exactly {mean}, bound {bound}");
}

/// Arrivals θ₀, services θ₁, four places, begun with one or two customers.
fn queue() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (0..5).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    builder.add_edge(START, v[1], Rate::Scalar(0.6)).unwrap();
    builder.add_edge(START, v[2], Rate::Scalar(0.3)).unwrap();
    builder.add_edge(START, v[0], Rate::Scalar(0.1)).unwrap();
    for k in 1..5 {
        if k < 4 {
            builder.add_edge(v[k], v[k + 1], Rate::Coefficients(&[1.0, 0.0])).unwrap();
        }
        builder.add_edge(v[k], v[k - 1], Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    builder.finish()
}

/// Four states one after the other, in which nothing is ever to be chosen.
fn line(discrete: bool) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(discrete);
    let mut from = START;
    for state in 0..5 {
        let to = builder.add_vertex(&[state]).unwrap();
        let rate = if discrete || from == START { 1.0 } else { f64::from(state) };
        builder.add_edge(from, to, Rate::Scalar(rate)).unwrap();
        from = to;
    }
    builder.finish()
}

/// The stream is a promise: these numbers may never change. They follow from the documented rules; a script of another
/// language that follows them gives the same.
#[test]
fn the_stream_is_what_it_was() {
    let times = sampler(&queue(), &[0.5, 1.0]).times(2024, 5).unwrap();
    let bits: Vec<u64> = times.iter().map(|time| time.to_bits()).collect();
    let recorded = [
        4_603_557_109_297_869_630,
        4_603_208_696_457_133_202,
        0,
        4_612_353_237_940_257_694,
        4_594_360_083_617_725_907,
    ];
    assert_eq!(bits, recorded, "{times:?}");
    let ticking = queue().discretize(0.25).unwrap();
    let jumps = sampler(&ticking, &[0.5, 1.0, 1.0]).times(2024, 12).unwrap();
    assert_eq!(jumps, [1.0, 1.0, 0.0, 12.0, 7.0, 2.0, 2.0, 5.0, 16.0, 5.0, 1.0, 0.0]);
}

#[test]
fn a_sample_depends_on_its_seed_and_number_only() {
    let sampler = sampler(&queue(), &[0.5, 1.0]);
    let many = sampler.times(7, 5000).unwrap();
    assert_eq!(sampler.times(7, 3).unwrap(), many[..3]);
    let mut part = [0.0; 1000];
    sampler.times_into(7, 3500, &mut part).unwrap();
    assert_eq!(part, many[3500..4500]);
    assert_ne!(sampler.times(8, 3).unwrap(), many[..3]);
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| sampler.times(7, 5000).unwrap()), many);
    }
}

#[test]
fn paths_are_those_the_totals_are_taken_along() {
    for (graph, branches) in [
        (queue(), true),
        (queue().discretize(0.25).unwrap(), true),
        (line(false), false),
        (line(true), false),
    ] {
        let theta = vec![0.7; graph.param_length()];
        let sampler = sampler(&graph, &theta);
        assert_eq!(sampler.table.branches, branches);
        let rewards: Vec<f64> = (0..graph.vertex_count()).map(|v| f64::from(v * v) - 3.0).collect();
        let ones = vec![1.0; rewards.len()];
        let joint = sampler.joint_totals(5, 300, &[&ones, &rewards]).unwrap();
        let (times, totals) = (sampler.times(5, 300).unwrap(), sampler.totals(5, 300, &rewards).unwrap());
        for sample in 0..300 {
            let path = sampler.path(5, sample as u64).unwrap();
            let sum = path.iter().fold(0.0, |sum, visit| sum + visit.time);
            assert_eq!(sum, times[sample]);
            assert_eq!([times[sample], totals[sample]], [joint[(sample, 0)], joint[(sample, 1)]]);
            let rewarded =
                path.iter().fold(0.0, |sum, visit| sum + visit.time * rewards[visit.vertex as usize]);
            assert!((rewarded - totals[sample]).abs() <= 1e-12 * sum * 100.0);
            for pair in path.windows(2) {
                assert!(graph.targets(pair[0].vertex).contains(&pair[1].vertex));
            }
        }
    }
}

#[test]
fn samples_of_a_line_are_the_same_however_they_are_drawn() {
    let (sampler, list) = (sampler(&line(false), &[1.0]), [0.0, 1.0, -2.0, 0.5, 3.0, 0.0]);
    let (times, totals) = (sampler.times(9, 5000).unwrap(), sampler.totals(9, 5000, &list).unwrap());
    assert_mean("line", times.iter().copied(), 25.0 / 12.0, 205.0 / 144.0);
    assert_eq!(sampler.times(9, 33).unwrap(), times[..33]);
    let mut part = [0.0; 70];
    sampler.times_into(9, 2040, &mut part).unwrap();
    assert_eq!(part, times[2040..2110]);
    let joint = sampler.joint_totals(9, 5000, &[&list, &[1.0; 6]]).unwrap();
    assert_eq!([joint.column(0).to_vec(), joint.column(1).to_vec()], [totals, times]);
    // Four visits each.
    let limited = |steps| sampler.clone().with_limits(SampleLimits::default().with_steps(steps));
    assert_eq!(limited(40).times(9, 10).unwrap(), part_of(&sampler, 10));
    assert_eq!(limited(39).times(9, 10), Err(SamplingError::Steps { limit: 39 }));
    assert_eq!(sampler.joint_totals(9, 3, &[]).unwrap().dim(), (3, 0));
}

/// The first times of seed 9, one path after the other.
fn part_of(sampler: &Sampler, count: u64) -> Vec<f64> {
    let time = |sample| sampler.path(9, sample).unwrap().iter().fold(0.0, |sum, visit| sum + visit.time);
    (0..count).map(time).collect()
}

#[test]
fn times_follow_the_exponential_law() {
    // Kolmogorov's statistic of 20,000 samples: above 1.95/√n with probability 0.001, and the seed is fixed.
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, a, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(a, b, Rate::Scalar(2.5)).unwrap();
    let mut times = sampler(&builder.finish(), &[1.0]).times(3, COUNT).unwrap();
    times.sort_by(f64::total_cmp);
    let n = COUNT as f64;
    let distance = (0..COUNT).map(|k| {
        let exact = -(-2.5 * times[k]).exp_m1();
        (exact - k as f64 / n).abs().max((exact - (k + 1) as f64 / n).abs())
    });
    assert!(distance.fold(0.0, f64::max) < 1.95 / n.sqrt());
    // phasic's own sampler cannot exceed 16.1 over the rate; about two of 20 million do.
    assert!(times[0] > 0.0);
}

#[test]
fn an_atom_at_zero_is_drawn_as_often_as_it_should_be() {
    let times = sampler(&queue(), &[0.5, 1.0]).times(11, COUNT).unwrap();
    let zeros = times.iter().map(|&time| f64::from(u8::from(time == 0.0)));
    assert_mean("atom", zeros, 0.1, 0.1 * 0.9);
}

#[test]
fn a_defective_start_is_conditioned_upon() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (0..3).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(0.1)).unwrap();
    builder.add_edge(START, v[1], Rate::Scalar(0.3)).unwrap();
    builder.add_edge(v[0], v[2], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(v[1], v[2], Rate::Scalar(1.0)).unwrap();
    let sampler = sampler(&builder.finish(), &[1.0]);
    let first = (0..COUNT as u64).map(|k| sampler.path(1, k).unwrap()[0].vertex == v[1]).collect::<Vec<_>>();
    assert_mean("first", first.iter().map(|&hit| f64::from(u8::from(hit))), 0.75, 0.75 * 0.25);
}

#[test]
fn the_future_from_given_states_is_what_plans_say_of_it() {
    let graph = queue();
    let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
    let at = plan.at(&[0.5, 1.0]).unwrap();
    let waiting = at.waiting_times();
    let mut probabilities = vec![0.0; 6];
    (probabilities[3], probabilities[5]) = (0.3, 0.1);
    let sampler = plan.sampler(&[0.5, 1.0]).unwrap().started_in(&probabilities).unwrap();
    let restarted =
        crate::distribution::started_at(&graph, &[(3, 0.75), (5, 0.25)], GraphLimits::default()).unwrap();
    let exact = Plan::analyze(&restarted, &Limits::default()).unwrap();
    let variance = exact.at(&[0.5, 1.0]).unwrap().variance();
    let mean = 0.75 * waiting[3] + 0.25 * waiting[5];
    assert_mean("rest", sampler.times(4, COUNT).unwrap().into_iter(), mean, variance);
}

/// Mean and variance of the time left at `time`, from the plan's moments and the state then.
fn survivors_moments(graph: &Graph, theta: &[f64], state: &[f64]) -> (f64, f64) {
    let alive: f64 = state.iter().sum();
    let initial: Vec<(u32, f64)> =
        state.iter().zip(0..).filter(|&(&p, _)| p > 0.0).map(|(p, v)| (v, p / alive)).collect();
    let there = crate::distribution::started_at(graph, &initial, GraphLimits::default()).unwrap();
    let plan = Plan::analyze(&there, &Limits::default()).unwrap();
    let at = plan.at(theta).unwrap();
    (at.expectation(), at.variance())
}

#[test]
fn survivors_are_those_of_all_samples_that_survive() {
    let (graph, theta) = (queue(), [0.5, 1.0]);
    let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
    let distribution = plan.distribution(&theta).unwrap();
    let state = distribution.stop_probability(&[3.0]).unwrap().row(0).to_vec();
    let (mean, variance) = survivors_moments(&graph, &theta, &state);
    let left = distribution.survivors(3.0).unwrap().times(21, COUNT).unwrap();
    assert_mean("left", left.into_iter(), mean, variance);
    let all = plan.sampler(&theta).unwrap().times(22, 4 * COUNT).unwrap();
    let kept: Vec<f64> = all.into_iter().filter(|&time| time > 3.0).map(|time| time - 3.0).collect();
    assert_mean("kept", kept.into_iter(), mean, variance);
    assert!(matches!(
        distribution.survivors(-1.0).unwrap_err(),
        SamplingError::Distribution(DistributionError::Time { index: 0, .. })
    ));
    assert_eq!(distribution.survivors(f64::INFINITY).unwrap_err(), SamplingError::NoMass);
    assert_eq!(distribution.survivors(1e8).unwrap_err(), SamplingError::NoMass);
}

#[test]
fn survivors_of_a_rare_survival_are_as_exact_as_others() {
    // Phases of rates 1 and 2: at time t the odds of the first are e^−t to e^−t − e^−2t, so even when 1 in 10³⁰ is left.
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (0..3).map(|s| builder.add_vertex(&[s]).unwrap()).collect();
    for (from, to, rate) in [(START, v[0], 1.0), (v[0], v[1], 1.0), (v[1], v[2], 2.0)] {
        builder.add_edge(from, to, Rate::Scalar(rate)).unwrap();
    }
    let graph = builder.finish();
    let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
    let left = plan.distribution(&[1.0]).unwrap().survivors(70.0).unwrap().times(5, COUNT).unwrap();
    let (mean, variance) = survivors_moments(&graph, &[1.0], &[0.0, 0.5, 0.5, 0.0]);
    assert_mean("rare", left.into_iter(), mean, variance);
}

#[test]
fn survivors_in_discrete_time_have_their_exact_mean() {
    let graph = queue().discretize(0.25).unwrap();
    let theta = [0.5, 1.0, 1.0];
    let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
    let jumps = plan.jumps(&theta).unwrap();
    let state = jumps.stop_probability(&[6]).unwrap().row(0).to_vec();
    let (mean, variance) = survivors_moments(&graph, &theta, &state);
    let left = jumps.survivors(6).unwrap().times(8, COUNT).unwrap();
    assert_mean("jumps left", left.into_iter(), mean, variance);
}

#[test]
fn what_cannot_be_sampled_is_refused_by_name() {
    let plan = Plan::analyze(&queue(), &Limits::default()).unwrap();
    let sampler = plan.sampler(&[0.5, 1.0]).unwrap();
    let bad_theta = plan.sampler(&[0.5]).unwrap_err();
    assert!(matches!(bad_theta, SamplingError::Evaluation(EvaluationError::ThetaLength { .. })));
    let trapped = plan.sampler(&[0.5, 0.0]).unwrap_err();
    let SamplingError::Evaluation(EvaluationError::Trapped { state: Some(_), .. }) = trapped else {
        panic!("{trapped:?}")
    };
    let short = sampler.totals(1, 1, &[0.0; 2]).unwrap_err();
    assert_eq!(short, EvaluationError::RewardLength { expected: 6, found: 2 }.into());
    let nan = sampler.joint_totals(1, 1, &[&[0.0; 6], &[0.0, 0.0, f64::NAN, 0.0, 0.0, 0.0]]).unwrap_err();
    let SamplingError::Distribution(DistributionError::Reward { index: 1, error }) = nan else {
        panic!("{nan:?}")
    };
    let not_finite =
        DistributionError::Evaluation(EvaluationError::RewardNotFinite { vertex: 2, value: 0.0 });
    assert_eq!(std::mem::discriminant(&*error), std::mem::discriminant(&not_finite), "{error:?}");
    let limited = sampler.clone().with_limits(SampleLimits::default().with_steps(50));
    assert_eq!(limited.times(1, 1000), Err(SamplingError::Steps { limit: 50 }));
    let small = sampler.clone().with_limits(SampleLimits::default().with_memory_bytes(80));
    assert_eq!(small.times(1, 10).unwrap().len(), 10);
    assert_eq!(small.times(1, 11), Err(SamplingError::Memory { samples: 11, width: 1, limit_bytes: 80 }));
    let start = |at: usize, value: f64| {
        let mut probabilities = [0.0; 6];
        probabilities[at] = value;
        sampler.clone().started_in(&probabilities).unwrap_err()
    };
    assert_eq!(start(2, -1.0), SamplingError::Probability { vertex: 2, value: -1.0 });
    assert_eq!(start(1, 0.5), SamplingError::NotTransient { vertex: 1, value: 0.5 });
    assert_eq!(start(2, 0.0), SamplingError::NoMass);
    let short = sampler.clone().started_in(&[0.0, 1.0]).unwrap_err();
    assert_eq!(short, SamplingError::ProbabilityLength { expected: 6, found: 2 });
    assert_eq!(sampler.joint_totals(1, 3, &[]).unwrap().dim(), (3, 0));
    assert!(sampler.times(1, 0).unwrap().is_empty());
}

#[test]
fn numbers_of_jumps_follow_their_exact_law() {
    let graph = queue().discretize(0.25).unwrap();
    let frozen = crate::distribution::frozen(&graph, &[0.5, 1.0, 1.0], GraphLimits::default()).unwrap();
    let times = sampler(&graph, &[0.5, 1.0, 1.0]).times(9, COUNT).unwrap();
    for (jumps, p) in pushed(&frozen, 12).into_iter().enumerate() {
        let hits = times.iter().map(|&time| f64::from(u8::from(time == jumps as f64)));
        assert_mean("jumps", hits, p, p * (1.0 - p));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn moments_of_samples_are_those_of_the_plan(
        recipe in recipe(1..=7),
        returns in prop::collection::vec((0..7_usize, 0.1..2.0_f64), 0..3),
        rewards in prop::collection::vec(-1.0..3.0_f64, 9),
        discrete in any::<bool>(),
    ) {
        let graph = recipe.with_returns(discrete, &returns);
        let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
        let at = plan.at(&ones(&graph)).unwrap();
        let list = &rewards[..recipe.vertex_count()];
        let rewarded = at.rewarded(list).unwrap();
        let unit = at.rewarded(&vec![1.0; list.len()]).unwrap();
        let sampler = sampler(&graph, &ones(&graph));
        let joint = sampler.joint_totals(1, COUNT, &[&vec![1.0; list.len()], list]).unwrap();
        assert_mean("time", joint.column(0).iter().copied(), at.expectation(), at.variance());
        assert_mean("total", joint.column(1).iter().copied(), rewarded.expectation(), rewarded.variance());
        if discrete {
            return Ok(());
        }
        // The variance of a product of two totals is below the root of the product of their fourth moments.
        let (m, n) = (at.moments(4).unwrap(), rewarded.moments(4).unwrap());
        let product = joint.rows().into_iter().map(|row| row[0] * row[1]);
        let exact = unit.covariance(&rewarded) + m[0] * n[0];
        assert_mean("product", product, exact, (m[3] * n[3]).sqrt());
    }
}
