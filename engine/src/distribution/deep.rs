//! Numbers far smaller than f64 holds, and densities with small peaks, against closed forms.

use super::DistributionError;
use super::stiff::{at_one, exact, pair, star_with};
use super::tests::{erlang, plan};
use crate::graph::{Graph, GraphBuilder, Rate, START};
use crate::plan::Plan;

/// Two phases one after the other, each with its own rate.
fn hypoexponential() -> Plan {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(vertices[0], vertices[1], Rate::Coefficients(&[1.0, 0.0])).unwrap();
    builder.add_edge(vertices[1], vertices[2], Rate::Coefficients(&[0.0, 1.0])).unwrap();
    plan(&builder.finish())
}

/// Two vertices that are left for good, each at its own rate, listed in this order.
fn parallel(listed: [(f64, f64); 2]) -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    for ((probability, rate), &vertex) in listed.into_iter().zip(&vertices) {
        builder.add_edge(START, vertex, Rate::Scalar(probability)).unwrap();
        builder.add_edge(vertex, vertices[2], Rate::Scalar(rate)).unwrap();
    }
    builder.finish()
}

#[test]
fn a_rare_start_in_a_fast_vertex_counts_where_the_peak_is_low() {
    for (rare, slow, fast) in [(1e-18, 1e-15, 1e3), (1e-16, 1e-12, 1e3), (1e-30, 1e-20, 1e6)] {
        let times = [0.5 / fast, 0.0, 3.0 / fast, 40.0 / fast];
        let density = |time: f64| slow * (-slow * time).exp() + rare * fast * (-fast * time).exp();
        let peak = density(0.0);
        for listed in [[(1.0, slow), (rare, fast)], [(rare, fast), (1.0, slow)]] {
            let plan = plan(&parallel(listed));
            let found = at_one(&plan).pdf(&times).unwrap();
            let later = plan.epochs(&[1.0 / fast], &[[1.0]; 2]).unwrap().pdf(&times).unwrap();
            for (at, &time) in times.iter().enumerate() {
                for found in [found[at], later[at]] {
                    assert!(
                        (found - density(time)).abs() <= 1e-10 * peak,
                        "{listed:?} at {time:e}: {found:e} {:e}",
                        density(time)
                    );
                }
            }
        }
    }
}

/// A first epoch in which hardly one jump happens, of three on the way to absorption, and a second one in which only a rare
/// start is left.
#[test]
fn what_would_come_after_an_epoch_is_no_peak() {
    let (rare, until) = (5e-19, 1e-9);
    let mut builder = GraphBuilder::new(1).unwrap();
    let vertices: Vec<u32> = (1..=5).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, vertices[0], Rate::Scalar(1.0)).unwrap();
    builder.add_edge(START, vertices[3], Rate::Scalar(rare)).unwrap();
    // The rare start comes before the others.
    for (from, to, rates) in [
        (0, 1, [1e3, 0.0, 0.0]),
        (1, 2, [1e3, 0.0, 0.0]),
        (2, 4, [1e3, 0.0, 0.0]),
        (3, 4, [0.0, 100.0, 0.0]),
        (3, 0, [0.0, 0.0, 1.0]),
    ] {
        builder.add_edge(vertices[from], vertices[to], Rate::Coefficients(&rates)).unwrap();
    }
    let plan = plan(&builder.finish());
    let epochs = plan.epochs(&[until], &[[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).unwrap();
    let peak = 1e3 * (1e3 * until).powi(2) / 2.0;
    let times = [1e-3, 1e-2];
    for (time, found) in times.into_iter().zip(epochs.pdf(&times).unwrap()) {
        let density = rare * 100.0 * (-100.0_f64 * time).exp();
        assert!((found - density).abs() <= 1e-10 * peak, "{time}: {found:e} {density:e} of {peak:e}");
    }
}

#[test]
fn survival_and_hazard_keep_their_digits_to_the_end_of_f64_and_beyond() {
    let plan = hypoexponential();
    let distribution = plan.distribution(&[1.0, 2.0]).unwrap();
    let epochs = plan.epochs(&[100.0, 640.0], &[[1.0, 2.0]; 3]).unwrap();
    let times = [559.0, 620.0, 650.0, 690.0, 705.0, 0.5];
    for survival in [distribution.survival(&times).unwrap(), epochs.survival(&times).unwrap()] {
        for (&time, &found) in times.iter().zip(&survival) {
            let wanted = 2.0 * (-time).exp() - (-2.0 * time).exp();
            assert!((found / wanted - 1.0).abs() < 2e-12, "{time}: {found:e} {wanted:e}");
        }
    }
    let times = [690.0, 5_000.0, 100_000.0, 0.5];
    for hazard in [distribution.hazard(&times).unwrap(), epochs.hazard(&times).unwrap()] {
        for (&time, &found) in times.iter().zip(&hazard) {
            let wanted = (2.0 - 2.0 * (-time).exp()) / (2.0 - (-time).exp());
            assert!((found / wanted - 1.0).abs() < 1e-12, "{time}: {found:e} {wanted:e}");
        }
    }
    // What is too small for f64 is 0.
    assert_eq!(distribution.survival(&[800.0, 1e12]).unwrap(), [0.0, 0.0]);
    assert_eq!(distribution.pdf(&[800.0]).unwrap(), [0.0]);
}

/// A gamma density with a whole number of phases.
fn log_density(phases: i32, rate: f64, time: f64) -> f64 {
    let factorial: f64 = (1..phases).map(f64::from).map(f64::ln).sum();
    f64::from(phases) * rate.ln() + f64::from(phases - 1) * time.ln() - rate * time - factorial
}

#[test]
fn likelihoods_of_what_hardly_ever_happens_are_numbers_with_slopes() {
    // By jumps, with states that are found again, and by leaps.
    for (phases, rate, times) in [
        (1, 1_000.0, vec![1.0]),
        (3, 2_000.0, vec![0.5, 2.5, 1.0, 2.5]),
        (3, 1e5, vec![0.5, 2.5, 1.0]),
        (1, 1e5, vec![1.0, 2.0]),
    ] {
        let plan = plan(&erlang(phases));
        let likelihood = plan.likelihood(&times).unwrap();
        let wanted: f64 = times.iter().map(|&time| log_density(phases, rate, time)).sum();
        let slope = times.iter().map(|time| f64::from(phases) / rate - time).sum::<f64>();
        for likelihood in [likelihood.clone(), likelihood.with_room(0)] {
            let (value, gradient) = likelihood.value_and_gradient(&[rate]).unwrap();
            assert!((value / wanted - 1.0).abs() < 1e-12, "{phases} {rate}: {value} {wanted}");
            assert!((gradient[0] / slope - 1.0).abs() < 1e-10, "{phases} {rate}: {gradient:?} {slope}");
            assert!((likelihood.value(&[rate]).unwrap() / wanted - 1.0).abs() < 1e-12);
        }
        let (densities, slopes) = plan.distribution(&[rate]).unwrap().pdf_gradient(&[300.0 / rate]).unwrap();
        let wanted = log_density(phases, rate, 300.0 / rate).exp();
        let slope = wanted * (f64::from(phases) / rate - 300.0 / rate);
        assert!((densities[0] / wanted - 1.0).abs() < 1e-11 && (slopes[[0, 0]] / slope - 1.0).abs() < 1e-10);
    }
}

#[test]
fn likelihoods_add_up_over_epochs_however_little_is_left() {
    let plan = hypoexponential();
    // Whatever is left after long is in one phase or the other, by chances that are known.
    let alive = |time: f64| (2.0 * (-time).exp() - (-2.0 * time).exp()).ln();
    let epochs = plan.epochs(&[300.0, 400.0], &[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]).unwrap();
    let (value, gradient) = epochs.log_likelihood_gradient(&[], &[600.0, 200.0]).unwrap();
    assert!((value - alive(600.0) - alive(200.0)).abs() < 1e-9, "{value}");
    // By the slopes of one θ for all: they add up.
    let likelihood = plan.censored_likelihood(&[], &[600.0, 200.0]).unwrap();
    let (whole, slopes) = likelihood.value_and_gradient(&[1.0, 2.0]).unwrap();
    assert!((whole - value).abs() < 1e-9);
    for parameter in 0..2 {
        let sum: f64 = gradient.column(parameter).sum();
        assert!((sum - slopes[parameter]).abs() < 1e-9 * slopes[0].abs(), "{gradient} {slopes:?}");
    }
    // S(t) = (b e^−at − a e^−bt)/(b − a): ∂ ln S/∂a → −t + 1/(b − a), ∂ ln S/∂b → 1/b − 1/(b − a).
    assert!((slopes[0] - (2.0 - 800.0)).abs() < 1e-9 && (slopes[1] - (1.0 - 2.0)).abs() < 1e-9, "{slopes:?}");
}

#[test]
fn tails_of_stiff_models_go_on_beyond_f64() {
    let (leaping, edges) = pair(0.7);
    let (steady, lumped) = star_with(1100, 0.5);
    for (plan, edges, start) in [(&leaping, edges, 1), (&steady, lumped, 2)] {
        let distribution = at_one(plan).with_jump_limit(20_000_000);
        let (state, flow) = exact(3, start, &edges, 20.0);
        let hazard = flow / (state[0] + state[1]);
        let found = distribution.hazard(&[20.0, 50_000.0]).unwrap();
        assert!(found.iter().all(|found| (found / hazard - 1.0).abs() < 1e-9), "{found:?} {hazard}");
        let likelihood =
            plan.censored_likelihood(&[], &[20.0, 50_000.0]).unwrap().with_jump_limit(20_000_000);
        let value = likelihood.value(&[1.0]).unwrap();
        let wanted = 2.0 * (state[0] + state[1]).ln() - hazard * (50_000.0 - 20.0);
        assert!((value / wanted - 1.0).abs() < 1e-9, "{value} {wanted}");
    }
}

#[test]
fn survivors_are_drawn_however_few_there_are() {
    let plan = hypoexponential();
    let count = 20_000;
    let of_one = plan.distribution(&[1.0, 2.0]).unwrap().survivors(50_000.0).unwrap();
    let epochs = plan.epochs(&[10.0], &[[1.0, 2.0]; 2]).unwrap().survivors(50_000.0).unwrap();
    for times in [of_one.times(1, count).unwrap(), epochs.times(1, count).unwrap()] {
        // Half of those alive are in each phase: 1/2 · (1 + 1/2) + 1/2 · 1/2.
        let mean = times.iter().sum::<f64>() / count as f64;
        assert!((mean - 1.0).abs() < 5.0 / (count as f64).sqrt(), "{mean}");
    }
}

#[test]
fn jumps_of_all_ways_back_are_held_to_the_limit() {
    // Too many vertices for powers of a matrix.
    let plan = plan(&erlang(1100));
    let distribution = plan.distribution(&[1.0]).unwrap().with_jump_limit(3000);
    let (found, _) = distribution.pdf_gradient(&[1100.0]).unwrap();
    assert!((found[0] / log_density(1100, 1.0, 1100.0).exp() - 1.0).abs() < 1e-10, "{found:?}");
    let times: Vec<f64> = (0..20).map(|k| 1100.0 - f64::from(k)).collect();
    let refused = distribution.pdf_gradient(&times).unwrap_err();
    assert!(matches!(refused, DistributionError::Jumps { limit: 3000, index: Some(_), .. }), "{refused:?}");
}

#[test]
fn rates_too_fast_for_masses_in_small_units_have_survival_and_likelihoods() {
    let plan = plan(&erlang(2));
    for rate in [1e85, 1e95, 1e130, 1e170, 1e300] {
        let time = 2.0 / rate;
        let (alive, density) = (3.0 * (-2.0_f64).exp(), 2.0 * (-2.0_f64).exp() * rate);
        let distribution = plan.distribution(&[rate]).unwrap();
        assert!((distribution.survival(&[time]).unwrap()[0] / alive - 1.0).abs() < 1e-14, "{rate:e}");
        assert!(
            (distribution.hazard(&[time]).unwrap()[0] / (density / alive) - 1.0).abs() < 1e-14,
            "{rate:e}"
        );
        let quantile = distribution.quantile(&[1.0 - alive]).unwrap()[0];
        assert!((quantile / time - 1.0).abs() < 1e-13, "{rate:e}: {quantile:e}");
        let value = plan.likelihood(&[time]).unwrap().value(&[rate]).unwrap();
        assert!((value / density.ln() - 1.0).abs() < 1e-14, "{rate:e}: {value}");
        // From a slow epoch, in which all but next to nothing has gone, into a fast one.
        let epochs = plan.epochs(&[600.0], &[[1.0], [rate]]).unwrap();
        let found = epochs.survival(&[500.0, 600.0]).unwrap();
        assert!((found[0] / (501.0 * (-500.0_f64).exp()) - 1.0).abs() < 1e-12, "{found:?}");
    }
}

#[test]
fn log_likelihoods_that_are_found_by_leaps_do_not_depend_on_how_fast_time_goes() {
    // To and fro a billion times as fast as out.
    let mut builder = GraphBuilder::new(1).unwrap();
    let v: Vec<u32> = (1..=3).map(|state| builder.add_vertex(&[state]).unwrap()).collect();
    builder.add_edge(START, v[0], Rate::Scalar(1.0)).unwrap();
    for (from, to, rates) in [(0, 1, [1.0, 0.0]), (1, 0, [1.0, 0.0]), (1, 2, [0.0, 1.0])] {
        builder.add_edge(v[from], v[to], Rate::Coefficients(&rates)).unwrap();
    }
    let plan = plan(&builder.finish());
    let found = |fast: f64| {
        let theta = [fast, 1e-9 * fast];
        let likelihood = plan.likelihood(&[1e9 / fast]).unwrap();
        let (value, slopes) = likelihood.value_and_gradient(&theta).unwrap();
        [value - theta[1].ln(), slopes[0] * theta[0] * 1e9, slopes[1] * theta[1]]
    };
    let slow = found(1e10);
    for fast in [1e85, 1e130, 1e170, 1e290] {
        let off: Vec<f64> = slow.iter().zip(found(fast)).map(|(slow, fast)| (slow - fast).abs()).collect();
        assert!(off[0] < 1e-9 && off[1] < 1e-6 && off[2] < 1e-9, "{fast:e}: {off:?}");
    }
}
