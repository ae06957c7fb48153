//! The pattern of the factors: what fills in, found without looking at any number.

use super::analysis::Lists;
use super::pace::{MOST_ENTRIES, Pace};
use super::schedule::Schedule;
use super::{AnalysisError, Plan};
use crate::progress::Phase;

/// Shorter tails are not worth entries that are always zero.
const SHORTEST_TAIL: usize = 32;

/// What becomes of the last rows of a component, which are often nearly dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tails {
    /// Entries that may differ from zero, and no others.
    Exact,
    /// Dense where nine entries of ten may differ from zero: kernels then take them several rows at a time, without
    /// looking up columns.
    Full,
}

/// Finds which earlier positions each row is reduced by, and what remains of it.
///
/// Row by row: what a row reaches through earlier rows of its component (Gilbert and Peierls, SIAM J. Sci. Stat. Comput.
/// 9, 1988). Of an earlier row, only columns up to the first row that it reduces in turn and whose column it has need be
/// followed: that row has all the others (Eisenstat and Liu, SIAM J. Matrix Anal. Appl. 13, 1992). So time is close to
/// linear in the entries, of which there may be at most `room` on either side of the diagonal; a guess will do.
///
/// With full tails, the last rows of a component become dense where they nearly are.
pub(super) fn factor_pattern(
    plan: &mut Plan,
    room: u64,
    tails: Tails,
    pace: &mut Pace<'_>,
) -> Result<(), AnalysisError> {
    pace.begin(Phase::Filling);
    let positions = plan.vertices.len();
    let beside = plan.forms.size_bytes() as u64;
    let mut rows = Rows {
        lower: Lists::with_room(positions),
        upper: Lists::with_room(positions),
        follow: Vec::new(),
        mark: Vec::new(),
        reached: Reached::default(),
        words: Vec::new(),
        multiply_adds: 0,
        beside,
    };
    if room <= MOST_ENTRIES as u64 && pace.has_room(beside.saturating_add(room.saturating_mul(8))) {
        rows.lower.items.reserve_exact(room as usize);
        rows.upper.items.reserve_exact(room as usize);
    }
    let mut begin = 0;
    for &(end, cyclic) in &plan.block_end {
        if !cyclic {
            rows.skip(end as usize);
            begin = end;
            continue;
        }
        let count = (end - begin) as usize;
        rows.begin_block(count);
        rows.make_room(count, count, pace, begin as usize)?;
        let first = rows.add_without_fill(begin as usize..end as usize, &plan.inner, pace)?;
        if first < end as usize {
            rows.reached.make_room(count);
        }
        for at in first..end as usize {
            rows.make_room(count, count, pace, at)?;
            let steps = rows.add(at, begin as usize, plan.inner.of(at));
            pace.step(steps, at)?;
            pace.check_multiply_adds(rows.multiply_adds, at)?;
        }
        if tails == Tails::Full {
            rows.fill_in_tail(begin as usize, end as usize, pace)?;
        }
        begin = end;
    }
    rows.shrink(pace);
    (plan.lower, plan.upper) = (rows.lower, rows.upper);
    plan.multiply_adds = rows.multiply_adds;
    plan.schedule = Schedule::new(plan);
    plan.shrink_to_fit();
    Ok(())
}

/// Columns of one row, each once.
#[derive(Default)]
struct Reached {
    lower: Columns,
    upper: Columns,
}

/// Some columns, with room for more.
#[derive(Default)]
struct Columns {
    room: Vec<u32>,
    count: usize,
}

impl Columns {
    fn as_mut_slice(&mut self) -> &mut [u32] {
        &mut self.room[..self.count]
    }
}

impl Reached {
    fn make_room(&mut self, count: usize) {
        // The place after the last is written to, too.
        for columns in [&mut self.lower, &mut self.upper] {
            columns.room.resize(columns.room.len().max(count + 1), 0);
        }
    }

    fn begin(&mut self) {
        (self.lower.count, self.upper.count) = (0, 0);
    }

    fn lower(&self, place: usize) -> Option<u32> {
        self.lower.room[..self.lower.count].get(place).copied()
    }

    /// Adds columns that are not marked yet to those on their side of the diagonal, and marks them.
    ///
    /// Whether one is marked nobody can foretell, nor on which side it is: so there are no branches.
    #[inline(always)]
    fn add(&mut self, columns: &[u32], at: usize, first: usize, stamp: u32, mark: &mut [u32]) {
        let [lower, upper] = [&mut self.lower, &mut self.upper];
        let (lower_room, upper_room) = (&mut lower.room[..], &mut upper.room[..]);
        for &column in columns {
            let mark = &mut mark[column as usize - first];
            let is_new = usize::from(*mark != stamp);
            let is_upper = usize::from(column as usize > at);
            *mark = stamp;
            lower_room[lower.count] = column;
            upper_room[upper.count] = column;
            lower.count += is_new & (is_upper ^ 1);
            upper.count += is_new & is_upper;
        }
    }
}

/// The rows of the factors so far, and storage for one block.
struct Rows {
    lower: Lists,
    upper: Lists,
    /// For each row of the block, where the columns end that need be followed.
    follow: Vec<u32>,
    /// For each row of the block, the last row that reached it, from 1 on; as long as nothing fills in, the position of the
    /// only row that it leads to, or 0.
    mark: Vec<u32>,
    /// Of the row at work.
    reached: Reached,
    /// A bit for each row of the block, all 0 between sorts.
    words: Vec<u64>,
    multiply_adds: u64,
    /// Bytes of the plan beside the factors that its vertices and edges do not account for.
    beside: u64,
}

impl Rows {
    /// Empty rows up to a position.
    fn skip(&mut self, end: usize) {
        self.lower.start.resize(end + 1, self.lower.items.len() as u32);
        self.upper.start.resize(end + 1, self.upper.items.len() as u32);
    }

    fn begin_block(&mut self, count: usize) {
        self.follow.clear();
        self.mark.clear();
        self.mark.resize(count, 0);
        self.words.resize(self.words.len().max(count.div_ceil(64)), 0);
    }

    /// Adds the row at a position of the block that begins at `first`; its edges come in order. How many entries were
    /// looked at for it.
    fn add(&mut self, at: usize, first: usize, edges: &[u32]) -> usize {
        let Self { lower, upper, follow, mark, reached, .. } = self;
        let stamp = (at - first) as u32 + 1;
        mark[at - first] = stamp;
        reached.begin();
        reached.add(edges, at, first, stamp, mark);
        let mut next = 0;
        let mut steps = 1 + edges.len();
        while let Some(row) = reached.lower(next) {
            let end = follow[row as usize - first];
            let followed = &upper.items[upper.start[row as usize] as usize..end as usize];
            steps += 1 + followed.len();
            reached.add(followed, at, first, stamp, mark);
            next += 1;
        }
        for (lists, found) in [(&mut *lower, &mut reached.lower), (&mut *upper, &mut reached.upper)] {
            let found = found.as_mut_slice();
            sort(found, first, &mut self.words);
            lists.items.extend_from_slice(found);
            lists.close();
        }
        follow.push(upper.items.len() as u32);
        for &row in lower.of(at) {
            let range = upper.range(row as usize);
            self.multiply_adds += range.len() as u64;
            let follow = &mut follow[row as usize - first];
            if *follow as usize == range.end
                && let Ok(found) = upper.items[range.clone()].binary_search(&(at as u32))
            {
                *follow = (range.start + found) as u32 + 1;
            }
        }
        steps
    }

    /// Adds rows of a block as long as what they are reduced by leads nowhere but to them, as it does in a tree: they fill
    /// nothing in. The first row of which that is not so, or for which there is no room. There is room for as many further
    /// entries on either side as the block has rows.
    fn add_without_fill(
        &mut self,
        rows: std::ops::Range<usize>,
        inner: &Lists,
        pace: &mut Pace<'_>,
    ) -> Result<usize, AnalysisError> {
        let begin = rows.start;
        let mut first = rows.end;
        'rows: for at in rows {
            let edges = inner.of(at);
            let (before, after) = (self.lower.items.len(), self.upper.items.len());
            // Before the first row that is not so, each column below the diagonal comes once.
            if self.upper.items.capacity() - after < edges.len() {
                first = at;
                break;
            }
            let mut only = 0;
            for &column in edges {
                if column as usize > at {
                    self.upper.items.push(column);
                    only = column;
                } else if self.mark[column as usize - begin] as usize == at {
                    self.lower.items.push(column);
                } else {
                    first = at;
                    self.lower.items.truncate(before);
                    self.upper.items.truncate(after);
                    break 'rows;
                }
            }
            self.mark[at - begin] = if self.upper.items.len() == after + 1 { only } else { 0 };
            self.lower.close();
            self.upper.close();
            self.multiply_adds += (self.lower.items.len() - before) as u64;
            pace.step(1 + edges.len(), at)?;
            pace.check_multiply_adds(self.multiply_adds, at)?;
        }
        self.follow.extend(&self.upper.start[begin + 1..=first]);
        self.mark.fill(0);
        Ok(first)
    }

    /// Makes room for so many further entries on either side, if there may be any.
    #[inline(always)]
    fn make_room(
        &mut self,
        lower: usize,
        upper: usize,
        pace: &Pace<'_>,
        at: usize,
    ) -> Result<(), AnalysisError> {
        let bytes = |list: &Vec<u32>| 4 * list.capacity() as u64;
        let beside = self.beside + bytes(&self.upper.items);
        pace.make_room(&mut self.lower.items, lower, beside, at)?;
        let beside = self.beside + bytes(&self.lower.items);
        pace.make_room(&mut self.upper.items, upper, beside, at)
    }

    fn memory_bytes(&self) -> u64 {
        self.beside + 4 * (self.lower.items.capacity() + self.upper.items.capacity()) as u64
    }

    /// Gives back room that is not needed, where there is room for the copies that may take.
    fn shrink(&mut self, pace: &Pace<'_>) {
        let held = self.memory_bytes();
        for list in [&mut self.lower.items, &mut self.upper.items] {
            if pace.has_room(held + 4 * list.len() as u64) {
                list.shrink_to_fit();
            }
        }
    }

    /// Makes the last rows of a block full from the first on from where they nearly are.
    fn fill_in_tail(&mut self, begin: usize, end: usize, pace: &mut Pace<'_>) -> Result<(), AnalysisError> {
        let Some(first) = self.dense_tail(begin, end, pace)? else { return Ok(()) };
        let sparse = self.work(first..end, pace)?;
        // What is left of the tail in each row stays as it is.
        let mut kept = Vec::new();
        let mut kept_end = Vec::with_capacity(end - first);
        for at in first..end {
            let rows = self.lower.of(at);
            let rows = &rows[..rows.partition_point(|&row| (row as usize) < first)];
            pace.check_memory(self.memory_bytes() + 16 * (kept.len() + rows.len()) as u64, at)?;
            kept.extend_from_slice(rows);
            kept_end.push(kept.len());
        }
        for lists in [&mut self.lower, &mut self.upper] {
            lists.items.truncate(lists.start[first] as usize);
            lists.start.truncate(first + 1);
        }
        let triangle = (end - first) * (end - first - 1) / 2;
        pace.check_memory(self.memory_bytes() + 16 * kept.len() as u64, end)?;
        self.make_room(kept.len() + triangle, triangle, pace, end)?;
        let mut from = 0;
        for (at, to) in (first as u32..end as u32).zip(kept_end) {
            self.lower.items.extend(kept[from..to].iter().copied().chain(first as u32..at));
            self.upper.items.extend(at + 1..end as u32);
            self.lower.close();
            self.upper.close();
            pace.step(end - first, end)?;
            from = to;
        }
        self.multiply_adds = self.multiply_adds - sparse + self.work(first..end, pace)?;
        pace.check_multiply_adds(self.multiply_adds, end)
    }

    /// Multiply-adds that reducing some rows takes.
    fn work(&self, rows: std::ops::Range<usize>, pace: &mut Pace<'_>) -> Result<u64, AnalysisError> {
        let mut work = 0;
        for at in rows {
            let by = self.lower.of(at);
            work += by.iter().map(|&row| self.upper.range(row as usize).len() as u64).sum::<u64>();
            pace.step(by.len(), at)?;
        }
        Ok(work)
    }

    /// The first row from which on nine tenths of a block's entries are there, if that makes a tail worth it.
    fn dense_tail(
        &self,
        begin: usize,
        end: usize,
        pace: &mut Pace<'_>,
    ) -> Result<Option<usize>, AnalysisError> {
        let needed = |rows: usize| rows * (rows - 1) * 9 / 10;
        let entries = |lists: &Lists| lists.items.len() - lists.start[begin] as usize;
        if end - begin < SHORTEST_TAIL || entries(&self.lower) + entries(&self.upper) < needed(SHORTEST_TAIL)
        {
            return Ok(None);
        }
        // Entries by the lower of their row and column.
        let mut count = vec![0; end - begin];
        for at in begin..end {
            count[at - begin] += self.upper.of(at).len();
            self.lower.of(at).iter().for_each(|&column| count[column as usize - begin] += 1);
            pace.step(self.lower.of(at).len(), at)?;
        }
        let mut found = 0;
        let mut first = None;
        for at in (begin..end).rev() {
            found += count[at - begin];
            if end - at >= SHORTEST_TAIL && found >= needed(end - at) {
                first = Some(at);
            }
        }
        Ok(first)
    }
}

/// Sorts distinct positions of a block: by setting bits and reading them where they lie close together.
fn sort(positions: &mut [u32], first: usize, words: &mut [u64]) {
    let (Some(&low), Some(&high)) = (positions.iter().min(), positions.iter().max()) else { return };
    let (low, high) = ((low as usize - first) / 64, (high as usize - first) / 64);
    if positions.len() <= 8 || high - low > positions.len() {
        return positions.sort_unstable();
    }
    for &position in &*positions {
        let bit = position as usize - first;
        words[bit / 64] |= 1 << (bit % 64);
    }
    let mut write = positions.iter_mut();
    for (word, bits) in words.iter_mut().enumerate().take(high + 1).skip(low) {
        let mut bits = std::mem::take(bits);
        while bits != 0 {
            if let Some(position) = write.next() {
                *position = (first + 64 * word) as u32 + bits.trailing_zeros();
            }
            bits &= bits - 1;
        }
    }
}
