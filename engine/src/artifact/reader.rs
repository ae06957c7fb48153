//! The commands and inputs of a file, one checked record at a time.
//!
//! Nearly all records of a real file are in order, and a short way recognises them. Whatever it does not recognise goes
//! the careful way (`record`), which finds out what is wrong and says so.

use hashbrown::HashMap;

use super::decode::Checks;
use super::error::{ArtifactError, Fault};
use super::fields::u64_at;
use super::layout::{COMMAND_1, CommandLayout, KIND_EDGE, KIND_MEMORY, KIND_NONE};
use crate::graph::Graph;
use crate::trace::{Command, Input, Trace};

/// Where in the file the reader is, for error messages.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) command: usize,
    pub(super) offset: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Operand {
    None,
    Memory(u32),
    Input(u32),
}

pub(super) struct Reader<'a> {
    pub(super) checks: &'a Checks<'a>,
    pub(super) layout: &'static CommandLayout,
    pub(super) slots: u32,
    pub(super) vertices: u64,
    pub(super) highest_vertex: u32,
    /// Whether the format revision knows operands of kind 3.
    pub(super) external_allowed: bool,
    /// Length of the table of inputs, for the format that has one; it comes after the commands.
    pub(super) inputs_in_table: Option<u32>,
    pub(super) inputs: Vec<Input>,
    /// Numbers of the inputs seen, for the format that does not number them.
    pub(super) numbers: HashMap<Input, u32>,
    zeroed: Zeroed,
    commands: Vec<Command>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        checks: &'a Checks<'a>,
        layout: &'static CommandLayout,
        slots: u64,
        vertices: u64,
    ) -> Self {
        Self {
            checks,
            layout,
            slots: slots as u32,
            vertices,
            highest_vertex: 0,
            external_allowed: false,
            inputs_in_table: None,
            inputs: Vec::new(),
            numbers: HashMap::new(),
            zeroed: Zeroed::new(slots as usize),
            commands: Vec::new(),
        }
    }

    /// Makes room, once the header is known to agree with the file's size.
    pub(super) fn reserve(&mut self, commands: u64) {
        self.commands.reserve_exact(commands as usize);
        self.inputs.reserve_exact(self.inputs_in_table.unwrap_or(0) as usize);
    }

    pub(super) fn finish(self) -> Trace {
        let vertex_count = self.checks.graph.map_or(self.highest_vertex + 1, Graph::vertex_count);
        Trace { vertex_count, slots: self.slots, inputs: self.inputs, commands: self.commands }
    }

    #[inline]
    pub(super) fn read_command<const N: usize>(
        &mut self,
        record: &[u8; N],
        offset: usize,
    ) -> Result<(), ArtifactError> {
        match self.recognise(record) {
            Some(command) if self.zeroed.admit(command).is_ok() => {
                if let Command::Row { from, to, .. } = command {
                    self.highest_vertex = self.highest_vertex.max(from).max(to);
                }
                self.commands.push(command);
                Ok(())
            }
            _ => self.read_unusual(record, offset),
        }
    }

    #[cold]
    fn read_unusual(&mut self, record: &[u8], offset: usize) -> Result<(), ArtifactError> {
        let place = Place { command: self.commands.len(), offset };
        let command = self.read_carefully(record, place)?;
        self.zeroed
            .admit(command)
            .map_err(|slot| Self::fault(place, 0, "slot", Fault::ReadBeforeZero { slot }))?;
        self.commands.push(command);
        Ok(())
    }

    /// The command, if every field of the record is as it must be.
    #[inline]
    fn recognise<const N: usize>(&self, record: &[u8; N]) -> Option<Command> {
        // Type and pad, from, to, multiplier.
        let (kind, from, to) = (u64_at(record, 0), u64_at(record, 8), u64_at(record, 16));
        let multiplier = if kind == 1 { 1.0_f64.to_bits() } else { 0 };
        if u64_at(record, 24) != multiplier || (kind != 0 && (from | to) != 0) {
            return None;
        }
        let operand = |number: usize| self.recognise_operand(record, number);
        let memory = |number: usize| match operand(number)? {
            Operand::Memory(slot) => Some(slot),
            _ => None,
        };
        let absent = |number: usize| (operand(number)? == Operand::None).then_some(());
        if kind == 0 {
            absent(0)?;
            absent(1)?;
            let (from, to) = (self.recognise_vertex(from)?, self.recognise_vertex(to)?);
            return Some(Command::Row { from, to, multiplier: memory(2)? });
        }
        let slot = memory(0).filter(|&slot| slot > 0)?;
        match kind {
            1 | 5 => absent(2)?,
            2 | 4 | 6 => absent(1).and(absent(2))?,
            _ => {}
        }
        match kind {
            1 => match operand(1)? {
                Operand::Memory(from) => Some(Command::Add { slot, from }),
                Operand::Input(input) => Some(Command::AddInput { slot, input }),
                Operand::None => None,
            },
            2 => Some(Command::Invert { slot }),
            3 => match operand(1)? {
                Operand::Memory(left) => Some(Command::AddProduct { slot, left, right: memory(2)? }),
                Operand::Input(input) => Some(Command::AddProductInput { slot, input, right: memory(2)? }),
                Operand::None => None,
            },
            4 => Some(Command::OneMinus { slot }),
            5 => match operand(1)? {
                Operand::Memory(by) => Some(Command::Divide { slot, by }),
                Operand::Input(input) => Some(Command::DivideByInput { slot, input }),
                Operand::None => None,
            },
            6 => Some(Command::Zero { slot }),
            _ => None,
        }
    }

    #[inline]
    fn recognise_operand<const N: usize>(&self, record: &[u8; N], number: usize) -> Option<Operand> {
        const NONE: u64 = KIND_NONE as u64;
        const MEMORY: u64 = KIND_MEMORY as u64;
        const EDGE: u64 = KIND_EDGE as u64;
        let memory = |slot: u64| (slot < u64::from(self.slots)).then_some(Operand::Memory(slot as u32));
        if N == COMMAND_1.size {
            let at = 32 + 32 * number;
            let (kind, slot, edge) = (u64_at(record, at), u64_at(record, at + 8), u64_at(record, at + 16));
            if u64_at(record, at + 24) != 0 {
                return None;
            }
            match (kind, slot, edge) {
                (NONE, 0, 0) => Some(Operand::None),
                (MEMORY, _, 0) => memory(slot),
                (EDGE, 0, _) => {
                    let input = Input::Edge { vertex: edge as u32, edge: (edge >> 32) as u32 };
                    self.numbers.get(&input).map(|&number| Operand::Input(number))
                }
                _ => None,
            }
        } else {
            let at = 32 + 16 * number;
            // Input number below, kind and pad above.
            let (slot, rest) = (u64_at(record, at), u64_at(record, at + 8));
            match (rest >> 32, slot, rest as u32) {
                (NONE, 0, 0) => Some(Operand::None),
                (MEMORY, _, 0) => memory(slot),
                (EDGE, 0, input) if Some(input) < self.inputs_in_table => Some(Operand::Input(input)),
                _ => None,
            }
        }
    }

    #[inline]
    fn recognise_vertex(&self, vertex: u64) -> Option<u32> {
        (vertex < self.vertices).then_some(vertex as u32)
    }
}

/// Which slots were zeroed, so that none is read before.
struct Zeroed {
    /// All slots below this one: programs zero their slots one after the other.
    below: u32,
    /// One bit for every other slot.
    others: Vec<u64>,
}

impl Zeroed {
    fn new(slots: usize) -> Self {
        Self { below: 1, others: vec![0; slots / 64 + 1] }
    }

    /// Takes note of what a command zeroes; fails with a slot that it reads too early.
    #[inline]
    fn admit(&mut self, command: Command) -> Result<(), u32> {
        match command {
            Command::Zero { slot } => {
                self.zero(slot);
                Ok(())
            }
            Command::Row { multiplier, .. } => self.read(multiplier),
            Command::Invert { slot }
            | Command::OneMinus { slot }
            | Command::AddInput { slot, .. }
            | Command::DivideByInput { slot, .. } => self.read(slot),
            Command::Add { slot, from: other }
            | Command::Divide { slot, by: other }
            | Command::AddProductInput { slot, right: other, .. } => self.read(slot).and(self.read(other)),
            Command::AddProduct { slot, left, right } => {
                self.read(slot).and(self.read(left)).and(self.read(right))
            }
        }
    }

    #[inline]
    fn zero(&mut self, slot: u32) {
        if slot == self.below {
            self.below += 1;
        } else {
            self.others[slot as usize / 64] |= 1 << (slot % 64);
        }
    }

    #[inline]
    fn read(&self, slot: u32) -> Result<(), u32> {
        let zeroed = slot < self.below || self.others[slot as usize / 64] >> (slot % 64) & 1 == 1;
        if zeroed { Ok(()) } else { Err(slot) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::COMMAND_3;
    use super::super::{encode_ptdprmc1, encode_ptdprmc3};
    use super::*;
    use crate::graph::GraphLimits;
    use crate::trace::{Limits, eliminate};

    /// Reads the commands both ways; gives how many there were.
    fn both_ways<const N: usize>(mut reader: Reader<'_>, file: &[u8], header: usize, count: usize) -> usize {
        let (records, _) = file[header..].as_chunks::<N>();
        for (number, record) in records[..count].iter().enumerate() {
            let place = Place { command: number, offset: header + number * N };
            let carefully = reader.read_carefully(record, place).unwrap();
            assert_eq!(reader.recognise(record), Some(carefully), "command {number}");
        }
        count
    }

    #[test]
    fn every_command_of_a_real_file_is_recognised_as_what_the_careful_way_reads() {
        for name in ["kingman_mutations", "two_island", "arg2"] {
            let document = crate::model::find(name).unwrap().read().unwrap();
            let graph = document.build(&GraphLimits::default()).unwrap();
            let trace = eliminate(&graph, &Limits::default(), &mut ()).unwrap();
            let (checks, count) = (Checks::default(), trace.commands.len());
            let (slots, vertices) = (u64::from(trace.slots), u64::from(trace.vertex_count));
            let (mut one, mut three) = (Vec::new(), Vec::new());
            encode_ptdprmc1(&trace, &graph.content_hash(), &[], &mut one).unwrap();
            encode_ptdprmc3(&trace, &mut three).unwrap();
            let mut reader = Reader::new(&checks, &COMMAND_3, slots, vertices);
            reader.inputs_in_table = Some(trace.inputs.len() as u32);
            assert!(both_ways::<80>(reader, &three, 40, count) > 100);
            // Its inputs have numbers once the careful way has seen them.
            both_ways::<128>(Reader::new(&checks, &COMMAND_1, slots, vertices), &one, 56, count);
        }
    }
}
