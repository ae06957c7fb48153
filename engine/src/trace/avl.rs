//! The balanced tree of artifact specification, appendix A, quirks included.
//!
//! Only the order in which it lists its keys matters: it decides the component order of graphs whose start lies on a
//! cycle.

use std::cmp::Ordering;

#[derive(Clone, Copy)]
struct Node {
    key: u32,
    parent: Option<usize>,
    /// Left and right child.
    child: [Option<usize>; 2],
    balance: i8,
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    root: Option<usize>,
}

/// The distinct keys in the order phasic's tree lists them after inserting `keys` in turn.
pub(super) fn dump_order(keys: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut tree = Tree::default();
    keys.into_iter().for_each(|key| tree.insert(key));
    let mut stack: Vec<usize> = tree.root.into_iter().collect();
    let mut order = Vec::with_capacity(tree.nodes.len());
    while let Some(at) = stack.pop() {
        order.push(tree.nodes[at].key);
        stack.extend(tree.nodes[at].child.into_iter().flatten());
    }
    order
}

/// Keys compare as the bytes of a little-endian integer, first byte first.
fn compare(a: u32, b: u32) -> Ordering {
    a.to_le_bytes().cmp(&b.to_le_bytes())
}

impl Tree {
    fn insert(&mut self, key: u32) {
        let mut parent = None;
        let mut side = LEFT;
        let mut at = self.root;
        while let Some(node) = at {
            side = match compare(key, self.nodes[node].key) {
                Ordering::Equal => return,
                Ordering::Less => LEFT,
                Ordering::Greater => RIGHT,
            };
            parent = at;
            at = self.nodes[node].child[side];
        }
        let new = self.nodes.len();
        self.nodes.push(Node { key, parent, child: [None; 2], balance: 0 });
        match parent {
            Some(node) => self.nodes[node].child[side] = Some(new),
            None => self.root = Some(new),
        }
        self.rebalance(new);
    }

    fn rebalance(&mut self, mut child: usize) {
        while let Some(parent) = self.nodes[child].parent {
            let side = usize::from(self.nodes[parent].child[RIGHT] == Some(child));
            let heavier: i8 = if side == RIGHT { 1 } else { -1 };
            if self.nodes[parent].balance == heavier {
                let grandparent = self.nodes[parent].parent;
                let top = self.rotate(parent, child, side);
                self.nodes[top].parent = grandparent;
                if let Some(above) = grandparent {
                    let slot = usize::from(self.nodes[above].child[RIGHT] == Some(parent));
                    self.nodes[above].child[slot] = Some(top);
                    return;
                }
                // The quirk: at the root the loop goes on with the same child, so after a double rotation the new root
                // is counted as having grown on one side.
                self.root = Some(top);
            } else if self.nodes[parent].balance == -heavier {
                self.nodes[parent].balance = 0;
                return;
            } else {
                self.nodes[parent].balance = heavier;
                child = parent;
            }
        }
    }

    /// Rotates about `parent`, whose `side` child is too high, and returns the root of the turned part.
    fn rotate(&mut self, parent: usize, child: usize, side: usize) -> usize {
        let heavier: i8 = if side == RIGHT { 1 } else { -1 };
        if self.nodes[child].balance != -heavier {
            let level = self.nodes[child].balance == 0;
            (self.nodes[parent].balance, self.nodes[child].balance) = if level { (1, -1) } else { (0, 0) };
            self.lift(parent, child, side);
            return child;
        }
        let Some(inner) = self.nodes[child].child[1 - side] else { return child };
        // The same in both directions: phasic does not mirror these.
        (self.nodes[parent].balance, self.nodes[child].balance) = match self.nodes[inner].balance {
            1 => (-1, 0),
            -1 => (0, 1),
            _ => (0, 0),
        };
        self.nodes[inner].balance = 0;
        self.lift(child, inner, 1 - side);
        self.nodes[parent].child[side] = Some(inner);
        self.lift(parent, inner, side);
        inner
    }

    /// Puts `lower`, the `side` child of `upper`, in the place of `upper`.
    fn lift(&mut self, upper: usize, lower: usize, side: usize) {
        let moved = self.nodes[lower].child[1 - side];
        self.nodes[upper].child[side] = moved;
        if let Some(node) = moved {
            self.nodes[node].parent = Some(upper);
        }
        self.nodes[lower].child[1 - side] = Some(upper);
        self.nodes[upper].parent = Some(lower);
    }
}

#[cfg(test)]
mod tests {
    use super::dump_order;
    use sha2::{Digest, Sha256};

    #[test]
    fn small_trees_list_their_keys_as_specified() {
        assert_eq!(dump_order([1, 3, 2, 4]), [3, 4, 2, 1]);
        assert_eq!(dump_order([1, 256, 2, 512, 257, 3]), [1, 2, 3, 257, 256, 512]);
        assert_eq!(dump_order([7, 7]), [7]);
        assert!(dump_order([]).is_empty());
    }

    #[test]
    fn five_hundred_keys_list_as_specified() {
        let mut x = 42_u32;
        let keys = std::iter::repeat_with(|| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            1 + (x / 256) % 3000
        });
        let order = dump_order(keys.take(500));
        assert_eq!(order.len(), 462);
        assert_eq!(order[..5], [868, 1135, 1172, 2493, 731]);
        let bytes: Vec<u8> = order.iter().flat_map(|key| key.to_le_bytes()).collect();
        assert_eq!(Sha256::digest(&bytes)[..8], [0x50, 0xd1, 0xb4, 0x3f, 0xc4, 0xda, 0x9f, 0x68]);
    }
}
