//! Parallel edges: finding them and summing them into one.
//!
//! phasic keeps parallel edges apart, and its elimination computes wrong numbers with them; whoever wants the numbers
//! merges first.

use hashbrown::HashMap;

use super::Graph;

impl Graph {
    /// Whether some vertex has two edges to the same target. Linear time.
    pub fn has_parallel_edges(&self) -> bool {
        let mut last_source = vec![u32::MAX; self.vertex_count() as usize];
        (0..self.vertex_count()).any(|vertex| {
            self.targets(vertex)
                .iter()
                .any(|&target| std::mem::replace(&mut last_source[target as usize], vertex) == vertex)
        })
    }

    /// The graph with each vertex's parallel edges summed into the first of them, coefficient by coefficient and
    /// weight by weight; a shorter coefficient list counts as ending in zeros. Linear time.
    ///
    /// The weights and the distribution stay the same, the content hash does not. An edge without coefficients is
    /// merged only with others like it, since no coefficient list can stand for both.
    #[must_use]
    pub fn merge_parallel_edges(&self) -> Graph {
        let mut merged = Graph {
            edge_start: vec![0],
            targets: Vec::with_capacity(self.targets.len()),
            coefficient_start: vec![0],
            coefficients: Vec::with_capacity(self.coefficients.len()),
            fixed: Vec::with_capacity(self.fixed.len()),
            ..self.clone()
        };
        let mut first: HashMap<(u32, bool), usize> = HashMap::new();
        let mut bundles: Vec<(u32, Vec<f64>, Option<f64>)> = Vec::new();
        for vertex in 0..self.vertex_count() {
            first.clear();
            bundles.clear();
            for edge in self.edges(vertex) {
                let fixed = self.fixed_weight(edge.index);
                let key = (edge.target, edge.coefficients.is_empty());
                if let Some(&at) = first.get(&key) {
                    add_coefficients(&mut bundles[at].1, edge.coefficients);
                    bundles[at].2 = bundles[at].2.zip(fixed).map(|(a, b)| a + b);
                } else {
                    first.insert(key, bundles.len());
                    bundles.push((edge.target, edge.coefficients.to_vec(), fixed));
                }
            }
            for (target, coefficients, fixed) in &bundles {
                if let Some(weight) = *fixed {
                    merged.fixed.push((merged.targets.len() as u32, weight));
                }
                merged.targets.push(*target);
                merged.coefficients.extend_from_slice(coefficients);
                merged.coefficient_start.push(merged.coefficients.len() as u32);
            }
            merged.edge_start.push(merged.targets.len() as u32);
        }
        merged
    }
}

fn add_coefficients(sum: &mut Vec<f64>, more: &[f64]) {
    if sum.len() < more.len() {
        sum.resize(more.len(), 0.0);
    }
    for (into, value) in sum.iter_mut().zip(more) {
        *into += value;
    }
}
