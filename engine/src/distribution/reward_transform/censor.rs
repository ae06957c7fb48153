//! Censoring: taking vertices out of a process so that what is left behaves as it did when watched only there.
//!
//! Subtraction-free (Grassmann, Taksar and Heyman, Oper. Res. 33, 1985), least work first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::TransformError;
use super::super::rows::{Rows, sum_of};
use crate::graph::{GraphError, GraphLimits, START};

/// Rows under censoring.
pub(super) struct Censored {
    rows: Vec<Vec<(u32, f64)>>,
    /// Sources of the edges into each vertex, some of them gone.
    into: Vec<Vec<u32>>,
    gone: Vec<bool>,
    reached: Vec<bool>,
    /// Whether a survivor may lead to itself. In continuous time such a jump is none.
    keeps_loops: bool,
    limits: GraphLimits,
    /// Edges of all rows as they are now.
    edges: u64,
}

impl Censored {
    pub(super) fn new(rows: Rows, keeps_loops: bool, limits: GraphLimits) -> Self {
        let reached = rows.reached();
        let mut rows = rows.into_inner();
        let mut into = vec![Vec::new(); rows.len()];
        for (row, vertex) in rows.iter_mut().zip(0..) {
            if !keeps_loops {
                row.retain(|&(target, _)| target != vertex);
            }
            for &(target, _) in row.iter() {
                into[target as usize].push(vertex);
            }
        }
        let edges = rows.iter().map(|row| row.len() as u64).sum();
        Self { gone: vec![false; rows.len()], rows, into, reached, keeps_loops, limits, edges }
    }

    /// Takes vertices out, those first that make the fewest new edges.
    pub(super) fn remove_all(&mut self, vertices: impl Iterator<Item = u32>) -> Result<(), TransformError> {
        let mut queue: BinaryHeap<_> = vertices.map(|vertex| Reverse((self.work(vertex), vertex))).collect();
        while let Some(Reverse((work, vertex))) = queue.pop() {
            let now = self.work(vertex);
            if now > work {
                queue.push(Reverse((now, vertex)));
            } else {
                self.remove(vertex)?;
            }
        }
        Ok(())
    }

    pub(super) fn into_rows(self) -> Vec<Vec<(u32, f64)>> {
        self.rows
    }

    fn work(&self, vertex: u32) -> u64 {
        self.into[vertex as usize].len() as u64 * self.rows[vertex as usize].len() as u64
    }

    fn remove(&mut self, vertex: u32) -> Result<(), TransformError> {
        let mut row = std::mem::take(&mut self.rows[vertex as usize]);
        self.edges -= row.len() as u64;
        row.retain(|&(target, _)| target != vertex);
        let total: f64 = row.iter().map(|&(_, weight)| weight).sum();
        if total == 0.0 && self.reached[vertex as usize] {
            return Err(TransformError::Trapped { vertex });
        }
        self.gone[vertex as usize] = true;
        for source in std::mem::take(&mut self.into[vertex as usize]) {
            if !self.gone[source as usize] {
                self.bridge(source, vertex, &row, total)?;
            }
        }
        Ok(())
    }

    /// Replaces the edge from `source` to `vertex` by what `vertex` leads to.
    fn bridge(
        &mut self,
        source: u32,
        vertex: u32,
        row: &[(u32, f64)],
        total: f64,
    ) -> Result<(), TransformError> {
        let mut old = std::mem::take(&mut self.rows[source as usize]);
        let Ok(at) = old.binary_search_by_key(&vertex, |&(target, _)| target) else {
            self.rows[source as usize] = old;
            return Ok(());
        };
        let (_, weight) = old.remove(at);
        let mut new = if total > 0.0 { sum_of(&old, row, weight / total) } else { old.clone() };
        if !self.keeps_loops || source == START {
            new.retain(|&(target, _)| target != source);
        }
        // All it does is come back to itself, for ever.
        if new.is_empty() && source != START && self.reached[source as usize] {
            return Err(TransformError::Trapped { vertex: source });
        }
        for &(target, _) in row {
            if old.binary_search_by_key(&target, |&(target, _)| target).is_err() && target != source {
                self.into[target as usize].push(source);
            }
        }
        self.edges = self.edges + new.len() as u64 - (old.len() as u64 + 1);
        if self.edges > u64::from(self.limits.edges) {
            let limit = u64::from(self.limits.edges);
            return Err(GraphError::Limit { what: "edges", limit }.into());
        }
        self.rows[source as usize] = new;
        Ok(())
    }
}
