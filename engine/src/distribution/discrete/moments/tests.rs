use proptest::prelude::*;

use crate::distribution::random_graphs::{close, recipe};
use crate::distribution::tests::plan;
use crate::graph::{GraphBuilder, Rate, START};

/// `E[Nᵏ]` of a geometric number from 1 and its slope by p, from factorial moments: all terms are of one sign.
fn geometric(order: usize, p: f64) -> (f64, f64) {
    // Numbers of partitions of `order` things into `parts`.
    let mut partitions = vec![1.0];
    for things in 1..=order {
        let with = |parts: usize| {
            let of = |parts: usize| partitions.get(parts).copied().unwrap_or(0.0);
            if parts == 0 { 0.0 } else { parts as f64 * of(parts) + of(parts - 1) }
        };
        partitions = (0..=things).map(with).collect();
    }
    let (q, mut factorial, mut sums) = (1.0 - p, 1.0, (0.0, 0.0));
    for (parts, ways) in partitions.iter().enumerate().skip(1) {
        let parts = parts as f64;
        factorial *= parts;
        let by_q = if parts > 1.0 { (parts - 1.0) * q.powf(parts - 2.0) } else { 0.0 };
        let slope = -by_q / p.powf(parts) - parts * q.powf(parts - 1.0) / p.powf(parts + 1.0);
        sums.0 += ways * factorial * q.powf(parts - 1.0) / p.powf(parts);
        sums.1 += ways * factorial * slope;
    }
    sums
}

#[test]
fn slopes_of_moments_of_a_reward_are_those_of_a_geometric_number() {
    // Until heads, with probability p = θ₂/(θ₁ + θ₂), at 0.25 a toss.
    let mut builder = GraphBuilder::new(1).unwrap();
    let [toss, tails, heads] = [1, 2, 0].map(|state| builder.add_vertex(&[state]).unwrap());
    builder.set_was_dph(true);
    builder.add_edge(START, toss, Rate::Scalar(1.0)).unwrap();
    for (from, to) in [(toss, tails), (tails, toss)] {
        builder.add_edge(from, to, Rate::Coefficients(&[1.0, 0.0])).unwrap();
        builder.add_edge(from, heads, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    }
    let plan = plan(&builder.finish());
    for theta in [[3.0, 1.0], [1.0, 1e-6], [1e-3, 2.0]] {
        let jumps = plan.jumps(&theta).unwrap();
        let found = jumps.reward_moment_gradients(&[0.25; 4], 12).unwrap();
        let sum = theta[0] + theta[1];
        let (p, of_p) = (theta[1] / sum, [-theta[1] / (sum * sum), theta[0] / (sum * sum)]);
        assert_eq!(found.len(), 12);
        for (order, found) in (1..).zip(found) {
            let (moment, slope) = geometric(order, p);
            let unit = 0.25_f64.powf(order as f64);
            let value = jumps.reward_moments(&[0.25; 4], order).unwrap()[order - 1];
            assert!(close(value, unit * moment, 1e-12), "{theta:?} {order}: {value} {}", unit * moment);
            for (found, of_p) in found.into_iter().zip(of_p) {
                let wanted = unit * slope * of_p;
                assert!(close(found, wanted, 2e-12), "{theta:?} {order}: {found} {wanted}");
            }
        }
    }
    // A square beyond f64 has no slope either.
    assert!(plan.jumps(&[1.0, 1.0]).unwrap().reward_moment_gradients(&[1e200; 4], 2).is_err());
}

#[test]
fn what_depends_on_no_parameter_has_no_slope() {
    // Ways that are the only ones, and a parameter that scales all.
    let mut builder = GraphBuilder::new(1).unwrap();
    let [first, last, end] = [1, 2, 0].map(|state| builder.add_vertex(&[state]).unwrap());
    builder.set_was_dph(true);
    builder.add_edge(START, first, Rate::Scalar(1.0)).unwrap();
    builder.add_edge(first, last, Rate::Coefficients(&[1.0, 0.0])).unwrap();
    builder.add_edge(last, end, Rate::Coefficients(&[0.0, 1.0])).unwrap();
    let plan = plan(&builder.finish());
    let found = plan.jumps(&[0.3, 0.7]).unwrap().reward_moment_gradients(&[1.0, 0.1, 0.2, 0.3], 4);
    assert_eq!(found.unwrap(), vec![vec![0.0; 2]; 4]);
}

proptest! {
    #[test]
    fn slopes_of_moments_are_those_of_differences(
        recipe in recipe(1..=6),
        rewards in prop::collection::vec(-1.0..2.0_f64, 8),
        theta in [0.3..2.0_f64, 0.3..2.0_f64],
    ) {
        let last = recipe.onward.len() as u32 + 1;
        let mut builder = GraphBuilder::new(1).unwrap();
        builder.set_was_dph(true);
        for state in 1..=last {
            builder.add_vertex(&[state.cast_signed()]).unwrap();
        }
        for (&p, vertex) in recipe.initial.iter().zip(1..).filter(|&(&p, _)| p > 0.0) {
            builder.add_edge(START, vertex, Rate::Scalar(p)).unwrap();
        }
        let onward = recipe.onward.iter().zip(1..).map(|(&rate, vertex)| (vertex, vertex + 1, rate));
        let edges = onward.chain(recipe.edges.iter().copied().filter(|&(from, to, _)| from != to));
            for (number, (from, to, rate)) in edges.enumerate() {
            let rates = if number % 2 == 0 { [rate, 0.0] } else { [0.0, rate] };
            builder.add_edge(from, to, Rate::Coefficients(&rates)).unwrap();
        }
        let plan = plan(&builder.finish());
        let rewards = &rewards[..plan.vertex_count() as usize];
        let order = 5;
        let found = plan.jumps(&theta).unwrap().reward_moment_gradients(rewards, order).unwrap();
        let moments = |parameter: usize, step: f64| {
            let mut moved = theta;
            moved[parameter] += step;
            plan.jumps(&moved).unwrap().reward_moments(rewards, order).unwrap()
        };
        let absolute: Vec<f64> = rewards.iter().map(|reward| reward.abs()).collect();
        let sizes = plan.jumps(&theta).unwrap().reward_moments(&absolute, order).unwrap();
        // Of the fourth order; the rest is some fifth derivative.
        let differences = |parameter: usize| {
            let step = 1e-3;
            let [near, far] = [step, 2.0 * step].map(|step| {
                let (ahead, behind) = (moments(parameter, step), moments(parameter, -step));
                ahead.into_iter().zip(behind).map(move |(a, b)| (a - b) / (2.0 * step))
            });
            near.zip(far).map(|(near, far)| (4.0 * near - far) / 3.0).collect::<Vec<f64>>()
        };
        for (parameter, wanted) in [0, 1].map(|parameter| (parameter, differences(parameter))) {
            for ((slopes, wanted), size) in found.iter().zip(wanted).zip(&sizes) {
                let slope = slopes[parameter];
                prop_assert!((slope - wanted).abs() <= 1e-5 * size, "{parameter}: {slope} {wanted}");
            }
        }
    }
}
