//! How a plan is walked through: its blocks cut into segments, each with the kernel that suits it.
//!
//! Derived from the pattern alone whenever a plan is made or read, and never written to a file.

use std::ops::Range;
use std::sync::OnceLock;

use super::Plan;
use super::analysis::Lists;
use super::kernel::GROUP;
use super::steps::LONGEST_PATH;

/// Runs of single vertices are cut to this length, so that what a batch touches for one stays in the first cache.
const LONGEST_RUN: usize = 64;
/// Shorter chains are not worth a segment of their own.
const SHORTEST_CHAIN: usize = 8;
/// Multiply-adds for each position from which on wide instructions pay at one θ.
const DENSE: usize = 12;

/// Entries of factors are added up one by one, and in transposed solves what leads to a vertex: a million equal terms lose
/// 2e-11.
const MOST_SUMMED: u32 = 1 << 15;

/// Positions that one kernel eliminates and solves together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    /// Linear forms that are first used here, and their further terms.
    pub(super) forms: Range<usize>,
    pub(super) further: Range<usize>,
}

/// What the positions of a segment have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Components of one vertex, each with a single edge, to the position before.
    Chain {
        /// Whether the numbers of the edges' forms run on, too.
        forms_run_on: bool,
    },
    /// Components of one vertex.
    Singles {
        /// Whether all of them have so many ways out that these are added up in groups; none has otherwise.
        many_ways: bool,
    },
    /// One component with cycles, but such that reducing a row adds no entry to it.
    Tree,
    /// One component with cycles.
    Cyclic {
        /// Whether rows are long.
        dense: bool,
    },
}

/// Most components passed one after another, once somebody has asked. It follows from the rest.
#[derive(Debug, Clone, Default)]
struct Components(OnceLock<u32>);

impl PartialEq for Components {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The segments of a plan, sinks first, and the parts of its factors that are dense.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Schedule {
    pub(super) segments: Vec<Segment>,
    /// Where the gapless tail of each position's upper list begins.
    pub(super) tails: Vec<u32>,
    /// The position after the last of each position's supernode: consecutive positions each of whose upper lists is the
    /// next position and that position's upper list.
    pub(super) supernode_end: Vec<u32>,
    /// The form that is 0 for every θ, which many positions have for their exit.
    pub(super) zero_form: Option<u32>,
    /// Most rows passed one after another ([`steps`](super::steps)); looked up where there are many vertices.
    depth: u32,
    components: Components,
    /// Forms that so many weights have that their slopes are added up in groups, in ascending order.
    pub(super) frequent_forms: Vec<u32>,
    /// Whether so many ways lead to one vertex that adding up what comes along them is not good enough in plain numbers.
    pub(super) is_crowded: bool,
    /// Whether as many terms are added up for some row.
    pub(super) is_wide: bool,
}

impl Schedule {
    /// Positions up to the last in a component whose rows are reduced: of those, a row at work. Single vertices and trees have
    /// none.
    pub(super) fn filling(&self) -> usize {
        self.end_of(|kind| matches!(kind, Kind::Cyclic { .. }))
    }

    /// Positions up to the last in a component with cycles: of those, what leaves it. Single vertices have no exits beside
    /// their own.
    pub(super) fn cyclic(&self) -> usize {
        self.end_of(|kind| matches!(kind, Kind::Cyclic { .. } | Kind::Tree))
    }

    fn end_of(&self, is_of: impl Fn(Kind) -> bool) -> usize {
        let last = self.segments.iter().rfind(|segment| is_of(segment.kind));
        last.map_or(0, |segment| segment.range.end)
    }

    /// Time is linear in the plan's edges and factors.
    pub(super) fn new(plan: &Plan) -> Self {
        let zero_form = (0..plan.forms.count()).find(|&form| plan.forms.is_zero(form));
        let mut schedule = Self { zero_form: zero_form.map(|form| form as u32), ..Self::default() };
        schedule.find_dense_parts(plan);
        // Cut first: there may be nearly as many segments as positions, and each is larger than all else that a position
        // takes.
        let mut cuts = Vec::new();
        for block in plan.blocks() {
            if block.cyclic {
                let kind = kind_of_component(plan, block.range.clone());
                cuts.push((block.range.end as u32, kind));
            } else {
                schedule.cut_singles(plan, block.range, &mut cuts);
            }
        }
        schedule.segments.reserve_exact(cuts.len());
        let mut forms = FormCursor::default();
        let mut begin = 0;
        for (end, kind) in cuts {
            let range = begin..end as usize;
            let (forms, further) = forms.advance(plan, &range);
            begin = range.end;
            schedule.segments.push(Segment { range, kind, forms, further });
        }
        if let Some(last) = schedule.segments.last_mut() {
            // Forms that no edge uses are looked at with the last.
            last.forms.end = plan.forms.count();
            last.further.end = plan.forms.further().len();
        }
        if plan.vertices.len() > LONGEST_PATH as usize {
            schedule.depth = plan.longest_path(&schedule.segments);
            schedule.is_crowded = plan.most_ways_in() > MOST_SUMMED;
            schedule.is_wide = plan.most_summed() > MOST_SUMMED;
        }
        if plan.ways(0..plan.vertices.len()) > MOST_SUMMED as usize {
            schedule.frequent_forms = plan.frequent_forms();
        }
        schedule
    }

    /// Whether there may be more steps one after another than plain numbers are good for.
    pub(super) fn is_deep(&self) -> bool {
        self.depth > LONGEST_PATH
    }

    /// Most components passed one after another.
    pub(super) fn components_passed(&self, plan: &Plan) -> u32 {
        *self.components.0.get_or_init(|| plan.components_passed(&self.segments))
    }

    /// Finds tails without a gap, and supernodes; single vertices have neither.
    fn find_dense_parts(&mut self, plan: &Plan) {
        let upper = &plan.upper;
        let positions = plan.vertices.len();
        self.tails.reserve_exact(positions);
        self.supernode_end.reserve_exact(positions);
        for block in plan.blocks() {
            let range = block.range;
            if !block.cyclic {
                self.tails.resize(range.end, upper.start[range.end]);
                self.supernode_end.extend(range.start as u32 + 1..=range.end as u32);
                continue;
            }
            self.tails.extend(range.clone().map(|at| upper.start[at + 1] - contiguous_tail(upper.of(at))));
            self.supernode_end.extend(range.start as u32 + 1..=range.end as u32);
            for at in range.rev().skip(1) {
                let own = upper.of(at);
                // The cheapest comparison first.
                if own.len() == upper.range(at + 1).len() + 1
                    && own[0] as usize == at + 1
                    && own[1..] == *upper.of(at + 1)
                {
                    self.supernode_end[at] = self.supernode_end[at + 1];
                }
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        let lists = [&self.tails, &self.supernode_end, &self.frequent_forms];
        size_of::<Segment>() * self.segments.len()
            + lists.into_iter().map(|list| 4 * list.len()).sum::<usize>()
    }

    /// Cuts a run of single vertices where chains begin and end, and where it gets long.
    fn cut_singles(&self, plan: &Plan, range: Range<usize>, cuts: &mut Vec<(u32, Kind)>) {
        let mut begin = range.start;
        while begin < range.end {
            let limit = range.end.min(begin + LONGEST_RUN);
            let chain = (begin..limit).take_while(|&at| self.is_link(plan, at)).count();
            if chain >= SHORTEST_CHAIN {
                let first = plan.outer.start[begin] as usize;
                let used = &plan.outer_forms[first..first + chain];
                let forms_run_on = (used[0]..).zip(used).all(|(at, &form)| form == at);
                begin += chain;
                cuts.push((begin as u32, Kind::Chain { forms_run_on }));
                continue;
            }
            let has_many_ways = |at: usize| plan.outer.of(at).len() > GROUP;
            let many_ways = has_many_ways(begin);
            let mut links = 0;
            let mut end = begin + chain;
            while end < limit && links < SHORTEST_CHAIN && has_many_ways(end) == many_ways {
                links = if self.is_link(plan, end) { links + 1 } else { 0 };
                end += 1;
            }
            if links == SHORTEST_CHAIN {
                end -= links;
            }
            cuts.push((end as u32, Kind::Singles { many_ways }));
            begin = end;
        }
    }

    /// Whether a position's only edge leads to the position before.
    fn is_link(&self, plan: &Plan, at: usize) -> bool {
        let outer = plan.outer.of(at);
        outer.len() == 1 && outer[0] as usize + 1 == at && Some(plan.exit_forms[at]) == self.zero_form
    }
}

impl Plan {
    /// Forms that more weights have than are added up one by one. Linear in the edges.
    fn frequent_forms(&self) -> Vec<u32> {
        let mut uses = vec![0_u32; self.forms.count()];
        for &form in self.outer_forms.iter().chain(&self.inner_forms).chain(&self.exit_forms) {
            uses[form as usize] += 1;
        }
        let mut frequent: Vec<u32> =
            (0..).zip(uses).filter(|&(_, uses)| uses > MOST_SUMMED).map(|(form, _)| form).collect();
        frequent.shrink_to_fit();
        frequent
    }
}

fn kind_of_component(plan: &Plan, range: Range<usize>) -> Kind {
    let mut multiply_adds = 0;
    let mut fills = false;
    for at in range.clone() {
        for &row in plan.lower.of(at) {
            let reached = plan.upper.of(row as usize);
            multiply_adds += reached.len();
            fills |= reached.iter().any(|&column| column as usize != at);
        }
    }
    if fills { Kind::Cyclic { dense: multiply_adds > DENSE * range.len() } } else { Kind::Tree }
}

/// How many forms the segments so far have used: forms are numbered by first use.
#[derive(Default)]
struct FormCursor {
    forms: usize,
    further: usize,
}

impl FormCursor {
    fn advance(&mut self, plan: &Plan, range: &Range<usize>) -> (Range<usize>, Range<usize>) {
        if self.forms == plan.forms.count() {
            return (self.forms..self.forms, self.further..self.further);
        }
        let of = |lists: &Lists| lists.start[range.start] as usize..lists.start[range.end] as usize;
        let used = [
            &plan.exit_forms[range.clone()],
            &plan.outer_forms[of(&plan.outer)],
            &plan.inner_forms[of(&plan.inner)],
        ];
        let last = |forms: &[u32]| forms.iter().fold(0, |last, &form| last.max(form)) as usize;
        // Each position has an exit's form at least, and so the first form is used by the first segment.
        let end = used.into_iter().map(last).fold(0, usize::max) + 1;
        let forms = self.forms..end.max(self.forms);
        let terms = &plan.forms.further()[self.further..];
        let further = self.further
            ..self.further + terms.iter().take_while(|&&(form, ..)| (form as usize) < forms.end).count();
        (self.forms, self.further) = (forms.end, further.end);
        (forms, further)
    }
}

/// How many of the last columns run on without a gap. Dense parts need no column numbers.
fn contiguous_tail(columns: &[u32]) -> u32 {
    let Some((&last, before)) = columns.split_last() else { return 0 };
    let run = before.iter().rev().zip(1..).take_while(|&(&column, back)| column + back == last).count();
    run as u32 + 1
}
