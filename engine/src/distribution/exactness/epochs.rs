//! Epochs, against products of matrix exponentials of 106 bits.

use proptest::prelude::*;

use super::super::double_double::{Dd, exponential};
use super::super::tests::plan;
use super::super::{DistributionError, Start};
use super::{absolute, close, recipe, rounding};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn epochs_multiply_matrix_exponentials(recipe in recipe(), second in prop::array::uniform2(0.2..2.0_f64)) {
        let plan = plan(&recipe.graph());
        let epochs = plan.epochs(&[recipe.time], &[recipe.theta, second]).unwrap().start(Start::Conditional);
        let (_, other) = recipe.generator(second.map(Dd::from), Start::Conditional);
        let before = recipe.state(recipe.exact_theta(), Start::Conditional, recipe.time);
        let later = |time: f64| -> Vec<Dd> {
            let power = exponential(&other, Dd::from(time - recipe.time));
            (0..before.len())
                .map(|to| before.iter().zip(&power).fold(Dd::ZERO, |sum, (&p, row)| sum + p * row[to]))
                .collect()
        };
        let times = [1.5 * recipe.time, recipe.time, 4.0 * recipe.time];
        let (cdf, states) = (epochs.cdf(&times).unwrap(), epochs.stop_probability(&times).unwrap());
        for (at, &time) in times.iter().enumerate() {
            let state = later(time);
            let last = state.len() - 1;
            prop_assert!(close(cdf[at], state[last].0, 1.0), "{} {}", cdf[at], state[last].0);
            prop_assert!((1..last).all(|v| close(states[[at, v]], state[v].0, 1.0)));
        }
        // The same θ twice is no epoch at all.
        let same = plan.epochs(&[0.3 * recipe.time, recipe.time], &[recipe.theta; 3]).unwrap();
        let wanted = plan.distribution(&recipe.theta).unwrap().moments(4).unwrap();
        for (found, wanted) in same.moments(4).unwrap().into_iter().zip(wanted) {
            prop_assert!((found - wanted).abs() <= 1e-12 * wanted, "{} {}", found, wanted);
        }
        let (found, wanted) = (same.variance().unwrap(), plan.distribution(&recipe.theta).unwrap().variance().unwrap());
        prop_assert!((found - wanted).abs() <= 1e-12 * wanted, "{} {}", found, wanted);
    }
}

#[test]
fn epochs_that_do_not_fit_are_named() {
    let plan = plan(&super::super::tests::erlang(2));
    let error = |breakpoints: &[f64], thetas: &[[f64; 1]]| plan.epochs(breakpoints, thetas).unwrap_err();
    assert_eq!(error(&[1.0], &[[1.0]]), DistributionError::EpochCount { breakpoints: 1, thetas: 1 });
    let wanted = DistributionError::Breakpoint { index: 1, value: 1.0, before: 1.0 };
    assert_eq!(error(&[1.0, 1.0], &[[1.0]; 3]), wanted);
    let epochs = plan.epochs(&[1.0], &[[1.0], [0.0]]).unwrap();
    let refused = epochs.expectation().unwrap_err();
    let DistributionError::Epoch { epoch: 1, error } = refused else { panic!("{refused:?}") };
    assert!(matches!(*error, DistributionError::Evaluation(_)), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gradients_across_epochs_are_those_of_matrix_exponentials(
        recipe in recipe(),
        second in prop::array::uniform2(0.2..2.0_f64),
        conditional: bool,
    ) {
        let start = if conditional { Start::Conditional } else { Start::AsGiven };
        let plan = plan(&recipe.graph());
        let epochs = plan.epochs(&[recipe.time, 50.0], &[recipe.theta, second, [1.0, 1.0]]).unwrap().start(start);
        let time = 1.5 * recipe.time;
        let (value, slopes) = epochs.pdf_gradient(&[time, 0.5 * recipe.time]).unwrap();
        let (below, slopes_below) = epochs.cdf_gradient(&[time]).unwrap();
        let thetas = [recipe.exact_theta(), second.map(Dd::from)];
        let exact = recipe.values_after(thetas, start, [recipe.time, time]);
        let jumps = recipe.jumps(thetas[0], start, recipe.time) + recipe.jumps(thetas[1], start, time - recipe.time);
        // A density that is small beside what it was has lost nothing of its own to that.
        let peak = recipe.peak(start, recipe.time).max(exact[0].0);
        prop_assert!((value[0] - exact[0].0).abs() <= 1e-12 * peak, "{} {} of {}", value[0], exact[0].0, peak);
        prop_assert!(close(below[0], exact[1].0, 1.0));
        // Epochs that begin later have no part in it.
        prop_assert!((0..2).all(|parameter| slopes[[0, 2, parameter]] == 0.0 && slopes[[1, 1, parameter]] == 0.0));
        // By epoch and parameter, what the slopes of density and distribution function are and what they are sums of.
        let mut exact_slopes = [[[[0.0; 2]; 2]; 2]; 2];
        for (epoch, of_epoch) in exact_slopes.iter_mut().enumerate() {
            for (parameter, exact) in of_epoch.iter_mut().enumerate() {
                let of_generator = recipe.slopes(start, parameter);
                let at = |slopes| recipe.slopes_after(thetas, start, [recipe.time, time], epoch, slopes);
                let (wanted, size) = (at(&of_generator), at(&absolute(of_generator.clone())));
                for which in 0..2 {
                    let found = if which == 0 { &slopes } else { &slopes_below }[[0, epoch, parameter]];
                    let bound = rounding(jumps) * size[which];
                    let near = (found - wanted[which]).abs() <= bound;
                    prop_assert!(near, "{} {} {} {} {:e}", which, epoch, found, wanted[which], bound);
                }
                *exact = [wanted, size];
            }
        }
        // One absorbed at that time, one last seen alive then.
        prop_assume!(exact[0].0 > 1e-8 && exact[1].0 < 1.0 - 1e-6);
        let (value, slopes) = epochs.log_likelihood_gradient(&[time], &[time]).unwrap();
        prop_assert_eq!(value, epochs.log_likelihood(&[time], &[time]).unwrap());
        let alive = (Dd::from(1.0) - exact[1]).0;
        let of_value = exact[0].0.ln() + alive.ln();
        let bound = 2.0 * rounding(jumps) + 2.0 * f64::EPSILON * of_value.abs();
        prop_assert!((value - of_value).abs() <= bound, "{} {} {:e}", value, of_value, bound);
        for (epoch, of_epoch) in exact_slopes.iter().enumerate() {
            for (parameter, [[density, below], size]) in of_epoch.iter().enumerate() {
                let wanted = density / exact[0].0 - below / alive;
                let bound = rounding(jumps) * (size[0] / exact[0].0 + size[1] / alive);
                let found = slopes[[epoch, parameter]];
                prop_assert!((found - wanted).abs() <= bound, "{} {} {:e}", found, wanted, bound);
            }
        }
    }
}
