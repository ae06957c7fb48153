//! Few vertices that part a graph in two, found on coarse images of it and refined on finer ones.
//!
//! Refinement moves vertices of the separator to one of the sides, which pulls their neighbours on the other side into
//! it, after Fiduccia and Mattheyses (Proc. 19th Design Automation Conf., 1982), here for separators of vertices
//! (Hendrickson and Rothberg, SIAM J. Sci. Comput. 20, 1998).

use super::sketch::Sketch;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// An image of at most so many vertices is parted without one that is coarser.
const COARSEST: usize = 60;
/// Starts from which the coarsest image is parted.
const STARTS: usize = 6;
/// Moves without a gain after which a pass of refinement ends.
const PATIENCE: usize = 60;
/// Passes of refinement over one image.
const PASSES: usize = 4;

/// Where a vertex is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    /// In the separator.
    Between,
}

impl Side {
    fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Between => Self::Between,
        }
    }
}

/// Parts a graph: where each vertex is. No vertex on one side is next to one on the other. Neither side has more than
/// three fifths of the weight, if that can be had.
///
/// Deterministic. Linear in the size, but for heaps as large as the separator.
pub(super) fn part(sketch: &Sketch) -> Vec<Side> {
    let mut images = Vec::new();
    loop {
        let finest = images.last().map_or(sketch, |(coarse, _): &(Sketch, Vec<u32>)| coarse);
        if finest.len() <= COARSEST {
            break;
        }
        let coarser = finest.coarsen();
        // Vertices that all hang on a few do not come together.
        if coarser.0.len() * 10 > finest.len() * 9 {
            break;
        }
        images.push(coarser);
    }
    let coarsest = images.last().map_or(sketch, |(coarse, _)| coarse);
    let mut sides = part_coarsest(coarsest);
    while let Some((_, image)) = images.pop() {
        let finer = images.last().map_or(sketch, |(coarse, _)| coarse);
        let projected = image.iter().map(|&cluster| sides[cluster as usize]).collect();
        sides = Refinement::new(finer, projected).finish();
    }
    sides
}

/// The best of several: half of the weight around a vertex on the left, what is next to that between.
fn part_coarsest(sketch: &Sketch) -> Vec<Side> {
    let count = sketch.len();
    let starts = (0..STARTS).map(|at| (at * count / STARTS) as u32);
    let parted = starts.map(|start| {
        let refined = Refinement::new(sketch, grow(sketch, start));
        (refined.quality(), refined.finish())
    });
    parted.min_by_key(|(quality, _)| *quality).map(|(_, sides)| sides).unwrap_or_default()
}

fn grow(sketch: &Sketch, start: u32) -> Vec<Side> {
    let count = sketch.len() as u32;
    let mut sides = vec![Side::Right; count as usize];
    let mut seen = vec![false; count as usize];
    let half = sketch.total() / 2;
    let mut grown = 0;
    let mut queue = VecDeque::new();
    // Further starts, where what hangs together is less than half.
    for start in (start..count).chain(0..start) {
        if std::mem::replace(&mut seen[start as usize], true) {
            continue;
        }
        queue.push_back(start);
        while let Some(vertex) = queue.pop_front() {
            if grown >= half {
                break;
            }
            sides[vertex as usize] = Side::Left;
            grown += u64::from(sketch.weight(vertex));
            for &other in sketch.others(vertex) {
                if !std::mem::replace(&mut seen[other as usize], true) {
                    queue.push_back(other);
                }
            }
        }
        if grown >= half {
            break;
        }
    }
    for vertex in 0..count {
        let is_left = |other: &u32| sides[*other as usize] == Side::Left;
        if sides[vertex as usize] == Side::Right && sketch.others(vertex).iter().any(is_left) {
            sides[vertex as usize] = Side::Between;
        }
    }
    sides
}

/// How good a separator is, least first: what is too much on one side, its weight, and how unlike the sides are.
type Quality = (u64, u64, u64);

/// A separator at work.
struct Refinement<'a> {
    sketch: &'a Sketch,
    sides: Vec<Side>,
    /// Weights on the left, on the right, and between.
    weights: [u64; 3],
    most: u64,
    /// Of vertices between: the weight that would be pulled in from the right if they moved to the left, and the other
    /// way round.
    pulled: [Vec<u64>; 2],
    /// Moves to the left and to the right by gain; some are out of date.
    moves: [BinaryHeap<(i64, Reverse<u32>)>; 2],
    /// Moved in this pass.
    moved: Vec<bool>,
    /// Where vertices were before, in order.
    log: Vec<(u32, Side)>,
}

impl<'a> Refinement<'a> {
    /// Refines a separator until a pass brings nothing.
    fn new(sketch: &'a Sketch, sides: Vec<Side>) -> Self {
        let count = sketch.len();
        let mut weights = [0; 3];
        for (&side, vertex) in sides.iter().zip(0..) {
            weights[side as usize] += u64::from(sketch.weight(vertex));
        }
        let most = (weights.iter().sum::<u64>() * 3).div_ceil(5);
        let mut refinement = Self {
            sketch,
            sides,
            weights,
            most,
            pulled: [vec![0; count], vec![0; count]],
            moves: Default::default(),
            moved: vec![false; count],
            log: Vec::new(),
        };
        for _ in 0..PASSES {
            if !refinement.pass() {
                break;
            }
        }
        refinement
    }

    fn finish(self) -> Vec<Side> {
        self.sides
    }

    fn quality(&self) -> Quality {
        let [left, right, between] = self.weights;
        (left.max(right).saturating_sub(self.most), between, left.abs_diff(right))
    }

    /// Moves each vertex at most once, the best first, and goes back to the best there was. Whether that is better than
    /// before.
    fn pass(&mut self) -> bool {
        let before = self.quality();
        self.moved.fill(false);
        self.log.clear();
        self.moves.iter_mut().for_each(BinaryHeap::clear);
        for vertex in 0..self.sketch.len() as u32 {
            if self.sides[vertex as usize] == Side::Between {
                self.offer(vertex);
            }
        }
        let (mut best, mut kept, mut in_vain) = (before, 0, 0);
        while in_vain < PATIENCE
            && let Some((vertex, to)) = self.choose()
        {
            self.make(vertex, to);
            let quality = self.quality();
            if quality < best {
                (best, kept, in_vain) = (quality, self.log.len(), 0);
            } else {
                in_vain += 1;
            }
        }
        for (vertex, side) in self.log.split_off(kept).into_iter().rev() {
            self.put(vertex, side);
        }
        best < before
    }

    /// Works out what moves of a vertex between would pull in, and offers them.
    fn offer(&mut self, vertex: u32) {
        let mut on = [0, 0, 0];
        for &other in self.sketch.others(vertex) {
            on[self.sides[other as usize] as usize] += u64::from(self.sketch.weight(other));
        }
        for to in [Side::Left, Side::Right] {
            self.pulled[to as usize][vertex as usize] = on[to.opposite() as usize];
            self.push(vertex, to);
        }
    }

    fn gain(&self, vertex: u32, to: Side) -> i64 {
        i64::from(self.sketch.weight(vertex)) - self.pulled[to as usize][vertex as usize].cast_signed()
    }

    fn push(&mut self, vertex: u32, to: Side) {
        if !self.moved[vertex as usize] {
            let gain = self.gain(vertex, to);
            self.moves[to as usize].push((gain, Reverse(vertex)));
        }
    }

    /// The move with the greatest gain that does not put too much on one side; to the lighter side if there are two.
    fn choose(&mut self) -> Option<(u32, Side)> {
        let lighter = if self.weights[0] <= self.weights[1] { Side::Left } else { Side::Right };
        let mut found: Option<(i64, u32, Side)> = None;
        for to in [lighter, lighter.opposite()] {
            if let Some((gain, vertex)) = self.best_to(to)
                && found.is_none_or(|(most, ..)| gain > most)
            {
                found = Some((gain, vertex, to));
            }
        }
        found.map(|(_, vertex, to)| (vertex, to))
    }

    fn best_to(&mut self, to: Side) -> Option<(i64, u32)> {
        while let Some(&(gain, Reverse(vertex))) = self.moves[to as usize].peek() {
            let current = self.sides[vertex as usize] == Side::Between
                && !self.moved[vertex as usize]
                && self.gain(vertex, to) == gain;
            if current && self.weights[to as usize] + u64::from(self.sketch.weight(vertex)) <= self.most {
                return Some((gain, vertex));
            }
            self.moves[to as usize].pop();
        }
        None
    }

    /// Moves a vertex from between to a side, and its neighbours on the other side between.
    fn make(&mut self, vertex: u32, to: Side) {
        self.log.push((vertex, Side::Between));
        self.put(vertex, to);
        self.moved[vertex as usize] = true;
        let (sketch, from) = (self.sketch, to.opposite());
        for &other in sketch.others(vertex) {
            if self.sides[other as usize] == Side::Between {
                // It would pull this vertex back.
                self.pulled[from as usize][other as usize] += u64::from(sketch.weight(vertex));
                self.push(other, from);
            } else if self.sides[other as usize] == from {
                self.log.push((other, from));
                self.put(other, Side::Between);
                for &third in sketch.others(other) {
                    if self.sides[third as usize] == Side::Between {
                        self.pulled[to as usize][third as usize] -= u64::from(sketch.weight(other));
                        self.push(third, to);
                    }
                }
                self.offer(other);
            }
        }
    }

    fn put(&mut self, vertex: u32, side: Side) {
        let weight = u64::from(self.sketch.weight(vertex));
        let old = std::mem::replace(&mut self.sides[vertex as usize], side);
        self.weights[old as usize] -= weight;
        self.weights[side as usize] += weight;
    }
}
