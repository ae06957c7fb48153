//! Next to nothing left: numbers of jumps that hardly any path takes.

use super::super::random_graphs::close;
use super::super::tests::plan;
use crate::graph::{GraphBuilder, Rate, START};
use crate::plan::Plan;

/// From 1, the first vertex, to 2 or out to 3, and from 2 back or out, with these weights of two parameters.
fn to_and_fro(edges: &[(u32, u32, [f64; 2])]) -> Plan {
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    for state in 1..=3 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for (from, to, weight) in edges {
        builder.add_edge(*from, *to, Rate::Coefficients(weight)).unwrap();
    }
    plan(&builder.finish())
}

/// Out of 1 with probability 1/2, every second jump.
fn coin() -> Plan {
    to_and_fro(&[(1, 2, [0.5, 0.0]), (1, 3, [0.5, 0.0]), (2, 1, [1.0, 0.0])])
}

#[test]
fn hazards_and_survivors_go_on_below_what_f64_holds() {
    let plan = coin();
    let jumps = plan.jumps(&[1.0, 1.0]).unwrap();
    let numbers = [1, 2, 1901, 2001, 2040, 2061, 2101, 2102, 20_001, 1_000_001];
    let hazards = jumps.hazard(&numbers).unwrap();
    for (&number, hazard) in numbers.iter().zip(hazards) {
        assert_eq!(hazard, if number % 2 == 1 { 0.5 } else { 0.0 }, "{number}");
    }
    // As far as they go, and then there are none.
    let late: Vec<u64> = (2_700_000..3_300_000).collect();
    let hazards = jumps.hazard(&late).unwrap();
    let known = hazards.iter().take_while(|hazard| !hazard.is_nan()).count();
    assert!((100_000..500_000).contains(&known), "{known}");
    for (&number, hazard) in late.iter().zip(&hazards[..known]) {
        assert_eq!(*hazard, if number % 2 == 1 { 0.5 } else { 0.0 }, "{number}");
    }
    assert!(hazards[known..].iter().all(|hazard| hazard.is_nan()));
    // Before an odd jump all that is alive is in 1, and jumps once more or at least three times.
    let survivors = jumps.survivors(200_000).unwrap();
    let times = survivors.times(7, 20_000).unwrap();
    let ended = times.iter().filter(|&&jumps| jumps == 1.0).count() as f64 / 20_000.0;
    assert!((ended - 0.5).abs() < 0.02, "{ended}");
}

#[test]
fn probabilities_keep_their_digits_to_the_end_of_f64() {
    // What is left in one vertex is a share of 1e-20 of what is in the other.
    let plan =
        to_and_fro(&[(1, 2, [1e-20, 0.0]), (1, 3, [1.0, 0.0]), (2, 1, [1e-20, 0.0]), (2, 3, [1.0, 0.0])]);
    let jumps = plan.jumps(&[1.0, 1.0]).unwrap();
    for number in 1..=15 {
        let wanted = 1e-20_f64.powi(number);
        let number = u64::from(number.unsigned_abs());
        let found = jumps.survival(&[number]).unwrap()[0];
        assert!(close(found, wanted, 1e-13), "{number}: {found:e} {wanted:e}");
        let row = jumps.stop_probability(&[number]).unwrap();
        assert!(close(row.sum(), wanted, 1e-13), "{number}: {row}");
    }
    let known = coin().jumps(&[1.0, 1.0]).unwrap().survival(&[2000, 2040, 2144, 2160]).unwrap();
    assert_eq!(known, [1000, 1020, 1072, 1080].map(|rounds| 0.5_f64.powi(rounds)));
}

#[test]
fn log_likelihoods_of_what_goes_at_once_are_numbers() {
    let edges = [(1, 2, [0.0, 1.0]), (1, 3, [1.0, 0.0]), (2, 1, [0.0, 1.0]), (2, 3, [1.0, 0.0])];
    let plan = to_and_fro(&edges);
    for small in [1e-12_f64, 1e-24, 1e-100, 1e-200] {
        let likelihood = plan.jump_likelihood(&[101], &[120]).unwrap();
        let (value, gradient) = likelihood.value_and_gradient(&[1.0, small]).unwrap();
        // 220 jumps of θ₂/(θ₁ + θ₂), and one of the rest.
        let wanted = 220.0 * small.ln() - 221.0 * small.ln_1p();
        assert!(close(value, wanted, 1e-13), "{small:e}: {value} {wanted}");
        let slopes = [1.0 - 221.0 / (1.0 + small), 220.0 / small - 221.0 / (1.0 + small)];
        assert!(close(gradient[0], slopes[0], 1e-11), "{small:e}: {gradient:?} {slopes:?}");
        assert!(close(gradient[1], slopes[1], 1e-11), "{small:e}: {gradient:?} {slopes:?}");
    }
}

#[test]
fn the_last_jump_of_all_is_that_of_the_longest_path() {
    // A hub of so many leaves that all but 1e-308 is out before there were as many jumps as vertices.
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    let (hub, end) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[0]).unwrap());
    builder.add_edge(START, hub, Rate::Scalar(1.0)).unwrap();
    for state in 2..3002 {
        let leaf = builder.add_vertex(&[state]).unwrap();
        builder.add_edge(hub, leaf, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(leaf, hub, Rate::Scalar(0.25)).unwrap();
        builder.add_edge(leaf, end, Rate::Scalar(0.75)).unwrap();
    }
    let cyclic = plan(&builder.finish());
    let found = cyclic.jumps(&[1.0]).unwrap().quantile(&[1.0, 0.75, 1.0]).unwrap();
    assert_eq!(found, [u64::MAX, 2, u64::MAX]);
    // A row of vertices from each of which next to nothing goes on, and its end is reached all the same.
    let mut builder = GraphBuilder::new(1).unwrap();
    builder.set_was_dph(true);
    for state in 1..=100 {
        builder.add_vertex(&[state]).unwrap();
    }
    builder.add_edge(START, 1, Rate::Scalar(1.0)).unwrap();
    for from in 1..99 {
        builder.add_edge(from, from + 1, Rate::Scalar(1e-30)).unwrap();
        builder.add_edge(from, 100, Rate::Scalar(1.0)).unwrap();
    }
    builder.add_edge(99, 100, Rate::Scalar(1.0)).unwrap();
    let row = plan(&builder.finish());
    assert_eq!(row.jumps(&[1.0]).unwrap().quantile(&[1.0, 0.5]).unwrap(), [99, 1]);
    assert_eq!(coin().jumps(&[1.0, 1.0]).unwrap().quantile(&[1.0]).unwrap(), [u64::MAX]);
}
