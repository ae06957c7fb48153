//! How a plan is walked through: its blocks cut into segments, each with the kernel that suits it.
//!
//! Derived from the pattern alone whenever a plan is made or read, and never written to a file.

use std::ops::Range;

use super::Plan;
use super::analysis::Lists;

/// Runs of single vertices are cut to this length, so that what a batch touches for one stays in the first cache.
const LONGEST_RUN: usize = 64;
/// Shorter chains are not worth a segment of their own.
const SHORTEST_CHAIN: usize = 8;
/// Multiply-adds for each position from which on wide instructions pay at one θ.
const DENSE: usize = 12;

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
    Singles,
    /// One component with cycles, but such that reducing a row adds no entry to it.
    Tree,
    /// One component with cycles.
    Cyclic {
        /// Whether rows are long.
        dense: bool,
    },
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
}

impl Schedule {
    /// Time is linear in the plan's edges and factors.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut schedule = Self {
            tails: contiguous_tails(&plan.upper),
            supernode_end: supernodes(&plan.upper),
            zero_form: (0..plan.forms.count()).find(|&form| plan.forms.is_zero(form)).map(|form| form as u32),
            ..Self::default()
        };
        // Counted first: there may be nearly as many as positions, and each is larger than all else that a position takes.
        let mut count = 0;
        for block in plan.blocks() {
            if block.cyclic {
                count += 1;
            } else {
                schedule.cut_singles(plan, block.range, |_, _| count += 1);
            }
        }
        let mut segments = Vec::with_capacity(count);
        let mut forms = FormCursor::default();
        let mut push = |range: Range<usize>, kind| {
            let (forms, further) = forms.advance(plan, &range);
            segments.push(Segment { range, kind, forms, further });
        };
        for block in plan.blocks() {
            if block.cyclic {
                push(block.range.clone(), kind_of_component(plan, block.range));
            } else {
                schedule.cut_singles(plan, block.range, &mut push);
            }
        }
        schedule.segments = segments;
        schedule
    }

    /// Bytes on the heap.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Segment>() * self.segments.len() + 4 * (self.tails.len() + self.supernode_end.len())
    }

    /// Cuts a run of single vertices where chains begin and end, and where it gets long.
    fn cut_singles(&self, plan: &Plan, range: Range<usize>, mut each: impl FnMut(Range<usize>, Kind)) {
        let mut begin = range.start;
        while begin < range.end {
            let limit = range.end.min(begin + LONGEST_RUN);
            let chain = (begin..limit).take_while(|&at| self.is_link(plan, at)).count();
            if chain >= SHORTEST_CHAIN {
                let first = plan.outer.start[begin] as usize;
                let used = &plan.outer_forms[first..first + chain];
                let forms_run_on = (used[0]..).zip(used).all(|(at, &form)| form == at);
                each(begin..begin + chain, Kind::Chain { forms_run_on });
                begin += chain;
                continue;
            }
            let mut links = 0;
            let mut end = begin + chain;
            while end < limit && links < SHORTEST_CHAIN {
                links = if self.is_link(plan, end) { links + 1 } else { 0 };
                end += 1;
            }
            if links == SHORTEST_CHAIN {
                end -= links;
            }
            each(begin..end, Kind::Singles);
            begin = end;
        }
    }

    /// Whether a position's only edge leads to the position before.
    fn is_link(&self, plan: &Plan, at: usize) -> bool {
        let outer = plan.outer.of(at);
        outer.len() == 1 && outer[0] as usize + 1 == at && Some(plan.exit_forms[at]) == self.zero_form
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
        let of = |lists: &Lists| lists.start[range.start] as usize..lists.start[range.end] as usize;
        let used = plan.exit_forms[range.clone()]
            .iter()
            .chain(&plan.outer_forms[of(&plan.outer)])
            .chain(&plan.inner_forms[of(&plan.inner)]);
        let forms = self.forms..used.fold(self.forms, |end, &form| end.max(form as usize + 1));
        let terms = &plan.forms.further()[self.further..];
        let further = self.further
            ..self.further + terms.iter().take_while(|&&(form, ..)| (form as usize) < forms.end).count();
        (self.forms, self.further) = (forms.end, further.end);
        (forms, further)
    }
}

/// Where, in each list, the columns begin that run on without a gap to the end. Dense parts need no column numbers.
fn contiguous_tails(upper: &Lists) -> Vec<u32> {
    (0..upper.start.len() - 1)
        .map(|at| {
            let columns = upper.of(at);
            let run = columns.windows(2).rev().take_while(|pair| pair[0] + 1 == pair[1]).count();
            upper.start[at + 1] - if columns.is_empty() { 0 } else { run as u32 + 1 }
        })
        .collect()
}

fn supernodes(upper: &Lists) -> Vec<u32> {
    let positions = upper.start.len() - 1;
    let mut end: Vec<u32> = (1..=positions as u32).collect();
    for at in (0..positions.saturating_sub(1)).rev() {
        if let Some((&first, rest)) = upper.of(at).split_first()
            && first as usize == at + 1
            && rest == upper.of(at + 1)
        {
            end[at] = end[at + 1];
        }
    }
    end
}
