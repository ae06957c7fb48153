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

/// Every question about a time must end.
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
                let value = found.unwrap_or_else(|error| panic!("{name} {time:e} {question}: {error}"));
                assert!((value - 1.0).abs() < 1e-10, "{name} {time:e} {question}: {value}");
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

/// A star whose three rates are parameters: leaves to the hub, hub to each leaf, and out.
pub(super) fn star_of(leaves: u32, returns: bool) -> Plan {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> =
        (0..leaves + 2).map(|state| builder.add_vertex(&[state.cast_signed()]).unwrap()).collect();
    let (hub, last) = (vertices[leaves as usize], vertices[leaves as usize + 1]);
    builder.add_edge(START, hub, Rate::Scalar(if returns { 0.5 } else { 1.0 })).unwrap();
    for &leaf in &vertices[..leaves as usize] {
        builder.add_edge(leaf, hub, Rate::Coefficients(&[1.0, 0.0, 0.0])).unwrap();
        builder.add_edge(hub, leaf, Rate::Coefficients(&[0.0, 1.0, 0.0])).unwrap();
    }
    builder.add_edge(hub, last, Rate::Coefficients(&[0.0, 0.0, 1.0])).unwrap();
    if returns {
        builder.add_edge(hub, START, Rate::Coefficients(&[0.0, 0.0, 1.0])).unwrap();
    }
    plan(&builder.finish())
}

/// Density, distribution function and survival of such a star, by the pair of vertices it is lumped into.
fn lumped_star(leaves: u32, [a, b, c]: [f64; 3], time: f64) -> [f64; 3] {
    let edges = [(1, 2, a), (2, 1, b * f64::from(leaves)), (2, 3, c)];
    let (state, density) = exact(3, 2, &edges, time);
    [density, state[2], state[0] + state[1]]
}

#[test]
fn gradients_of_stiff_models_are_found_by_leaps() {
    let leaves = 5;
    let plan = star_of(leaves, false);
    for theta in [[3e11, 1e11, 0.7], [2e5, 4e4, 0.7], [1e13, 2e3, 0.7]] {
        let distribution = plan.distribution(&theta).unwrap();
        let times = [1.0, 0.02, 8.0];
        let (densities, slopes) = distribution.pdf_gradient(&times).unwrap();
        let (below, slopes_below) = distribution.cdf_gradient(&times).unwrap();
        let (value, gradient) =
            plan.censored_likelihood(&times, &[3.0]).unwrap().value_and_gradient(&theta).unwrap();
        let known: Vec<_> = times.iter().map(|&time| lumped_star(leaves, theta, time)).collect();
        let late = lumped_star(leaves, theta, 3.0)[2];
        let wanted: f64 = known.iter().map(|values| values[0].ln()).sum::<f64>() + late.ln();
        assert!((value - wanted).abs() < 1e-10, "{theta:?}: {value} {wanted}");
        for parameter in 0..3 {
            // Central differences of the exponentials, of fourth order, by shares of the parameter.
            let slope = |time: f64, which: usize| {
                let at = |share: f64| {
                    let mut moved = theta;
                    moved[parameter] *= 1.0 + share;
                    lumped_star(leaves, moved, time)[which]
                };
                let h = 1e-3;
                (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
            };
            let mut sum = slope(3.0, 2) / late;
            for (at, &time) in times.iter().enumerate() {
                let share = theta[parameter];
                let (density, absorbed) = (slope(time, 0), slope(time, 1));
                let found = slopes[[at, parameter]] * share;
                assert!(
                    (densities[at] / known[at][0] - 1.0).abs() < 1e-11
                        && (below[at] / known[at][1] - 1.0).abs() < 1e-11
                );
                assert!(
                    (found - density).abs() < 1e-10 * known[at][0],
                    "{theta:?} {parameter} {time}: {found} {density}"
                );
                let found = slopes_below[[at, parameter]] * share;
                assert!((found - absorbed).abs() < 1e-10, "{theta:?} {parameter} {time}: {found} {absorbed}");
                sum += density / known[at][0];
            }
            let found = gradient[parameter] * theta[parameter];
            assert!((found - sum).abs() < 1e-9, "{theta:?} {parameter}: {found} {sum}");
        }
    }
}

#[test]
fn gradients_across_stiff_epochs_are_those_of_both_ways() {
    // Few enough jumps that both ways can be gone: leaps by asking for many times.
    let plan = star_of(3, false);
    let epochs = plan.epochs(&[1.0], &[[3e3, 2e3, 0.4], [2e3, 1e3, 1.5]]).unwrap();
    let times: Vec<f64> = (1..=60).map(|k| 0.05 * f64::from(k)).collect();
    let (values, slopes) = epochs.pdf_gradient(&times).unwrap();
    for at in [3, 19, 45] {
        let (value, wanted) = epochs.pdf_gradient(&times[at..=at]).unwrap();
        assert!(is_near(values[at], value[0], 1e-11), "{at}: {} {}", values[at], value[0]);
        for epoch in 0..2 {
            for (parameter, theta) in [3e3, 2e3, 1.0].into_iter().enumerate() {
                let (found, wanted) = (slopes[[at, epoch, parameter]], wanted[[0, epoch, parameter]]);
                assert!(
                    (found - wanted).abs() * theta < 1e-9 * value[0],
                    "{at} {epoch} {parameter}: {found} {wanted}"
                );
            }
        }
    }
    // Far stiffer, one may only leap.
    let epochs = plan.epochs(&[1.0], &[[3e13, 2e13, 0.4], [2e13, 1e13, 1.5]]).unwrap();
    let (value, slopes) = epochs.log_likelihood_gradient(&[2.0], &[3.0]).unwrap();
    // In equilibrium the hub has a/(a + 3b) of the mass.
    let (first, second): (f64, f64) = (3.0 / 9.0, 2.0 / 5.0);
    let (early, late) = (0.4 * first, 1.5 * second);
    assert!((value - (late.ln() - 2.0 * early - 3.0 * late)).abs() < 1e-9, "{value}");
    let of_early = slopes[[0, 2]] + 2.0 * first;
    let of_late = slopes[[1, 2]] - (1.0 / 1.5 - 3.0 * second);
    assert!(of_early.abs() < 1e-9 && of_late.abs() < 1e-9, "{slopes}");
}

#[test]
fn gradients_that_no_way_leads_to_are_refused() {
    // Something is lost on the way back to a start that lacks a half, so there are only jumps.
    let plan_ = star_of(1, true);
    let theta = [3e11, 7e11, 0.7];
    let refused = plan_.likelihood(&[1e-3, 1e-12]).unwrap().value_and_gradient(&theta).unwrap_err();
    assert!(matches!(refused, DistributionError::TrailMemory { index: Some(0), .. }), "{refused:?}");
    let distribution = plan_.distribution(&theta).unwrap();
    let refused = distribution.pdf_gradient(&[1e-12, 5e-4]).unwrap_err();
    assert!(matches!(refused, DistributionError::TrailMemory { index: Some(1), .. }), "{refused:?}");
    assert!(distribution.pdf_gradient(&[1e-12, 1e-7]).is_ok());
    // Beyond the limit of jumps the time is named.
    let refused = distribution.cdf_gradient(&[1.0, 1e-12]).unwrap_err();
    assert!(matches!(refused, DistributionError::Jumps { index: Some(0), .. }), "{refused:?}");
    // Of observations, it is the first of that time among those given.
    let likelihood = plan_.likelihood(&[1e-12, 1.0, 1e-12, 1.0]).unwrap();
    let refused = likelihood.value_and_gradient(&theta).unwrap_err();
    assert!(matches!(refused, DistributionError::Jumps { index: Some(1), .. }), "{refused:?}");
    // Values leap; what is lost ends in the third.
    let edges = [(1, 2, theta[0]), (2, 1, theta[1]), (2, 3, 0.5 * theta[2]), (2, 4, theta[2])];
    let wanted: f64 = [1e-12, 1.0].map(|time| 2.0 * (0.5 * exact(4, 2, &edges, time).1).ln()).iter().sum();
    let found = likelihood.value(&theta).unwrap();
    assert!(is_near(found, wanted, 1e-11), "{found} {wanted}");
}

#[test]
fn starts_that_lack_next_to_nothing_survive_with_all_their_digits() {
    let mut builder = GraphBuilder::new(1).unwrap();
    let (on, off) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    let starts = [0.3, 0.299_999_999_9, 0.4];
    for (probability, state) in starts.into_iter().zip(2..) {
        let vertex = builder.add_vertex(&[state]).unwrap();
        builder.add_edge(START, vertex, Rate::Scalar(probability)).unwrap();
        builder.add_edge(vertex, on, Rate::Coefficients(&[1.0])).unwrap();
    }
    builder.add_edge(on, off, Rate::Coefficients(&[1.0])).unwrap();
    let plan = plan(&builder.finish());
    // The sums of these numbers to 0.4 and to 0.7 round nothing away that the last difference does not show.
    let missing = ((1.0 - 0.4) - 0.3) - 0.299_999_999_9;
    let survival = plan.distribution(&[1.0]).unwrap().survival(&[50.0]).unwrap()[0];
    let alive = 51.0 * (-50.0_f64).exp();
    assert!((survival - missing - alive).abs() < 2e-16, "{survival:e} {missing:e}");
    let (value, _) = plan.censored_likelihood(&[], &[50.0]).unwrap().value_and_gradient(&[1.0]).unwrap();
    assert!(is_near(value, survival.ln(), 1e-14), "{value}");
}

#[test]
fn what_is_certain_is_so_though_products_of_rates_leave_the_range_in_the_middle() {
    // A ladder of 300, out at one end or within: towards there at 1e-3, away from there at 1. From both ends.
    for exit in [1, 100, 150, 300] {
        let mut builder = GraphBuilder::new(1).unwrap();
        let levels = 300;
        for state in 1..=levels + 1 {
            builder.add_vertex(&[state]).unwrap();
        }
        for start in [1, 300] {
            builder.add_edge(START, start, Rate::Scalar(0.5)).unwrap();
        }
        builder.add_edge(exit, 301, Rate::Coefficients(&[1.0])).unwrap();
        for level in 1..300 {
            let [up, down] = if level < exit { [1e-3, 1.0] } else { [1.0, 1e-3] };
            builder.add_edge(level, level + 1, Rate::Coefficients(&[up])).unwrap();
            builder.add_edge(level + 1, level, Rate::Coefficients(&[down])).unwrap();
        }
        let plan = plan(&builder.finish());
        let distribution = plan.distribution(&[1.0]).unwrap();
        let certain = distribution.laplace(&[0.0]).unwrap()[0];
        assert!((certain - 1.0).abs() <= 1e-12, "{exit}: {certain}");
        let all = distribution.cdf(&[f64::INFINITY]).unwrap()[0];
        assert!((all - 1.0).abs() <= 1e-12, "{exit}: {all}");
    }
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

#[test]
fn no_rewards_are_ones_and_nothing_is_left_at_infinity() {
    let plan = plan(&graph(3, &[1], &[(1, 2, 1.0), (2, 1, 1.0), (2, 3, 1.0)]));
    let distribution = at_one(&plan);
    let weights = [0.0, 1.0, 3.0, 0.0];
    let ones = [1.0; 4];
    let matrix = distribution.covariance_matrix(&[&[][..], &weights]).unwrap();
    assert_eq!(matrix, distribution.covariance_matrix(&[ones, weights]).unwrap());
    assert_eq!(
        distribution.correlation(&[], &weights).unwrap(),
        distribution.correlation(&ones, &weights).unwrap()
    );
    let forever = [f64::INFINITY];
    assert_eq!(
        (distribution.cdf(&forever).unwrap(), distribution.survival(&forever).unwrap()),
        (vec![1.0], vec![0.0])
    );
    assert!(distribution.hazard(&forever).unwrap()[0].is_nan());
}

#[test]
fn what_is_left_of_large_stiff_models_keeps_its_digits() {
    let (plan, lumped) = star_with(1100, 0.5);
    let distribution = at_one(&plan).with_jump_limit(20_000_000);
    let times = [1.0, 40.0, 120.0];
    let (survival, hazard) = (distribution.survival(&times).unwrap(), distribution.hazard(&times).unwrap());
    let mut sum = 0.0;
    for (at, &time) in times.iter().enumerate() {
        let (state, density) = exact(3, 2, &lumped, time);
        let alive = state[0] + state[1];
        assert!(is_near(survival[at], alive, 1e-10), "{time}: {:e} {alive:e}", survival[at]);
        assert!(is_near(hazard[at], density / alive, 1e-10), "{time}: {:e}", hazard[at]);
        sum += density.ln();
    }
    let value = plan.likelihood(&times).unwrap().value(&[1.0]).unwrap();
    assert!(is_near(value, sum, 1e-10), "{value} {sum}");
}
