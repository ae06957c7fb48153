//! The changing lists of an elimination: which positions each position leads to, and which lead to it.
//!
//! Lists start as slices of one flat array and get storage of their own only when fill changes them, so a graph without
//! cycles costs two flat arrays.

/// An edge of the partly eliminated graph as its source sees it: the target's position and the slot of its
/// probability. The slot is also the edge's identity: no two edges ever share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) position: u32,
    pub(super) slot: u32,
}

/// The same edge as its target sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) position: u32,
    pub(super) slot: u32,
}

/// Child lists, one per position, in the order phasic keeps them.
pub(super) struct Children {
    start: Vec<u32>,
    flat: Vec<Child>,
    changed: Vec<Option<Vec<Child>>>,
    changed_bytes: u64,
}

impl Children {
    /// From the lists one after the other; `start` has one more entry than positions.
    pub(super) fn new(start: Vec<u32>, flat: Vec<Child>) -> Self {
        let changed = vec![None; start.len() - 1];
        Self { start, flat, changed, changed_bytes: 0 }
    }

    pub(super) fn of(&self, position: u32) -> &[Child] {
        let at = position as usize;
        match &self.changed[at] {
            Some(list) => list,
            None => &self.flat[self.start[at] as usize..self.start[at + 1] as usize],
        }
    }

    /// How many entries fit into a position's own storage.
    pub(super) fn capacity(&self, position: u32) -> usize {
        self.changed[position as usize].as_ref().map_or(0, Vec::capacity)
    }

    pub(super) fn replace(&mut self, position: u32, list: &[Child]) {
        let changed = self.changed[position as usize].get_or_insert_default();
        let before = changed.capacity();
        changed.clear();
        changed.extend_from_slice(list);
        self.changed_bytes += 8 * (changed.capacity() - before) as u64;
    }

    /// Gives the memory of a finished list back.
    pub(super) fn release(&mut self, position: u32) {
        if let Some(list) = self.changed[position as usize].take() {
            self.changed_bytes -= 8 * list.capacity() as u64;
        }
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.changed_bytes + (4 * self.start.len() + 8 * self.flat.len() + 24 * self.changed.len()) as u64
    }
}

/// Parent lists, one per position, newest first. Records of parents eliminated meanwhile stay behind; whoever walks a
/// list skips them.
pub(super) struct Parents {
    start: Vec<u32>,
    flat: Vec<Parent>,
    added: Vec<Vec<Parent>>,
    added_bytes: u64,
}

impl Parents {
    /// The lists that mirror the given child lists, as if pushed position by position.
    pub(super) fn mirror(children: &Children) -> Self {
        let positions = children.start.len() - 1;
        let mut start = vec![0_u32; positions + 1];
        for child in &children.flat {
            start[child.position as usize + 1] += 1;
        }
        for at in 0..positions {
            start[at + 1] += start[at];
        }
        let mut next = start.clone();
        let mut flat = vec![Parent { position: 0, slot: 0 }; children.flat.len()];
        for position in 0..positions as u32 {
            for child in children.of(position) {
                let place = &mut next[child.position as usize];
                flat[*place as usize] = Parent { position, slot: child.slot };
                *place += 1;
            }
        }
        Self { start, flat, added: vec![Vec::new(); positions], added_bytes: 0 }
    }

    pub(super) fn push(&mut self, position: u32, parent: Parent) {
        let list = &mut self.added[position as usize];
        let before = list.capacity();
        list.push(parent);
        self.added_bytes += 8 * (list.capacity() - before) as u64;
    }

    /// Moves the records of a position into `into`, newest first, leaving out parents at lower positions.
    pub(super) fn take(&mut self, position: u32, into: &mut Vec<Parent>) {
        let at = position as usize;
        let added = std::mem::take(&mut self.added[at]);
        self.added_bytes -= 8 * added.capacity() as u64;
        let first = &self.flat[self.start[at] as usize..self.start[at + 1] as usize];
        into.clear();
        into.extend(
            added.iter().rev().chain(first.iter().rev()).filter(|parent| parent.position >= position),
        );
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        self.added_bytes + (4 * self.start.len() + 8 * self.flat.len() + 24 * self.added.len()) as u64
    }
}
