//! Strongly connected components by Tarjan's algorithm, without recursion.
//!
//! Order matters here: components come in completion order and members in pop order, as phasic's elimination needs
//! them (artifact specification, section 5).

use std::convert::Infallible;

use super::{Graph, START};

/// The strongly connected components of a graph, or of the part that was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// All members, one component after the other.
    vertices: Vec<u32>,
    /// Where each component ends.
    ends: Vec<u32>,
    component_of: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

impl Components {
    /// Number of components.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The components in completion order: each comes after all it reaches. Members in the order they leave Tarjan's
    /// stack, the root last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> + '_ {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let members = &self.vertices[start as usize..end as usize];
            start = end;
            members
        })
    }

    /// The number of a vertex's component; `None` when the search did not come there.
    ///
    /// # Panics
    /// When `vertex` is out of range, like slice indexing.
    pub fn of(&self, vertex: u32) -> Option<u32> {
        Some(self.component_of[vertex as usize]).filter(|&component| component != UNSEEN)
    }
}

/// The strongly connected components of the whole graph. Linear; the stack is on the heap, so paths of any length do.
pub fn strongly_connected(graph: &Graph) -> Components {
    collect(graph, 0..graph.vertex_count())
}

/// The components of what the start reaches; see [`strongly_connected`].
pub fn strongly_connected_from_start(graph: &Graph) -> Components {
    collect(graph, START..START + 1)
}

fn collect(graph: &Graph, roots: std::ops::Range<u32>) -> Components {
    let (mut vertices, mut ends) = (Vec::new(), Vec::new());
    let visited = visit_components(graph, roots, &mut |members: &[u32], numbers: &mut Numbers| {
        for &member in members.iter().rev() {
            numbers.set(member, ends.len() as u32);
            vertices.push(member);
        }
        ends.push(vertices.len() as u32);
    });
    let Ok(numbers) = visited;
    let component_of =
        (0..graph.vertex_count()).map(|vertex| numbers.get(vertex).unwrap_or(UNSEEN)).collect();
    Components { vertices, ends, component_of }
}

/// One word for each vertex: 0 before the search comes there, then its place in the order of discovery, and when its
/// component is complete the number that the visitor gave it.
pub(crate) struct Numbers(Vec<u32>);

/// Marks the vertices of complete components. Places in the order of discovery are below it, as is every number given.
const COMPLETE: u32 = 1 << 31;

impl Numbers {
    /// Gives a member of the component at hand its number, below 2^31.
    #[inline]
    pub(crate) fn set(&mut self, vertex: u32, number: u32) {
        self.0[vertex as usize] = COMPLETE | number;
    }

    /// The number that a vertex was given; `None` for those in no complete component.
    #[inline]
    pub(crate) fn get(&self, vertex: u32) -> Option<u32> {
        let word = self.0[vertex as usize];
        (word & COMPLETE != 0).then_some(word & !COMPLETE)
    }

    /// The numbers of vertices that are known to be in complete components.
    pub(crate) fn complete(&self) -> Complete<'_> {
        Complete(&self.0)
    }
}

/// Numbers that vertices of complete components were given.
#[derive(Clone, Copy)]
pub(crate) struct Complete<'a>(&'a [u32]);

impl Complete<'_> {
    /// The number of a vertex.
    #[inline]
    pub(crate) fn of(self, vertex: u32) -> u32 {
        let word = self.0[vertex as usize];
        debug_assert!(word & COMPLETE != 0, "{vertex} was never given a number");
        word & !COMPLETE
    }
}

/// A vertex whose edges are being followed.
struct Call {
    vertex: u32,
    /// Its place in the order of discovery, from 1 on.
    place: u32,
    /// The lowest place on the stack that it was found to reach.
    low: u32,
    /// The edge to follow next, and the first of another vertex.
    next: u32,
    end: u32,
}

/// Is shown components as they are found, and may stop the search.
pub(crate) trait Visitor {
    /// Why the search was stopped.
    type Stop;

    /// A component is complete: gives each of its members a number. They come in the order of discovery, the root first.
    fn component(&mut self, members: &[u32], numbers: &mut Numbers) -> Result<(), Self::Stop>;

    /// A component of one vertex with so many edges is complete: gives it a number.
    #[inline]
    fn single(&mut self, vertex: u32, _edges: u32, numbers: &mut Numbers) -> Result<(), Self::Stop> {
        self.component(&[vertex], numbers)
    }

    /// The edges of a vertex, this many, have been followed.
    fn followed(&mut self, edges: u32) -> Result<(), Self::Stop>;
}

impl<F: FnMut(&[u32], &mut Numbers)> Visitor for F {
    type Stop = Infallible;

    fn component(&mut self, members: &[u32], numbers: &mut Numbers) -> Result<(), Infallible> {
        self(members, numbers);
        Ok(())
    }

    fn followed(&mut self, _: u32) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Shows the components of what `roots` reach to a visitor, sinks first.
///
/// One pass over the edges; 4 bytes a vertex, 4 more for each one reached, and 20 for each vertex of the longest path
/// that is followed.
pub(crate) fn visit_components<V: Visitor>(
    graph: &Graph,
    roots: std::ops::Range<u32>,
    visitor: &mut V,
) -> Result<Numbers, V::Stop> {
    let Graph { edge_start, targets, .. } = graph;
    let mut numbers = Numbers(vec![0; graph.vertex_count() as usize]);
    let room = numbers.0.len().min(1024);
    let (mut stack, mut calls): (Vec<u32>, Vec<Call>) = (Vec::with_capacity(room), Vec::with_capacity(room));
    let mut places = 0;
    for root in roots.filter(|&root| edge_start.len() > root as usize + 1) {
        if numbers.0[root as usize] != 0 {
            continue;
        }
        let mut enter = |vertex: u32, numbers: &mut Numbers, stack: &mut Vec<u32>| {
            places += 1;
            numbers.0[vertex as usize] = places;
            stack.push(vertex);
            let [next, end] = [0, 1].map(|after| edge_start[vertex as usize + after]);
            Call { vertex, place: places, low: places, next, end }
        };
        let mut call = enter(root, &mut numbers, &mut stack);
        loop {
            let mut deeper = None;
            let edges = call.next..call.end;
            for (&target, next) in targets[edges.start as usize..edges.end as usize].iter().zip(edges) {
                match numbers.0[target as usize] {
                    0 => {
                        call.next = next + 1;
                        deeper = Some(target);
                        break;
                    }
                    // Words of complete components are never lower.
                    word => call.low = call.low.min(word),
                }
            }
            if let Some(target) = deeper {
                calls.push(call);
                call = enter(target, &mut numbers, &mut stack);
                continue;
            }
            let edges = call.end - edge_start[call.vertex as usize];
            visitor.followed(edges)?;
            if call.low == call.place {
                // Most components are one vertex.
                let members = if stack.last() == Some(&call.vertex) {
                    visitor.single(call.vertex, edges, &mut numbers)?;
                    stack.len() - 1
                } else {
                    let members = stack.iter().rposition(|&member| member == call.vertex).unwrap_or_default();
                    visitor.component(&stack[members..], &mut numbers)?;
                    members
                };
                stack.truncate(members);
            }
            let Some(mut caller) = calls.pop() else { break };
            caller.low = caller.low.min(call.low);
            call = caller;
        }
    }
    Ok(numbers)
}
