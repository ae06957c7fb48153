//! The same graph with its edges in another order.
//!
//! The content hash does not see the order of a vertex's edges, and programs number edges by it.

use super::Graph;

impl Graph {
    /// The graph whose edges are those of this one in a new order: place by place, `order` has the index of the edge that
    /// comes there. Linear time.
    ///
    /// `order` is a permutation of all edge indices that keeps every edge at its vertex.
    pub(crate) fn reordered(&self, order: &[u32]) -> Graph {
        debug_assert_eq!(order.len(), self.targets.len(), "an order of all edges");
        let mut graph = Graph {
            targets: Vec::with_capacity(order.len()),
            coefficient_start: vec![0],
            coefficients: Vec::with_capacity(self.coefficients.len()),
            fixed: Vec::with_capacity(self.fixed.len()),
            ..self.clone()
        };
        for (place, &index) in order.iter().enumerate() {
            let edge = self.edge(index);
            if let Some(weight) = self.fixed_weight(index) {
                graph.fixed.push((place as u32, weight));
            }
            graph.targets.push(edge.target);
            graph.coefficients.extend_from_slice(edge.coefficients);
            graph.coefficient_start.push(graph.coefficients.len() as u32);
        }
        graph
    }
}
