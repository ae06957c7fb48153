//! The order of edges that a program of phasic's elimination was made for, read off the program itself.
//!
//! A program numbers a vertex's edges and does not say where they lead. But its second phase reads them sorted by the
//! place of their targets in the order of elimination (artifact specification, section 6, phase B), and its first phase
//! says what that order is.

use super::{Command, Input, Trace};
use crate::graph::Graph;

impl Trace {
    /// `graph` with its edges in the order this program was made for, if it is a program of phasic's elimination of
    /// `graph` in some order of edges. Time and memory are linear in program and graph, but for a sort of each vertex's
    /// edges.
    ///
    /// This is a conjecture about a program that may be anything: whether it holds is shown by making the program of the
    /// answer anew. Parallel edges keep their order among themselves, which no program tells.
    pub fn edge_order_of(&self, graph: &Graph) -> Option<Graph> {
        let position = self.positions(graph)?;
        let mut read: Vec<Vec<u32>> = vec![Vec::new(); graph.vertex_count() as usize];
        for command in self.commands() {
            let Command::AddProductInput { input, .. } = *command else { continue };
            let &Input::Edge { vertex, edge } = self.inputs().get(input as usize)? else { return None };
            read.get_mut(vertex as usize)?.push(edge);
        }
        let mut order = vec![u32::MAX; graph.edge_count() as usize];
        for (vertex, numbers) in (0..).zip(&read) {
            let range = graph.edge_range(vertex);
            let mut edges: Vec<u32> = range.clone().map(|index| index as u32).collect();
            if numbers.len() != edges.len() {
                return None;
            }
            // Stable, so that parallel edges are met in the order of their numbers, as the program reads them.
            edges.sort_by_key(|&index| position[graph.edge(index).target as usize]);
            for (&number, index) in numbers.iter().zip(edges) {
                let place = order[range.clone()].get_mut(number as usize)?;
                if std::mem::replace(place, index) != u32::MAX {
                    return None;
                }
            }
        }
        Some(graph.reordered(&order))
    }

    /// The place of each vertex in the order of elimination: phase A emits one row of each vertex with itself.
    fn positions(&self, graph: &Graph) -> Option<Vec<u32>> {
        let count = graph.vertex_count();
        let mut position = vec![u32::MAX; count as usize];
        let rows = self.commands().iter().filter_map(|command| match *command {
            Command::Row { from, to, .. } => Some((from, to)),
            _ => None,
        });
        let mut found = 0;
        for (place, (from, to)) in (0..count).zip(rows) {
            let of_vertex = position.get_mut(from as usize)?;
            if from != to || std::mem::replace(of_vertex, place) != u32::MAX {
                return None;
            }
            found += 1;
        }
        (found == count).then_some(position)
    }
}
