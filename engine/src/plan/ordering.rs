//! The order of elimination inside a strongly connected component: leaves first where it is a tree, else approximate
//! minimum degree.
//!
//! Works on the undirected pattern of a component and knows nothing of weights. The method is the quotient-graph
//! minimum degree of Amestoy, Davis and Duff (SIAM J. Matrix Anal. Appl. 17, 1996): eliminated vertices become elements,
//! degrees are bounded from above, indistinguishable vertices move together.

use std::mem::take;

const NONE: u32 = u32::MAX;

/// An elimination order for a connected graph of `count` vertices, given its edges as distinct pairs, the lower vertex
/// first. Deterministic.
///
/// Chains and other trees, which most components are, have an order without any fill, found in linear time: farthest
/// from a root first.
pub(super) fn eliminate_order(count: usize, pairs: &[(u32, u32)]) -> Vec<u32> {
    let mut start = vec![0_u32; count + 1];
    for &(a, b) in pairs {
        start[a as usize + 1] += 1;
        start[b as usize + 1] += 1;
    }
    for at in 0..count {
        start[at + 1] += start[at];
    }
    let mut next = start.clone();
    let mut neighbours = vec![0_u32; 2 * pairs.len()];
    for &(a, b) in pairs {
        for (from, to) in [(a, b), (b, a)] {
            neighbours[next[from as usize] as usize] = to;
            next[from as usize] += 1;
        }
    }
    let of = |at: usize| &neighbours[start[at] as usize..start[at + 1] as usize];
    if pairs.len() + 1 == count {
        return both_ends_first(count, of).unwrap_or_else(|| farthest_first(count, of));
    }
    minimum_degree((0..count).map(|at| of(at).to_vec()).collect())
}

/// The vertices of a chain from both ends inwards by turns, so that an elimination works on two at a time that do not
/// wait for one another; nothing if the tree is no chain.
fn both_ends_first<'a>(count: usize, neighbours: impl Fn(usize) -> &'a [u32]) -> Option<Vec<u32>> {
    let mut end = None;
    for vertex in 0..count {
        match neighbours(vertex).len() {
            0 | 1 => end = end.or(Some(vertex as u32)),
            2 => {}
            _ => return None,
        }
    }
    let mut chain = Vec::with_capacity(count);
    let (mut before, mut next) = (NONE, end);
    while let Some(vertex) = next {
        chain.push(vertex);
        next = neighbours(vertex as usize).iter().copied().find(|&neighbour| neighbour != before);
        before = vertex;
    }
    let (near, far) = chain.split_at(count / 2);
    let mut order = Vec::with_capacity(count);
    for (&a, &b) in near.iter().zip(far.iter().rev()) {
        order.extend([a, b]);
    }
    order.extend(far.first().filter(|_| far.len() > near.len()));
    Some(order)
}

/// The vertices of a tree so that each comes before its neighbour on the way to the root, vertex 0.
fn farthest_first<'a>(count: usize, neighbours: impl Fn(usize) -> &'a [u32]) -> Vec<u32> {
    let mut order = Vec::with_capacity(count);
    let mut parent = vec![NONE; count];
    order.push(0);
    let mut at = 0;
    while let Some(&vertex) = order.get(at) {
        for &neighbour in neighbours(vertex as usize) {
            if neighbour != parent[vertex as usize] {
                parent[neighbour as usize] = vertex;
                order.push(neighbour);
            }
        }
        at += 1;
    }
    order.reverse();
    order
}

/// An elimination order for `neighbours`, the symmetric adjacency lists of a graph without loops.
///
/// Deterministic. Near-linear time in practice; memory is a few times that of the lists.
fn minimum_degree(neighbours: Vec<Vec<u32>>) -> Vec<u32> {
    let count = neighbours.len();
    let mut state = Quotient::new(neighbours);
    let mut order = Vec::with_capacity(count);
    while order.len() < count {
        let pivot = state.pop_lowest();
        state.eliminate(pivot);
        state.emit(pivot, &mut order);
    }
    order
}

/// What a number currently stands for.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// A vertex (or several indistinguishable ones) still to be eliminated.
    Variable,
    /// An eliminated vertex, standing for the clique of its neighbours.
    Element,
    /// Merged into another, or absorbed by an element.
    Gone,
}

struct Quotient {
    role: Vec<Role>,
    /// Adjacent variables not covered by an element; for an element, its members.
    variables: Vec<Vec<u32>>,
    /// Adjacent elements of a variable.
    elements: Vec<Vec<u32>>,
    /// How many original vertices a variable stands for.
    weight: Vec<u32>,
    /// Vertices merged into this one, directly.
    merged: Vec<Vec<u32>>,
    degree: Vec<u32>,
    buckets: Buckets,
    /// Vertices not yet eliminated.
    left: u32,
    /// Stamps: `mark[v] == stamp` means "in the current set".
    mark: Vec<u32>,
    stamp: u32,
    /// Members of an element outside the current pivot's neighbourhood, valid where `outside_stamp` is current.
    outside: Vec<u32>,
    outside_stamp: Vec<u32>,
}

impl Quotient {
    fn new(neighbours: Vec<Vec<u32>>) -> Self {
        let count = neighbours.len();
        let degree: Vec<u32> = neighbours.iter().map(|list| list.len() as u32).collect();
        let mut buckets = Buckets::new(count);
        for vertex in (0..count as u32).rev() {
            buckets.insert(vertex, degree[vertex as usize]);
        }
        Self {
            role: vec![Role::Variable; count],
            variables: neighbours,
            elements: vec![Vec::new(); count],
            weight: vec![1; count],
            merged: vec![Vec::new(); count],
            degree,
            buckets,
            left: count as u32,
            mark: vec![0; count],
            stamp: 0,
            outside: vec![0; count],
            outside_stamp: vec![0; count],
        }
    }

    fn pop_lowest(&mut self) -> u32 {
        self.buckets.pop_lowest()
    }

    fn is_variable(&self, vertex: u32) -> bool {
        self.role[vertex as usize] == Role::Variable
    }

    /// Turns a variable into an element and updates all it touches.
    fn eliminate(&mut self, pivot: u32) {
        let members = self.gather_members(pivot);
        self.left -= self.weight[pivot as usize];
        self.role[pivot as usize] = Role::Element;
        for &member in &members {
            self.prune(member, pivot);
        }
        self.measure_outside(&members);
        let reach: u32 = members.iter().map(|&member| self.weight[member as usize]).sum();
        for &member in &members {
            self.update_degree(member, pivot, reach);
        }
        self.merge_indistinguishable(&members);
        let alive: Vec<u32> = members.into_iter().filter(|&member| self.is_variable(member)).collect();
        for &member in &alive {
            self.buckets.insert(member, self.degree[member as usize]);
        }
        if alive.is_empty() {
            self.role[pivot as usize] = Role::Gone;
        }
        self.variables[pivot as usize] = alive;
    }

    /// The pivot's neighbours, through edges and elements; the elements are absorbed. They are marked with the current
    /// stamp and taken from their buckets.
    fn gather_members(&mut self, pivot: u32) -> Vec<u32> {
        self.stamp += 1;
        self.mark[pivot as usize] = self.stamp;
        let mut members = Vec::new();
        let direct = take(&mut self.variables[pivot as usize]);
        let through = take(&mut self.elements[pivot as usize]);
        let mut lists = vec![direct];
        for element in through {
            if self.role[element as usize] == Role::Element {
                self.role[element as usize] = Role::Gone;
                lists.push(take(&mut self.variables[element as usize]));
            }
        }
        for member in lists.into_iter().flatten() {
            if self.is_variable(member) && self.mark[member as usize] != self.stamp {
                self.mark[member as usize] = self.stamp;
                self.buckets.remove(member);
                members.push(member);
            }
        }
        members
    }

    /// Drops what the new element covers from a member's lists, and adds the element.
    fn prune(&mut self, member: u32, pivot: u32) {
        let at = member as usize;
        let Self { role, mark, stamp, variables, elements, .. } = self;
        variables[at]
            .retain(|&other| role[other as usize] == Role::Variable && mark[other as usize] != *stamp);
        elements[at].retain(|&element| role[element as usize] == Role::Element);
        elements[at].push(pivot);
    }

    /// For every element next to a member: the weight of its members outside the new element.
    fn measure_outside(&mut self, members: &[u32]) {
        for &member in members {
            for at in 0..self.elements[member as usize].len() - 1 {
                let element = self.elements[member as usize][at] as usize;
                if self.outside_stamp[element] != self.stamp {
                    self.outside_stamp[element] = self.stamp;
                    let alive = self.variables[element].iter().filter(|&&v| self.is_variable(v));
                    self.outside[element] = alive.map(|&v| self.weight[v as usize]).sum();
                }
                self.outside[element] -= self.weight[member as usize];
            }
        }
    }

    /// The approximate external degree: an upper bound that counts overlaps of elements twice.
    fn update_degree(&mut self, member: u32, pivot: u32, reach: u32) {
        let at = member as usize;
        let Self { role, outside, elements, variables, weight, .. } = self;
        // Elements wholly inside the new one are absorbed by it.
        elements[at].retain(|&element| {
            if element != pivot && outside[element as usize] == 0 {
                role[element as usize] = Role::Gone;
            }
            role[element as usize] == Role::Element
        });
        let own = weight[at];
        let direct: u32 = variables[at].iter().map(|&v| weight[v as usize]).sum();
        let through: u32 = elements[at].iter().filter(|&&e| e != pivot).map(|&e| outside[e as usize]).sum();
        let bound = (reach - own).saturating_add(direct).saturating_add(through);
        let grown = self.degree[at].saturating_add(reach - own);
        self.degree[at] = bound.min(grown).min(self.left.saturating_sub(own));
    }

    /// Members with the same neighbours and elements will be eliminated one after the other: treat them as one.
    fn merge_indistinguishable(&mut self, members: &[u32]) {
        let mut keyed: Vec<(u64, u32)> = members
            .iter()
            .map(|&member| {
                let at = member as usize;
                let sum = |list: &[u32]| list.iter().map(|&v| u64::from(v) + 1).sum::<u64>();
                (sum(&self.variables[at]).wrapping_add(sum(&self.elements[at]) << 20), member)
            })
            .collect();
        keyed.sort_unstable();
        for first in 0..keyed.len() {
            let (key, keeper) = keyed[first];
            let rivals = keyed[first + 1..].iter().take_while(|&&(other, _)| other == key);
            if !self.is_variable(keeper) {
                continue;
            }
            for &(_, rival) in rivals.collect::<Vec<_>>() {
                if self.is_variable(rival) && self.same_neighbours(keeper, rival) {
                    self.role[rival as usize] = Role::Gone;
                    self.weight[keeper as usize] += self.weight[rival as usize];
                    self.degree[keeper as usize] -=
                        self.weight[rival as usize].min(self.degree[keeper as usize]);
                    self.merged[keeper as usize].push(rival);
                    self.variables[rival as usize] = Vec::new();
                    self.elements[rival as usize] = Vec::new();
                }
            }
        }
    }

    fn same_neighbours(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (a as usize, b as usize);
        if self.variables[a].len() != self.variables[b].len()
            || self.elements[a].len() != self.elements[b].len()
        {
            return false;
        }
        self.stamp += 1;
        let Self { variables, elements, mark, stamp, .. } = self;
        variables[a].iter().chain(&elements[a]).for_each(|&v| mark[v as usize] = *stamp);
        variables[b].iter().chain(&elements[b]).all(|&v| mark[v as usize] == *stamp)
    }

    /// Appends a variable and all that was merged into it.
    fn emit(&mut self, pivot: u32, order: &mut Vec<u32>) {
        let mut stack = vec![pivot];
        while let Some(vertex) = stack.pop() {
            order.push(vertex);
            stack.extend(take(&mut self.merged[vertex as usize]).into_iter().rev());
        }
    }
}

/// Variables by degree: doubly linked lists, newest first.
struct Buckets {
    head: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// The bucket a variable is in.
    place: Vec<u32>,
    lowest: usize,
}

impl Buckets {
    fn new(count: usize) -> Self {
        Self {
            head: vec![NONE; count + 1],
            next: vec![NONE; count],
            previous: vec![NONE; count],
            place: vec![NONE; count],
            lowest: 0,
        }
    }

    fn insert(&mut self, vertex: u32, degree: u32) {
        let bucket = (degree as usize).min(self.head.len() - 1);
        let first = self.head[bucket];
        self.next[vertex as usize] = first;
        self.previous[vertex as usize] = NONE;
        self.place[vertex as usize] = bucket as u32;
        if first != NONE {
            self.previous[first as usize] = vertex;
        }
        self.head[bucket] = vertex;
        self.lowest = self.lowest.min(bucket);
    }

    fn remove(&mut self, vertex: u32) {
        let at = vertex as usize;
        let (previous, next) = (self.previous[at], self.next[at]);
        if previous == NONE {
            self.head[self.place[at] as usize] = next;
        } else {
            self.next[previous as usize] = next;
        }
        if next != NONE {
            self.previous[next as usize] = previous;
        }
    }

    fn pop_lowest(&mut self) -> u32 {
        while self.head[self.lowest] == NONE {
            self.lowest += 1;
        }
        let vertex = self.head[self.lowest];
        self.remove(vertex);
        vertex
    }
}
