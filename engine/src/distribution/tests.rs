use super::*;
use crate::graph::{Graph, GraphBuilder, GraphLimits, Rate, START};
use crate::plan::{EvaluationError, Limits, Plan};

pub(super) fn plan(graph: &Graph) -> Plan {
    Plan::analyze(graph, &Limits::default()).unwrap()
}

/// 1 ⇄ 2 at θ₀, out of 2 at θ₁.
pub(super) fn cycle() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=3 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (from, to, rate) in [(1, 2, [1.0, 0.0]), (2, 1, [1.0, 0.0]), (2, 3, [0.0, 1.0])] {
        builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
    }
    builder.finish()
}

/// `phases` phases of rate θ₀ in a row.
pub(super) fn erlang(phases: i32) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for phase in 1..=phases + 1 {
        builder.add_vertex(&[phase]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for phase in 1..=phases.cast_unsigned() {
        builder.add_edge(phase, phase + 1, Rate::Coefficients(&[1.0])).unwrap();
    }
    builder.finish()
}

#[test]
fn the_200th_moment_of_a_short_exponential_time_needs_no_200_factorial() {
    let plan = plan(&erlang(1));
    let moments = plan.distribution(&[100.0]).unwrap().moments(200).unwrap();
    // k!/100^k: 200! is about 7.9e374.
    let logarithm = (1..=200).map(|k| f64::from(k) / 100.0).map(f64::ln).sum::<f64>();
    assert!((moments[199].ln() - logarithm).abs() < 1e-11, "{}", moments[199]);
    let error = plan.distribution(&[1.0]).unwrap().moments(171).unwrap_err();
    assert_eq!(error, DistributionError::MomentRange { order: 171 });
}

#[test]
fn a_covariance_matrix_has_variances_on_its_diagonal() {
    let plan = plan(&erlang(3));
    let distribution = plan.distribution(&[2.0]).unwrap();
    let rewards = [vec![1.0; 5], vec![0.0, 1.0, 0.0, 0.0, 0.0], vec![0.0, 0.0, 0.0, 3.0, 0.0]];
    let matrix = distribution.covariance_matrix(&rewards).unwrap();
    assert!((matrix[[0, 0]] - distribution.variance().unwrap()).abs() < 1e-15);
    assert!((matrix[[0, 1]] - 0.25).abs() < 1e-15 && matrix[[1, 2]].abs() < 1e-15);
    assert!(
        (distribution.correlation(&rewards[0], &rewards[1]).unwrap() - (1.0_f64 / 3.0).sqrt()).abs() < 1e-15
    );
    let error = distribution.correlation(&rewards[0], &[0.0; 5]).unwrap_err();
    assert_eq!(error, DistributionError::NoVariance { index: 1 });
}

#[test]
fn what_leaves_the_range_of_f64_is_an_error_and_no_number() {
    let plan_ = plan(&erlang(1));
    // The second moment is 2e-400.
    let short = plan_.distribution(&[1e200]).unwrap();
    assert_eq!(short.moments(2).unwrap_err(), DistributionError::MomentRange { order: 2 });
    let distribution = plan_.distribution(&[1.0]).unwrap();
    let large = [0.0, 1e200, 0.0];
    assert_eq!(
        distribution.covariance(&large, &large).unwrap_err(),
        DistributionError::CovarianceRange { first: 0, second: 1 }
    );
    let small = [0.0, 1.0, 0.0];
    let matrix = distribution.covariance_matrix(&[small, small, large]).unwrap_err();
    assert_eq!(matrix, DistributionError::CovarianceRange { first: 2, second: 2 });
    assert!((distribution.correlation(&large, &[0.0, 1e-200, 0.0]).unwrap() - 1.0).abs() < 1e-15);
    // A rate of 1 whose slope is 2.5e307 for each unit of time.
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(on, off, Rate::Coefficients(&[2.5e307])).unwrap();
    let steep = plan(&builder.finish());
    let refused = steep.likelihood(&[20.0; 100]).unwrap().value_and_gradient(&[4e-308]).unwrap_err();
    assert_eq!(refused, DistributionError::GradientRange { index: None, parameter: 0 });
    // Of several times, the one whose slope it is: t e^{−rt} for each unit of a rate r of 0.01. The later one's is 0.
    let refused = steep.distribution(&[4e-310]).unwrap().cdf_gradient(&[1e6, 100.0]).unwrap_err();
    assert_eq!(refused, DistributionError::GradientRange { index: Some(1), parameter: 0 });
    assert!(
        refused.to_string().starts_with("the slope of entry 1 (counted from 0) with respect"),
        "{refused}"
    );
    // Rates that are numbers, but not their sum.
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(1.0)).unwrap();
    for (from, to) in [(v[0], v[1]), (v[0], v[2]), (v[1], v[2])] {
        builder.add_edge(from, to, Rate::Coefficients(&[1.0])).unwrap();
    }
    let refused = plan(&builder.finish()).distribution(&[1e308]).unwrap_err();
    let of_sum = EvaluationError::OutOfRange { vertex: v[0], state: Some(vec![1]) };
    assert_eq!(refused, DistributionError::Evaluation(of_sum));
}

#[test]
fn the_slowest_rates_and_the_latest_times_have_densities() {
    let plan = plan(&erlang(1));
    for rate in [1e-305, 1e-310] {
        let curve = plan.distribution(&[rate]).unwrap().curve(&[1.0, 1e300]).unwrap();
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-12 * wanted;
        assert!(
            near(curve.pdf[0], rate) && near(curve.cdf[0], rate) && curve.survival[0] == 1.0,
            "{curve:?}"
        );
        assert!(near(curve.pdf[1], rate * (-rate * 1e300).exp()), "{curve:?}");
        assert!(near(curve.cdf[1], -(-rate * 1e300).exp_m1()), "{curve:?}");
    }
    let curve = plan.distribution(&[2.0]).unwrap().curve(&[1e300, f64::MAX]).unwrap();
    assert_eq!((&curve.pdf[..], &curve.survival[..]), (&[0.0; 2][..], &[0.0; 2][..]));
    assert!(curve.cdf.iter().all(|below| (below - 1.0).abs() < 1e-15), "{:?}", curve.cdf);
}

#[test]
fn no_zero_is_negative() {
    let positive = |numbers: &[f64]| numbers.iter().all(|number| number.is_sign_positive());
    // All is absorbed at once.
    let mut builder = GraphBuilder::new(1).unwrap();
    let off = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, off, Rate::Scalar(1.0)).unwrap();
    let atom = plan(&builder.finish());
    let distribution = atom.distribution(&[]).unwrap();
    let curve = distribution.curve(&[-0.0, 0.0, 1.0]).unwrap();
    assert_eq!((&curve.pdf[..], &curve.cdf[..]), (&[0.0; 3][..], &[1.0; 3][..]));
    assert!(positive(&curve.pdf) && positive(&curve.survival), "{curve:?}");
    let plan = plan(&erlang(2));
    let distribution = plan.distribution(&[1.0]).unwrap();
    assert_eq!(distribution.curve(&[-0.0]).unwrap(), distribution.curve(&[0.0]).unwrap());
    assert!(positive(&distribution.quantile(&[-0.0]).unwrap()));
    assert_eq!(distribution.laplace(&[-0.0]).unwrap(), [1.0]);
}

#[test]
fn what_an_epoch_lacks_is_told_with_its_number() {
    let plan = plan(&erlang(1));
    let refused = plan.epochs(&[1.0], &[[1.0], [-1.0]]).unwrap_err();
    assert!(matches!(refused, DistributionError::Epoch { epoch: 1, .. }), "{refused:?}");
    assert!(refused.to_string().starts_with("in epoch 1 (counted from 0): "), "{refused}");
}

/// Density, distribution function and survival of an Erlang time by their series.
fn erlang_values(phases: i32, rate: f64, time: f64) -> [f64; 3] {
    let x = rate * time;
    let mut weight = (-x).exp();
    let mut weights = vec![weight];
    for k in 1..phases + 400 {
        weight *= x / f64::from(k);
        weights.push(weight);
    }
    let (left, right) = weights.split_at(phases.unsigned_abs() as usize);
    let survival = left.iter().sum::<f64>();
    let below = right.iter().rev().sum::<f64>();
    [rate * left[left.len() - 1], if below < 0.5 { below } else { 1.0 - survival }, survival]
}

#[test]
fn a_question_that_takes_more_jumps_than_allowed_is_refused() {
    let plan = plan(&erlang(2000));
    let narrow = plan.distribution(&[1000.0]).unwrap().with_jump_limit(200);
    let refused =
        |error| matches!(error, DistributionError::Jumps { limit: 200, rate, .. } if rate >= 1000.0);
    assert!(refused(narrow.cdf(&[10.0]).unwrap_err()));
    assert!(narrow.cdf(&[0.01]).is_ok());
    let likelihood = plan.likelihood(&[10.0]).unwrap().with_jump_limit(200);
    assert!(refused(likelihood.value(&[1000.0]).unwrap_err()));
}

#[test]
fn an_erlang_time_has_its_density() {
    for (phases, rate) in [(1, 0.5), (4, 2.0), (50, 20.0)] {
        let plan = plan(&erlang(phases));
        let distribution = plan.distribution(&[rate]).unwrap();
        let mean = f64::from(phases) / rate;
        let times: Vec<f64> = (1..=40).map(|k| 0.1 * f64::from(k) * mean).collect();
        let curve = distribution.curve(&times).unwrap();
        let tails = distribution.curve_with(&times, curve::Accuracy::Value).unwrap();
        for (at, &time) in times.iter().enumerate() {
            let [density, below, survival] = erlang_values(phases, rate, time);
            assert!((curve.pdf[at] - density).abs() < 1e-13, "{phases} {time}: {} {density}", curve.pdf[at]);
            assert!((curve.cdf[at] - below).abs() < 1e-13, "{phases} {time}: {} {below}", curve.cdf[at]);
            assert!(
                (tails.pdf[at] / density - 1.0).abs() < 1e-11,
                "{phases} {time}: {} {density}",
                tails.pdf[at]
            );
            let alive = tails.survival[at];
            assert!((alive / survival - 1.0).abs() < 1e-11, "{phases} {time}: {alive} {survival}");
            assert!((curve.cdf[at] + curve.survival[at] - 1.0).abs() < 1e-14);
        }
    }
}

#[test]
fn quantiles_are_where_the_distribution_function_gets_there() {
    let plan = plan(&erlang(4));
    let distribution = plan.distribution(&[2.0]).unwrap();
    let asked = [0.5, 1e-12, 0.0, 1.0 - 1e-12, 0.9, 1.0, 0.5];
    let times = distribution.quantile(&asked).unwrap();
    assert_eq!((times[2], times[5], times[0] == times[6]), (0.0, f64::INFINITY, true));
    let cdf = distribution.cdf(&times).unwrap();
    for (&found, wanted) in cdf.iter().zip(asked) {
        assert!((found - wanted).abs() < 1e-15 + 1e-14 * wanted.min(1.0 - wanted), "{found} {wanted}");
    }
    assert!((cdf[1] / 1e-12 - 1.0).abs() < 1e-10, "{}", cdf[1]);
    let error = distribution.quantile(&[0.5, 1.5]).unwrap_err();
    assert_eq!(error, DistributionError::Probability { index: 1, value: 1.5 });
}

/// Starts in the first of three phases with 0.5, at the end with 0.25, and not at all with 0.25.
fn defective() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    for phase in 1..=4 {
        builder.add_vertex(&[phase]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(START, 4, Rate::Scalar(0.25)).unwrap();
    for phase in 1..=3 {
        builder.add_edge(phase, phase + 1, Rate::Coefficients(&[1.0])).unwrap();
    }
    builder.finish()
}

#[test]
fn a_defective_start_is_as_given_or_conditional_and_says_so() {
    let plan = plan(&defective());
    let given = plan.distribution(&[1.0]).unwrap();
    let times = [f64::INFINITY, 0.0, 2.0];
    let whole = plan.distribution(&[1.0]).unwrap().start(Start::Conditional).unwrap();
    let (given_curve, curve) = (given.curve(&times).unwrap(), whole.curve(&times).unwrap());
    for at in 0..3 {
        assert!((given_curve.cdf[at] / 0.75 - curve.cdf[at]).abs() < 1e-15);
        assert!((given_curve.pdf[at] / 0.75 - curve.pdf[at]).abs() < 1e-15);
        assert!((given_curve.survival[at] + given_curve.cdf[at] - 1.0).abs() < 1e-15);
    }
    assert_eq!((given_curve.cdf[0], given_curve.cdf[1]), (0.75, 0.25));
    assert_eq!(given.quantile(&[0.2, 0.8]).unwrap(), [0.0, f64::INFINITY]);
    assert_eq!(given.expectation().unwrap(), whole.expectation().unwrap());
    assert!((given.laplace(&[1.0]).unwrap()[0] - (0.25 + 0.5 / 8.0)).abs() < 1e-15);
    assert!((whole.laplace(&[1.0]).unwrap()[0] - (0.25 + 0.5 / 8.0) / 0.75).abs() < 1e-15);
}

#[test]
fn states_and_visits_of_a_row_of_phases_are_poisson() {
    let plan = plan(&erlang(3));
    let distribution = plan.distribution(&[2.0]).unwrap();
    let times = [1.0, f64::INFINITY, 0.0, 0.25];
    let states = distribution.stop_probability(&times).unwrap();
    let visited = distribution.accumulated_visiting_time(&times).unwrap();
    for (row, &time) in times.iter().enumerate().filter(|(_, time)| time.is_finite()) {
        for phase in 1..=3 {
            let [density, below, _] = erlang_values(phase, 2.0, time);
            let column = phase.unsigned_abs() as usize;
            assert!((states[[row, column]] - density / 2.0).abs() < 1e-15);
            assert!((visited[[row, column]] - below / 2.0).abs() < 1e-15);
        }
    }
    assert_eq!(states.row(1).sum(), 0.0);
    assert!((visited.row(1).sum() - 1.5).abs() < 1e-14);
}

#[test]
fn bad_times_are_named() {
    let plan = plan(&erlang(1));
    let distribution = plan.distribution(&[1.0]).unwrap();
    assert_eq!(
        distribution.pdf(&[1.0, -1.0]).unwrap_err(),
        DistributionError::Time { index: 1, value: -1.0 }
    );
    assert!(matches!(distribution.cdf(&[f64::NAN]), Err(DistributionError::Time { index: 0, .. })));
    assert!(distribution.pdf(&[]).unwrap().is_empty());
    assert_eq!(distribution.pdf(&[0.0, 0.0]).unwrap(), [1.0, 1.0]);
}

#[test]
fn likelihoods_and_hazards_keep_their_digits_however_little_is_left() {
    // The sum of exponential times of the rates 1 and 2: f(t) = 2(e^−t − e^−2t).
    let edges = [(1, 2, [1.0, 0.0]), (2, 3, [0.0, 1.0])];
    let mut builder = GraphBuilder::new(1).unwrap();
    for state in 1..=3 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (from, to, rate) in edges {
        builder.add_edge(from, to, Rate::Coefficients(&rate)).unwrap();
    }
    let plan = plan(&builder.finish());
    let distribution = plan.distribution(&[1.0, 2.0]).unwrap();
    for t in [250.0, 300.0, 350.0, 400.0, 500.0, 560.0_f64] {
        let (value, gradient) = plan.likelihood(&[t]).unwrap().value_and_gradient(&[1.0, 2.0]).unwrap();
        assert!((value - (2.0_f64.ln() - t)).abs() < 1e-10, "{t}: {value}");
        // Of ln(ab/(b − a)) − at.
        assert!(
            (gradient[0] - (2.0 - t)).abs() < 1e-8 && (gradient[1] + 0.5).abs() < 1e-8,
            "{t}: {gradient:?}"
        );
        let survival = distribution.survival(&[t]).unwrap()[0];
        assert!((survival / (2.0 * (-t).exp()) - 1.0).abs() < 1e-11, "{t}: {survival:e}");
        assert!((distribution.hazard(&[t]).unwrap()[0] - 1.0).abs() < 1e-11, "{t}");
    }
}

#[test]
fn the_reward_vector_that_does_not_fit_is_named() {
    let (continuous, mut discrete) = (erlang(1), erlang(1).discretize(0.5).unwrap());
    discrete = discrete
        .normalize_discrete(&discrete.weights(&[0.25, 1.0]).unwrap(), GraphLimits::default())
        .unwrap()
        .0;
    let (one, other) = (plan(&continuous), plan(&discrete));
    let (law, jumps) = (one.distribution(&[1.0]).unwrap(), other.jumps(&[1.0]).unwrap());
    let epochs = one.epochs(&[1.0], &[[1.0], [2.0]]).unwrap();
    let wrong = EvaluationError::RewardNotFinite { vertex: 1, value: f64::INFINITY };
    let named = |index: usize, error: EvaluationError| {
        let error = Box::new(DistributionError::Evaluation(error));
        DistributionError::Reward { index, error }
    };
    let (fit, unfit) = ([0.0, 1.0, 0.0], [0.0, f64::INFINITY, 0.0]);
    assert_eq!(law.covariance(&fit, &unfit).unwrap_err(), named(1, wrong.clone()));
    assert_eq!(law.covariance_matrix(&[fit, fit, unfit]).unwrap_err(), named(2, wrong.clone()));
    assert_eq!(law.correlation(&unfit, &fit).unwrap_err(), named(0, wrong.clone()));
    assert_eq!(epochs.covariance(&fit, &unfit).unwrap_err(), named(1, wrong.clone()));
    let refused = one.sampler(&[1.0]).unwrap().joint_totals(1, 2, &[&fit, &unfit]).unwrap_err();
    assert_eq!(refused, SamplingError::Distribution(named(1, wrong)));
    assert_eq!(
        refused.to_string(),
        "reward vector 1 (counted from 0): the reward of vertex 1 is inf; rewards must be finite"
    );
    let long = vec![1.0; 9];
    let length = EvaluationError::RewardLength { expected: other.vertex_count() as usize, found: 9 };
    assert_eq!(jumps.covariance(&[], &long).unwrap_err(), named(1, length));
}

#[test]
fn a_correlation_is_never_beyond_one() {
    let plan = plan(&erlang(3));
    let law = plan.distribution(&[1.0]).unwrap();
    for size in 1..200 {
        let rewards: Vec<f64> = (0..5).map(|v| f64::from(v) * 0.1 + f64::from(size) / 7.0).collect();
        let minus: Vec<f64> = rewards.iter().map(|reward| -3.0 * reward).collect();
        let found = law.correlation(&rewards, &minus).unwrap();
        assert!((-1.0..=-1.0 + 1e-14).contains(&found), "{size}: {found}");
    }
}

#[test]
fn more_moments_than_anybody_wants_are_refused() {
    let plan = plan(&erlang(1));
    let law = plan.distribution(&[1.0]).unwrap();
    let refused = DistributionError::MomentCount { count: usize::MAX, limit: 1000 };
    assert_eq!(law.moments(usize::MAX), Err(refused.clone()));
    assert_eq!(law.reward_moments(&[0.0; 3], usize::MAX), Err(refused.clone()));
    assert_eq!(law.reward_moments(&[0.0; 3], 1000).unwrap(), vec![0.0; 1000]);
    let epochs = plan.epochs(&[1.0], &[[1.0], [2.0]]).unwrap();
    assert_eq!(epochs.moments(usize::MAX), Err(refused.clone()));
    assert_eq!(epochs.reward_moments(&[1.0; 3], usize::MAX), Err(refused));
}

#[test]
fn densities_go_on_falling_when_everything_is_gone() {
    let plan = plan(&erlang(1));
    let distribution = plan.distribution(&[1.0]).unwrap();
    let pdf = distribution.pdf(&[50.0, 100.0, 1000.0]).unwrap();
    assert!(pdf.windows(2).all(|pair| pair[1] < pair[0]) && pdf[2] < 1e-40, "{pdf:?}");
}

#[test]
fn variances_beyond_floating_point_numbers_are_refused() {
    let plan = plan(&erlang(1));
    for rate in [1e-300, 1e300] {
        let refused = plan.distribution(&[rate]).unwrap().variance();
        assert_eq!(refused, Err(DistributionError::MomentRange { order: 2 }));
    }
    // phasic reads beyond the end of an empty reward vector.
    let distribution = plan.distribution(&[2.0]).unwrap();
    let covariance = distribution.covariance(&[], &[0.0, 3.0, 0.0]).unwrap();
    assert!((covariance - 0.75).abs() < 1e-15, "{covariance}");
}

#[test]
fn the_variance_of_a_time_long_after_zero_does_not_cancel() {
    let plan = plan(&erlang(2));
    let variance = plan.epochs(&[1e9], &[[0.0], [1.0]]).unwrap().variance().unwrap();
    assert!((variance - 2.0).abs() < 1e-12, "{variance}");
}
