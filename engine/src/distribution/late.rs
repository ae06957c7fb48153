//! Times long after most has been absorbed, at rates of any size.

use proptest::prelude::*;

use super::stiff::{at_one, graph};
use super::tests::plan;
use super::*;
use crate::plan::Plan;

/// Two models of which next to nothing is left at the end of a segment in which it is in a steady state.
fn emptied() -> [(Plan, f64); 2] {
    let fed = [(1, 2, 1.0), (2, 1, 19.0), (2, 3, 12.0)];
    let cyclic = [
        (1, 2, 400.0),
        (1, 4, 260.0),
        (2, 4, 13000.0),
        (3, 1, 7000.0),
        (3, 5, 800.0),
        (4, 3, 2400.0),
        (4, 5, 600.0),
    ];
    [(plan(&graph(3, &[1], &fed)), 3500.0), (plan(&graph(5, &[1], &cyclic)), 2.0)]
}

#[test]
fn a_steady_state_of_which_nothing_is_left_decays_at_a_rate_that_is_a_number() {
    for (plan, time) in emptied() {
        let curve = at_one(&plan).curve(&[time, 2.0 * time]).unwrap();
        assert!(curve.cdf.iter().all(|cdf| (cdf - 1.0).abs() < 1e-14), "{curve:?}");
        assert!(curve.survival.iter().chain(&curve.pdf).all(|&left| left < 1e-30), "{curve:?}");
        let epochs = plan.epochs(&[0.9 * time], &[[1.0]; 2]).unwrap();
        assert!((epochs.cdf(&[time]).unwrap()[0] - 1.0).abs() < 1e-14);
    }
}

/// Edges onwards and anywhere between up to 25 vertices, the last absorbing, at rates over several decades.
fn sparse() -> impl Strategy<Value = (u32, Vec<(u32, u32, f64)>)> {
    (2..=25_u32, 0.0..5.0_f64).prop_flat_map(|(vertices, decades)| {
        let rate = move || (-0.5 * decades..=0.5 * decades).prop_map(|e| 10.0_f64.powf(e));
        let other = (1..vertices, 1..=vertices, rate());
        let onward = prop::collection::vec(rate(), vertices as usize - 1);
        (onward, prop::collection::vec(other, 0..2 * vertices as usize)).prop_map(move |(onward, other)| {
            let onward = (1..vertices).zip(onward).map(|(from, rate)| (from, from + 1, rate));
            (vertices, onward.chain(other.into_iter().filter(|(from, to, _)| from != to)).collect())
        })
    })
}

/// What distributions and epochs are both asked.
struct Asked {
    curve: Curve,
    survival: Vec<f64>,
    hazard: Vec<f64>,
    quantiles: Vec<f64>,
    /// Survival at the quantiles.
    left: Vec<f64>,
}

/// The last of these is closer to 1 than what cancels would tell.
const PROBABILITIES: [f64; 3] = [1e-12, 0.3, 1.0 - 1e-12];

fn check(asked: &Asked) -> Result<(), TestCaseError> {
    let Asked { curve, survival, hazard, quantiles, left } = asked;
    for (at, (&cdf, &left)) in curve.cdf.iter().zip(survival).enumerate() {
        prop_assert!((cdf + left - 1.0).abs() < 1e-9, "{at}: {cdf} {left}");
        prop_assert!((cdf + curve.survival[at] - 1.0).abs() < 1e-12, "{at}: {cdf} {}", curve.survival[at]);
        prop_assert!(curve.pdf[at] >= 0.0 && curve.pdf[at] <= f64::MAX);
        // Without survival there is no hazard.
        prop_assert!(hazard[at] > 0.0 && hazard[at] <= f64::MAX || left < 1e-300, "{at}: {hazard:?}");
    }
    prop_assert!(curve.cdf.is_sorted_by(|one, next| *next >= one - 1e-12), "{:?}", curve.cdf);
    prop_assert!(survival.is_sorted_by(|one, next| *next <= one * (1.0 + 1e-9)), "{survival:?}");
    prop_assert!(curve.cdf.last().is_some_and(|cdf| (cdf - 1.0).abs() < 1e-9), "{:?}", curve.cdf);
    prop_assert!(quantiles.is_sorted() && quantiles[2].is_finite(), "{quantiles:?}");
    for (left, q) in left.iter().zip(PROBABILITIES) {
        prop_assert!((left - (1.0 - q)).abs() < 1e-9 * (1.0 - q), "{left} {q}: {quantiles:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn late_times_are_answered_whatever_the_rates((vertices, edges) in sparse(), begin in 0.1..20.0_f64) {
        let plan = plan(&graph(vertices, &[1], &edges));
        let distribution = at_one(&plan).with_jump_limit(20_000_000);
        let mean = distribution.expectation().unwrap();
        let times = [1.0, 10.0, 200.0, 1e5, 1e9].map(|means| means * mean);
        let quantiles = distribution.quantile(&PROBABILITIES).unwrap();
        let asked = Asked {
            curve: distribution.curve(&times).unwrap(),
            survival: distribution.survival(&times).unwrap(),
            hazard: distribution.hazard(&times).unwrap(),
            left: distribution.survival(&quantiles).unwrap(),
            quantiles,
        };
        check(&asked)?;
        let epochs = plan.epochs(&[begin * mean], &[[1.0]; 2]).unwrap().with_jump_limit(20_000_000);
        let quantiles = epochs.quantile(&PROBABILITIES).unwrap();
        let across = Asked {
            curve: epochs.curve(&times).unwrap(),
            survival: epochs.survival(&times).unwrap(),
            hazard: epochs.hazard(&times).unwrap(),
            left: epochs.survival(&quantiles).unwrap(),
            quantiles,
        };
        check(&across)?;
        prop_assert_eq!(distribution.pdf(&times).unwrap(), asked.curve.pdf);
        for (one, other) in asked.curve.cdf.iter().zip(&across.curve.cdf) {
            prop_assert!((one - other).abs() < 1e-9, "{one} {other}");
        }
    }
}
