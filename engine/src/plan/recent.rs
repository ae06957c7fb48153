//! Equal lists of coefficients near one another: most edges have the form of an edge near them.

use crate::graph::Graph;

/// The coefficients of the edges that are not of the start.
pub(super) trait CoefficientLists: Copy {
    /// A number that depends on all coefficients of an edge; equal lists have the same.
    fn hash(self, edge: u32) -> u64;

    /// Whether an edge has coefficients, and the other one the same.
    fn are_same(self, edge: u32, other: u32) -> bool;
}

/// Lists of `P` coefficients, one for each edge from some edge on.
#[derive(Clone, Copy)]
pub(super) struct FullLists<'a, const P: usize> {
    lists: &'a [[f64; P]],
    first: u32,
}

impl<'a, const P: usize> FullLists<'a, P> {
    /// Those of a graph, if each edge but those of the start has as many.
    pub(super) fn of_graph(graph: &'a Graph) -> Option<Self> {
        let (first, coefficients) = graph.full_lists()?;
        Some(Self { lists: coefficients.as_chunks().0, first })
    }

    #[inline(always)]
    fn of(self, edge: u32) -> Option<&'a [f64; P]> {
        self.lists.get(edge.wrapping_sub(self.first) as usize)
    }
}

impl<const P: usize> CoefficientLists for FullLists<'_, P> {
    #[inline(always)]
    fn hash(self, edge: u32) -> u64 {
        self.of(edge).map_or(0, |list| hash(list))
    }

    #[inline(always)]
    fn are_same(self, edge: u32, other: u32) -> bool {
        let (Some(list), Some(other)) = (self.of(edge), self.of(other)) else { return false };
        list.iter().zip(other).all(|(coefficient, other)| coefficient.to_bits() == other.to_bits())
    }
}

/// Lists of any length.
#[derive(Clone, Copy)]
pub(super) struct AnyLists<'a>(pub(super) &'a Graph);

impl CoefficientLists for AnyLists<'_> {
    fn hash(self, edge: u32) -> u64 {
        hash(self.0.coefficients_of(edge as usize))
    }

    fn are_same(self, edge: u32, other: u32) -> bool {
        if other >= self.0.edge_count() {
            return false;
        }
        let [list, other] = [edge, other].map(|edge| self.0.coefficients_of(edge as usize).iter());
        list.len() > 0 && list.map(|coefficient| coefficient.to_bits()).eq(other.map(|other| other.to_bits()))
    }
}

#[inline(always)]
fn hash(coefficients: &[f64]) -> u64 {
    // The highest bits of a product depend on all bits; small whole numbers have only high ones.
    coefficients
        .iter()
        .fold(0, |hash: u64, coefficient| (hash ^ coefficient.to_bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Edges that were seen not long ago, with the numbers of their forms, each where its coefficients say.
pub(super) struct Recent<L> {
    coefficients: L,
    places: [(u32, u32); PLACES],
}

/// A power of two.
const PLACES: usize = 128;

impl<L: CoefficientLists> Recent<L> {
    /// None so far.
    pub(super) fn of(coefficients: L) -> Self {
        // No edge has that index.
        Self { coefficients, places: [(u32::MAX, 0); PLACES] }
    }

    /// The number of the form of an edge with the same coefficients; where there is none, the place for this edge and the
    /// number of its form.
    #[inline(always)]
    pub(super) fn find(&mut self, edge: u32) -> Result<u32, &mut (u32, u32)> {
        let hash = self.coefficients.hash(edge);
        let place = &mut self.places[(hash >> (u64::BITS - PLACES.trailing_zeros())) as usize];
        if self.coefficients.are_same(edge, place.0) { Ok(place.1) } else { Err(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{GraphBuilder, Rate, START};

    /// A vertex with one edge for each of these lists, and perhaps one without any.
    fn graph<const P: usize>(lists: &[[f64; P]], has_constant: bool) -> Graph {
        let mut builder = GraphBuilder::new(1).unwrap();
        let vertex = builder.add_vertex(&[0]).unwrap();
        builder.add_edge(START, vertex, Rate::Scalar(1.0)).unwrap();
        for (list, state) in lists.iter().zip(1..) {
            let to = builder.add_vertex(&[state]).unwrap();
            builder.add_edge(vertex, to, Rate::Coefficients(list)).unwrap();
        }
        if has_constant {
            builder.add_fixed_edge(vertex, vertex + 1, 2.0).unwrap();
        }
        builder.finish()
    }

    /// For each edge but that of the start, the first that has its coefficients, as far as is known.
    fn found(coefficients: impl CoefficientLists, edges: std::ops::Range<u32>) -> Vec<u32> {
        let mut recent = Recent::of(coefficients);
        let mut find = |edge| match recent.find(edge) {
            Ok(first) => first,
            Err(place) => {
                *place = (edge, edge);
                edge
            }
        };
        edges.map(&mut find).collect()
    }

    #[test]
    fn equal_lists_are_found_whether_their_length_is_known_or_not() {
        let lists = [[1.0, 0.0, 2.0], [1.0, 0.0, 3.0], [1.0, 0.0, 2.0], [0.0, 1.0, 2.0], [1.0, 0.0, 3.0]];
        let graph = graph(&lists, false);
        let full = FullLists::<3>::of_graph(&graph).unwrap();
        let wanted = [1, 2, 1, 4, 2];
        assert_eq!(found(full, 1..6), wanted);
        assert_eq!(found(AnyLists(&graph), 1..6), wanted);
    }

    #[test]
    fn edges_without_coefficients_are_like_no_other() {
        let graph = graph(&[[1.0], [1.0]], true);
        assert!(FullLists::<1>::of_graph(&graph).is_none());
        assert_eq!(found(AnyLists(&graph), 1..4), [1, 1, 3]);
        let mut recent = Recent::of(AnyLists(&graph));
        *recent.find(3).unwrap_err() = (3, 7);
        assert!(recent.find(3).is_err(), "its weight may be another");
    }
}
