//! Evaluates placed trees for one state and one set of loop variables.
//!
//! No allocation and no names: what is read was resolved to places before. Errors are made on the way out only.

use super::{Function, Node, NodeId, Operator, Placed, Relation, Slot, Span};
use crate::model::number::{self, Fault, Number};
use std::cmp::Ordering;

/// The values an expression reads.
#[derive(Clone, Copy)]
pub(in crate::model) struct Binding<'a> {
    pub(in crate::model) state: &'a [i32],
    pub(in crate::model) loops: &'a [i64],
}

/// A fault and where in the expression's text it happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::model) struct EvaluationError {
    pub(in crate::model) offset: u32,
    pub(in crate::model) fault: Fault,
}

/// Boxed so that the ordinary result stays two words.
type Evaluated<T> = Result<T, Box<EvaluationError>>;

impl Placed {
    /// The value for these values of its variables.
    #[inline]
    pub(in crate::model) fn evaluate(&self, binding: &Binding<'_>) -> Evaluated<Number> {
        operand(self, self.root, binding)
    }

    /// The value, which must be a whole number.
    #[inline]
    pub(in crate::model) fn evaluate_whole(&self, binding: &Binding<'_>) -> Evaluated<i64> {
        let value = self.evaluate(binding)?;
        value.to_whole().map_err(|fault| Box::new(self.fault(fault)))
    }

    /// An upper bound on the nodes one evaluation visits, each element of a summed vector counted.
    pub(in crate::model) fn cost(&self) -> u64 {
        let sums = self.nodes.iter().map(|node| match node {
            Node::Sum(span) => u64::from(span.length),
            _ => 0,
        });
        self.nodes.len() as u64 + sums.sum::<u64>()
    }

    /// An error about the expression as a whole.
    #[cold]
    pub(in crate::model) fn fault(&self, fault: Fault) -> EvaluationError {
        EvaluationError { offset: self.offsets[self.root as usize], fault }
    }
}

impl Span {
    /// The place in the state of the element with this 1-based index.
    #[inline]
    pub(in crate::model) fn place(self, index: Number) -> Result<u32, Fault> {
        let index = index.to_whole()?;
        match u32::try_from(index) {
            Ok(place @ 1..) if place <= self.length => Ok(self.first + place - 1),
            _ => Err(Fault::IndexOutOfRange { index, length: self.length }),
        }
    }
}

/// The value of a node; leaves, which are most of them, without a call.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "measured: a quarter off the time of building models with many rules"
)]
fn operand(tree: &Placed, id: NodeId, binding: &Binding<'_>) -> Evaluated<Number> {
    match tree.nodes[id as usize] {
        Node::Number(number) => Ok(number),
        Node::Scalar(Slot::Place(place)) => Ok(state_value(binding, place)),
        Node::Scalar(Slot::Loop(variable)) => Ok(Number::Integer(binding.loops[variable as usize])),
        _ => evaluate_node(tree, id, binding),
    }
}

pub(super) fn evaluate_node(tree: &Placed, id: NodeId, binding: &Binding<'_>) -> Evaluated<Number> {
    let value = |id| operand(tree, id, binding);
    let result = match tree.nodes[id as usize] {
        Node::Number(_) | Node::Scalar(_) => return value(id),
        Node::Element(span, index) => span.place(value(index)?).map(|place| state_value(binding, place)),
        Node::Sum(span) => Ok(sum(span, binding)),
        Node::Unary(function, operand) => apply_function(function, value(operand)?),
        Node::Binary(operator, left, right) => apply_operator(operator, value(left)?, value(right)?),
        Node::Comparison(relation, left, right) => Ok(truth(holds(relation, value(left)?, value(right)?))),
        Node::Chain(first, begin, end) => {
            let mut left = value(first)?;
            for &(relation, operand) in &tree.links[begin as usize..end as usize] {
                let right = value(operand)?;
                if !holds(relation, left, right) {
                    return Ok(truth(false));
                }
                left = right;
            }
            Ok(truth(true))
        }
        Node::And(left, right) => match value(left)? {
            left if left.is_true() => return value(right),
            left => Ok(left),
        },
        Node::Or(left, right) => match value(left)? {
            left if left.is_true() => Ok(left),
            _ => return value(right),
        },
    };
    result.map_err(|fault| Box::new(EvaluationError { offset: tree.offsets[id as usize], fault }))
}

#[inline]
fn state_value(binding: &Binding<'_>, place: u32) -> Number {
    Number::Integer(i64::from(binding.state[place as usize]))
}

/// The total of a vector; it cannot overflow, as a vector has less than 2^32 elements of 32 bits.
fn sum(span: Span, binding: &Binding<'_>) -> Number {
    let elements = &binding.state[span.first as usize..(span.first + span.length) as usize];
    Number::Integer(elements.iter().map(|&element| i64::from(element)).sum())
}

fn truth(holds: bool) -> Number {
    Number::Integer(i64::from(holds))
}

#[inline]
fn holds(relation: Relation, left: Number, right: Number) -> bool {
    let order = number::compare(left, right);
    match relation {
        Relation::Less => order == Some(Ordering::Less),
        Relation::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Relation::Equal => order == Some(Ordering::Equal),
        Relation::NotEqual => order != Some(Ordering::Equal),
        Relation::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Relation::Greater => order == Some(Ordering::Greater),
    }
}

fn apply_function(function: Function, operand: Number) -> Result<Number, Fault> {
    match function {
        Function::Negate => number::negate(operand),
        Function::Not => Ok(truth(!operand.is_true())),
        Function::Absolute => number::absolute(operand),
        Function::Floor => number::floor(operand),
        Function::Ceil => number::ceil(operand),
        Function::Exponential => number::exponential(operand),
        Function::Logarithm => number::logarithm(operand),
        Function::SquareRoot => number::square_root(operand),
    }
}

#[inline]
fn apply_operator(operator: Operator, left: Number, right: Number) -> Result<Number, Fault> {
    match operator {
        Operator::Add => number::add(left, right),
        Operator::Subtract => number::subtract(left, right),
        Operator::Multiply => number::multiply(left, right),
        Operator::Divide => number::divide(left, right),
        Operator::FloorDivide => number::floor_divide(left, right),
        Operator::Remainder => number::remainder(left, right),
        Operator::Power => number::power(left, right),
        Operator::Choose => number::choose(left, right),
        // Of equals the first is taken, as in Python: min(1, 1.0) is the integer.
        Operator::Least => Ok(if holds(Relation::Less, right, left) { right } else { left }),
        Operator::Greatest => Ok(if holds(Relation::Greater, right, left) { right } else { left }),
    }
}
