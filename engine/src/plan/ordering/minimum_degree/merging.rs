//! Vertices that move together: how they are found, and how an order is read off in the end.

use super::super::NONE;
use super::{Node, Quotient, Role};

impl Quotient {
    /// Members with the same neighbours and elements will be eliminated one after the other: treat them as one.
    pub(super) fn merge_indistinguishable(&mut self) {
        for bucket in 0..self.members.len() {
            let mut keeper = std::mem::replace(&mut self.by_hash[bucket], NONE);
            while keeper != NONE && self.nodes[keeper as usize].next != NONE {
                self.next_stamp();
                let Self { nodes, lists, stamp, .. } = self;
                let Node { begin, length, elements, previous: hash, late, .. } = nodes[keeper as usize];
                for &other in &lists[begin as usize..(begin + length) as usize] {
                    nodes[other as usize].mark = *stamp;
                }
                let mut before = keeper;
                let mut rival = nodes[keeper as usize].next;
                while rival != NONE {
                    let node = nodes[rival as usize];
                    let list = &lists[node.begin as usize..(node.begin + node.length) as usize];
                    self.steps += 1;
                    let same = (node.previous, node.length, node.elements, node.late)
                        == (hash, length, elements, late)
                        && list.iter().all(|&other| nodes[other as usize].mark == *stamp);
                    if same {
                        let rival = &mut nodes[rival as usize];
                        rival.weight = 0;
                        rival.join(Role::Merged, keeper);
                        nodes[keeper as usize].weight += node.weight;
                        nodes[before as usize].next = node.next;
                    } else {
                        before = rival;
                    }
                    rival = node.next;
                }
                keeper = self.nodes[keeper as usize].next;
            }
        }
    }

    /// Elements so that each comes right after those it absorbed, with the vertices merged into them; then those that
    /// were left for last.
    pub(super) fn emit(&mut self, order: &mut Vec<u32>) {
        // Children of each node, elements as they were eliminated: linked through `next`, from `begin` on.
        for node in &mut self.nodes {
            (node.begin, node.next) = (NONE, NONE);
        }
        let merged = (0..self.nodes.len() as u32).filter(|&at| self.nodes[at as usize].role == Role::Merged);
        let merged: Vec<u32> = merged.collect();
        for &child in self.pivots.iter().chain(&merged).rev() {
            let parent = self.nodes[child as usize].parent;
            if parent != NONE {
                self.nodes[child as usize].next = self.nodes[parent as usize].begin;
                self.nodes[parent as usize].begin = child;
            }
        }
        order.clear();
        let mut stack = Vec::new();
        for at in 0..self.pivots.len() {
            if self.nodes[self.pivots[at] as usize].parent == NONE {
                stack.push(self.pivots[at]);
            }
            while let Some(&top) = stack.last() {
                let child = self.nodes[top as usize].begin;
                if child == NONE {
                    order.push(top);
                    stack.pop();
                } else {
                    self.nodes[top as usize].begin = self.nodes[child as usize].next;
                    stack.push(child);
                }
            }
        }
        let last = (0..self.nodes.len() as u32).filter(|&at| self.nodes[at as usize].role == Role::Last);
        order.extend(last);
    }
}
