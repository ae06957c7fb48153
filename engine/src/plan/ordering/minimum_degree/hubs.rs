//! Hubs, which are looked at now and then.

use super::{Node, Quotient, Role};

/// A hub is looked at once in as many eliminations as this part of its list is long.
const HUB_PATIENCE: u32 = 4;

impl Node {
    /// Whether a hub has been left alone for long enough.
    pub(super) fn is_due(&self) -> bool {
        self.hubs > self.length / HUB_PATIENCE
    }
}

impl Quotient {
    /// Puts into a hub's list what its entries have become, and bounds its degree.
    pub(super) fn look_at_hub(&mut self, hub: u32) {
        self.next_stamp();
        let Node { begin, length, weight, .. } = self.nodes[hub as usize];
        self.steps += length as usize;
        self.nodes[hub as usize].mark = self.stamp;
        // The members of the newest element are kept by now.
        let others = &mut self.members;
        others.clear();
        let (mut write, mut degree) = (begin, 0_u32);
        for at in begin..begin + length {
            let entry = current(&mut self.nodes, self.lists[at as usize]);
            let node = &mut self.nodes[entry as usize];
            if std::mem::replace(&mut node.mark, self.stamp) == self.stamp {
                continue;
            }
            match node.role {
                Role::Element => {
                    degree = degree.saturating_add(node.degree - weight);
                    self.lists[write as usize] = entry;
                    write += 1;
                }
                Role::Variable | Role::Hub => {
                    degree = degree.saturating_add(node.weight);
                    others.push(entry);
                }
                Role::Absorbed | Role::Merged | Role::Last => {}
            }
        }
        self.lists[write as usize..write as usize + others.len()].copy_from_slice(others);
        let node = &mut self.nodes[hub as usize];
        (node.elements, node.length) = (write - begin, write - begin + others.len() as u32);
        (node.degree, node.hubs) = (degree.min(self.left - weight), 0);
    }
}

/// What a node has become: itself, or what it is part of now. Ways once gone are shorter the next time.
fn current(nodes: &mut [Node], mut at: u32) -> u32 {
    while matches!(nodes[at as usize].role, Role::Absorbed | Role::Merged) {
        let next = nodes[at as usize].next;
        if matches!(nodes[next as usize].role, Role::Absorbed | Role::Merged) {
            nodes[at as usize].next = nodes[next as usize].next;
        }
        at = next;
    }
    at
}
