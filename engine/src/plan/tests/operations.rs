//! What [`Plan::cost`] says of operations, held against arithmetic that counts them.

use std::cell::Cell;
use std::ops::{Add, Div, Mul, Sub};

use super::super::*;
use super::{build, plan, queue};
use crate::graph::Graph;
use crate::plan::kernel::Factors;
use crate::plan::lane::Lane;

thread_local! {
    static PRODUCTS: Cell<u64> = const { Cell::new(0) };
}

/// A number whose products are counted, on this thread.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Counted(f64);

impl Add for Counted {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Counted {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul for Counted {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        PRODUCTS.set(PRODUCTS.get() + 1);
        Self(self.0 * other.0)
    }
}

impl Div for Counted {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self(self.0 / other.0)
    }
}

impl Lane for Counted {
    const IS_GROUP: bool = false;

    fn splat(value: f64) -> Self {
        Self(value)
    }

    fn lower(self, other: Self) -> Self {
        Self(self.0.lower(other.0))
    }

    fn higher_bits(self, other: Self) -> Self {
        Self(self.0.higher_bits(other.0))
    }

    fn lower_above_zero(self, other: Self) -> Self {
        Self(self.0.lower_above_zero(other.0))
    }

    fn lowest(self) -> f64 {
        self.0
    }

    fn highest(self) -> f64 {
        self.0
    }

    fn all(self, test: impl Fn(f64) -> bool) -> bool {
        test(self.0)
    }

    fn reciprocal_or_zero(self) -> Self {
        Self(self.0.reciprocal_or_zero())
    }

    fn corrected(self, _: impl Fn(&dyn Fn(Self) -> f64) -> Option<f64>) -> Self {
        self
    }
}

/// Products of one elimination, without those of its weights.
fn products(plan: &Plan) -> u64 {
    let at = plan.at(&[1.0, 0.5]).unwrap();
    PRODUCTS.set(0);
    let factors = Factors::<Counted>::again(plan, &at.factors);
    drop(factors);
    PRODUCTS.get() - (plan.forms.count() + plan.forms.further().len()) as u64
}

/// Vertices on a square that lead to their neighbours, and the first to the end: some fill.
fn grid(side: u32) -> Graph {
    let at = |x: u32, y: u32| 1 + x + side * y;
    let mut edges = vec![(at(0, 0), side * side + 1, [1.0, 0.0])];
    for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
        if x + 1 < side {
            edges.extend([(at(x, y), at(x + 1, y), [1.0, 0.0]), (at(x + 1, y), at(x, y), [0.0, 1.0])]);
        }
        if y + 1 < side {
            edges.extend([(at(x, y), at(x, y + 1), [1.0, 0.0]), (at(x, y + 1), at(x, y), [0.0, 1.0])]);
        }
    }
    build(side * side + 2, edges)
}

/// Every vertex leads to every other one.
fn dense(vertices: u32) -> Graph {
    let pairs = (1..vertices).flat_map(|from| (1..=vertices).map(move |to| (from, to, [1.0, 1.0])));
    build(vertices + 1, pairs.filter(|&(from, to, _)| from != to))
}

#[test]
fn the_multiply_adds_of_the_cost_are_those_of_an_elimination() {
    // Beside them, each row that another is reduced by takes two: its multiple, and what leaves with it.
    for graph in [grid(6), grid(15), dense(10), dense(70)] {
        let plan = plan(&graph);
        let cost = plan.cost();
        assert!(cost.multiply_adds > cost.factor_entries / 2, "{cost:?}");
        assert_eq!(products(&plan), cost.multiply_adds + 2 * plan.lower.items.len() as u64, "{cost:?}");
    }
}

#[test]
fn where_nothing_fills_in_each_reduction_is_one_multiply_add() {
    // The only entry of each row that another is reduced by leads back and takes no part.
    let plan = plan(&queue(500));
    assert_eq!(plan.cost().multiply_adds, 499);
    assert_eq!(products(&plan), 2 * 499);
}
