//! Strongly connected components by Tarjan's algorithm, without recursion.
//!
//! Order matters here: components come in completion order and members in pop order, as phasic's elimination needs
//! them (artifact specification, section 5).

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

/// The components of the whole graph: Tarjan's algorithm (SIAM J. Comput. 1, 1972) with an explicit stack, from each
/// vertex in turn. Linear time, 24 bytes a vertex, any depth.
pub fn strongly_connected(graph: &Graph) -> Components {
    search(graph, 0..graph.vertex_count())
}

/// The components of what the start reaches; see [`strongly_connected`].
pub fn strongly_connected_from_start(graph: &Graph) -> Components {
    search(graph, START..START + 1)
}

fn search(graph: &Graph, roots: std::ops::Range<u32>) -> Components {
    let vertices = graph.vertex_count() as usize;
    let mut search = Search {
        graph,
        index: vec![UNSEEN; vertices],
        low: vec![0; vertices],
        next_index: 0,
        stack: Vec::new(),
        calls: Vec::new(),
        found: Components { vertices: Vec::new(), ends: Vec::new(), component_of: vec![UNSEEN; vertices] },
    };
    for root in roots {
        if search.index[root as usize] == UNSEEN {
            search.run(root);
        }
    }
    search.found
}

struct Search<'a> {
    graph: &'a Graph,
    index: Vec<u32>,
    low: Vec<u32>,
    next_index: u32,
    stack: Vec<u32>,
    /// The pending calls: a vertex and how many of its edges were followed.
    calls: Vec<(u32, u32)>,
    found: Components,
}

impl Search<'_> {
    fn run(&mut self, root: u32) {
        self.enter(root);
        while let Some(&mut (vertex, ref mut followed)) = self.calls.last_mut() {
            if let Some(&target) = self.graph.targets(vertex).get(*followed as usize) {
                *followed += 1;
                if self.index[target as usize] == UNSEEN {
                    self.enter(target);
                } else if self.found.component_of[target as usize] == UNSEEN {
                    self.lower(vertex, self.index[target as usize]);
                }
            } else {
                self.calls.pop();
                self.leave(vertex);
                if let Some(&(parent, _)) = self.calls.last() {
                    self.lower(parent, self.low[vertex as usize]);
                }
            }
        }
    }

    fn enter(&mut self, vertex: u32) {
        self.index[vertex as usize] = self.next_index;
        self.low[vertex as usize] = self.next_index;
        self.next_index += 1;
        self.stack.push(vertex);
        self.calls.push((vertex, 0));
    }

    fn lower(&mut self, vertex: u32, to: u32) {
        let low = &mut self.low[vertex as usize];
        *low = (*low).min(to);
    }

    fn leave(&mut self, vertex: u32) {
        if self.low[vertex as usize] != self.index[vertex as usize] {
            return;
        }
        let number = self.found.ends.len() as u32;
        while let Some(member) = self.stack.pop() {
            self.found.component_of[member as usize] = number;
            self.found.vertices.push(member);
            if member == vertex {
                break;
            }
        }
        self.found.ends.push(self.found.vertices.len() as u32);
    }
}
