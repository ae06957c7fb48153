//! The order of elimination inside a strongly connected component: leaves first where it is a tree, else approximate
//! minimum degree, after a nested dissection where that is better.
//!
//! Works on the undirected pattern of a component and knows nothing of weights.

mod dissection;
mod minimum_degree;

use super::AnalysisError;
use super::pace::Pace;
use crate::graph::{Graph, Numbers};
use minimum_degree::{Fill, Quotient};

const NONE: u32 = u32::MAX;

/// Components of fewer vertices are not dissected.
const LEAST_DISSECTED: usize = 2_000;
/// Multiply-adds for each vertex from which on a component is dissected. Looking for a better order then takes about as
/// long as one elimination, and saves part of every one.
const WORTH_DISSECTING: u64 = 2_000;

/// Orders components one after the other, in storage that they share.
#[derive(Default)]
pub(super) struct Ordering {
    /// The neighbour that comes later, of each vertex of a tree.
    later: Vec<u32>,
    quotient: Quotient,
    order: Vec<u32>,
    /// The order to compare that with.
    other: Vec<u32>,
    entries: u64,
}

impl Ordering {
    /// Puts the members of a component into elimination order. They come with numbers from `first` on, in an order in
    /// which all but the last have a neighbour that comes later.
    ///
    /// Trees are left as they are: each vertex then comes before its only later neighbour, and there is no fill. Chains,
    /// which most components are, are taken from both ends inwards by turns, so that an elimination works on two
    /// vertices at a time that do not wait for one another. Linear for both, near-linear in practice for
    /// others.
    pub(super) fn improve(
        &mut self,
        graph: &Graph,
        numbers: &mut Numbers,
        first: u32,
        members: &mut [u32],
        pace: &mut Pace<'_>,
    ) -> Result<(), AnalysisError> {
        let component = Component { graph, numbers, first, count: members.len() as u32 };
        if self.is_tree(&component, members, pace)? {
            self.entries += u64::from(component.count) - 1;
            if self.find_chain() {
                both_ends_first(&mut self.order, members);
                renumber(numbers, first, members);
            }
            return Ok(());
        }
        // Neighbours are mostly near each other in the numbering of a state space; ties are broken by it.
        members.sort_unstable();
        renumber(numbers, first, members);
        let component = Component { graph, numbers, first, count: members.len() as u32 };
        self.entries += self.order_cyclic(&component, members, pace)?.entries;
        for at in &mut self.order {
            *at = members[*at as usize];
        }
        members.copy_from_slice(&self.order);
        renumber(numbers, first, members);
        Ok(())
    }

    /// Puts the places of the vertices of a component that is no tree into `order`.
    fn order_cyclic(
        &mut self,
        component: &Component<'_>,
        members: &[u32],
        pace: &mut Pace<'_>,
    ) -> Result<Fill, AnalysisError> {
        let first = component.first as usize;
        // Each edge is in the lists of both its ends, and lists have a quarter more room and a place for each vertex.
        let listed: u64 =
            members.iter().map(|&vertex| 2 * component.graph.edge_range(vertex).len() as u64).sum();
        pace.check_entries(listed + listed / 4 + members.len() as u64, first)?;
        let edges = |vertex: u32| component.edges(vertex);
        self.quotient.load(members, edges, &mut |steps| pace.step(steps, first))?;
        let done = |left: u32| first + members.len() - left as usize;
        let fill = self.quotient.order(&mut self.order, &mut |steps, left| pace.step(steps, done(left)))?;
        if members.len() < LEAST_DISSECTED || fill.multiply_adds < WORTH_DISSECTING * members.len() as u64 {
            return Ok(fill);
        }
        // Lists and ties, of the whole, of coarser images and of parts.
        pace.check_memory(32 * listed + 64 * members.len() as u64, first)?;
        self.quotient.load(members, edges, &mut |steps| pace.step(steps, first))?;
        let mut step = |steps| pace.step(steps, first);
        let lists = self.quotient.lists();
        let Some(late) = dissection::separators(lists, fill.multiply_adds, &mut step)? else {
            return Ok(fill);
        };
        self.quotient.put_off(&late);
        let other = self.quotient.order(&mut self.other, &mut |steps, left| pace.step(steps, done(left)))?;
        if other.multiply_adds >= fill.multiply_adds {
            return Ok(fill);
        }
        std::mem::swap(&mut self.order, &mut self.other);
        Ok(other)
    }

    /// Whether all edges of a component are those of a tree, in either or both directions: no vertex has two
    /// neighbours that come later.
    fn is_tree(
        &mut self,
        component: &Component<'_>,
        members: &[u32],
        pace: &mut Pace<'_>,
    ) -> Result<bool, AnalysisError> {
        self.later.clear();
        self.later.resize(members.len(), NONE);
        let Self { later, .. } = self;
        for (&vertex, from) in members.iter().zip(0_u32..) {
            let targets = component.graph.targets(vertex);
            pace.step(1 + targets.len(), component.first as usize)?;
            for to in component.places(targets) {
                let (earlier, next) = (from.min(to), from.max(to));
                let later = &mut later[earlier as usize];
                if *later != next {
                    if *later != NONE {
                        return Ok(false);
                    }
                    *later = next;
                }
            }
        }
        Ok(true)
    }

    /// Whether the tree at hand is a chain: then `order` is its places from end to end.
    fn find_chain(&mut self) -> bool {
        let Self { later, order, .. } = self;
        let root = later.len() - 1;
        // How many come before each next to it.
        order.clear();
        order.resize(later.len(), 0);
        for &next in &later[..root] {
            order[next as usize] += 1;
        }
        if order[..root].iter().any(|&before| before > 1) || order[root] > 2 {
            return false;
        }
        let mut ends = (0..root).filter(|&at| order[at] == 0);
        let (first, second) = (ends.next(), ends.next());
        order.clear();
        for end in [first, second] {
            let turn = order.len();
            let mut at = end.unwrap_or(root);
            while at != root {
                order.push(at as u32);
                at = later[at] as usize;
            }
            if turn > 0 {
                order[turn..].reverse();
            } else {
                order.push(root as u32);
            }
        }
        true
    }

    /// Entries above the diagonal in the factors of all components so far, were their patterns symmetric: a bound for
    /// what they will be.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }
}

/// Puts the members into the order first, last, second, last but one, … of a chain of their places; the end with the
/// lower vertex is first.
fn both_ends_first(chain: &mut [u32], members: &mut [u32]) {
    for place in &mut *chain {
        *place = members[*place as usize];
    }
    if chain.first() > chain.last() {
        chain.reverse();
    }
    let (near, far) = chain.split_at(chain.len() / 2);
    let pairs = members.chunks_mut(2).zip(far.iter().rev());
    for (at, (pair, &other)) in pairs.enumerate() {
        match pair {
            [first, second] => (*first, *second) = (near[at], other),
            [middle] => *middle = other,
            _ => {}
        }
    }
}

fn renumber(numbers: &mut Numbers, first: u32, members: &[u32]) {
    for (&vertex, number) in members.iter().zip(first..) {
        numbers.set(vertex, number);
    }
}

/// A component whose members have the numbers from `first` on.
struct Component<'a> {
    graph: &'a Graph,
    numbers: &'a Numbers,
    first: u32,
    count: u32,
}

impl Component<'_> {
    /// Where the edges of a member lead inside the component, as places from 0 on.
    fn edges(&self, vertex: u32) -> impl Iterator<Item = u32> + '_ {
        self.places(self.graph.targets(vertex))
    }

    #[inline(always)]
    fn places<'t>(&'t self, targets: &'t [u32]) -> impl Iterator<Item = u32> + 't {
        // Edges lead to members and to components that were complete before.
        let numbers = self.numbers.complete();
        let place = move |&to: &u32| numbers.of(to).wrapping_sub(self.first);
        targets.iter().map(place).filter(|&place| place < self.count)
    }
}
