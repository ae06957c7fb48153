//! Strongly connected components by Tarjan's algorithm, without recursion.
//!
//! Order matters here: components come in completion order and members in pop order, as phasic's elimination needs
//! them (artifact specification, section 5).

use super::Graph;

/// The strongly connected components of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Components {
    /// The components in completion order: a component comes after all it reaches. Members in the order they leave
    /// Tarjan's stack, the root last.
    pub members: Vec<Vec<u32>>,
    /// For each vertex, the number of its component.
    pub component_of: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

/// Tarjan's algorithm (SIAM J. Comput. 1, 1972) with an explicit stack: linear time, 16 bytes a vertex, any depth.
pub fn strongly_connected(graph: &Graph) -> Components {
    let vertices = graph.vertex_count() as usize;
    let mut search = Search {
        graph,
        index: vec![UNSEEN; vertices],
        low: vec![0; vertices],
        next_index: 0,
        stack: Vec::new(),
        calls: Vec::new(),
        found: Components { members: Vec::new(), component_of: vec![UNSEEN; vertices] },
    };
    for root in 0..graph.vertex_count() {
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
        let number = self.found.members.len() as u32;
        let mut members = Vec::new();
        while let Some(member) = self.stack.pop() {
            self.found.component_of[member as usize] = number;
            members.push(member);
            if member == vertex {
                break;
            }
        }
        self.found.members.push(members);
    }
}
