//! Times, rates and probabilities at the ends of what numbers can be.

use super::stiff::{at_one, exact, graph, pair, star_with};
use super::tests::{erlang, plan};
use super::*;
use crate::graph::{GraphBuilder, Rate, START};
use crate::plan::Plan;

fn is_near(found: f64, wanted: f64, relative: f64) -> bool {
    (found - wanted).abs() <= relative * wanted.abs()
}

#[test]
fn slow_decays_of_large_models_keep_their_digits() {
    for exit in [1e-3, 1e-6, 1e-9, 1e-12] {
        let (plan, lumped) = star_with(1100, exit);
        let times = [1e-3, 1.0, 10.0].map(|share| share / exit);
        let curve = at_one(&plan).with_jump_limit(20_000_000).curve(&times).unwrap();
        for (at, &time) in times.iter().enumerate() {
            let (state, density) = exact(3, 2, &lumped, time);
            let peak = 0.5 * exit;
            assert!(
                (curve.pdf[at] - density).abs() < 1e-10 * peak,
                "{exit:e} {time:e}: {curve:?} {density:e}"
            );
            assert!((curve.cdf[at] - state[2]).abs() < 1e-10, "{exit:e} {time:e}: {curve:?} {}", state[2]);
        }
    }
}

/// Two stars, from one of which next to nothing gets into the other, where absorption is fast.
#[test]
fn a_state_that_lasts_for_very_long_is_not_taken_for_one_that_lasts() {
    let leaves = 600;
    let (first, second, last) = (2 * leaves + 1, 2 * leaves + 2, 2 * leaves + 3);
    let mut edges: Vec<_> = (1..=leaves).flat_map(|leaf| [(leaf, first, 1e6), (first, leaf, 1e3)]).collect();
    edges.extend((leaves + 1..=2 * leaves).flat_map(|leaf| [(leaf, second, 1e6), (second, leaf, 1e3)]));
    edges.extend([
        (first, second, 1e-16),
        (second, first, 1e-16),
        (second, last, 1e-3),
        (first, last, 1e-30),
    ]);
    let plan = plan(&graph(last, &[first], &edges));
    // By then most of it has gone over and was absorbed.
    let found = at_one(&plan).with_jump_limit(2_000_000).cdf(&[1e18]);
    let Err(DistributionError::Jumps { index: Some(0), .. }) = found else { panic!("{found:?}") };
}

/// A process in several stages: a rate and its weight at the start, all into absorption.
fn mixture_of(rates: &[(f64, f64)]) -> Plan {
    let mut builder = GraphBuilder::new(1).unwrap();
    let last = i32::try_from(rates.len()).unwrap() + 1;
    let vertices: Vec<u32> = (1..=last).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    for (&(rate, weight), &vertex) in rates.iter().zip(&vertices) {
        builder.add_edge(START, vertex, Rate::Scalar(weight)).unwrap();
        builder.add_edge(vertex, vertices[rates.len()], Rate::Scalar(rate)).unwrap();
    }
    plan(&builder.finish())
}

#[test]
fn what_is_rare_at_first_is_all_there_is_in_the_end() {
    for rates in [[(1.0, 1.0), (0.01, 1e-40)], [(0.01, 1e-40), (1.0, 1.0)]] {
        let plan = mixture_of(&rates);
        let distribution = at_one(&plan);
        let survival = distribution.survival(&[500.0]).unwrap()[0];
        assert!(is_near(survival, 1e-40 * (-5.0_f64).exp(), 1e-11), "{survival:e}");
        assert!(is_near(distribution.hazard(&[500.0]).unwrap()[0], 0.01, 1e-11));
        let (value, gradient) = plan.likelihood(&[500.0]).unwrap().value_and_gradient(&[1.0]).unwrap();
        assert!(is_near(value, (1e-42_f64).ln() - 5.0, 1e-12), "{value}");
        assert!(gradient.iter().all(|slope| slope.is_finite()));
        // Fast and rare: all of what is absorbed early.
        let plan = mixture_of(&[(1e-60, 1.0), (1.0, 1e-40)]);
        let time = at_one(&plan).quantile(&[0.5e-40]).unwrap()[0];
        assert!(is_near(time, 2.0_f64.ln(), 1e-11), "{time}");
    }
}

#[test]
fn quantiles_of_tiny_probabilities_are_found() {
    let plan_ = plan(&erlang(50));
    let distribution = at_one(&plan_);
    let factorial: f64 = (1..=50).map(|k| f64::from(k).ln()).sum();
    for q in [1e-240, 1e-200, 1e-100_f64] {
        let found = distribution.quantile(&[q]).unwrap()[0];
        // F(t) is e^−t t^50/50! (1 + t/51 + t²/(51·52) + …).
        let (mut term, mut series) = (1.0, 1.0);
        for k in 51..151 {
            term *= found / f64::from(k);
            series += term;
        }
        let below = 50.0 * found.ln() - factorial - found + f64::ln(series);
        assert!((below - q.ln()).abs() < 1e-12, "{q:e}: {found:e} {below}");
    }
    let plan = plan(&erlang(1));
    for q in [1e-300, 1e-17, 0.3, 1.0 - 1e-15_f64] {
        let found = at_one(&plan).quantile(&[q]).unwrap()[0];
        assert!(is_near(found, -(-q).ln_1p(), 1e-14), "{q:e}: {found:e}");
    }
}

/// Every question about a time must end, with numbers or with an error that names the time.
fn ask(distribution: &Distribution<'_>, times: &[f64]) -> Vec<Result<f64, DistributionError>> {
    vec![
        distribution.curve(times).map(|curve| curve.cdf[times.len() - 1]),
        distribution.survival(times).map(|survival| 1.0 - survival[times.len() - 1]),
        distribution.stop_probability(times).map(|rows| 1.0 - rows.row(times.len() - 1).sum()),
        distribution.accumulated_visiting_time(times).map(|rows| {
            let spent = rows.row(times.len() - 1).sum();
            spent / distribution.expectation().unwrap()
        }),
    ]
}

#[test]
fn all_times_up_to_the_largest_number_end_soon() {
    let slow = plan(&graph(3, &[1], &[(1, 2, 1.0), (2, 1, 1.0), (2, 3, 1.0)]));
    let models =
        [("slow", slow), ("pair", pair(0.7).0), ("star", star_with(1100, 0.5).0), ("row", plan(&erlang(60)))];
    for (name, plan) in &models {
        for time in [1e5, 1e15, 1e30, 1e300, f64::MAX] {
            let times = [1.0, time, 0.5 * time];
            for (question, found) in
                ask(&at_one(plan), &[times[0], times[2], times[1]]).into_iter().enumerate()
            {
                match found {
                    Ok(value) => assert!((value - 1.0).abs() < 1e-10, "{name} {time:e} {question}: {value}"),
                    Err(DistributionError::Jumps { index, .. }) => {
                        assert!(*name == "star" && question == 1, "{name} {time:e} {question}");
                        assert_eq!(index, Some(1));
                    }
                    Err(error) => panic!("{name} {time:e} {question}: {error}"),
                }
            }
        }
    }
}

#[test]
fn leaps_count_every_jump_however_many() {
    // Absorption takes 1e6 times as long as f64 can count jumps.
    let (plan, _) = pair(7e-11);
    let rate = 7e-11 * 0.3;
    let distribution = at_one(&plan);
    for share in [0.1, 1.0, 5.0] {
        let time = share / rate;
        // A second question goes on from powers that were made for the first.
        let states = distribution.stop_probability(&[1.0, time]).unwrap();
        let alive = states.row(1).sum();
        assert!(is_near(alive, (-share).exp(), 1e-10), "{share}: {alive}");
        assert!(is_near(distribution.survival(&[time]).unwrap()[0], (-share).exp(), 1e-10));
    }
}

#[test]
fn gradients_with_too_long_a_way_back_are_refused() {
    let (plan, _) = pair(0.7);
    let refused = plan.likelihood(&[1e-3, 1e-4]).unwrap().value_and_gradient(&[1.0]).unwrap_err();
    assert!(matches!(refused, DistributionError::TrailMemory { .. }), "{refused:?}");
    let refused = at_one(&plan).pdf_gradient(&[1e-12, 1e-3]).unwrap_err();
    assert!(matches!(refused, DistributionError::TrailMemory { .. }), "{refused:?}");
    assert!(at_one(&plan).pdf_gradient(&[1e-12, 1e-7]).is_ok());
    // Beyond the limit of jumps the time is named.
    let refused = at_one(&plan).cdf_gradient(&[1.0, 1e-12]).unwrap_err();
    assert!(matches!(refused, DistributionError::Jumps { index: Some(0), .. }), "{refused:?}");
}

#[test]
fn laplace_transforms_reach_to_the_ends_of_f64() {
    let plan = plan(&graph(3, &[1], &[(1, 2, 1.0), (2, 1, 1.0), (2, 3, 1.0)]));
    // With unit rates (s + 1)(s + 2) − 1 below, 1 above: all times s² for large s.
    for (scale, s) in [(1e-200, 1e-200), (1e200, 1e200), (1e-300, 3e-300), (1e250, 1e252)] {
        let edges = [(1, 2, scale), (2, 1, scale), (2, 3, scale)];
        let found = at_one(&super::tests::plan(&graph(3, &[1], &edges))).laplace(&[s]).unwrap()[0];
        let wanted = at_one(&plan).laplace(&[s / scale]).unwrap()[0];
        assert!(is_near(found, wanted, 1e-14), "{scale:e} {s:e}: {found:e} {wanted:e}");
    }
    let exponential = super::tests::plan(&erlang(1));
    for s in [1e-320, 1e154, 1e160, 1e300] {
        let found = at_one(&exponential).laplace(&[s]).unwrap()[0];
        assert!(is_near(found, 1.0 / (1.0 + s), 1e-15), "{s:e}: {found:e}");
    }
}

#[test]
fn a_covariance_matrix_of_regular_totals_keeps_its_digits() {
    // A long row of phases: the mean is 300 standard deviations.
    let phases = 100_000;
    let plan = plan(&erlang(phases));
    let distribution = at_one(&plan);
    let ones = vec![1.0; phases as usize + 2];
    let mut tilted = ones.clone();
    tilted.iter_mut().enumerate().for_each(|(at, reward)| *reward += (at % 8) as f64 / 1024.0);
    let matrix = distribution.covariance_matrix(&[&ones, &tilted]).unwrap();
    let wanted: f64 = tilted[1..=phases as usize].iter().sum();
    assert!(is_near(matrix[[0, 0]], f64::from(phases), 1e-13), "{}", matrix[[0, 0]]);
    assert!(is_near(matrix[[0, 1]], wanted, 1e-13), "{} {wanted}", matrix[[0, 1]]);
    assert_eq!(matrix[[0, 1]], matrix[[1, 0]]);
}

#[test]
fn totals_beyond_f64_are_refused_with_rewards_too() {
    let plan = plan(&erlang(1));
    let distribution = at_one(&plan);
    for size in [1e200, 1e-200] {
        let refused = distribution.reward_variance(&[0.0, size, 0.0]).unwrap_err();
        assert_eq!(refused, DistributionError::MomentRange { order: 2 });
        assert!(is_near(distribution.reward_expectation(&[0.0, size, 0.0]).unwrap(), size, 1e-15));
    }
    assert_eq!(distribution.reward_variance(&[0.0; 3]).unwrap(), 0.0);
    let slow = plan.distribution(&[1e-300]).unwrap().reward_expectation(&[0.0, 1e300, 0.0]).unwrap_err();
    assert_eq!(slow, DistributionError::MomentRange { order: 1 });
}

#[test]
fn initial_probabilities_above_one_are_masses() {
    // Half of what leaves the only phase comes back to the start, which sums to 1.5.
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, on, Rate::Scalar(1.2)).unwrap();
    builder.add_edge(START, off, Rate::Scalar(0.3)).unwrap();
    builder.add_edge(on, off, Rate::Coefficients(&[1.0])).unwrap();
    builder.add_edge(on, START, Rate::Coefficients(&[1.0])).unwrap();
    let plan = plan(&builder.finish());
    let (given, whole) = (
        plan.distribution(&[2.0]).unwrap(),
        plan.distribution(&[2.0]).unwrap().start(Start::Conditional).unwrap(),
    );
    // Conditionally: 0.8 of the mass in a phase that is left for good at the rate 2 + 2·0.2.
    let times = [0.0, 0.3, 2.0, f64::INFINITY];
    let (masses, curve) = (given.curve(&times).unwrap(), whole.curve(&times).unwrap());
    for (at, time) in times.into_iter().enumerate() {
        let below = 1.0 - 0.8 * (-2.4 * time).exp();
        assert!((curve.cdf[at] - below).abs() < 1e-14, "{time}: {curve:?}");
        assert!((masses.cdf[at] - 1.5 * below).abs() < 1e-14, "{time}: {masses:?}");
        assert!(
            (masses.pdf[at] - 1.5 * curve.pdf[at]).abs() < 1e-14
                && (masses.survival[at] - 1.5 * curve.survival[at]).abs() < 1e-14
        );
    }
    assert!((given.laplace(&[1.0]).unwrap()[0] - 1.5 * whole.laplace(&[1.0]).unwrap()[0]).abs() < 1e-15);
    let states = given.stop_probability(&[0.3]).unwrap();
    assert!((states[[0, on as usize]] - 1.2 * (-0.72_f64).exp()).abs() < 1e-14);
    assert_eq!(given.expectation().unwrap(), whole.expectation().unwrap());
    let (_, slopes) = given.cdf_gradient(&[0.3]).unwrap();
    assert!((slopes[[0, 0]] - 1.5 * 0.8 * 1.2 * 0.3 * (-0.72_f64).exp()).abs() < 1e-13, "{slopes}");
}
