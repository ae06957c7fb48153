//! How a component becomes a quotient graph: neighbours in lists, once each, and roles by their number.

use super::super::NONE;
use super::{Node, Quotient, Role};

/// A hub has more neighbours than this, and more than `HUB_RATIO` times as many as vertices have on average.
pub(super) const HUB_DEGREE: u32 = 64;
const HUB_RATIO: usize = 8;

impl Quotient {
    /// Takes in a component: its members, and where the edges of each lead, as places among the members. `step` is told
    /// how many of them were looked at, and may stop it.
    pub(in crate::plan::ordering) fn load<I: Iterator<Item = u32>, E>(
        &mut self,
        members: &[u32],
        inside: impl Fn(u32) -> I,
        step: &mut impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = members.len();
        self.nodes.clear();
        self.nodes.resize(count, Node { weight: 1, parent: NONE, ..Node::default() });
        for (&vertex, from) in members.iter().zip(0..) {
            let mut degree = 0;
            for to in inside(vertex) {
                let to = to as usize;
                self.nodes[from].length += 1;
                self.nodes[to].length += 1;
                degree += 1;
            }
            step(degree)?;
        }
        let mut begin = 0;
        for node in &mut self.nodes {
            node.begin = begin;
            begin += node.length;
            node.length = 0;
        }
        self.lists.clear();
        self.lists.resize(begin as usize, 0);
        for (&vertex, from) in members.iter().zip(0_u32..) {
            let mut degree = 0;
            for to in inside(vertex) {
                for (at, other) in [(from, to), (to, from)] {
                    let node = &mut self.nodes[at as usize];
                    self.lists[(node.begin + node.length) as usize] = other;
                    node.length += 1;
                }
                degree += 2;
            }
            step(degree)?;
        }
        self.pack_neighbours(step)
    }

    /// Leaves each neighbour in a list once, and vertices with very many of them out.
    fn pack_neighbours<E>(&mut self, step: &mut impl FnMut(usize) -> Result<(), E>) -> Result<(), E> {
        let Self { nodes, lists, .. } = self;
        let count = nodes.len();
        let most = (100 * count).isqrt().max(16) as u32;
        let mut write = 0;
        for at in 0..count {
            let Node { begin, length, .. } = nodes[at];
            step(length as usize)?;
            let packed = write;
            nodes[at].mark = at as u32 + 1;
            for from in begin..begin + length {
                let other = lists[from as usize];
                if std::mem::replace(&mut nodes[other as usize].mark, at as u32 + 1) != at as u32 + 1 {
                    lists[write as usize] = other;
                    write += 1;
                }
            }
            let node = &mut nodes[at];
            (node.begin, node.length, node.degree) = (packed, write - packed, write - packed);
            if node.degree > most {
                (node.role, node.weight, node.length) = (Role::Last, 0, 0);
                write = packed;
            }
        }
        lists.truncate(write as usize);
        let long = HUB_DEGREE.max((HUB_RATIO * lists.len()).div_ceil(count) as u32);
        for node in nodes.iter_mut().filter(|node| node.role == Role::Variable && node.length > long) {
            node.role = Role::Hub;
        }
        self.stamp = count as u32 + 1;
        Ok(())
    }
}
