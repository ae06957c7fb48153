use proptest::prelude::*;

use super::super::random_graphs::{close, pushed, recipe};
use super::*;
use crate::distribution::{MatrixOptions, SparseMatrix, graph_from_matrices};
use crate::graph::{Graph, GraphBuilder, Rate};
use crate::plan::{EvaluationError, Limits};

fn plan(graph: &Graph) -> Plan {
    Plan::analyze(graph, &Limits::default()).unwrap()
}

/// Negative binomial: `stages` successes of probability `p`, as many trials as it takes.
fn negative_binomial(stages: usize, p: f64) -> Graph {
    let mut entries = Vec::new();
    for stage in 0..stages {
        entries.push((stage, stage, 1.0 - p));
        if stage + 1 < stages {
            entries.push((stage, stage + 1, p));
        }
    }
    let transient = SparseMatrix::from_entries(stages, stages, entries).unwrap();
    let mut initial = vec![0.0; stages];
    initial[0] = 1.0;
    graph_from_matrices(&initial, &transient, &MatrixOptions::default().discrete()).unwrap()
}

fn binomial(n: u64, k: u64) -> f64 {
    (1..=k).map(|i| (n - k + i) as f64 / i as f64).product()
}

#[test]
fn a_negative_binomial_number_of_trials_has_its_known_law() {
    let (stages, p) = (4_u64, 0.3_f64);
    let plan = plan(&negative_binomial(4, p));
    let jumps = plan.jumps(&[1.0]).unwrap();
    let numbers: Vec<u64> = (0..200).rev().collect();
    let known = jumps.probabilities(&numbers).unwrap();
    for (&n, known) in numbers.iter().zip(&known) {
        let exact = if n < stages {
            0.0
        } else {
            binomial(n - 1, stages - 1) * p.powi(4) * (1.0 - p).powi((n - stages) as i32)
        };
        assert!(close(known.pmf, exact, 1e-12), "{n}: {} {exact}", known.pmf);
        assert!((known.cdf + known.survival - 1.0).abs() < 1e-14);
    }
    let r = stages as f64;
    assert!(close(jumps.expectation().unwrap(), r / p, 1e-14));
    assert!(close(jumps.variance().unwrap(), r * (1.0 - p) / (p * p), 1e-13));
    // The survival function keeps its digits far out, where 1 − F has none left.
    let far = jumps.survival(&[1000]).unwrap()[0];
    let exact: f64 =
        (0..4).map(|k| binomial(1000, k) * p.powi(k as i32) * (1.0 - p).powi(1000 - k as i32)).sum();
    assert!(close(far, exact, 1e-11), "{far:e} {exact:e}");
}

#[test]
fn factorial_moments_of_a_geometric_number_are_known() {
    let q = 0.75_f64;
    let plan = plan(&negative_binomial(1, 1.0 - q));
    let jumps = plan.jumps(&[1.0]).unwrap();
    let mut exact = 1.0 / (1.0 - q);
    for (order, found) in (1..).zip(jumps.factorial_moments(20).unwrap()) {
        // k! q^(k−1)/(1−q)^k: the 13th and later ones are where phasic's factorial overflows.
        assert!(close(found, exact, 1e-13), "{order}: {found} {exact}");
        exact *= f64::from(order + 1) * q / (1.0 - q);
    }
    let beyond = jumps.factorial_moments(200);
    assert!(matches!(beyond, Err(DistributionError::MomentRange { order: 100..=170 })), "{beyond:?}");
    assert!(matches!(jumps.moments(200), Err(DistributionError::MomentRange { .. })));
}

#[test]
fn quantiles_are_the_first_numbers_that_reach_them() {
    let jumps_plan = plan(&negative_binomial(1, 0.5));
    let jumps = jumps_plan.jumps(&[1.0]).unwrap();
    let found = jumps.quantile(&[0.999, 0.0, 0.5, 0.75, 0.750_001, 1.0]).unwrap();
    assert_eq!(found, [10, 0, 1, 2, 3, u64::MAX]);
    // 1 − 2⁻⁵³ is the largest number below 1.
    assert_eq!(jumps.quantile(&[1.0 - f64::EPSILON / 2.0]).unwrap(), [53]);
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    let v: Vec<u32> = (0..4).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    for pair in [(START, v[0]), (v[0], v[1]), (v[1], v[2]), (v[2], v[3])] {
        builder.add_edge(pair.0, pair.1, Rate::Scalar(2.0)).unwrap();
    }
    let line = plan(&builder.finish());
    assert_eq!(line.jumps(&[1.0]).unwrap().quantile(&[1.0, 0.1]).unwrap(), [3, 3]);
}

use crate::graph::START;

#[test]
fn rounding_does_not_decide_a_quantile() {
    // Uniform on 1, …, 10.
    let entries = (0..9).map(|at| (at, at + 1, 1.0 - 1.0 / (10 - at) as f64));
    let transient = SparseMatrix::from_entries(10, 10, entries.collect::<Vec<_>>()).unwrap();
    let mut initial = vec![0.0; 10];
    initial[0] = 1.0;
    let uniform = graph_from_matrices(&initial, &transient, &MatrixOptions::default().discrete()).unwrap();
    let plan = plan(&uniform);
    let tenths: Vec<f64> = (1..=9).map(|k| f64::from(k) / 10.0).collect();
    assert_eq!(plan.jumps(&[1.0]).unwrap().quantile(&tenths).unwrap(), (1..=9).collect::<Vec<u64>>());
}

#[test]
fn questions_that_have_no_answer_are_refused() {
    let graph = negative_binomial(2, 0.5);
    let plan_ = plan(&graph);
    let jumps = plan_.jumps(&[1.0]).unwrap().with_jump_limit(100);
    let beyond = DistributionError::JumpLimit { index: 1, limit: 100 };
    assert_eq!(jumps.pmf(&[100, 101]).unwrap_err(), beyond);
    assert_eq!(
        jumps.quantile(&[0.5, 1.0 - 1e-40, 0.9, -0.1]).unwrap_err(),
        DistributionError::Probability { index: 3, value: -0.1 }
    );
    let slow = plan(&negative_binomial(1, 1e-3));
    let limited = slow.jumps(&[1.0]).unwrap().with_jump_limit(100);
    assert_eq!(
        limited.quantile(&[0.01, 0.5]).unwrap_err(),
        DistributionError::JumpLimit { index: 1, limit: 100 }
    );
    assert!(matches!(
        plan_.jumps(&[]).unwrap_err(),
        DistributionError::Evaluation(EvaluationError::ThetaLength { .. })
    ));
    assert_eq!(plan_.distribution(&[1.0]).unwrap_err(), DistributionError::DiscreteTime);
    let mut builder = GraphBuilder::new(1).unwrap();
    let (a, b) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, a, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(a, b, Rate::Scalar(1.0)).unwrap();
    assert_eq!(plan(&builder.finish()).jumps(&[1.0]).unwrap_err(), DistributionError::ContinuousTime);
    let short = jumps.reward_moments(&[1.0], 2).unwrap_err();
    assert!(matches!(short, DistributionError::Evaluation(EvaluationError::RewardLength { .. })));
}

#[test]
fn probabilities_next_to_nothing_have_a_likelihood_and_no_zero_is_negative() {
    // One jump more divides the probability by 1e5; 63 are beyond what f64 holds with all digits.
    let plan_ = plan(&negative_binomial(1, 1.0 - 1e-5));
    let (value, gradient) = plan_.jump_likelihood(&[63], &[]).unwrap().value_and_gradient(&[1.0]).unwrap();
    let wanted = 62.0 * 1e-5_f64.ln() + (-1e-5_f64).ln_1p();
    assert!((value / wanted - 1.0).abs() < 1e-11, "{value} {wanted}");
    // All weights are multiples of the only parameter.
    assert!(gradient.iter().all(|slope| slope.abs() < 1e-9), "{gradient:?}");
    let large = [0.0, 1e200, 1e200, 0.0];
    let refused = plan_.jumps(&[1.0]).unwrap().covariance(&large, &large).unwrap_err();
    assert_eq!(refused, DistributionError::CovarianceRange { first: 0, second: 1 });
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    let off = builder.add_vertex(&[0]).unwrap();
    builder.add_edge(START, off, Rate::Scalar(1.0)).unwrap();
    let atom = plan(&builder.finish());
    let survival = atom.jumps(&[]).unwrap().survival(&[0, 1]).unwrap();
    assert!(survival.iter().all(|alive| *alive == 0.0 && alive.is_sign_positive()), "{survival:?}");
}

#[test]
fn a_trap_keeps_its_mass_and_has_no_quantiles() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (0..3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    for (from, to) in [(START, v[0]), (v[0], v[1]), (v[0], v[2]), (v[1], v[2])] {
        let rate = if from == v[1] { 0.0 } else { 1.0 };
        builder.add_edge(from, to, Rate::Coefficients(&[rate])).unwrap();
    }
    let trapped = builder.finish().discretize(0.5).unwrap();
    // At this θ nothing leads away from the second vertex.
    let trapped = plan(&trapped);
    let jumps = trapped.jumps(&[1.0, 0.0]).unwrap();
    assert_eq!(jumps.survival(&[0, 1, 50]).unwrap(), [1.0, 0.5, 0.5]);
    assert!(matches!(
        jumps.quantile(&[0.4]).unwrap_err(),
        DistributionError::Evaluation(EvaluationError::Trapped { .. })
    ));
    assert!(jumps.expectation().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_number_agrees_with_sums_over_the_law(
        recipe in recipe(1..=5),
        returns in prop::collection::vec((0..5_usize, 0.1..2.0_f64), 0..3),
    ) {
        let graph = recipe.with_returns(true, &returns);
        let law = pushed(&graph, 4000);
        prop_assume!((law.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        let plan = plan(&graph);
        let jumps = plan.jumps(&[1.0]).unwrap();
        for (j, found) in jumps.pmf(&(0..40).collect::<Vec<_>>()).unwrap().into_iter().enumerate() {
            prop_assert!((found - law[j]).abs() < 1e-14);
        }
        let mean_of = |f: &dyn Fn(f64) -> f64| law.iter().enumerate().map(|(j, p)| p * f(j as f64)).sum::<f64>();
        let mean = mean_of(&|j| j);
        prop_assert!(close(jumps.expectation().unwrap(), mean, 1e-11));
        let variance = mean_of(&|j| (j - mean) * (j - mean));
        prop_assert!((jumps.variance().unwrap() - variance).abs() < 1e-10 * (variance + 1e-3 * mean * mean));
        for (power, found) in (1..).zip(jumps.moments(4).unwrap()) {
            prop_assert!(close(found, mean_of(&|j| j.powi(power)), 1e-9));
        }
        for (order, found) in (1..).zip(jumps.factorial_moments(4).unwrap()) {
            let falling = |j: f64| (0..order).map(|i| j - f64::from(i)).product::<f64>();
            prop_assert!((found - mean_of(&falling)).abs() <= 1e-9 * found.abs() + 1e-12);
        }
        // Visits up to the end are the times of the plan; the states sum to what is alive.
        let visits = jumps.accumulated_visits(&[0, 4000]).unwrap();
        prop_assert!(close(visits.row(1).sum(), mean, 1e-10));
        let state = jumps.stop_probability(&[3, 0]).unwrap();
        prop_assert!((state.row(0).sum() - (1.0 - law[..4].iter().sum::<f64>())).abs() < 1e-13);
        prop_assert_eq!(state.row(1), visits.row(0));
    }

    #[test]
    fn moments_of_rewards_are_those_of_paths(recipe in recipe(1..=4), rewards in prop::collection::vec(0.0..3.0_f64, 6)) {
        // Rewards that are multiples of a unit go through the law of the transform; here: mean, variance, and the
        // third moment of R + R, which is eight times that of R.
        let graph = recipe.graph(true);
        let plan = plan(&graph);
        let jumps = plan.jumps(&[1.0]).unwrap();
        let list = &rewards[..recipe.vertex_count()];
        let moments = jumps.reward_moments(list, 3).unwrap();
        let rewarded = jumps.rewarded(list).unwrap();
        prop_assert!(close(moments[0], rewarded.expectation(), 1e-13));
        let second = rewarded.variance() + moments[0] * moments[0];
        prop_assert!(close(moments[1], second, 1e-11));
        let doubled: Vec<f64> = list.iter().map(|r| 2.0 * r).collect();
        prop_assert!(close(jumps.reward_moments(&doubled, 3).unwrap()[2], 8.0 * moments[2], 1e-13));
        prop_assert!(close(jumps.covariance(list, &doubled).unwrap(), 2.0 * rewarded.variance(), 1e-10));
    }
}

/// Stages of a negative binomial number: visits of each are geometric and independent, so covariances are sums of products.
#[test]
fn correlations_visits_and_hazards_in_discrete_time_are_known() {
    let (stages, p) = (3_usize, 0.25_f64);
    let plan = plan(&negative_binomial(stages, p));
    let jumps = plan.jumps(&[1.0]).unwrap();
    // A stage is two vertices that hand the stay to each other: 1, 2, 3 and their twins after the absorbing one.
    let in_stage = |worth: [f64; 3]| {
        let mut rewards = vec![0.0; plan.vertex_count() as usize];
        for (stage, reward) in worth.into_iter().enumerate() {
            (rewards[1 + stage], rewards[5 + stage]) = (reward, reward);
        }
        rewards
    };
    let lists = [[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1e-200], [1.0, -1.0, 1.0]];
    let rewards: Vec<Vec<f64>> = lists.iter().map(|&worth| in_stage(worth)).collect();
    let unit = (1.0 - p) / (p * p);
    let exact = |a: usize, b: usize| unit * (0..3).map(|k| lists[a][k] * lists[b][k]).sum::<f64>();
    // Correlations do not depend on units.
    let units = [lists[0], lists[1], [0.0, 0.0, 1.0], lists[3]];
    let of_units = |a: usize, b: usize| (0..3).map(|k| units[a][k] * units[b][k]).sum::<f64>();
    let correlations = jumps.correlation_matrix(&rewards).unwrap();
    for a in 0..4 {
        for b in 0..4 {
            let wanted = of_units(a, b) / (of_units(a, a) * of_units(b, b)).sqrt();
            assert!(
                (correlations[[a, b]] - wanted).abs() < 1e-13,
                "{a} {b}: {} {wanted}",
                correlations[[a, b]]
            );
        }
    }
    let some = [&rewards[0], &rewards[1], &rewards[3]];
    let matrix = jumps.covariance_matrix(&some).unwrap();
    for (i, a) in [0, 1, 3].into_iter().enumerate() {
        for (j, b) in [0, 1, 3].into_iter().enumerate() {
            assert!((matrix[[i, j]] - exact(a, b)).abs() < 1e-10, "{a} {b}: {}", matrix[[i, j]]);
            assert!((matrix[[i, j]] - jumps.covariance(some[i], some[j]).unwrap()).abs() < 1e-11);
        }
    }
    let refused = jumps.covariance_matrix(&rewards).unwrap_err();
    assert_eq!(refused, DistributionError::CovarianceRange { first: 2, second: 2 });
    let constant = in_stage([0.0; 3]);
    let refused = jumps.correlation(&rewards[0], &constant).unwrap_err();
    assert_eq!(refused, DistributionError::NoVariance { index: 1 });
    // Each stage takes 1/p visits, half of them but for the odd one in its first vertex.
    let visits = jumps.sojourn_times().unwrap();
    for stage in 0..3 {
        let both = jumps.sojourn_times_of(&[1 + stage, 5 + stage]).unwrap();
        assert!(close(both.iter().sum::<f64>(), 1.0 / p, 1e-14));
        assert_eq!(both, [visits[1 + stage as usize], visits[5 + stage as usize]]);
        let left = jumps.waiting_times().unwrap()[1 + stage as usize];
        assert!(close(left, (3.0 - f64::from(stage)) / p, 1e-14), "{left}");
    }
    let waiting = jumps.waiting_times().unwrap();
    assert_eq!(jumps.waiting_times_of(&[2, 0]).unwrap(), [waiting[2], waiting[0]]);
    assert!(matches!(
        jumps.waiting_times_of(&[99]),
        Err(DistributionError::Vertex { index: 0, vertex: 99, .. })
    ));
    let refused = jumps.sojourn_times_of(&[1, 99]).unwrap_err();
    assert_eq!(refused, DistributionError::Vertex { index: 1, vertex: 99, vertices: plan.vertex_count() });
    // A geometric number forgets: its hazard is p.
    let forgetful = super::tests::plan(&negative_binomial(1, p));
    let hazard = forgetful.jumps(&[1.0]).unwrap().hazard(&[5, 1, 0, 300]).unwrap();
    for (found, wanted) in hazard.into_iter().zip([p, p, 0.0, p]) {
        assert!((found - wanted).abs() < 1e-14, "{found} {wanted}");
    }
}

#[test]
fn tiny_rewards_are_no_zeros_and_no_rewards_are_ones() {
    let plan = plan(&negative_binomial(2, 0.25));
    let jumps = plan.jumps(&[1.0]).unwrap();
    let beyond = |order: usize| Err(DistributionError::MomentRange { order });
    for size in [1e-200, 1e200] {
        let [rewards, other] = [size, 1.0 / size].map(|reward| vec![reward; plan.vertex_count() as usize]);
        assert_eq!(jumps.reward_variance(&rewards), beyond(2));
        let beyond_pair = Err(DistributionError::CovarianceRange { first: 0, second: 1 });
        assert_eq!(jumps.covariance(&rewards, &rewards), beyond_pair);
        assert_eq!(jumps.reward_moments(&rewards, 2).map(|_| 0.0), beyond(2));
        assert!(close(jumps.reward_moments(&rewards, 1).unwrap()[0], 8.0 * size, 1e-14));
        // Of a large and a small one.
        assert!(close(jumps.covariance(&rewards, &other).unwrap(), 24.0, 1e-13));
    }
    assert_eq!(jumps.covariance(&[], &[]).unwrap(), jumps.variance().unwrap());
    assert_eq!(jumps.moments(100).unwrap().len(), 100);
    assert!(matches!(jumps.moments(1000), Err(DistributionError::MomentRange { .. })));
    let refused = DistributionError::MomentCount { count: usize::MAX, limit: 1000 };
    assert_eq!(jumps.moments(usize::MAX), Err(refused.clone()));
    assert_eq!(jumps.factorial_moments(usize::MAX), Err(refused));
}

/// One jump for certain: all moments are 1, though binomial coefficients are large.
#[test]
fn as_many_moments_as_there_may_be_are_right() {
    let plan = plan(&negative_binomial(1, 1.0));
    let jumps = plan.jumps(&[1.0]).unwrap();
    assert_eq!(jumps.moments(1000).unwrap(), vec![1.0; 1000]);
}

#[test]
fn the_number_whose_gradient_takes_too_much_memory_is_named() {
    let plan = plan(&negative_binomial(2000, 0.25));
    let jumps = plan.jumps(&[1.0]).unwrap();
    let refused = |index| DistributionError::JumpTrailMemory {
        index,
        jumps: 90_000_000,
        bytes: (4 * 90_000_000_u64.isqrt() + 2) * 8 * jumps.chain.len() as u64,
        limit_bytes: 1 << 30,
    };
    assert_eq!(jumps.cdf_gradient(&[2, 90_000_000]).unwrap_err(), refused(1));
    let likelihood = plan.jump_likelihood(&[3, 4], &[5, 90_000_000]).unwrap();
    assert_eq!(likelihood.value_and_gradient(&[1.0]).unwrap_err(), refused(3));
}

#[test]
fn a_number_beyond_the_limit_is_named_by_its_place_among_the_observations() {
    let plan = plan(&negative_binomial(2, 0.25));
    let limit = 100;
    for (observed, censored, index) in [(vec![300, 2], vec![], 0), (vec![2, 7], vec![5, 300], 3)] {
        let likelihood = plan.jump_likelihood(&observed, &censored).unwrap().with_jump_limit(limit);
        assert_eq!(likelihood.value(&[1.0]).unwrap_err(), DistributionError::JumpLimit { index, limit });
    }
}

#[test]
fn slopes_by_weights_of_zero_go_on_where_all_mass_has_gone() {
    // Out at once; or, with a weight of 0, by two more positions, or round two others that are left one time in two.
    for (round, hidden) in [(false, [3_u64, 3]), (true, [2, u64::MAX])] {
        let mut builder = GraphBuilder::new(1).unwrap();
        for state in [1, 2, 3, 0] {
            builder.add_vertex(&[state]).unwrap();
        }
        builder.set_was_dph(true);
        builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
        let mut edges = vec![
            (1, 4, [1.0, 0.0, 0.0]),
            (1, 2, [0.0, 1.0, 0.0]),
            (2, 3, [0.0, 0.0, 1.0]),
            (3, 4, [0.0, 0.0, 1.0]),
        ];
        if round {
            edges.extend([(2, 4, [0.0, 0.0, 1.0]), (3, 2, [0.0, 0.0, 1.0])]);
        }
        for (from, to, weight) in edges {
            builder.add_edge(from, to, Rate::Coefficients(&weight)).unwrap();
        }
        let plan = plan(&builder.finish());
        let jumps = plan.jumps(&[1.0, 0.0, 1.0]).unwrap();
        let numbers = [1, 2, 3, 4, 9, 40, 100_000_000];
        // Of those that take the other way, as many are out after the first jump as after each of the next.
        let mass = |n: u64| match round {
            false => f64::from(u8::from(n == hidden[0])),
            true if n >= hidden[0] => 0.5_f64.powi((n - 1).min(1_000) as i32),
            true => 0.0,
        };
        let pmf = jumps.pmf_gradient(&numbers).unwrap().1;
        let cdf = jumps.cdf_gradient(&numbers).unwrap().1;
        let survival = jumps.survival_gradient(&numbers).unwrap().1;
        for (place, &n) in numbers.iter().enumerate() {
            let later: f64 = (1..=n.min(200)).map(mass).sum();
            let wanted = [mass(n) - f64::from(u8::from(n == 1)), later - 1.0, 1.0 - later];
            for (found, wanted) in [&pmf, &cdf, &survival].map(|slopes| slopes[[place, 1]]).iter().zip(wanted)
            {
                assert!((found - wanted).abs() < 1e-15, "{n} jumps, {round}: {found} instead of {wanted}");
            }
        }
    }
}

#[test]
fn small_stays_keep_their_digits() {
    // Out, or once in a long while back to the start.
    for small in [1e-10, 1e-13, 1e-17, 1e-200] {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (at, out) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        builder.set_was_dph(true);
        builder.add_edge(START, at, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(at, out, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(at, START, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        let plan = plan(&builder.finish());
        let survival = plan.jumps(&[1.0, small]).unwrap().survival(&[1, 2, 3]).unwrap();
        let stay = small / (1.0 + small);
        assert!(close(survival[0], stay, 1e-15) && close(survival[1], stay * stay, 1e-15), "{survival:?}");
    }
}
