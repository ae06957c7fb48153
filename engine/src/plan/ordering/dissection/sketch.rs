//! Undirected graphs with weights: a component, a part of one, or a coarser image of either.

use super::super::NONE;

/// About the golden section of a count, and without a common divisor with it.
fn golden_stride(count: u64) -> u64 {
    let is_coprime = |&stride: &u64| {
        let (mut a, mut b) = (stride, count);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (count * 618 / 1000..=count).find(is_coprime).unwrap_or(1)
}

/// Vertices with weights, and the neighbours of each with the weight of what ties them.
#[derive(Default)]
pub(super) struct Sketch {
    start: Vec<u32>,
    others: Vec<u32>,
    ties: Vec<u32>,
    weights: Vec<u32>,
}

impl Sketch {
    /// Vertices and ties of weight 1. The list of each vertex holds its neighbours once, and stands in theirs.
    pub(super) fn new(lists: impl Iterator<Item = impl Iterator<Item = u32>>) -> Self {
        let mut sketch = Self::empty();
        for list in lists {
            sketch.others.extend(list);
            sketch.close(1);
        }
        sketch.ties.resize(sketch.others.len(), 1);
        sketch
    }

    fn empty() -> Self {
        Self { start: vec![0], ..Self::default() }
    }

    fn close(&mut self, weight: u32) {
        self.start.push(self.others.len() as u32);
        self.weights.push(weight);
    }

    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Neighbours and ties, each from both its ends.
    pub(super) fn size(&self) -> usize {
        self.len() + self.others.len()
    }

    #[inline(always)]
    pub(super) fn weight(&self, vertex: u32) -> u32 {
        self.weights[vertex as usize]
    }

    pub(super) fn total(&self) -> u64 {
        self.weights.iter().map(|&weight| u64::from(weight)).sum()
    }

    #[inline(always)]
    pub(super) fn others(&self, vertex: u32) -> &[u32] {
        &self.others[self.range(vertex)]
    }

    #[inline(always)]
    fn range(&self, vertex: u32) -> std::ops::Range<usize> {
        self.start[vertex as usize] as usize..self.start[vertex as usize + 1] as usize
    }

    /// The vertices that are `kept`, and the ties between them; which they are. `place` has room for all.
    pub(super) fn part(&self, kept: impl Fn(u32) -> bool, place: &mut Vec<u32>) -> (Self, Vec<u32>) {
        let which: Vec<u32> = (0..self.len() as u32).filter(|&vertex| kept(vertex)).collect();
        place.clear();
        place.resize(self.len(), NONE);
        for (&vertex, at) in which.iter().zip(0..) {
            place[vertex as usize] = at;
        }
        let mut part = Self::empty();
        for &vertex in &which {
            for entry in self.range(vertex) {
                let at = place[self.others[entry] as usize];
                if at != NONE {
                    part.others.push(at);
                    part.ties.push(self.ties[entry]);
                }
            }
            part.close(self.weight(vertex));
        }
        (part, which)
    }

    /// A coarser image, in which vertices that are tied most are one, and which one each has become.
    ///
    /// Vertex by vertex, each joins the neighbour, or what that has joined, of the least weight for the square of the tie
    /// to it, unless they would be heavier than four average vertices. Vertices are taken with strides of the golden
    /// section: in the order of their numbers, which follows the axes of lattices, clusters would do so, too, and
    /// separators between them. Those fill in more than slanting ones. Linear in the size; the image has about a third of
    /// the vertices, where not all hang on a few.
    pub(super) fn coarsen(&self) -> (Self, Vec<u32>) {
        let most = (4 * self.total()).div_ceil(self.len() as u64);
        let (mut image, mut weights) = (vec![NONE; self.len()], Vec::new());
        let stride = golden_stride(self.len() as u64);
        for at in 0..self.len() as u64 {
            let vertex = (at * stride % self.len() as u64) as u32;
            if image[vertex as usize] != NONE {
                continue;
            }
            let own = self.weight(vertex);
            let (mut best, mut best_tie, mut best_weight) = (NONE, 0, 1);
            for entry in self.range(vertex) {
                let (other, tie) = (self.others[entry], u64::from(self.ties[entry]));
                let weight = match image[other as usize] {
                    NONE => self.weight(other),
                    cluster => weights[cluster as usize],
                };
                let weight = u64::from(weight);
                if weight + u64::from(own) <= most && tie * tie * best_weight > best_tie * best_tie * weight {
                    (best, best_tie, best_weight) = (other, tie, weight);
                }
            }
            let mut cluster = if best == NONE { NONE } else { image[best as usize] };
            if cluster == NONE {
                cluster = weights.len() as u32;
                weights.push(0);
                if best != NONE {
                    image[best as usize] = cluster;
                    weights[cluster as usize] = self.weight(best);
                }
            }
            image[vertex as usize] = cluster;
            weights[cluster as usize] += own;
        }
        (self.collect(&image, weights), image)
    }

    /// The graph of clusters of these weights, of which each vertex is in one.
    fn collect(&self, image: &[u32], weights: Vec<u32>) -> Self {
        // Members of each cluster, linked.
        let (mut head, mut next) = (vec![NONE; weights.len()], vec![NONE; self.len()]);
        for vertex in (0..self.len() as u32).rev() {
            let head = &mut head[image[vertex as usize] as usize];
            next[vertex as usize] = std::mem::replace(head, vertex);
        }
        let mut coarse = Self { start: Vec::with_capacity(weights.len() + 1), ..Self::default() };
        coarse.start.push(0);
        // Where a cluster's entry is, if that is in the list at hand.
        let mut entry_of = vec![0; weights.len()];
        for (mut member, cluster) in head.into_iter().zip(0..) {
            let begin = coarse.others.len();
            while member != NONE {
                for entry in self.range(member) {
                    let other = image[self.others[entry] as usize];
                    if other == cluster {
                        continue;
                    }
                    let found = entry_of[other as usize];
                    if found >= begin && coarse.others.get(found) == Some(&other) {
                        coarse.ties[found] = coarse.ties[found].saturating_add(self.ties[entry]);
                    } else {
                        entry_of[other as usize] = coarse.others.len();
                        coarse.others.push(other);
                        coarse.ties.push(self.ties[entry]);
                    }
                }
                member = next[member as usize];
            }
            coarse.start.push(coarse.others.len() as u32);
        }
        coarse.weights = weights;
        coarse
    }
}
