//! Edges by target, eight targets side by side: the layout of a jump. By source, that of a jump back.
//!
//! Rows are short and of uneven length, which a loop over one row at a time pays for with a mispredicted branch each. Here
//! eight neighbouring positions are one slice. Where several of them get mass from positions that are neighbours too, as
//! most do in the order of the pattern, these edges are a *band*: one load of eight masses. Other edges go eight at a time
//! as far as most rows have them, and the rest one by one (after the sliced ELLPACK of Monakov, Lokhmotov and Avetisyan,
//! 2010).

use super::pattern::Rows;

/// Positions in a slice.
pub(super) const WIDTH: usize = 8;
/// Edges that make a band.
pub(super) const BAND: usize = 3;
/// Where a slot has no edge.
const NONE: u32 = u32::MAX;

/// The pattern of the slices.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Slices {
    /// Where what each slice has begins: bands, slots, long rows; one more than slices.
    pub(super) start: Vec<[u32; 3]>,
    /// The first of the eight positions that a band's mass comes from.
    pub(super) bands: Vec<u32>,
    band_entries: Vec<[u32; WIDTH]>,
    /// Positions that mass comes from; an empty slot names some position of the slice.
    pub(super) slots: Vec<[u32; WIDTH]>,
    slot_entries: Vec<[u32; WIDTH]>,
    /// Rows that have more than that: place in the slice, and where their single edges end.
    pub(super) long: Vec<(u32, u32)>,
    /// Single edges: their sources.
    pub(super) singles: Vec<u32>,
    single_entries: Vec<u32>,
}

/// Room for a vector by position: whole slices.
pub(super) fn room(positions: usize) -> usize {
    positions.next_multiple_of(WIDTH)
}

/// Their rates at one θ.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SliceRates {
    pub(super) bands: Vec<[f64; WIDTH]>,
    pub(super) slots: Vec<[f64; WIDTH]>,
    pub(super) singles: Vec<f64>,
    /// Rates of leaving; 0 behind the last position.
    pub(super) totals: Vec<[f64; WIDTH]>,
    /// Rates into absorption; 0 behind the last position.
    pub(super) exits: Vec<[f64; WIDTH]>,
}

/// An edge into a slice.
#[derive(Debug, Clone, Copy)]
struct Edge {
    place: u32,
    source: u32,
    entry: u32,
}

impl Slices {
    /// The slices of rows, with the out entry that each item is. Linear, but for sorting the edges of each slice.
    pub(super) fn new(into: &Rows, entry: &[u32]) -> Self {
        let rows = into.start.len() - 1;
        let mut slices = Self { start: vec![[0; 3]], ..Self::default() };
        let mut edges = Vec::new();
        for first in (0..rows).step_by(WIDTH) {
            edges.clear();
            for row in first..rows.min(first + WIDTH) {
                let items = into.range(row).map(|at| (into.items[at], entry[at]));
                edges.extend(items.map(|(source, entry)| Edge {
                    place: (row - first) as u32,
                    source,
                    entry,
                }));
            }
            slices.add_bands(&mut edges, room(rows));
            slices.add_slots(&mut edges, first);
            for row in edges.chunk_by(|a, b| a.place == b.place) {
                slices.singles.extend(row.iter().map(|edge| edge.source));
                slices.single_entries.extend(row.iter().map(|edge| edge.entry));
                slices.long.push((row[0].place, slices.singles.len() as u32));
            }
            slices.start.push([
                slices.bands.len() as u32,
                slices.slots.len() as u32,
                slices.long.len() as u32,
            ]);
        }
        slices
    }

    /// Takes the bands from the edges of a slice.
    fn add_bands(&mut self, edges: &mut Vec<Edge>, room: usize) {
        let base = |edge: &Edge| i64::from(edge.source) - i64::from(edge.place);
        edges.sort_unstable_by_key(|edge| (base(edge), edge.place));
        let mut rest = Vec::new();
        for band in edges.chunk_by(|a, b| base(a) == base(b)) {
            match u32::try_from(base(&band[0])) {
                Ok(from) if band.len() >= BAND && from as usize + WIDTH <= room => {
                    let mut entries = [NONE; WIDTH];
                    for edge in band {
                        entries[edge.place as usize] = edge.entry;
                    }
                    self.bands.push(from);
                    self.band_entries.push(entries);
                }
                _ => rest.extend_from_slice(band),
            }
        }
        *edges = rest;
    }

    /// Takes eight at a time what most rows still have.
    fn add_slots(&mut self, edges: &mut Vec<Edge>, first: usize) {
        edges.sort_unstable_by_key(|edge| (edge.place, edge.source));
        let mut lengths = [0; WIDTH];
        for edge in edges.iter() {
            lengths[edge.place as usize] += 1;
        }
        let mut sorted = lengths;
        sorted.sort_unstable();
        let common = sorted[WIDTH / 2];
        let mut slots = vec![([first as u32; WIDTH], [NONE; WIDTH]); common];
        let mut used = [0; WIDTH];
        edges.retain(|edge| {
            let place = edge.place as usize;
            let slot = slots.get_mut(used[place]);
            used[place] += 1;
            if let Some((sources, entries)) = slot {
                (sources[place], entries[place]) = (edge.source, edge.entry);
                return false;
            }
            true
        });
        self.slots.extend(slots.iter().map(|(sources, _)| sources));
        self.slot_entries.extend(slots.iter().map(|(_, entries)| entries));
    }

    /// Where the single edges of a slice begin.
    #[inline(always)]
    pub(super) fn single_start(&self, slice: usize) -> usize {
        self.start[slice][2].checked_sub(1).map_or(0, |before| self.long[before as usize].1 as usize)
    }

    /// Adds what was collected at the places of edges to a vector by entry.
    pub(super) fn collect(&self, found: &SliceRates, by_entry: &mut [f64]) {
        let eights = [(&found.bands, &self.band_entries), (&found.slots, &self.slot_entries)];
        for (values, entries) in eights {
            for (&value, &entry) in values.as_flattened().iter().zip(entries.as_flattened()) {
                if entry != NONE {
                    by_entry[entry as usize] += value;
                }
            }
        }
        for (&value, &entry) in found.singles.iter().zip(&self.single_entries) {
            by_entry[entry as usize] += value;
        }
    }

    /// Copies rates by out entry to their places.
    pub(super) fn fill(&self, rates: &[f64], totals: &[f64], exits: &[f64], found: &mut SliceRates) {
        for (slices, values) in [(&mut found.totals, totals), (&mut found.exits, exits)] {
            slices.resize(values.len().div_ceil(WIDTH), [0.0; WIDTH]);
            slices.as_flattened_mut()[..values.len()].copy_from_slice(values);
        }
        for (slots, entries) in
            [(&mut found.bands, &self.band_entries), (&mut found.slots, &self.slot_entries)]
        {
            slots.resize(entries.len(), [0.0; WIDTH]);
            for (slot, &entry) in slots.as_flattened_mut().iter_mut().zip(entries.as_flattened()) {
                *slot = if entry == NONE { 0.0 } else { rates[entry as usize] };
            }
        }
        found.singles.clear();
        found.singles.extend(self.single_entries.iter().map(|&entry| rates[entry as usize]));
    }
}
