//! Approximate minimum degree on a quotient graph (Amestoy, Davis, Duff, SIAM J. Matrix Anal. Appl. 17, 1996).
//!
//! Eliminated vertices become elements, which stand for the clique of their neighbours. Degrees are bounded from above,
//! indistinguishable vertices move together, and an element that is covered by another is absorbed. All lists share one
//! array, which never needs more room than the graph did, but for the newest element.

use super::NONE;

/// What a number currently stands for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Role {
    /// A vertex, or several indistinguishable ones, still to be eliminated.
    #[default]
    Variable,
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
    /// Of an element in the set at hand: the weight of its variables outside the newest element.
    outside: u32,
    /// Neighbours in a bucket.
    next: u32,
    previous: u32,
    /// The element that absorbed this one, or the node that this one was merged into.
    parent: u32,
}

/// A graph in elimination.
#[derive(Default)]
pub(super) struct Quotient {
    nodes: Vec<Node>,
    lists: Vec<u32>,
    /// Room for lists; beyond it they are packed.
    room: usize,
    /// Variables of the newest element.
    members: Vec<u32>,
    /// Variables by degree.
    by_degree: Vec<u32>,
    lowest: usize,
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
    /// Takes in a component: its members, and where the edges of each lead, as places among the members. `step` is told
    /// how many of them were looked at, and may stop it.
    pub(super) fn load<I: Iterator<Item = u32>, E>(
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
        self.stamp = count as u32 + 1;
        Ok(())
    }

    /// Eliminates everything. Puts the places of the vertices into `order`; how many entries there are above the
    /// diagonal in the factors of a symmetric pattern, seldom fewer: vertices that are eliminated at once with another
    /// come before it, and may not yet lead to all that it leads to. `step` is told how many places of lists were looked
    /// at and how many vertices are left, and may stop it.
    pub(super) fn order<E>(
        &mut self,
        order: &mut Vec<u32>,
        step: &mut impl FnMut(usize, u32) -> Result<(), E>,
    ) -> Result<u64, E> {
        let count = self.nodes.len();
        self.room = self.lists.len() + self.lists.len() / 4 + count;
        for heads in [&mut self.by_degree, &mut self.by_hash] {
            heads.clear();
            heads.resize(count, NONE);
        }
        self.lowest = 0;
        self.pivots.clear();
        self.left = 0;
        // The newest in a bucket comes first: so begin with the last.
        for vertex in (0..count as u32).rev() {
            if self.nodes[vertex as usize].role == Role::Variable {
                self.left += 1;
                self.insert(vertex);
            }
        }
        let last = count as u64 - u64::from(self.left);
        let mut entries = last * last.saturating_sub(1) / 2;
        while self.left > 0 {
            let pivot = self.pop_lowest();
            self.eliminate(pivot);
            let Node { weight, degree, .. } = self.nodes[pivot as usize];
            let (weight, beyond) = (u64::from(weight), u64::from(degree) + last);
            entries += weight * beyond + weight * (weight - 1) / 2;
            step(std::mem::take(&mut self.steps), self.left)?;
        }
        self.emit(order);
        Ok(entries)
    }

    fn insert(&mut self, vertex: u32) {
        let bucket = self.nodes[vertex as usize].degree as usize;
        let first = std::mem::replace(&mut self.by_degree[bucket], vertex);
        let node = &mut self.nodes[vertex as usize];
        (node.next, node.previous) = (first, NONE);
        if first != NONE {
            self.nodes[first as usize].previous = vertex;
        }
        self.lowest = self.lowest.min(bucket);
    }

    fn remove(&mut self, vertex: u32) {
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
        }
        let vertex = self.by_degree[self.lowest];
        self.remove(vertex);
        vertex
    }

    /// Turns a variable into an element and updates all it touches.
    fn eliminate(&mut self, pivot: u32) {
        self.pivots.push(pivot);
        self.gather_members(pivot);
        self.measure_outside();
        self.update_members(pivot);
        self.merge_indistinguishable();
        self.settle(pivot);
    }

    /// The pivot's neighbours, through edges and elements; the elements are absorbed. Members are marked with the stamp
    /// and taken from their buckets.
    fn gather_members(&mut self, pivot: u32) {
        self.next_stamp();
        self.members.clear();
        let Node { begin, length, elements, .. } = self.nodes[pivot as usize];
        self.nodes[pivot as usize].role = Role::Element;
        for at in begin..begin + elements {
            let element = self.lists[at as usize];
            let Node { role, begin, length, .. } = self.nodes[element as usize];
            if role == Role::Element {
                self.gather_from(begin, length);
                let node = &mut self.nodes[element as usize];
                (node.role, node.parent) = (Role::Absorbed, pivot);
            }
        }
        self.gather_from(begin + elements, length - elements);
    }

    fn gather_from(&mut self, begin: u32, length: u32) {
        self.steps += length as usize;
        for at in begin..begin + length {
            let vertex = self.lists[at as usize];
            let node = &mut self.nodes[vertex as usize];
            if node.role == Role::Variable && node.mark != self.stamp {
                node.mark = self.stamp;
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
                    (node.mark, node.outside) = (*stamp, node.degree);
                }
                node.outside = node.outside.wrapping_sub(weight);
            }
        }
    }

    /// Drops what the new element covers from the members' lists, adds the element, and bounds their degrees but for
    /// the other members. Members left with nothing else are merged into the pivot.
    fn update_members(&mut self, pivot: u32) {
        let Self { nodes, lists, members, stamp, by_hash, steps, .. } = self;
        for &member in &*members {
            let Node { begin, length, elements, weight, .. } = nodes[member as usize];
            *steps += length as usize;
            let (mut degree, mut hash, mut write) = (0_u32, 0_u32, begin);
            for at in begin..begin + elements {
                let element = lists[at as usize];
                let node = &mut nodes[element as usize];
                if node.role != Role::Element {
                    continue;
                }
                if node.outside == 0 {
                    (node.role, node.parent) = (Role::Absorbed, pivot);
                    continue;
                }
                degree = degree.saturating_add(node.outside);
                hash = hash.wrapping_add(element);
                lists[write as usize] = element;
                write += 1;
            }
            let kept = write;
            for at in begin + elements..begin + length {
                let other = lists[at as usize];
                let node = nodes[other as usize];
                if node.role == Role::Variable && node.mark != *stamp {
                    degree = degree.saturating_add(node.weight);
                    hash = hash.wrapping_add(other);
                    lists[write as usize] = other;
                    write += 1;
                }
            }
            if write == begin {
                // No neighbours but the other members: it may as well be eliminated at once.
                let node = &mut nodes[member as usize];
                (node.role, node.parent, node.weight) = (Role::Merged, pivot, 0);
                nodes[pivot as usize].weight += weight;
                continue;
            }
            // The pivot, or an element next to it, left a place free.
            lists[write as usize] = lists[kept as usize];
            lists[kept as usize] = pivot;
            let bucket = &mut by_hash[(hash % members.len() as u32) as usize];
            let node = &mut nodes[member as usize];
            (node.length, node.elements) = (write + 1 - begin, kept + 1 - begin);
            node.degree = node.degree.min(degree);
            (node.previous, node.next) = (hash, *bucket);
            *bucket = member;
        }
    }

    /// Members with the same neighbours and elements will be eliminated one after the other: treat them as one.
    fn merge_indistinguishable(&mut self) {
        for bucket in 0..self.members.len() {
            let mut keeper = std::mem::replace(&mut self.by_hash[bucket], NONE);
            while keeper != NONE && self.nodes[keeper as usize].next != NONE {
                self.next_stamp();
                let Self { nodes, lists, stamp, .. } = self;
                let Node { begin, length, elements, previous: hash, .. } = nodes[keeper as usize];
                for &other in &lists[begin as usize..(begin + length) as usize] {
                    nodes[other as usize].mark = *stamp;
                }
                let mut before = keeper;
                let mut rival = nodes[keeper as usize].next;
                while rival != NONE {
                    let node = nodes[rival as usize];
                    let list = &lists[node.begin as usize..(node.begin + node.length) as usize];
                    self.steps += 1;
                    let same = (node.previous, node.length, node.elements) == (hash, length, elements)
                        && list.iter().all(|&other| nodes[other as usize].mark == *stamp);
                    if same {
                        let rival = &mut nodes[rival as usize];
                        (rival.role, rival.parent, rival.weight) = (Role::Merged, keeper, 0);
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

    /// Puts the remaining members back into buckets, and keeps them as the list of the new element.
    fn settle(&mut self, pivot: u32) {
        let Self { nodes, members, .. } = self;
        members.retain(|&member| nodes[member as usize].role == Role::Variable);
        self.left -= self.nodes[pivot as usize].weight;
        let reach: u32 = self.members.iter().map(|&member| self.nodes[member as usize].weight).sum();
        for at in 0..self.members.len() {
            let member = self.members[at];
            let node = &mut self.nodes[member as usize];
            let own = node.weight;
            node.degree = node.degree.saturating_add(reach - own).min(self.left - own);
            self.insert(member);
        }
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
        (node.length, node.degree, node.elements) = (length, reach, 0);
    }

    /// Closes the gaps between lists that are still in use.
    fn pack_lists(&mut self) {
        let mut packed = Vec::with_capacity(self.room);
        for node in &mut self.nodes {
            let begin = packed.len() as u32;
            if matches!(node.role, Role::Variable | Role::Element) {
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

    /// Elements so that each comes right after those it absorbed, with the vertices merged into them; then those that
    /// were left for last.
    fn emit(&mut self, order: &mut Vec<u32>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    /// The order of the method, and the entries above the diagonal that it says there will be.
    fn ordered(neighbours: &[BTreeSet<u32>]) -> (Vec<u32>, u64) {
        let members: Vec<u32> = (0..neighbours.len() as u32).collect();
        let (mut quotient, mut order) = (Quotient::default(), Vec::new());
        // What an earlier component leaves behind must not matter.
        let Ok(()) = quotient.load(&[0, 1, 2], |vertex| 0..vertex, &mut |_| Ok::<_, Infallible>(()));
        let mut step = |_, _| Ok::<_, Infallible>(());
        let Ok(_) = quotient.order(&mut order, &mut step);
        // Each edge in one direction, and those to higher vertices twice.
        let edges = |vertex: u32| {
            let list = &neighbours[vertex as usize];
            list.iter().copied().chain(list.range(vertex..).copied())
        };
        let Ok(()) = quotient.load(&members, edges, &mut |_| Ok::<_, Infallible>(()));
        let Ok(entries) = quotient.order(&mut order, &mut step);
        (order, entries)
    }

    /// Entries above the diagonal when a symmetric pattern is eliminated in this order, vertex by vertex.
    fn eliminated(neighbours: &[BTreeSet<u32>], order: &[u32]) -> u64 {
        let mut left = neighbours.to_vec();
        let mut entries = 0;
        for &vertex in order {
            let reached = std::mem::take(&mut left[vertex as usize]);
            entries += reached.len() as u64;
            for &one in &reached {
                left[one as usize].extend(reached.iter().copied().filter(|&other| other != one));
                left[one as usize].remove(&vertex);
            }
        }
        entries
    }

    fn symmetric(count: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Vec<BTreeSet<u32>> {
        let mut neighbours = vec![BTreeSet::new(); count];
        for (a, b) in edges {
            if a != b {
                neighbours[a].insert(b as u32);
                neighbours[b].insert(a as u32);
            }
        }
        neighbours
    }

    fn grid(side: usize) -> Vec<BTreeSet<u32>> {
        let right = (0..side * side).filter(|at| at % side + 1 < side).map(|at| (at, at + 1));
        let down = (0..side * (side - 1)).map(|at| (at, at + side));
        symmetric(side * side, right.chain(down))
    }

    #[test]
    fn a_grid_fills_in_as_little_as_nested_dissection_promises() {
        // George's nested dissection leaves 31/4 · n² log₂ n entries in an n × n grid (SIAM J. Numer. Anal. 10, 1973).
        let side = 24;
        let neighbours = grid(side);
        let (order, entries) = ordered(&neighbours);
        assert_eq!(entries, eliminated(&neighbours, &order));
        let promised = 7.75 * (side * side) as f64 * (side as f64).log2();
        assert!((entries as f64) < promised / 2.0, "{entries} {promised}");
    }

    #[test]
    fn the_hub_of_a_wheel_comes_last() {
        let rim = 2000;
        let spokes = (0..rim).map(|at| (at, rim));
        let wheel = symmetric(rim + 1, (0..rim).map(|at| (at, (at + 1) % rim)).chain(spokes));
        let (order, entries) = ordered(&wheel);
        assert_eq!(order.last(), Some(&(rim as u32)));
        assert_eq!(entries, eliminated(&wheel, &order));
        assert_eq!(entries, 3 * (rim as u64 - 3) + 6);
    }

    proptest! {
        #[test]
        fn every_vertex_comes_once_and_entries_are_at_most_those_counted(
            count in 1..60_usize,
            edges in prop::collection::vec((0..60_usize, 0..60_usize), 0..200),
        ) {
            let neighbours = symmetric(count, edges.into_iter().map(|(a, b)| (a % count, b % count)));
            let (order, entries) = ordered(&neighbours);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.iter().copied().eq(0..count as u32));
            prop_assert!(eliminated(&neighbours, &order) <= entries);
            prop_assert!(entries <= (count * (count - 1) / 2) as u64);
        }
    }
}
