use super::super::stiff::exact;
use super::super::tests::{cycle, erlang, plan};
use super::super::{DistributionError, Start};
use crate::graph::{GraphBuilder, Rate, START};

pub(super) const THETAS: [[f64; 2]; 2] = [[3.0, 0.5], [1.0, 4.0]];

fn edges([back, out]: [f64; 2]) -> [(u32, u32, f64); 3] {
    [(1, 2, back), (2, 1, back), (2, 3, out)]
}

/// State probabilities at a time of two epochs that meet at 0.8, by matrix exponentials.
fn state(time: f64) -> Vec<f64> {
    let (before, _) = exact(3, 1, &edges(THETAS[0]), time.min(0.8));
    if time <= 0.8 {
        return before;
    }
    let mut after = [1, 2].map(|from| exact(3, from, &edges(THETAS[1]), time - 0.8).0);
    after.iter_mut().zip(&before).for_each(|(row, mass)| row.iter_mut().for_each(|slot| *slot *= mass));
    let mut state: Vec<f64> = after[0].iter().zip(&after[1]).map(|(a, b)| a + b).collect();
    state[2] += before[2];
    state
}

#[test]
fn hazards_and_quantiles_follow_the_epochs() {
    let plan = plan(&cycle());
    let epochs = plan.epochs(&[0.8], &THETAS).unwrap();
    let times = [0.5, 1.7, 30.0];
    for (&time, found) in times.iter().zip(epochs.hazard(&times).unwrap()) {
        let state = state(time);
        let out = THETAS[usize::from(time > 0.8)][1];
        assert!((found / (out * state[1] / (state[0] + state[1])) - 1.0).abs() < 1e-11, "{time}: {found}");
    }
    let shares = [0.9, 0.01, 0.0, 1.0, 1.0 - 1e-12, 1e-9];
    let found = epochs.quantile(&shares).unwrap();
    assert_eq!((found[2], found[3]), (0.0, f64::INFINITY));
    for (&share, &time) in shares.iter().zip(&found).filter(|(share, _)| **share > 0.0 && **share < 1.0) {
        let state = state(time);
        let (wrong, scale) = ((state[2] - share).abs(), share.min(1.0 - share));
        assert!(wrong <= 1e-12 * scale + 1e-16, "{share}: {time} {wrong:e}");
    }
    assert!(found[1] < 0.8 && found[0] > 0.8, "{found:?}");
    let refused = epochs.quantile(&[0.5, f64::NAN]).unwrap_err();
    assert!(matches!(refused, DistributionError::Probability { index: 1, .. }), "{refused:?}");
    // Nothing leaves in the last epoch.
    let closed = plan.epochs(&[0.8], &[[1.0, 1.0], [1.0, 0.0]]).unwrap();
    assert!(matches!(closed.quantile(&[0.1]), Err(DistributionError::Epoch { epoch: 1, .. })));
}

#[test]
fn quantiles_of_a_defective_start_end_at_its_sum() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(START, off, Rate::Scalar(0.25)).unwrap();
    builder.add_edge(on, off, Rate::Coefficients(&[1.0])).unwrap();
    let plan = plan(&builder.finish());
    let given = plan.epochs(&[1.0], &[[1.0], [3.0]]).unwrap();
    let found = given.quantile(&[0.2, 0.8, 0.7]).unwrap();
    assert_eq!((found[0], found[1]), (0.0, f64::INFINITY));
    // 0.05 of 0.5 is left: ln 10 is 1 + 3 (t − 1).
    assert!((found[2] - (1.0 + (10.0_f64.ln() - 1.0) / 3.0)).abs() < 1e-13, "{found:?}");
    let whole = given.start(Start::Conditional).quantile(&[0.7 / 0.75]).unwrap();
    assert!((whole[0] - found[2]).abs() < 1e-12, "{whole:?}");
}

#[test]
fn times_spent_and_rewards_add_up_over_epochs() {
    let plan = plan(&cycle());
    let epochs = plan.epochs(&[0.8], &THETAS).unwrap();
    let times = [2.0, 0.8, 0.3];
    let visited = epochs.accumulated_visiting_time(&times).unwrap();
    for (at, &time) in times.iter().enumerate() {
        // Simpson's rule on both sides of the breakpoint.
        for vertex in 1..=2 {
            let mut spent = 0.0;
            for (from, to) in [(0.0, time.min(0.8)), (0.8, time.max(0.8))] {
                let width = (to - from) / 400.0;
                for k in 0..=400 {
                    let weight = if k == 0 || k == 400 { 1.0 } else { f64::from(2 + 2 * (k % 2)) };
                    spent += weight * width / 3.0 * state(from + width * f64::from(k))[vertex - 1];
                }
            }
            assert!((visited[[at, vertex]] - spent).abs() < 1e-9, "{time} {vertex}: {visited} {spent}");
        }
    }
    let mean = epochs.expectation().unwrap();
    assert!((epochs.reward_expectation(&[1.0; 4]).unwrap() / mean - 1.0).abs() < 1e-12);
    // Absorption at θ₁ of what is in vertex 2 is certain.
    let until = epochs.accumulated_visiting_time(&[0.8]).unwrap();
    let second = epochs.reward_expectation(&[0.0, 0.0, 1.0, 0.0]).unwrap();
    let absorbed = 0.5 * until[[0, 2]] + 4.0 * (second - until[[0, 2]]);
    assert!((absorbed - 1.0).abs() < 1e-12, "{absorbed}");
    assert!(epochs.reward_expectation(&[1.0]).is_err());
}

#[test]
fn a_tolerance_out_of_range_is_refused_and_another_is_honoured() {
    let plan = plan(&erlang(1));
    let epochs = plan.epochs(&[1.0], &[[1.0], [2.0]]).unwrap();
    assert_eq!(epochs.clone().tolerance(0.5).unwrap_err(), DistributionError::Tolerance { value: 0.5 });
    let cdf = epochs.tolerance(1e-4).unwrap().cdf(&[1.5]).unwrap()[0];
    assert!((cdf - (1.0 - (-2.0_f64).exp())).abs() < 1e-4, "{cdf}");
}

#[test]
fn the_time_that_takes_too_many_jumps_is_named() {
    let plan = plan(&cycle());
    let epochs = plan.epochs(&[0.8], &THETAS).unwrap().with_jump_limit(50);
    let refused = epochs.survival(&[1e6, 0.1]).unwrap_err();
    let DistributionError::Epoch { epoch: 1, error } = refused else { panic!("{refused:?}") };
    assert!(matches!(*error, DistributionError::Jumps { index: Some(0), .. }), "{error:?}");
    let refused = epochs.accumulated_visiting_time(&[0.1, 1e6]).unwrap_err();
    let DistributionError::Epoch { error, .. } = refused else { panic!("{refused:?}") };
    assert!(matches!(*error, DistributionError::Jumps { index: Some(1), .. }), "{error:?}");
}

/// A first epoch without exits, in which mass gets slowly to where the second one has its only exit.
#[test]
fn the_state_goes_on_mixing_until_an_epoch_in_which_it_matters() {
    let fast = 1e3;
    let within = |builder: &mut GraphBuilder, from, to, rates: [f64; 3]| {
        builder.add_edge(from, to, Rate::Coefficients(&rates)).unwrap();
    };
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=4).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    for (from, to, rates) in [
        (0, 1, [1.0, 0.0, 0.0]),
        (1, 0, [1.0, 0.0, 0.0]),
        (1, 2, [0.0, 1.0, 0.0]),
        (2, 1, [0.0, 1.0, 0.0]),
        (2, 3, [0.0, 0.0, 1.0]),
    ] {
        within(&mut builder, vertices[from], vertices[to], rates);
    }
    let plan = plan(&builder.finish());
    let edges = |exit: f64| [(1, 2, fast), (2, 1, fast), (2, 3, 0.5), (3, 2, 0.5), (3, 4, exit)];
    let epochs = plan.epochs(&[20.0], &[[fast, 0.5, 0.0], [fast, 0.5, 1.0]]).unwrap();
    let (before, _) = exact(4, 1, &edges(0.0), 20.0);
    let states = epochs.stop_probability(&[20.0]).unwrap();
    let (times, mut peak) = ([20.001, 21.0], 0.0);
    let curve = epochs.curve(&times).unwrap();
    for (at, time) in times.into_iter().enumerate() {
        let rows = [1, 2, 3].map(|from| exact(4, from, &edges(1.0), time - 20.0));
        let (mut density, mut below) = (0.0, 0.0);
        for ((state, flow), mass) in rows.iter().zip(&before) {
            density += mass * flow;
            below += mass * state[3];
        }
        peak = f64::max(peak, density);
        assert!((curve.pdf[at] - density).abs() < 1e-10 * peak, "{time}: {curve:?} {density}");
        assert!((curve.cdf[at] - below).abs() < 1e-10, "{time}: {curve:?} {below}");
        assert!((states[[0, at + 2]] - before[at + 1]).abs() < 1e-10, "{states}");
    }
}

/// What is alive after a long first epoch is little, and stays for very long.
#[test]
fn moments_count_what_the_last_epoch_keeps_however_little_it_is() {
    let plan = plan(&graph_of_two());
    for slow in [1e-10, 1e-14, 1e-18_f64] {
        let epochs = plan.epochs(&[50.0], &[[1.0, 3.0], [slow, slow]]).unwrap();
        // In phases 1 and 2 at 50; a sum of two, or one, exponential times from then on.
        let first = (-50.0_f64).exp();
        let second = 0.5 * (first - (-150.0_f64).exp());
        // Before 50: ∫ of survival, S(t) = (3e^−t − e^−3t)/2, is 4/3 but for what is left; ∫ 2tS is 26/9.
        let left = (3.0 * first - (-150.0_f64).exp() / 3.0) / 2.0;
        let left_twice = 3.0 * 51.0 * first - (-150.0_f64).exp() * (50.0 / 3.0 + 1.0 / 9.0);
        let mean = 4.0 / 3.0 - left + first * (2.0 / slow) + second / slow;
        let later = first * (6.0 / slow / slow) + second * (2.0 / slow / slow);
        let square = 26.0 / 9.0 - left_twice + 2.0 * 50.0 * (mean - 4.0 / 3.0 + left) + later;
        let found = epochs.moments(2).unwrap();
        assert!((found[0] / mean - 1.0).abs() < 1e-11, "{slow:e}: {found:?} {mean}");
        assert!((found[1] / square - 1.0).abs() < 1e-11, "{slow:e}: {found:?} {square}");
        let spent = epochs.reward_expectation(&[0.0, 1.0, 1.0, 0.0]).unwrap();
        assert!((spent / mean - 1.0).abs() < 1e-11, "{slow:e}: {spent} {mean}");
    }
}

/// Two phases one after the other, each with its own rate.
fn graph_of_two() -> crate::graph::Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(vertices[0], vertices[1], Rate::Coefficients(&[1.0, 0.0])).unwrap();
    builder.add_edge(vertices[1], vertices[2], Rate::Coefficients(&[0.0, 1.0])).unwrap();
    builder.finish()
}

/// Totals of two phases, whose laws are known: in each epoch a sum of what came before and exponential times.
#[test]
fn moments_of_rewards_are_those_of_samples_and_of_times() {
    let plan = plan(&cycle());
    let epochs = plan.epochs(&[0.8, 1.5], &[THETAS[0], [0.7, 0.1], THETAS[1]]).unwrap();
    let ones = [1.0; 4];
    let (found, wanted) = (epochs.reward_moments(&ones, 4).unwrap(), epochs.moments(4).unwrap());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found / wanted - 1.0).abs() < 1e-12, "{found} {wanted}");
    }
    assert!((epochs.reward_variance(&ones).unwrap() / epochs.variance().unwrap() - 1.0).abs() < 1e-12);
    // The time is what is spent in both: covariances add up.
    let (first, second) = ([0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]);
    let [a, b, both] = [
        epochs.reward_variance(&first).unwrap(),
        epochs.reward_variance(&second).unwrap(),
        epochs.covariance(&first, &second).unwrap(),
    ];
    assert!(((a + b + 2.0 * both) / epochs.variance().unwrap() - 1.0).abs() < 1e-12, "{a} {b} {both}");
    assert!((epochs.covariance(&[], &first).unwrap() / (a + both) - 1.0).abs() < 1e-12);
    // One epoch thrice is none.
    let same = plan.epochs(&[0.3, 0.9], &[THETAS[0]; 3]).unwrap();
    let wanted = plan.distribution(&THETAS[0]).unwrap();
    let rewards = [0.0, 2.0, 0.5, 0.0];
    for (found, wanted) in
        same.reward_moments(&rewards, 4).unwrap().iter().zip(wanted.reward_moments(&rewards, 4).unwrap())
    {
        assert!((found / wanted - 1.0).abs() < 1e-12, "{found} {wanted}");
    }
    let covariance = wanted.covariance(&first, &second).unwrap();
    let found = same.covariance(&first, &second).unwrap();
    assert!(
        (found - covariance).abs() < 1e-12 * (a + b + wanted.variance().unwrap()),
        "{found} {covariance}"
    );
    // By samples, of which the standard errors are known.
    let count = 40_000;
    let totals = epochs.sampler().unwrap().totals(3, count, &first).unwrap();
    let [mean, square, _, fourth] = epochs.reward_moments(&first, 4).unwrap()[..] else { panic!() };
    let n = count as f64;
    let (found, found_square) =
        (totals.iter().sum::<f64>() / n, totals.iter().map(|total| total * total).sum::<f64>() / n);
    assert!((found - mean).abs() < 5.0 * (a / n).sqrt(), "{found} {mean}");
    assert!((found_square - square).abs() < 5.0 * ((fourth - square * square) / n).sqrt());
}

/// To and fro between two vertices, far faster than out of the second; in each epoch at other rates.
fn stiff_pair() -> crate::graph::Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    for (from, to, rates) in [(0, 1, [1.0, 0.0]), (1, 0, [1.0, 0.0]), (1, 2, [0.0, 1.0])] {
        builder.add_edge(vertices[from], vertices[to], Rate::Coefficients(&rates)).unwrap();
    }
    builder.finish()
}

#[test]
fn moments_and_quantiles_of_stiff_epochs_take_no_jump_after_another() {
    let plan = plan(&stiff_pair());
    let (fast, until) = (1e12, 1.5);
    let epochs = plan.epochs(&[until], &[[fast, 0.8], [2.0 * fast, 3.0]]).unwrap().with_jump_limit(2_000_000);
    // Half of what is alive is in each: hazards of 0.4 and 1.5, but for what 1e-12 is of them.
    let (first, second) = (0.4_f64, 1.5_f64);
    let left = (-first * until).exp();
    let mean = (1.0 - left) / first + left / second;
    // ∫ 2t S(t) dt.
    let square = 2.0
        * ((1.0 - left * (1.0 + first * until)) / (first * first)
            + left * (until / second + 1.0 / (second * second)));
    let found = epochs.moments(2).unwrap();
    assert!((found[0] / mean - 1.0).abs() < 1e-10, "{found:?} {mean}");
    assert!((found[1] / square - 1.0).abs() < 1e-10, "{found:?} {square}");
    assert!((epochs.variance().unwrap() / (square - mean * mean) - 1.0).abs() < 1e-9);
    // Half the time is spent in each.
    let halves = [[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]];
    for rewards in &halves {
        let found = epochs.reward_moments(rewards, 2).unwrap();
        assert!(
            (found[0] / mean - 1.0).abs() < 1e-10 && (found[1] / square - 1.0).abs() < 1e-10,
            "{found:?}"
        );
    }
    let covariance = epochs.covariance(&halves[0], &halves[1]).unwrap();
    assert!((covariance / (square - mean * mean) - 1.0).abs() < 1e-9, "{covariance}");
    let asked = [0.2, 0.9, 1.0 - left, 1e-9, 0.999_999, 1.0, 0.2];
    let quantiles = epochs.quantile(&asked).unwrap();
    for (&q, &found) in asked.iter().zip(&quantiles) {
        let before = -(-q).ln_1p() / first;
        let wanted = if before <= until { before } else { until + (-(-q).ln_1p() - first * until) / second };
        if q < 1.0 {
            // The way from the first vertex to the second takes 5e-13.
            assert!((found - wanted).abs() < 1e-9 * wanted + 1e-12, "{q}: {found} {wanted}");
        } else {
            assert_eq!(found, f64::INFINITY);
        }
    }
}

#[test]
fn variances_of_regular_times_keep_their_digits() {
    // Nearly all in the last epoch, all in the first, or half in each.
    for (stages, breakpoints) in
        [(100_000, vec![0.01]), (2_000, vec![4_000.0]), (2_000, vec![500.0, 1_000.0])]
    {
        let plan = plan(&erlang(stages));
        for rate in [0.7, 1.3, 2.1] {
            let epochs = plan.epochs(&breakpoints, &vec![[rate]; breakpoints.len() + 1]).unwrap();
            let off = epochs.variance().unwrap() / f64::from(stages) * rate * rate - 1.0;
            assert!(off.abs() < 1e-13, "{stages} {rate} {breakpoints:?}: {off:e}");
        }
    }
}

#[test]
fn variances_of_slow_epochs_before_fast_ones_keep_their_digits() {
    let plan = plan(&erlang(1));
    let taus = [
        (1e-3, 1.0, 1e3),
        (1e-4, 1.0, 1e4),
        (1.0, 1e-6, 1e12),
        (1.0, 1e-9, 1e15),
        (0.3, 1e-9, 1e15),
        (1.0, 1.0, 0.5),
    ];
    for (slow, tau, fast) in taus {
        // About τ: ∫ sᵏ λ e^{−λ(τ−s)} ds from 0 to τ before, and the rest after; all terms are positive.
        let x: f64 = slow * tau;
        let left = (-x).exp();
        let before = |power: i32| {
            let terms = (0..30).scan(1.0, |term, n| {
                let found = *term / f64::from(n + power + 1);
                *term *= x / f64::from(n + 1);
                Some(found)
            });
            tau.powi(power) * x * left * terms.sum::<f64>()
        };
        let mean = left / fast - before(1);
        let wanted = before(2) + 2.0 * left / (fast * fast) - mean * mean;
        let found = plan.epochs(&[tau], &[[slow], [fast]]).unwrap().variance().unwrap();
        assert!((found / wanted - 1.0).abs() < 1e-12, "{slow} {tau} {fast}: {found:e} {wanted:e}");
    }
}

#[test]
fn variances_of_which_nothing_is_known_are_refused() {
    // Caught at 1e6 a unit of time between two vertices, for 1e9; so many jumps are not taken one by one.
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    let [first, second, end] = vertices[..] else { unreachable!() };
    builder.add_edge(START, first, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(first, second, Rate::Coefficients(&[1e6, 0.0])).unwrap();
    builder.add_edge(second, first, Rate::Coefficients(&[1e6, 0.0])).unwrap();
    builder.add_edge(second, end, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    let plan = plan(&builder.finish());
    let epochs = plan.epochs(&[1e9], &[[1.0, 0.0], [1.0, 1.0]]).unwrap();
    // About 2, beside squares of 1e18.
    assert!(matches!(
        epochs.variance(),
        Err(DistributionError::Jumps { .. } | DistributionError::Epoch { .. })
    ));
}

#[test]
fn a_variance_counts_what_is_absorbed_at_once() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(START, off, Rate::Scalar(0.5)).unwrap();
    builder.add_edge(on, off, Rate::Coefficients(&[1.0])).unwrap();
    let plan = plan(&builder.finish());
    // Half of E[T²] = 2 less the square of half of E[T] = 1.
    let found = plan.epochs(&[0.5, 2.0], &[[1.0]; 3]).unwrap().variance().unwrap();
    assert!((found - 0.75).abs() < 1e-14, "{found}");
}

#[test]
fn moments_and_covariances_too_small_for_numbers_are_refused() {
    let plan = plan(&graph_of_two());
    let epochs = plan.epochs(&[1.0], &[[1.0, 3.0], [2.0, 2.0]]).unwrap();
    let beyond = |order: usize| Err(DistributionError::MomentRange { order });
    let pair = Err(DistributionError::CovarianceRange { first: 0, second: 1 });
    for size in [1e-170, 1e-157] {
        let (tiny, large) = ([0.0, size, size, 0.0], [0.0, 1.0 / size, 0.0, 0.0]);
        assert_eq!(epochs.reward_moments(&tiny, 2).map(|_| 0.0), beyond(2));
        assert!(epochs.reward_moments(&tiny, 1).unwrap()[0] > size);
        assert_eq!(epochs.reward_variance(&tiny), beyond(2));
        assert_eq!(epochs.covariance(&tiny, &tiny), pair);
        let of_ones = epochs.covariance(&[0.0, 1.0, 1.0, 0.0], &[0.0, 1.0, 0.0, 0.0]).unwrap();
        assert!((epochs.covariance(&tiny, &large).unwrap() / of_ones - 1.0).abs() < 1e-12);
        let distribution = plan.distribution(&[1.0, 3.0]).unwrap();
        assert_eq!(distribution.covariance(&tiny, &tiny), pair);
        let refused = distribution.covariance_matrix(&[&[1.0; 4], &tiny]).unwrap_err();
        assert_eq!(refused, DistributionError::CovarianceRange { first: 1, second: 1 });
        assert_eq!(distribution.covariance(&tiny, &[0.0; 4]), Ok(0.0));
    }
    let fast = plan.epochs(&[1e-170], &[[1e170, 3e170], [2e170, 2e170]]).unwrap();
    assert_eq!((fast.moments(2).map(|_| 0.0), fast.variance()), (beyond(2), beyond(2)));
}
