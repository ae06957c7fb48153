//! How large a lowered program will be, from the plan's pattern alone.

use hashbrown::HashSet;

use super::{ABSORBED, Places, may_share, sole_coefficient};
use crate::graph::{Graph, START};
use crate::plan::analysis::{self, Scope};
use crate::plan::pace::Pace;
use crate::plan::{AnalysisError, Limits, Plan};
use crate::progress::{Observer, Phase};
use crate::trace::Forecast;

/// Counts what [`lower`](super::lower) would make, without making it: exactly.
///
/// Time is that of an analysis of the whole graph plus one step for each edge and each entry of the factors; memory is that
/// of the analysis, 4 bytes a vertex, and a hash table of the distinct coefficients.
///
/// # Errors
/// As [`Plan::analyze`]; the memory limit holds for the analysis, not for the program, and there may be any number of
/// commands.
///
/// ```
/// use phasic_engine::graph::GraphLimits;
/// use phasic_engine::plan::{Limits, forecast_lowered, lower};
///
/// let graph = phasic_engine::reference::computes()[0].build(&GraphLimits::default())?;
/// let forecast = forecast_lowered(&graph, &Limits::default(), &mut ())?;
/// assert_eq!(forecast.commands, lower(&graph, &Limits::default())?.commands().len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn forecast_lowered(
    graph: &Graph,
    limits: &Limits,
    observer: &mut impl Observer,
) -> Result<Forecast, AnalysisError> {
    let mut pace = Pace::new(limits, observer, graph.vertex_count() as usize, graph.edge_count() as usize);
    let plan = analysis::analyze(graph, Scope::Whole, &mut pace)?;
    pace.begin(Phase::Lowering);
    let mut count = Count::new(graph, &plan);
    for vertex in 0..graph.vertex_count() {
        count.rows += u64::from(vertex == START || graph.is_absorbing(vertex));
    }
    for block in plan.blocks() {
        for at in block.range.clone() {
            let steps = if block.cyclic { count.eliminated(at, &block.range) } else { count.single(at) };
            pace.step(steps, at)?;
        }
    }
    Ok(count.finish())
}

/// Commands so far, by what they do.
struct Count<'a> {
    graph: &'a Graph,
    plan: &'a Plan,
    places: Places,
    may_share: bool,
    rows: u64,
    /// Slots cleared for the first time.
    new_slots: u64,
    /// All others.
    others: u64,
    inputs: u64,
    shared: HashSet<u64>,
    has_one: bool,
    has_passing: bool,
}

impl<'a> Count<'a> {
    fn new(graph: &'a Graph, plan: &'a Plan) -> Self {
        Self {
            graph,
            plan,
            places: Places::new(graph, plan),
            may_share: may_share(graph),
            rows: 0,
            new_slots: 0,
            others: 0,
            inputs: 0,
            shared: HashSet::new(),
            has_one: false,
            has_passing: false,
        }
    }

    fn finish(self) -> Forecast {
        Forecast {
            vertices: u64::from(self.graph.vertex_count()),
            commands: self.rows + self.new_slots + self.others,
            rows: self.rows,
            slots: 1 + self.new_slots,
            inputs: self.inputs,
        }
    }

    /// A vertex that is a component of its own; how many edges were looked at.
    fn single(&mut self, at: usize) -> usize {
        let edges = self.edges(at);
        let first = edges.first().map_or(ABSORBED, |edge| edge.0);
        if first != ABSORBED && edges.iter().all(|edge| edge.0 == first) {
            self.sum(edges.len());
            self.one();
            self.rows += 1;
        } else {
            self.sum_and_follow(at, &edges);
        }
        // The reciprocal, and the row that is divided.
        self.others += 1;
        self.rows += 1;
        edges.len() + 1
    }

    /// A vertex of a component with others; how many edges and entries were looked at.
    fn eliminated(&mut self, at: usize, component: &std::ops::Range<usize>) -> usize {
        let plan = self.plan;
        let edges = self.edges(at);
        let is_inside = |edge: &(u32, u32)| component.contains(&(edge.0 as usize));
        let (inside, outside): (Vec<_>, Vec<_>) = edges.into_iter().partition(is_inside);
        self.sum_and_follow(at, &outside);
        let mut targets = 0;
        for group in inside.chunk_by(|a, b| a.0 == b.0) {
            self.sum(group.len());
            targets += 1;
        }
        let (below, above) = (plan.lower.of(at), plan.upper.of(at).len() as u64);
        for &row in below {
            // One more for what leaves the component, one less for what would return here.
            self.others += plan.upper.range(row as usize).len() as u64;
            self.others += u64::from(plan.upper.of(row as usize).binary_search(&(at as u32)).is_err());
        }
        self.rows += below.len() as u64;
        // What fills in has a slot of its own.
        self.new_slots += below.len() as u64 + above - targets;
        if above == 0 {
            self.one();
        } else {
            self.new_slots += 1;
            // The exit and each entry are added to the pivot, and divided by it.
            self.others += 2 * (above + 1);
            self.rows += above;
        }
        self.others += 1;
        self.rows += 1;
        inside.len() + outside.len() + below.len() + 1
    }

    /// The out-edges of a position as the lowering sees them.
    fn edges(&mut self, at: usize) -> Vec<(u32, u32)> {
        let edges = self.places.edges(self.graph, self.plan.vertices[at]);
        self.inputs += edges.len() as u64;
        edges
    }

    /// A new slot with the sum of so many edges.
    fn sum(&mut self, edges: usize) {
        self.new_slots += 1;
        self.others += edges as u64;
    }

    fn one(&mut self) {
        if !std::mem::replace(&mut self.has_one, true) {
            self.new_slots += 1;
            self.others += 1;
        }
    }

    fn sum_and_follow(&mut self, at: usize, edges: &[(u32, u32)]) {
        let vertex = self.plan.vertices[at];
        self.sum(edges.len());
        let mut first = true;
        for group in edges.chunk_by(|a, b| a.0 == b.0).filter(|group| group[0].0 != ABSORBED) {
            self.rows += 1;
            let sole = match *group {
                [(_, edge)] if self.may_share => sole_coefficient(self.graph, vertex, edge),
                _ => None,
            };
            match sole {
                Some(coefficient) => {
                    if self.shared.insert(coefficient) {
                        self.sum(1);
                    }
                }
                // The first of them is read from the sum of all.
                None if std::mem::take(&mut first) => {}
                None => {
                    let new = !std::mem::replace(&mut self.has_passing, true);
                    self.new_slots += u64::from(new);
                    self.others += group.len() as u64 + u64::from(!new);
                }
            }
        }
    }
}
