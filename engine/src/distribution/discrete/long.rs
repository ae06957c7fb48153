//! Many jumps: what rounding takes from each does not add up.

use super::super::random_graphs::close;
use super::super::tests::plan;
use crate::graph::{Graph, GraphBuilder, Rate, START};

/// Out of the middle with a weight of θ₂, or to one of eleven places around it with θ₁ each, and back.
fn wheel() -> Graph {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    let (middle, out) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, middle, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(middle, out, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    for place in 0..11 {
        let place = builder.add_vertex(&[2 + place]).unwrap();
        builder.add_edge(middle, place, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(place, middle, Rate::Coefficients(&[1.0, 0.0])).unwrap();
    }
    builder.finish()
}

const OUT: f64 = 1e-6;
const ROUNDS: [u64; 3] = [40_000, 8, 100_003];

/// The probability of that many rounds.
fn stays(rounds: u64) -> f64 {
    (-(rounds as f64) * (OUT / 11.0).ln_1p()).exp()
}

#[test]
fn probabilities_after_many_jumps_are_as_exact_as_after_few() {
    let plan = plan(&wheel());
    let jumps = plan.jumps(&[1.0, OUT]).unwrap();
    let even = ROUNDS.map(|rounds| 2 * rounds);
    let (known, states) = (jumps.probabilities(&even).unwrap(), jumps.stop_probability(&even).unwrap());
    let visits = jumps.accumulated_visits(&even).unwrap();
    for (place, &rounds) in ROUNDS.iter().enumerate() {
        let (alive, leaves) = (stays(rounds), OUT / (11.0 + OUT));
        assert!(close(known[place].survival, alive, 1e-15), "{rounds}: {:e}", known[place].survival - alive);
        let absorbed = -(-(rounds as f64) * (OUT / 11.0).ln_1p()).exp_m1();
        assert!(close(known[place].cdf, absorbed, 1e-14), "{rounds}: {:e}", known[place].cdf - absorbed);
        assert!(close(states[[place, 1]], alive, 1e-15));
        // Of all visits of the middle, those before the last were followed by a way out or around.
        let wanted = absorbed / leaves + alive;
        assert!(
            close(visits[[place, 1]], wanted, 1e-14),
            "{rounds}: {:e}",
            visits[[place, 1]] / wanted - 1.0
        );
    }
    let odd = ROUNDS.map(|rounds| 2 * rounds + 1);
    for (found, rounds) in jumps.pmf(&odd).unwrap().into_iter().zip(ROUNDS) {
        assert!(close(found, stays(rounds) * (OUT / (11.0 + OUT)), 1e-14), "{rounds}");
    }
}

#[test]
fn gradients_after_many_jumps_are_as_exact_as_after_few() {
    let plan = plan(&wheel());
    let jumps = plan.jumps(&[1.0, OUT]).unwrap();
    let rounds = 40_000;
    let (known, slopes) = jumps.pmf_gradient(&[2 * rounds + 1]).unwrap();
    // Of p s^n for p = θ₂/(11 θ₁ + θ₂) and s = 1 − p.
    let leaves = OUT / (11.0 + OUT);
    let wanted = known[0] * (1.0 / leaves - rounds as f64 / (1.0 - leaves)) * 11.0 / (11.0 + OUT).powi(2);
    assert!(close(slopes[[0, 1]], wanted, 1e-13), "{:e} {wanted:e}", slopes[[0, 1]]);
    let (known, slopes) = jumps.survival_gradient(&[2 * rounds]).unwrap();
    let wanted = -known[0] * rounds as f64 / (11.0 + OUT);
    assert!(close(slopes[[0, 1]], wanted, 1e-13), "{:e} {wanted:e}", slopes[[0, 1]]);
    let (value, slopes) =
        plan.jump_likelihood(&[], &[2 * rounds]).unwrap().value_and_gradient(&[1.0, OUT]).unwrap();
    assert!(close(value, -(rounds as f64) * (OUT / 11.0).ln_1p(), 1e-12), "{value}");
    assert!(close(slopes[1], -(rounds as f64) / (11.0 + OUT), 1e-13), "{}", slopes[1]);
}

#[test]
fn what_little_is_left_of_much_is_known_by_itself() {
    // All but 1e-9 of what is there goes with every jump, or half, or a thousandth.
    for (stay, numbers) in [(1e-9, [1, 2, 20]), (0.5, [16, 33, 800]), (0.999, [16, 1_600, 500_000])] {
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(true);
        let (at, out) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
        builder.add_edge(START, at, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(at, out, Rate::Coefficients(&[1.0, -1.0])).unwrap();
        builder.add_edge(at, START, Rate::Coefficients(&[0.0, 1.0])).unwrap();
        let plan = plan(&builder.finish());
        let survival = plan.jumps(&[1.0, stay]).unwrap().survival(&numbers).unwrap();
        for (found, number) in survival.into_iter().zip(numbers) {
            let wanted = (number as f64 * stay.ln()).exp();
            let holds = if wanted < 1e-240 { found < 1e-239 } else { close(found, wanted, 1e-12) };
            assert!(holds, "{stay} {number}: {found:e} {wanted:e}");
        }
    }
}
