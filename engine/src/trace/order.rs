//! The order in which vertices are eliminated (artifact specification, section 5).

use std::collections::VecDeque;

use super::avl;
use crate::graph::{Graph, START, strongly_connected};

/// The components of a graph in phasic's order, before they are sorted topologically. The start is the first of them.
struct ComponentList {
    members: Vec<Vec<u32>>,
    /// For each component, the others it reaches, in phasic's order.
    out: Vec<Vec<u32>>,
}

/// Vertices by position: first those with edges, then the absorbing ones. Linear time up to sorting.
pub(crate) fn elimination_order(graph: &Graph) -> Vec<u32> {
    let order = sorted_vertices(graph).unwrap_or_else(|| {
        let list = cyclic_components(graph);
        list.sorted()
            .into_iter()
            .flat_map(|component| list.members[component as usize].iter().copied())
            .collect()
    });
    let (transient, absorbing): (Vec<u32>, Vec<u32>) =
        order.into_iter().partition(|&vertex| !graph.is_absorbing(vertex));
    [transient, absorbing].concat()
}

/// The list of steps 1 to 3 (single vertices by index when the graph can be sorted, else its components), and the
/// order of its places from the start downwards.
pub(super) fn component_list(graph: &Graph) -> (Vec<Vec<u32>>, Vec<u32>) {
    if let Some(sorted) = sorted_vertices(graph) {
        return ((0..graph.vertex_count()).map(|vertex| vec![vertex]).collect(), sorted);
    }
    let list = cyclic_components(graph);
    let sorted = list.sorted();
    (list.members, sorted)
}

fn sorted_vertices(graph: &Graph) -> Option<Vec<u32>> {
    topological(graph.vertex_count(), |vertex| graph.targets(vertex))
}

/// Kahn's algorithm from node 0, with one sweep for the nodes 0 does not reach; `None` on a cycle that avoids node 0.
fn topological<'a>(nodes: u32, out: impl Fn(u32) -> &'a [u32]) -> Option<Vec<u32>> {
    let mut need = vec![0_u32; nodes as usize];
    (0..nodes).flat_map(&out).for_each(|&target| need[target as usize] += 1);
    let mut done = vec![false; nodes as usize];
    let mut swept = false;
    let mut queue = VecDeque::from([0]);
    let mut order = Vec::with_capacity(nodes as usize);
    while let Some(node) = queue.pop_front() {
        order.push(node);
        done[node as usize] = true;
        for &target in out(node) {
            let need = &mut need[target as usize];
            *need -= 1;
            if *need == 0 && !done[target as usize] {
                done[target as usize] = true;
                queue.push_back(target);
            }
        }
        if queue.is_empty() && !swept {
            swept = true;
            queue.extend((0..nodes).filter(|&node| need[node as usize] == 0 && !done[node as usize]));
        }
    }
    need.iter().all(|&need| need == 0).then_some(order)
}

fn cyclic_components(graph: &Graph) -> ComponentList {
    let found = strongly_connected(graph);
    let component_of = |vertex: u32| found.of(vertex).unwrap_or_default();
    let mut out: Vec<Vec<u32>> = Vec::with_capacity(found.count());
    for (members, number) in found.iter().zip(0..) {
        let mut reached: Vec<u32> = members
            .iter()
            .flat_map(|&vertex| graph.targets(vertex))
            .map(|&target| component_of(target))
            .filter(|&component| component != number)
            .collect();
        reached.sort_unstable();
        reached.dedup();
        out.push(reached);
    }
    let mut list = ComponentList { members: found.iter().map(<[u32]>::to_vec).collect(), out };
    let start = component_of(START);
    if list.members[start as usize].len() == 1 {
        list.swap_places(start);
    } else {
        let reached = graph.targets(START).iter().map(|&target| component_of(target) + 1);
        list.split_start(start, avl::dump_order(reached));
    }
    list
}

impl ComponentList {
    fn sorted(&self) -> Vec<u32> {
        let count = self.members.len() as u32;
        // Components form no cycle but through the first place, which `topological` allows for.
        topological(count, |component| &self.out[component as usize]).unwrap_or_else(|| (0..count).collect())
    }

    /// Exchanges the first component and `place`, which holds the start alone.
    fn swap_places(&mut self, place: u32) {
        self.members.swap(0, place as usize);
        self.out.swap(0, place as usize);
        for reached in self.out.iter_mut().flatten() {
            if *reached == 0 {
                *reached = place;
            } else if *reached == place {
                *reached = 0;
            }
        }
    }

    /// Takes the start out of component `place` and puts it in front as a component of its own.
    fn split_start(&mut self, place: u32, reached: Vec<u32>) {
        self.members[place as usize].retain(|&vertex| vertex != START);
        self.out.iter_mut().flatten().for_each(|component| *component += 1);
        self.members.insert(0, vec![START]);
        self.out.insert(0, reached);
    }
}
