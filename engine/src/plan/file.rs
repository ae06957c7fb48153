//! Plans as files: the pattern, the order and the coefficients, and nothing that can be worked out from them.
//!
//! A plan file is `PHPLAN02`, the content hash of the graph (32 bytes), a body of variable-length integers, and the
//! SHA-256 of all before it. The body holds, in this order: vertices, parameters, a flag for discrete time; the vertices
//! by position and the absorbing ones, as differences; the blocks; the linear forms; and for each position its outer and
//! inner edges and its exit form, columns as differences and forms by how long ago they were new; last the positions of
//! watched forms, which are the last ones and no edge's, as differences. Columns of the factors are not stored: reading
//! works out the pattern again. Files come from strangers: everything is checked, and nothing is allocated that the file's
//! own size does not pay for, but a bit for each vertex it says the graph has.
//!
//! A plan has one form only: numbers that could be written shorter are refused, and all else that is written is kept.
//! Version 01 had no watched forms, so that its plans may overlook a negative weight; it is refused.

use sha2::{Digest, Sha256};

use super::analysis::Lists;
use super::forms::Forms;
use super::pace::Pace;
use super::pattern::{Tails, factor_pattern};
use super::varint::{Source, put, put_float, put_signed};
use super::{Limits, Plan, PlanFileError};
use crate::graph::{GraphHash, START};
use crate::progress::Observer;

const MAGIC: &[u8; 8] = b"PHPLAN02";
/// What files of every version begin with.
const FAMILY: &[u8] = b"PHPLAN";
const BODY: usize = 40;
const CHECKSUM: usize = 32;
/// Bytes of a checksum between looks at whether to go on.
const CHECKED_AT_ONCE: usize = 1 << 16;

impl Plan {
    /// The plan as a file for the graph with this content hash. Deterministic; linear in the plan.
    ///
    /// States are left out, so errors of a plan that was read name vertices only.
    pub fn encode(&self, hash: &GraphHash) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(hash.as_bytes());
        for number in [self.vertex_count, self.param_length, u32::from(self.discrete)] {
            put(&mut out, number.into());
        }
        put_differences(&mut out, &self.vertices);
        put_differences(&mut out, &self.absorbing);
        put(&mut out, self.block_end.len() as u64);
        let mut begin = 0;
        for &(end, cyclic) in &self.block_end {
            put(&mut out, u64::from(end - begin) << 1 | u64::from(cyclic));
            begin = end;
        }
        self.forms.encode(&mut out);
        let mut next_new = 0;
        for at in 0..self.vertices.len() {
            for (lists, forms) in [(&self.outer, &self.outer_forms), (&self.inner, &self.inner_forms)] {
                put_edges(&mut out, at, lists.of(at), &forms[lists.range(at)], &mut next_new);
            }
            // Last, as when the forms were numbered.
            put_form(&mut out, &mut next_new, self.exit_forms[at]);
        }
        put(&mut out, self.watched.len() as u64);
        let mut before = 0;
        for &at in &self.watched {
            put(&mut out, u64::from(at - before));
            before = at;
        }
        let checksum = Sha256::digest(&out);
        out.extend(checksum);
        out
    }

    /// Reads a plan file, whoever made it, and works out the pattern of its elimination.
    ///
    /// The plan computes what its file says. Whether that is what the graph with this hash asks for, [`Plan::verify`]
    /// shows.
    ///
    /// # Errors
    /// [`PlanFileError`], with the place of the fault.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<(GraphHash, Self), PlanFileError> {
        Self::decode_watched(bytes, limits, &mut ())
    }

    /// As [`decode`](Self::decode), for an observer that may stop it.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`AnalysisError::Cancelled`](super::AnalysisError::Cancelled) as [`PlanFileError::Limits`].
    pub fn decode_watched(
        bytes: &[u8],
        limits: &Limits,
        observer: &mut impl Observer,
    ) -> Result<(GraphHash, Self), PlanFileError> {
        let mut pace = Pace::for_file(limits, observer, bytes.len());
        let (hash, content) = open(bytes, &mut pace)?;
        let mut source = Source::new(content, BODY);
        let mut plan = read_head(&mut source, limits, &mut pace)?;
        read_edges(&mut source, &mut plan, &mut pace)?;
        if source.remaining() > 0 {
            return Err(PlanFileError::OutOfRange { offset: source.offset(), what: "end" });
        }
        factor_pattern(&mut plan, 0, Tails::Full, &mut pace)?;
        Ok((hash, plan))
    }
}

/// The hash a file says it is for, and all of it before the checksum, which is right.
pub(super) fn open<'b>(bytes: &'b [u8], pace: &mut Pace<'_>) -> Result<(GraphHash, &'b [u8]), PlanFileError> {
    if bytes.len() < BODY + CHECKSUM || !bytes.starts_with(FAMILY) {
        return Err(PlanFileError::NotAPlan);
    }
    if !bytes.starts_with(MAGIC) {
        let found = bytes[FAMILY.len()..MAGIC.len()].escape_ascii().to_string();
        return Err(PlanFileError::OtherVersion { found });
    }
    let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
    let mut found = Sha256::new();
    for part in content.chunks(CHECKED_AT_ONCE) {
        pace.step(part.len(), 0)?;
        found.update(part);
    }
    if found.finalize()[..] != *checksum {
        return Err(PlanFileError::Checksum);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(&content[8..BODY]);
    Ok((GraphHash::from_bytes(hash), content))
}

/// Vertices of the graph that a file says it is for, given what [`open`] gives.
pub(super) fn vertex_count(content: &[u8]) -> Result<u64, PlanFileError> {
    Source::new(content, BODY).take()
}

/// Each number by how much it exceeds the last but one: chains are eliminated from both ends by turns.
fn put_differences(out: &mut Vec<u8>, numbers: &[u32]) {
    put(out, numbers.len() as u64);
    let mut before = [0, 0];
    for &number in numbers {
        put_signed(out, i64::from(number) - before[0]);
        before = [before[1], i64::from(number)];
    }
}

/// A form by how many new ones ago it was new; 0 for the next new one.
fn put_form(out: &mut Vec<u8>, next_new: &mut u32, form: u32) {
    put(out, u64::from(*next_new - form.min(*next_new)));
    *next_new += u32::from(form == *next_new);
}

/// Columns from the last to the first: the distance from the position, then the steps down.
fn put_edges(out: &mut Vec<u8>, at: usize, columns: &[u32], forms: &[u32], next_new: &mut u32) {
    put(out, columns.len() as u64);
    let mut before = i64::from(at as u32);
    for &column in columns.iter().rev() {
        put_signed(out, before - i64::from(column));
        before = column.into();
    }
    for &form in forms {
        put_form(out, next_new, form);
    }
}

fn read_head(source: &mut Source<'_>, limits: &Limits, pace: &mut Pace<'_>) -> Result<Plan, PlanFileError> {
    // Reward vectors and answers have one number for each vertex.
    let vertex_count = source.take_below(limits.memory_bytes / 8, "number of vertices")?;
    let param_length = source.take_below(limits.memory_bytes / 8, "number of parameters")?;
    let discrete = source.take_below(2, "flag for discrete time")? == 1;
    pace.check_memory(u64::from(vertex_count) / 8, 0)?;
    let mut seen = SeenVertices::new(vertex_count);
    let vertices = seen.read(source, pace)?;
    let absorbing = seen.read(source, pace)?;
    if vertices.iter().filter(|&&vertex| vertex == START).count() != 1 {
        return Err(PlanFileError::Inconsistent { detail: "the start is not among its vertices" });
    }
    let mut plan = Plan { vertex_count, param_length, discrete, vertices, absorbing, ..Plan::empty() };
    read_blocks(source, &mut plan, pace)?;
    pace.set_vertices(plan.vertices.len());
    plan.forms = Forms::decode(source, param_length, pace)?;
    Ok(plan)
}

/// Blocks as an analysis leaves them: none is empty, cycles take two vertices, and single vertices in a row are one block.
fn read_blocks(source: &mut Source<'_>, plan: &mut Plan, pace: &mut Pace<'_>) -> Result<(), PlanFileError> {
    let blocks = source.take_count("number of blocks")?;
    let positions = plan.vertices.len() as u32;
    plan.block_end.reserve_exact(blocks.min(plan.vertices.len()));
    let (mut end, mut after_cycle) = (0, true);
    for _ in 0..blocks {
        pace.step(1, 0)?;
        let offset = source.offset();
        let coded = source.take_below(2 * u64::from(positions) + 2, "block")?;
        let (length, cyclic) = (coded >> 1, coded & 1 == 1);
        let least = if cyclic { 2 } else { 1 };
        if length < least || length > positions - end || !(cyclic || after_cycle) {
            return Err(PlanFileError::OutOfRange { offset, what: "block" });
        }
        plan.component_count += if cyclic { 1 } else { length };
        (end, after_cycle) = (end + length, cyclic);
        plan.block_end.push((end, cyclic));
    }
    if end != positions {
        return Err(PlanFileError::Inconsistent { detail: "its blocks do not cover its vertices" });
    }
    Ok(())
}

/// Vertices read so far; none may come twice.
struct SeenVertices {
    vertex_count: u32,
    /// A bit for each vertex of the graph.
    seen: Vec<u64>,
}

impl SeenVertices {
    fn new(vertex_count: u32) -> Self {
        Self { vertex_count, seen: vec![0; (vertex_count as usize).div_ceil(64)] }
    }

    /// Whether the vertex is one of the graph's and was not seen before.
    fn insert(&mut self, vertex: u32) -> bool {
        let Some(word) = self.seen.get_mut(vertex as usize / 64) else { return false };
        let bit = 1 << (vertex % 64);
        let new = vertex < self.vertex_count && *word & bit == 0;
        *word |= bit;
        new
    }

    fn read(&mut self, source: &mut Source<'_>, pace: &mut Pace<'_>) -> Result<Vec<u32>, PlanFileError> {
        let count = source.take_count("number of vertices")?;
        let mut vertices = Vec::with_capacity(count);
        let mut before = [0_i64, 0];
        for _ in 0..count {
            pace.step(1, 0)?;
            let offset = source.offset();
            before = [before[1], before[0].saturating_add(source.take_signed()?)];
            match u32::try_from(before[1]) {
                Ok(vertex) if self.insert(vertex) => vertices.push(vertex),
                _ => return Err(PlanFileError::OutOfRange { offset, what: "vertex" }),
            }
        }
        Ok(vertices)
    }
}

fn read_edges(source: &mut Source<'_>, plan: &mut Plan, pace: &mut Pace<'_>) -> Result<(), PlanFileError> {
    let mut forms = FormReader { next_new: 0, count: plan.forms.count() as u32 };
    let positions = plan.vertices.len();
    (plan.inner, plan.outer) = (Lists::with_room(positions), Lists::with_room(positions));
    plan.exit_forms.reserve_exact(positions);
    for number in 0..plan.block_end.len() {
        let block = plan.block(number);
        for at in block.range.clone() {
            // Outer edges lead to what is solved before: other blocks, or earlier single vertices.
            let solved = if block.cyclic { block.range.start } else { at };
            read_columns(source, pace, at, 0..solved, &mut plan.outer)?;
            let outer = plan.outer.items.len() - plan.outer_forms.len();
            forms.read_many(source, outer, &mut plan.outer_forms)?;
            let inside = if block.cyclic { block.range.clone() } else { 0..0 };
            read_columns(source, pace, at, inside, &mut plan.inner)?;
            let inner = plan.inner.items.len() - plan.inner_forms.len();
            forms.read_many(source, inner, &mut plan.inner_forms)?;
            plan.exit_forms.push(forms.read(source)?);
            pace.step(1 + outer + inner, at)?;
        }
    }
    read_watched(source, plan, pace)?;
    if u64::from(forms.next_new) + plan.watched.len() as u64 != u64::from(forms.count) {
        return Err(PlanFileError::Inconsistent { detail: "some of its linear forms are not used" });
    }
    Ok(())
}

/// Positions of the forms that no edge uses, in order.
fn read_watched(source: &mut Source<'_>, plan: &mut Plan, pace: &mut Pace<'_>) -> Result<(), PlanFileError> {
    let count = source.take_count("number of watched forms")?;
    plan.watched.reserve_exact(count);
    let positions = plan.vertices.len() as u64;
    let mut at = 0;
    for _ in 0..count {
        pace.step(1, positions as usize)?;
        at += source.take_below(positions - u64::from(at), "position of a watched form")?;
        plan.watched.push(at);
    }
    Ok(())
}

fn read_columns(
    source: &mut Source<'_>,
    pace: &mut Pace<'_>,
    at: usize,
    allowed: std::ops::Range<usize>,
    lists: &mut Lists,
) -> Result<(), PlanFileError> {
    let count = source.take_count("number of edges")?;
    pace.step(count, at)?;
    let begin = lists.items.len();
    let mut before = i64::from(at as u32);
    let mut last = None;
    for _ in 0..count {
        let offset = source.offset();
        before = before.saturating_sub(source.take_signed()?);
        match u32::try_from(before) {
            Ok(column)
                if allowed.contains(&(column as usize))
                    && column as usize != at
                    && last.is_none_or(|last| column < last) =>
            {
                last = Some(column);
                lists.items.push(column);
            }
            _ => return Err(PlanFileError::OutOfRange { offset, what: "edge" }),
        }
    }
    lists.items[begin..].reverse();
    lists.close();
    Ok(())
}

struct FormReader {
    next_new: u32,
    count: u32,
}

impl FormReader {
    fn read(&mut self, source: &mut Source<'_>) -> Result<u32, PlanFileError> {
        let offset = source.offset();
        let form = self.next_new - source.take_below(u64::from(self.next_new) + 1, "form")?;
        if form >= self.count {
            return Err(PlanFileError::OutOfRange { offset, what: "form" });
        }
        self.next_new += u32::from(form == self.next_new);
        Ok(form)
    }

    fn read_many(
        &mut self,
        source: &mut Source<'_>,
        count: usize,
        into: &mut Vec<u32>,
    ) -> Result<(), PlanFileError> {
        for _ in 0..count {
            into.push(self.read(source)?);
        }
        Ok(())
    }
}

impl Forms {
    fn encode(&self, out: &mut Vec<u8>) {
        let (count, further) = (self.count(), self.further());
        put(out, count as u64);
        for form in 0..count {
            let (constant, parameter, coefficient) = self.head(form);
            put_float(out, constant);
            put(out, parameter.into());
            put_float(out, coefficient);
        }
        put(out, further.len() as u64);
        let mut before = 0;
        for &(form, parameter, coefficient) in further {
            put(out, (form - before).into());
            put(out, parameter.into());
            put_float(out, coefficient);
            before = form;
        }
    }

    fn decode(source: &mut Source<'_>, parameters: u32, pace: &mut Pace<'_>) -> Result<Self, PlanFileError> {
        // A form without terms names parameter 0, even where there is none.
        let below = u64::from(parameters.max(1));
        let mut forms = Self::default();
        for _ in 0..source.take_count("number of forms")? {
            let constant = source.take_float()?;
            let parameter = source.take_below(below, "parameter")?;
            forms.push_head(constant, parameter, source.take_float()?);
            pace.step(1, 0)?;
        }
        let count = forms.count() as u64;
        let mut form = 0_u64;
        for _ in 0..source.take_count("number of terms")? {
            form += u64::from(source.take_below(count - form.min(count), "form")?);
            let offset = source.offset();
            let parameter = source.take_below(below, "parameter")?;
            let before = match forms.further().last() {
                Some(&(last, before, _)) if u64::from(last) == form => before,
                _ => forms.head(form as usize).1,
            };
            if parameter <= before {
                return Err(PlanFileError::OutOfRange { offset, what: "parameter" });
            }
            forms.push_further(form as u32, parameter, source.take_float()?);
            pace.step(1, 0)?;
        }
        forms.finish();
        Ok(forms)
    }
}
