//! The second step of an analysis: the edges by position, and the linear forms of their weights.
//!
//! Some vertices are taken at a time: first it is found where their edges lead, then what forms these have and which list
//! of the plan they belong to. So each loop has few things to keep at hand.

use super::analysis::ABSORBING;
use super::pace::Pace;
use super::recent::{AnyLists, CoefficientLists, FullLists, Recent};
use super::weigher::Weigher;
use super::{AnalysisError, Plan};
use crate::graph::{Graph, Numbers, START};
use crate::progress::Phase;

/// Edges that are taken at a time, unless a vertex has more. They stay in the first cache, with their coefficients.
const BUNDLE: usize = 256;

/// No form has this number.
const NO_FORM: u32 = u32::MAX;

/// Edges by position: those inside the component, those to components solved before, and the sum of those that end.
///
/// Linear in the edges and their coefficients, but for sorting the edges of each vertex. It holds 8 bytes for each edge of
/// the graph, most of which become the lists of the plan, 4 more for each edge inside a component while these are copied,
/// and 8 for each edge of the largest vertex.
pub(super) fn collect_edges(
    graph: &Graph,
    numbers: &Numbers,
    plan: &mut Plan,
    pace: &mut Pace<'_>,
) -> Result<(), AnalysisError> {
    pace.begin(Phase::Collecting);
    // Lists of a known length are looked up and compared in a third of the time.
    match graph.param_length() {
        1 if let Some(lists) = FullLists::<1>::of_graph(graph) => collect(graph, lists, numbers, plan, pace),
        2 if let Some(lists) = FullLists::<2>::of_graph(graph) => collect(graph, lists, numbers, plan, pace),
        3 if let Some(lists) = FullLists::<3>::of_graph(graph) => collect(graph, lists, numbers, plan, pace),
        4 if let Some(lists) = FullLists::<4>::of_graph(graph) => collect(graph, lists, numbers, plan, pace),
        _ => collect(graph, AnyLists(graph), numbers, plan, pace),
    }
}

#[inline(never)]
fn collect(
    graph: &Graph,
    coefficients: impl CoefficientLists,
    numbers: &Numbers,
    plan: &mut Plan,
    pace: &mut Pace<'_>,
) -> Result<(), AnalysisError> {
    let mut bundle = Bundle::new(graph, numbers);
    let mut collector = Collector {
        recent: Recent::of(coefficients),
        weigher: Weigher::new(graph),
        lists: EdgeLists::new(graph.edge_count() as usize),
    };
    let positions = plan.vertices.len();
    (plan.inner.start, plan.outer.start) = (vec![0; positions + 1], vec![0; positions + 1]);
    plan.exit_forms = vec![0; positions];
    let mut begin = 0;
    for &(end, cyclic) in &plan.block_end {
        // Edges to positions from here on stay in the component; a single vertex has none.
        let first = if cyclic { begin } else { ABSORBING };
        let mut at = begin as usize;
        while at < end as usize {
            let vertices = &plan.vertices[at..end as usize];
            let has_sums = bundle.fill(vertices, at, pace)?;
            let ends = plan.inner.start[at + 1..].iter_mut().zip(&mut plan.outer.start[at + 1..]);
            let results = ends.zip(&mut plan.exit_forms[at..]);
            let bundled = bundle.ends.iter().zip(vertices).zip(at..);
            let mut from = 0;
            for (((&to, &vertex), position), ((inner_end, outer_end), exit_form)) in bundled.zip(results) {
                let edges = &bundle.items[from..to];
                *exit_form = if has_sums {
                    collector.add_sums(vertex, position, edges, first, pace)?
                } else {
                    collector.add(vertex, position, edges, first, pace)?
                };
                (*inner_end, *outer_end) = (collector.lists.inner_count(), collector.lists.outer as u32);
                from = to;
            }
            at += bundle.ends.len();
        }
        begin = end;
    }
    (plan.forms, plan.watched) = collector.weigher.finish();
    collector.lists.finish(plan);
    Ok(())
}

/// Finds the forms of edges and adds them to the lists of the plan.
struct Collector<'a, L> {
    recent: Recent<L>,
    weigher: Weigher<'a>,
    lists: EdgeLists,
}

impl<L: CoefficientLists> Collector<'_, L> {
    /// Adds the edges of a vertex, which lead to different positions. The form of the exit.
    #[inline(always)]
    fn add(
        &mut self,
        vertex: u32,
        position: usize,
        edges: &[u64],
        first: u32,
        pace: &Pace<'_>,
    ) -> Result<u32, AnalysisError> {
        let mut exit = NO_FORM;
        for &edge in edges {
            let form = match self.recent.find(edge as u32) {
                Ok(form) => form,
                Err(place) => {
                    let form = self.weigher.weigh(vertex, position, edge, pace)?;
                    *place = (edge as u32, form);
                    form
                }
            };
            self.lists.put((edge >> 32) as u32, form, first, &mut exit);
        }
        Ok(if exit == NO_FORM { self.weigher.nothing() } else { exit })
    }

    /// The same for any vertex: parallel edges count as their sum.
    #[inline(never)]
    fn add_sums(
        &mut self,
        vertex: u32,
        position: usize,
        edges: &[u64],
        first: u32,
        pace: &Pace<'_>,
    ) -> Result<u32, AnalysisError> {
        let mut exit = NO_FORM;
        for parallel in edges.chunk_by(|a, b| a >> 32 == b >> 32) {
            let form = self.weigher.weigh_sum(vertex, position, parallel)?;
            self.lists.put((parallel[0] >> 32) as u32, form, first, &mut exit);
        }
        self.weigher.grant(pace, position)?;
        Ok(if exit == NO_FORM { self.weigher.nothing() } else { exit })
    }
}

/// The edges of some vertices, by vertex and by where they lead.
struct Bundle<'a> {
    graph: &'a Graph,
    numbers: &'a Numbers,
    /// The position that an edge leads to in the higher half, the edge's index in the lower.
    items: Vec<u64>,
    /// Where the edges of each vertex end.
    ends: Vec<usize>,
}

impl<'a> Bundle<'a> {
    fn new(graph: &'a Graph, numbers: &'a Numbers) -> Self {
        Self { graph, numbers, items: vec![0; BUNDLE], ends: Vec::with_capacity(BUNDLE) }
    }

    /// Takes the edges of the first of these vertices, which have the positions from `begin` on: as many as there is room
    /// for, or one that has sums. Whether it has.
    #[inline(never)]
    fn fill(&mut self, vertices: &[u32], begin: usize, pace: &mut Pace<'_>) -> Result<bool, AnalysisError> {
        let Self { graph, numbers, items, ends } = self;
        let numbers = numbers.complete();
        ends.clear();
        let mut from = 0;
        for (&vertex, position) in vertices.iter().zip(begin..).take(BUNDLE) {
            let range = graph.edge_range(vertex);
            let end = from + range.len();
            if end > items.len() {
                if from > 0 {
                    break;
                }
                items.resize(end, 0);
            }
            pace.step(range.len() * (1 + graph.param_length()), position)?;
            let edges = &mut items[from..end];
            let (mut least, mut ascend) = (0, true);
            let targets = graph.targets_of(range.clone());
            for ((item, &target), edge) in edges.iter_mut().zip(targets).zip(range.start as u64..) {
                let position = numbers.of(target);
                ascend &= least <= position;
                least = position + 1;
                *item = u64::from(position) << 32 | edge;
            }
            let distinct = ascend || sort(edges);
            if !distinct || vertex == START {
                if from == 0 {
                    ends.push(end);
                    return Ok(true);
                }
                break;
            }
            ends.push(end);
            from = end;
        }
        Ok(false)
    }
}

/// Puts the edges of a vertex in order. Whether no two of them lead to the same.
#[inline(always)]
fn sort(edges: &mut [u64]) -> bool {
    if edges.len() > 16 {
        edges.sort_unstable();
        return edges.windows(2).all(|pair| pair[0] >> 32 != pair[1] >> 32);
    }
    // A few are put in place one by one; a call would take as long.
    let mut distinct = true;
    for at in 1..edges.len() {
        let item = edges[at];
        let mut to = at;
        while to > 0 && edges[to - 1] > item {
            edges[to] = edges[to - 1];
            to -= 1;
        }
        edges[to] = item;
        distinct &= to == 0 || edges[to - 1] >> 32 != item >> 32;
    }
    distinct
}

/// Where edges lead, and the forms of their weights: those to components solved before from the front on, those inside
/// components from the back. There is room for all.
struct EdgeLists {
    targets: Vec<u32>,
    forms: Vec<u32>,
    outer: usize,
    inner: usize,
}

impl EdgeLists {
    fn new(edges: usize) -> Self {
        Self { targets: vec![0; edges], forms: vec![0; edges], outer: 0, inner: edges }
    }

    /// Adds an edge to a position, or has it for the exit. Those to positions from `first` on stay in their component.
    #[inline(always)]
    fn put(&mut self, target: u32, form: u32, first: u32, exit: &mut u32) {
        if target < first {
            self.targets[self.outer] = target;
            self.forms[self.outer] = form;
            self.outer += 1;
        } else if target == ABSORBING {
            *exit = form;
        } else {
            self.inner -= 1;
            self.targets[self.inner] = target;
            self.forms[self.inner] = form;
        }
    }

    /// How many edges stay in their component.
    #[inline(always)]
    fn inner_count(&self) -> u32 {
        (self.targets.len() - self.inner) as u32
    }

    /// Moves them to the plan.
    fn finish(self, plan: &mut Plan) {
        let lists = [
            (self.targets, &mut plan.inner.items, &mut plan.outer.items),
            (self.forms, &mut plan.inner_forms, &mut plan.outer_forms),
        ];
        for (mut all, inner, outer) in lists {
            *inner = all[self.inner..].iter().rev().copied().collect();
            all.truncate(self.outer);
            all.shrink_to_fit();
            *outer = all;
        }
    }
}
