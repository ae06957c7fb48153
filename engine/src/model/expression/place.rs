//! From written to placed trees: constants become numbers, variables become places, and what is known is computed.
//!
//! A computation that fails is kept as it is: it is an error only if it is ever evaluated.

use super::evaluate::{Binding, evaluate_node};
use super::{Name, Node, NodeId, Placed, Slot, Span, Written};
use crate::model::number::Number;

/// What names mean once the constants are settled.
pub(in crate::model) struct Layout<'a> {
    /// Values of the constants, in declaration order.
    pub(in crate::model) constants: &'a [Number],
    /// Where each declaration of the state lies; scalars have length 1.
    pub(in crate::model) states: &'a [Span],
}

impl Written {
    /// The same expression over places of the state, with everything known folded. Linear in its size.
    pub(in crate::model) fn placed(&self, layout: &Layout<'_>) -> Placed {
        let mut placing = Placing { written: self, layout, placed: Placed::empty() };
        let root = placing.node(self.root);
        placing.placed.root = root;
        placing.placed
    }
}

struct Placing<'a> {
    written: &'a Written,
    layout: &'a Layout<'a>,
    placed: Placed,
}

impl Placing<'_> {
    /// Places a node and all below it. Nodes below are above `mark`, so folding can drop them.
    fn node(&mut self, id: NodeId) -> NodeId {
        let offset = self.written.offsets[id as usize] as usize;
        let mark = self.placed.nodes.len();
        let node = match self.written.nodes[id as usize] {
            Node::Number(number) => Node::Number(number),
            Node::Scalar(Name::Constant(constant)) => Node::Number(self.layout.constants[constant as usize]),
            Node::Scalar(Name::State(state)) => {
                Node::Scalar(Slot::Place(self.layout.states[state as usize].first))
            }
            Node::Scalar(Name::Loop(variable)) => Node::Scalar(Slot::Loop(variable)),
            Node::Element(vector, index) => return self.element(vector, index, offset),
            Node::Sum(vector) => Node::Sum(self.layout.states[vector as usize]),
            Node::Unary(function, operand) => Node::Unary(function, self.node(operand)),
            Node::Binary(operator, left, right) => Node::Binary(operator, self.node(left), self.node(right)),
            Node::Comparison(relation, left, right) => {
                Node::Comparison(relation, self.node(left), self.node(right))
            }
            Node::Chain(first, begin, end) => self.chain(first, begin, end),
            Node::And(left, right) => match self.decided(left) {
                Ok(value) if value.is_true() => return self.node(right),
                Ok(value) => Node::Number(value),
                Err(left) => Node::And(left, self.node(right)),
            },
            Node::Or(left, right) => match self.decided(left) {
                Ok(value) if !value.is_true() => return self.node(right),
                Ok(value) => Node::Number(value),
                Err(left) => Node::Or(left, self.node(right)),
            },
        };
        let is_leaf = self.placed.nodes.len() == mark;
        let id = self.placed.push(node, offset);
        if !is_leaf
            && self.has_known_operands(node)
            && let Ok(value) = evaluate_node(&self.placed, id, &Binding { state: &[], loops: &[] })
        {
            return self.fold(mark, value, offset);
        }
        id
    }

    /// The left side of `and` or `or`: its value if it is known, dropping its nodes; else its node.
    fn decided(&mut self, left: NodeId) -> Result<Number, NodeId> {
        let mark = self.placed.nodes.len();
        let left = self.node(left);
        match self.placed.nodes[left as usize] {
            Node::Number(value) => {
                self.truncate(mark);
                Ok(value)
            }
            _ => Err(left),
        }
    }

    fn element(&mut self, vector: u32, index: NodeId, offset: usize) -> NodeId {
        let span = self.layout.states[vector as usize];
        let mark = self.placed.nodes.len();
        let index = self.node(index);
        if let Node::Number(number) = self.placed.nodes[index as usize]
            && let Ok(place) = span.place(number)
        {
            self.truncate(mark);
            return self.placed.push(Node::Scalar(Slot::Place(place)), offset);
        }
        self.placed.push(Node::Element(span, index), offset)
    }

    fn chain(&mut self, first: NodeId, begin: u32, end: u32) -> Node<Slot, Span> {
        let first = self.node(first);
        let mut links = Vec::with_capacity((end - begin) as usize);
        for link in begin..end {
            let (relation, operand) = self.written.links[link as usize];
            links.push((relation, self.node(operand)));
        }
        let begin = self.placed.links.len() as u32;
        self.placed.links.extend_from_slice(&links);
        Node::Chain(first, begin, begin + links.len() as u32)
    }

    fn has_known_operands(&self, node: Node<Slot, Span>) -> bool {
        let known = |id: NodeId| matches!(self.placed.nodes[id as usize], Node::Number(_));
        match node {
            Node::Number(_) | Node::Scalar(_) | Node::Sum(_) | Node::Element(..) => false,
            Node::Unary(_, operand) => known(operand),
            Node::Binary(_, left, right)
            | Node::Comparison(_, left, right)
            | Node::And(left, right)
            | Node::Or(left, right) => known(left) && known(right),
            Node::Chain(first, begin, end) => {
                known(first)
                    && self.placed.links[begin as usize..end as usize].iter().all(|&(_, id)| known(id))
            }
        }
    }

    fn truncate(&mut self, mark: usize) {
        self.placed.nodes.truncate(mark);
        self.placed.offsets.truncate(mark);
    }

    fn fold(&mut self, mark: usize, value: Number, offset: usize) -> NodeId {
        self.truncate(mark);
        self.placed.push(Node::Number(value), offset)
    }
}
