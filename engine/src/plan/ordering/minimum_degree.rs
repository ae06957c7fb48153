//! Approximate minimum degree on a quotient graph (Amestoy, Davis, Duff, SIAM J. Matrix Anal. Appl. 17, 1996).
//!
//! Eliminated vertices become elements, which stand for the clique of their neighbours. Degrees are bounded from above,
//! indistinguishable vertices move together, and an element that is covered by another is absorbed. All lists share one
//! array, which never needs more room than the graph did, but for the newest element.
//!
//! Hubs, which have many more neighbours than others, are in elements of all sorts, and looking through their lists
//! whenever one of their neighbours is eliminated would take time that grows with the square of the graph. Their lists
//! are left as they are: entries that no longer stand for themselves lead on to what they have become, and a hub is looked
//! at only once in as many eliminations as its list is long, so that each costs a constant.

mod hubs;
mod load;
mod merging;

use super::NONE;

/// What a number currently stands for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Role {
    /// A vertex, or several indistinguishable ones, still to be eliminated.
    #[default]
    Variable,
    /// A variable with a long list, which is seldom looked at.
    Hub,
    /// An eliminated vertex with the indistinguishable ones eliminated at once.
    Element,
    /// An element that another has absorbed.
    Absorbed,
    /// A vertex that is indistinguishable from another and moves with it.
    Merged,
    /// A vertex with so many neighbours that it comes last, and is left out before.
    Last,
}

#[derive(Clone, Copy, Default)]
struct Node {
    role: Role,
    /// Eliminated after all that is not, or with something that has no other neighbours.
    late: bool,
    /// Where its list begins: of a variable, its elements and then the neighbours that no element covers; of an
    /// element, its variables.
    begin: u32,
    length: u32,
    /// How many of a variable's list are elements.
    elements: u32,
    /// Vertices that it stands for; 0 if it is neither variable nor element.
    weight: u32,
    /// A bound for the number of a variable's neighbours; the weight of an element's variables.
    degree: u32,
    /// Equal to the stamp: in the set at hand.
    mark: u32,
    /// Of an element in the set at hand: the weight of its variables outside the newest element, hubs aside.
    outside: u32,
    /// Of an element: the weight of the hubs among its variables. Of a hub: eliminations next to it since it was looked
    /// at.
    hubs: u32,
    /// Neighbours in a bucket. Of what is absorbed or merged, the next is a node on the way to what that has become.
    next: u32,
    previous: u32,
    /// The element that absorbed this one, or the node that this one was merged into.
    parent: u32,
}

impl Node {
    /// Whether it is still to be eliminated.
    fn is_left(&self) -> bool {
        matches!(self.role, Role::Variable | Role::Hub)
    }

    /// Becomes part of another.
    fn join(&mut self, role: Role, other: u32) {
        (self.role, self.parent, self.next) = (role, other, other);
    }
}

/// What an order fills in, were the pattern symmetric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fill {
    /// Entries above the diagonal, seldom fewer: vertices that are eliminated at once with another come before it, and
    /// may not yet lead to all that it leads to.
    pub(super) entries: u64,
    /// Multiply-adds of the elimination.
    pub(super) multiply_adds: u64,
}

impl Fill {
    /// So many vertices that are next to one another and to so many further ones.
    fn add(&mut self, weight: u64, beyond: u64) {
        let pairs = weight * weight.saturating_sub(1) / 2;
        self.entries += weight * beyond + pairs;
        // The sum of (beyond + i)² for i below the weight.
        let squares = pairs.saturating_mul((2 * weight).saturating_sub(1)) / 3;
        let mixed = (2 * pairs).saturating_mul(beyond);
        let work = (weight * beyond).saturating_mul(beyond).saturating_add(mixed).saturating_add(squares);
        self.multiply_adds = self.multiply_adds.saturating_add(work);
    }
}

/// A graph in elimination.
#[derive(Default)]
pub(super) struct Quotient {
    nodes: Vec<Node>,
    lists: Vec<u32>,
    /// Room for lists; beyond it they are packed.
    room: usize,
    /// Variables of the newest element, and hubs of it.
    members: Vec<u32>,
    hubs: Vec<u32>,
    /// Variables by degree.
    by_degree: Vec<u32>,
    lowest: usize,
    /// Whether late variables are among them by now.
    late: bool,
    /// Members of the newest element by a hash of their lists; empty between pivots.
    by_hash: Vec<u32>,
    stamp: u32,
    /// Vertices not yet eliminated.
    left: u32,
    /// Elements in order of elimination.
    pivots: Vec<u32>,
    /// Places of lists looked at since this was last told.
    steps: usize,
}

impl Quotient {
    /// The neighbours of each vertex that was loaded. Those that come last have none here, and are nobody's.
    pub(super) fn lists(&self) -> impl Iterator<Item = impl Iterator<Item = u32> + '_> {
        let is_left = |&other: &u32| self.nodes[other as usize].is_left();
        self.nodes.iter().map(move |node| {
            let list = &self.lists[node.begin as usize..(node.begin + node.length) as usize];
            list.iter().copied().filter(is_left)
        })
    }

    /// Has some of the vertices that were loaded eliminated after the others.
    pub(super) fn put_off(&mut self, late: &[bool]) {
        self.nodes.iter_mut().zip(late).for_each(|(node, &late)| node.late = late);
    }

    /// Eliminates everything. Puts the places of the vertices into `order`; what fills in. `step` is told how many places
    /// of lists were looked at and how many vertices are left, and may stop it.
    pub(super) fn order<E>(
        &mut self,
        order: &mut Vec<u32>,
        step: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<Fill, E> {
        let count = self.nodes.len();
        self.room = self.lists.len() + self.lists.len() / 4 + count;
        for heads in [&mut self.by_degree, &mut self.by_hash] {
            heads.clear();
            heads.resize(count, NONE);
        }
        (self.lowest, self.late) = (0, false);
        self.pivots.clear();
        self.left = 0;
        // The newest in a bucket comes first: so begin with the last.
        for vertex in (0..count as u32).rev() {
            if self.nodes[vertex as usize].is_left() {
                self.left += 1;
                self.insert(vertex);
            }
        }
        let last = count as u64 - u64::from(self.left);
        let mut fill = Fill::default();
        fill.add(last, 0);
        while self.left > 0 {
            let pivot = self.pop_lowest();
            if self.nodes[pivot as usize].role == Role::Hub && self.nodes[pivot as usize].hubs > 0 {
                // Its degree is an old one.
                self.look_at_hub(pivot);
                self.insert(pivot);
                continue;
            }
            self.eliminate(pivot);
            let Node { weight, degree, .. } = self.nodes[pivot as usize];
            fill.add(weight.into(), u64::from(degree) + last);
            step(std::mem::take(&mut self.steps), self.left)?;
        }
        self.emit(order);
        Ok(fill)
    }

    fn insert(&mut self, vertex: u32) {
        if !self.has_bucket(vertex) {
            return;
        }
        let bucket = self.nodes[vertex as usize].degree as usize;
        let first = std::mem::replace(&mut self.by_degree[bucket], vertex);
        let node = &mut self.nodes[vertex as usize];
        (node.next, node.previous) = (first, NONE);
        if first != NONE {
            self.nodes[first as usize].previous = vertex;
        }
        self.lowest = self.lowest.min(bucket);
    }

    /// Whether a variable may be eliminated by now, and so belongs into a bucket.
    fn has_bucket(&self, vertex: u32) -> bool {
        self.late || !self.nodes[vertex as usize].late
    }

    fn remove(&mut self, vertex: u32) {
        if !self.has_bucket(vertex) {
            return;
        }
        let Node { next, previous, degree, .. } = self.nodes[vertex as usize];
        if previous == NONE {
            self.by_degree[degree as usize] = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
    }

    fn pop_lowest(&mut self) -> u32 {
        while self.by_degree[self.lowest] == NONE {
            self.lowest += 1;
            if self.lowest == self.by_degree.len() {
                self.begin_late();
            }
        }
        let vertex = self.by_degree[self.lowest];
        self.remove(vertex);
        vertex
    }

    /// Puts late variables into buckets, as only they are left.
    fn begin_late(&mut self) {
        (self.lowest, self.late) = (self.by_degree.len() - 1, true);
        for vertex in (0..self.nodes.len() as u32).rev() {
            if self.nodes[vertex as usize].is_left() {
                self.insert(vertex);
            }
        }
    }

    /// Turns a variable into an element and updates all it touches.
    fn eliminate(&mut self, pivot: u32) {
        self.pivots.push(pivot);
        self.gather_members(pivot);
        let weight = |at: &u32| self.nodes[*at as usize].weight;
        let near: u32 = self.hubs.iter().map(weight).sum();
        if !self.hubs.is_empty()
            && near + self.members.iter().map(weight).sum::<u32>() + weight(&pivot) == self.left
        {
            return self.eliminate_all(pivot);
        }
        self.measure_outside();
        self.update_members(pivot, near);
        self.merge_indistinguishable();
        self.settle(pivot, near);
    }

    /// All that is left is next to the pivot, and so to one another.
    fn eliminate_all(&mut self, pivot: u32) {
        for member in self.members.drain(..).chain(self.hubs.drain(..)) {
            let node = &mut self.nodes[member as usize];
            let weight = std::mem::take(&mut node.weight);
            node.join(Role::Merged, pivot);
            self.nodes[pivot as usize].weight += weight;
        }
        let node = &mut self.nodes[pivot as usize];
        (node.degree, node.length) = (0, 0);
        self.left = 0;
    }

    /// The pivot's neighbours, through edges and elements; the elements are absorbed. Members are marked with the stamp
    /// and taken from their buckets.
    fn gather_members(&mut self, pivot: u32) {
        self.next_stamp();
        self.members.clear();
        self.hubs.clear();
        let Node { begin, length, elements, .. } = self.nodes[pivot as usize];
        self.nodes[pivot as usize].role = Role::Element;
        for at in begin..begin + elements {
            let element = self.lists[at as usize];
            let Node { role, begin, length, .. } = self.nodes[element as usize];
            if role == Role::Element {
                self.gather_from(begin, length);
                self.nodes[element as usize].join(Role::Absorbed, pivot);
            }
        }
        self.gather_from(begin + elements, length - elements);
    }

    fn gather_from(&mut self, begin: u32, length: u32) {
        self.steps += length as usize;
        for at in begin..begin + length {
            let vertex = self.lists[at as usize];
            let node = &mut self.nodes[vertex as usize];
            if !node.is_left() || node.mark == self.stamp {
                continue;
            }
            node.mark = self.stamp;
            if node.role == Role::Hub {
                self.hubs.push(vertex);
            } else {
                self.members.push(vertex);
                self.remove(vertex);
            }
        }
    }

    /// For every element next to a member: the weight of its variables outside the new element.
    fn measure_outside(&mut self) {
        let Self { nodes, lists, members, stamp, .. } = self;
        for &member in &*members {
            let Node { begin, elements, weight, .. } = nodes[member as usize];
            for &element in &lists[begin as usize..(begin + elements) as usize] {
                let node = &mut nodes[element as usize];
                if node.mark != *stamp {
                    (node.mark, node.outside) = (*stamp, node.degree - node.hubs);
                }
                node.outside = node.outside.wrapping_sub(weight);
            }
        }
    }

    /// Drops what the new element covers from the members' lists, adds the element, and bounds their degrees but for
    /// the other members. Members left with nothing else are merged into the pivot.
    ///
    /// Hubs are no part of what lies outside: the pivot's, of the weight `near`, are added later, and of others those of
    /// the element that has the most.
    fn update_members(&mut self, pivot: u32, near: u32) {
        let Self { nodes, lists, members, stamp, by_hash, steps, .. } = self;
        for &member in &*members {
            let Node { begin, length, elements, weight, .. } = nodes[member as usize];
            *steps += length as usize;
            let (mut degree, mut hash, mut write, mut most_hubs) = (0_u32, 0_u32, begin, 0);
            for at in begin..begin + elements {
                let element = lists[at as usize];
                let node = &mut nodes[element as usize];
                if node.role != Role::Element {
                    continue;
                }
                if node.outside == 0 && node.hubs == 0 {
                    node.join(Role::Absorbed, pivot);
                    continue;
                }
                degree = degree.saturating_add(node.outside);
                most_hubs = most_hubs.max(node.hubs);
                hash = hash.wrapping_add(element);
                lists[write as usize] = element;
                write += 1;
            }
            let kept = write;
            for at in begin + elements..begin + length {
                let other = lists[at as usize];
                let node = nodes[other as usize];
                if node.is_left() && node.mark != *stamp {
                    degree = degree.saturating_add(node.weight);
                    hash = hash.wrapping_add(other);
                    lists[write as usize] = other;
                    write += 1;
                }
            }
            if write == begin {
                // No neighbours but the other members: it may as well be eliminated at once.
                let node = &mut nodes[member as usize];
                node.weight = 0;
                node.join(Role::Merged, pivot);
                nodes[pivot as usize].weight += weight;
                continue;
            }
            // The pivot, or an element next to it, left a place free.
            lists[write as usize] = lists[kept as usize];
            lists[kept as usize] = pivot;
            let bucket = &mut by_hash[(hash % members.len() as u32) as usize];
            let node = &mut nodes[member as usize];
            (node.length, node.elements) = (write + 1 - begin, kept + 1 - begin);
            node.degree = node.degree.min(degree.saturating_add(most_hubs.saturating_sub(near)));
            (node.previous, node.next) = (hash, *bucket);
            *bucket = member;
        }
    }

    /// Puts the remaining members back into buckets, and keeps them as the list of the new element.
    fn settle(&mut self, pivot: u32, near: u32) {
        let Self { nodes, members, .. } = self;
        members.retain(|&member| nodes[member as usize].role == Role::Variable);
        self.left -= self.nodes[pivot as usize].weight;
        let reach: u32 =
            near + self.members.iter().map(|&member| self.nodes[member as usize].weight).sum::<u32>();
        for at in 0..self.members.len() {
            let member = self.members[at];
            let node = &mut self.nodes[member as usize];
            let own = node.weight;
            node.degree = node.degree.saturating_add(reach - own).min(self.left - own);
            self.insert(member);
        }
        self.members.extend_from_slice(&self.hubs);
        let length = self.members.len() as u32;
        if length > self.nodes[pivot as usize].length {
            if self.lists.len() + self.members.len() > self.room {
                self.nodes[pivot as usize].length = 0;
                self.pack_lists();
            }
            self.nodes[pivot as usize].begin = self.lists.len() as u32;
            self.lists.extend_from_slice(&self.members);
        } else {
            let begin = self.nodes[pivot as usize].begin as usize;
            self.lists[begin..begin + self.members.len()].copy_from_slice(&self.members);
        }
        let node = &mut self.nodes[pivot as usize];
        (node.length, node.degree, node.elements, node.hubs) = (length, reach, 0, near);
        for at in 0..self.hubs.len() {
            let hub = self.hubs[at];
            let node = &mut self.nodes[hub as usize];
            node.hubs += 1;
            if node.is_due() {
                self.remove(hub);
                self.look_at_hub(hub);
                self.insert(hub);
            }
        }
    }

    /// Closes the gaps between lists that are still in use.
    fn pack_lists(&mut self) {
        let mut packed = Vec::with_capacity(self.room);
        for node in &mut self.nodes {
            let begin = packed.len() as u32;
            if node.is_left() || node.role == Role::Element {
                packed
                    .extend_from_slice(&self.lists[node.begin as usize..(node.begin + node.length) as usize]);
                node.begin = begin;
            }
        }
        self.lists = packed;
    }

    fn next_stamp(&mut self) {
        if self.stamp == u32::MAX {
            self.nodes.iter_mut().for_each(|node| node.mark = 0);
            self.stamp = 0;
        }
        self.stamp += 1;
    }
}

#[cfg(test)]
mod tests;
