//! The commands and inputs of a file, one checked record at a time.

use hashbrown::HashMap;

use super::decode::Checks;
use super::error::{ArtifactError, Fault};
use super::fields::{at, i64_at, must_be_zero, u32_at, u64_at};
use super::layout::{
    COMMAND_1, CommandLayout, INPUT_SIZE, KIND_EDGE, KIND_EXTERNAL, KIND_MEMORY, KIND_NONE, OPERANDS_AT,
};
use crate::graph::Graph;
use crate::trace::{Command, Input, Trace};

/// Where in the file the reader is, for error messages.
#[derive(Clone, Copy)]
struct Place {
    command: usize,
    offset: usize,
}

const OPERAND_NAMES: [&str; 3] = ["fromT", "toT", "multiplierptr"];

#[derive(Clone, Copy, PartialEq)]
enum Operand {
    None,
    Memory(u32),
    Input(u32),
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    checks: &'a Checks<'a>,
    layout: &'static CommandLayout,
    slots: u32,
    vertices: u64,
    highest_vertex: u32,
    /// Whether the format revision knows operands of kind 3.
    pub(super) external_allowed: bool,
    inputs: Vec<Input>,
    /// Numbers of the inputs seen, for the format that does not number them.
    numbers: HashMap<Input, u32>,
    /// One bit a slot: whether it was zeroed.
    zeroed: Vec<u64>,
    commands: Vec<Command>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        checks: &'a Checks<'a>,
        layout: &'static CommandLayout,
        slots: u64,
        vertices: u64,
    ) -> Self {
        let mut zeroed = vec![0; slots as usize / 64 + 1];
        zeroed[0] = 1;
        Self {
            bytes,
            checks,
            layout,
            slots: slots as u32,
            vertices,
            highest_vertex: 0,
            external_allowed: false,
            inputs: Vec::new(),
            numbers: HashMap::new(),
            zeroed,
            commands: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Trace {
        let vertex_count = self.checks.graph.map_or(self.highest_vertex + 1, Graph::vertex_count);
        Trace { vertex_count, slots: self.slots, inputs: self.inputs, commands: self.commands }
    }

    pub(super) fn read_input_table(&mut self, table_at: usize, inputs: u64) -> Result<(), ArtifactError> {
        self.inputs.reserve_exact(inputs as usize);
        for number in 0..inputs as usize {
            let offset = table_at + number * INPUT_SIZE;
            let field = |name: &str| format!("inputs[{number}].{name}");
            must_be_zero(self.bytes, offset, 8, || field("byte"))?;
            must_be_zero(self.bytes, offset + 17, 7, || field("pad"))?;
            let (first, second) = (u32_at(self.bytes, offset + 8), u32_at(self.bytes, offset + 12));
            let kind = self.bytes[offset + 16];
            self.external_allowed = self.checks.external_inputs > 0;
            let input =
                self.input(kind, first, second).map_err(|fault| at(offset + 8, field("edge"), fault))?;
            self.inputs.push(input);
        }
        Ok(())
    }

    pub(super) fn read_commands(&mut self, commands_at: usize, commands: u64) -> Result<(), ArtifactError> {
        self.commands.reserve_exact(commands as usize);
        for command in 0..commands as usize {
            let place = Place { command, offset: commands_at + command * self.layout.size };
            let command = self.read_command(place)?;
            self.check_flow(command).map_err(|fault| Self::fault(place, 0, "slot", fault))?;
            self.commands.push(command);
        }
        Ok(())
    }

    fn read_command(&mut self, place: Place) -> Result<Command, ArtifactError> {
        let Place { offset, .. } = place;
        let kind = u32_at(self.bytes, offset);
        if kind > 6 {
            let fault = Fault::OutOfRange { found: i64::from(kind.cast_signed()), low: 0, high: 6 };
            return Err(Self::fault(place, 0, "type", fault));
        }
        if u32_at(self.bytes, offset + 4) != 0 {
            return Err(Self::fault(place, 4, "pad", Fault::NotZero));
        }
        let (from, to) = (self.vertex(place, 8, "from", kind)?, self.vertex(place, 16, "to", kind)?);
        let (wanted, expected) = if kind == 1 { (1.0_f64, "1.0") } else { (0.0, "0.0") };
        if u64_at(self.bytes, offset + 24) != wanted.to_bits() {
            return Err(Self::fault(place, 24, "multiplier", Fault::Multiplier { expected }));
        }
        let mut operands = [Operand::None; 3];
        for (number, operand) in operands.iter_mut().enumerate() {
            *operand = self.operand(place, number)?;
        }
        self.assemble(place, kind, from, to, operands)
    }

    fn assemble(
        &self,
        place: Place,
        kind: u32,
        from: u32,
        to: u32,
        operands: [Operand; 3],
    ) -> Result<Command, ArtifactError> {
        use Operand::{Input as In, Memory, None};
        if let Memory(0) = operands[0] {
            let fault = Fault::OutOfRange { found: 0, low: 1, high: i64::from(self.slots) - 1 };
            return Err(Self::fault(place, OPERANDS_AT, "fromT.slot", fault));
        }
        Ok(match (kind, operands) {
            (0, [None, None, Memory(multiplier)]) => Command::Row { from, to, multiplier },
            (1, [Memory(slot), Memory(from), None]) => Command::Add { slot, from },
            (1, [Memory(slot), In(input), None]) => Command::AddInput { slot, input },
            (2, [Memory(slot), None, None]) => Command::Invert { slot },
            (3, [Memory(slot), Memory(left), Memory(right)]) => Command::AddProduct { slot, left, right },
            (3, [Memory(slot), In(input), Memory(right)]) => Command::AddProductInput { slot, input, right },
            (4, [Memory(slot), None, None]) => Command::OneMinus { slot },
            (5, [Memory(slot), Memory(by), None]) => Command::Divide { slot, by },
            (5, [Memory(slot), In(input), None]) => Command::DivideByInput { slot, input },
            (6, [Memory(slot), None, None]) => Command::Zero { slot },
            _ => return Err(self.wrong_operand(place, kind, operands)),
        })
    }

    /// Which operand of a command is present though it should not be, or the other way round.
    fn wrong_operand(&self, place: Place, kind: u32, operands: [Operand; 3]) -> ArtifactError {
        let code = |operand: Operand| match operand {
            Operand::None => KIND_NONE,
            Operand::Memory(_) => KIND_MEMORY,
            Operand::Input(_) => KIND_EDGE,
        };
        let live: [&[u8]; 3] = match kind {
            0 => [&[KIND_NONE], &[KIND_NONE], &[KIND_MEMORY]],
            1 | 5 => [&[KIND_MEMORY], &[KIND_MEMORY, KIND_EDGE], &[KIND_NONE]],
            3 => [&[KIND_MEMORY], &[KIND_MEMORY, KIND_EDGE], &[KIND_MEMORY]],
            _ => [&[KIND_MEMORY], &[KIND_NONE], &[KIND_NONE]],
        };
        let wrong = (0..3).find(|&number| !live[number].contains(&code(operands[number]))).unwrap_or(0);
        let within = OPERANDS_AT + wrong * self.layout.operand_size;
        let fault = Fault::OperandKind { found: code(operands[wrong]) };
        Self::fault(place, within, &format!("{}.kind", OPERAND_NAMES[wrong]), fault)
    }

    fn operand(&mut self, place: Place, number: usize) -> Result<Operand, ArtifactError> {
        let within = OPERANDS_AT + number * self.layout.operand_size;
        let read = if self.layout.size == COMMAND_1.size {
            self.operand_1(place.offset + within)
        } else {
            self.operand_3(place.offset + within)
        };
        read.map_err(|(inside, name, fault)| {
            Self::fault(place, within + inside, &format!("{}.{name}", OPERAND_NAMES[number]), fault)
        })
    }

    fn operand_3(&self, offset: usize) -> Result<Operand, (usize, &'static str, Fault)> {
        let (slot, input) = (i64_at(self.bytes, offset), u32_at(self.bytes, offset + 8));
        let (kind, pad) = (self.bytes[offset + 12], &self.bytes[offset + 13..offset + 16]);
        if pad != [0; 3] {
            return Err((13, "pad", Fault::NotZero));
        }
        match kind {
            KIND_NONE | KIND_EDGE if slot != 0 => Err((0, "slot", Fault::NotZero)),
            KIND_NONE | KIND_MEMORY if input != 0 => Err((8, "input", Fault::NotZero)),
            KIND_NONE => Ok(Operand::None),
            KIND_MEMORY => self.memory_slot(slot).map_err(|fault| (0, "slot", fault)),
            KIND_EDGE if (input as usize) < self.inputs.len() => Ok(Operand::Input(input)),
            KIND_EDGE => {
                let fault =
                    Fault::OutOfRange { found: i64::from(input), low: 0, high: self.inputs.len() as i64 - 1 };
                Err((8, "input", fault))
            }
            found => Err((12, "kind", Fault::OperandKind { found })),
        }
    }

    fn operand_1(&mut self, offset: usize) -> Result<Operand, (usize, &'static str, Fault)> {
        let (kind, pad) = (self.bytes[offset], &self.bytes[offset + 1..offset + 8]);
        let slot = i64_at(self.bytes, offset + 8);
        let (vertex, edge) = (u32_at(self.bytes, offset + 16), u32_at(self.bytes, offset + 20));
        if pad != [0; 7] {
            return Err((1, "pad", Fault::NotZero));
        }
        if u64_at(self.bytes, offset + 24) != 0 {
            return Err((24, "byte_offset", Fault::NotZero));
        }
        if kind != KIND_MEMORY && slot != 0 {
            return Err((8, "slot", Fault::NotZero));
        }
        if kind <= KIND_MEMORY && (vertex != 0 || edge != 0) {
            return Err((16, "vertex", Fault::NotZero));
        }
        match kind {
            KIND_NONE => Ok(Operand::None),
            KIND_MEMORY => self.memory_slot(slot).map_err(|fault| (8, "slot", fault)),
            _ => {
                let input = self.input(kind, vertex, edge).map_err(|fault| (16, "vertex", fault))?;
                let inputs = &mut self.inputs;
                let number = *self.numbers.entry(input).or_insert_with(|| {
                    inputs.push(input);
                    inputs.len() as u32 - 1
                });
                Ok(Operand::Input(number))
            }
        }
    }

    fn memory_slot(&self, slot: i64) -> Result<Operand, Fault> {
        if (0..i64::from(self.slots)).contains(&slot) {
            return Ok(Operand::Memory(slot as u32));
        }
        Err(Fault::OutOfRange { found: slot, low: 0, high: i64::from(self.slots) - 1 })
    }

    /// An edge weight or an external value, checked against the graph or table it refers to.
    fn input(&mut self, kind: u8, first: u32, second: u32) -> Result<Input, Fault> {
        match kind {
            KIND_EDGE if u64::from(first) >= self.vertices => {
                Err(Fault::OutOfRange { found: i64::from(first), low: 0, high: self.vertices as i64 - 1 })
            }
            KIND_EDGE if self.checks.graph.is_some_and(|graph| second >= graph.degree(first)) => {
                Err(Fault::NoSuchEdge { vertex: first, edge: second })
            }
            KIND_EDGE => {
                self.highest_vertex = self.highest_vertex.max(first);
                Ok(Input::Edge { vertex: first, edge: second })
            }
            KIND_EXTERNAL if self.external_allowed && self.checks.external_inputs > 0 => {
                let high = i64::from(self.checks.external_inputs) - 1;
                if second == 0 && i64::from(first) <= high {
                    return Ok(Input::External { index: first });
                }
                Err(Fault::OutOfRange { found: i64::from(first), low: 0, high })
            }
            found => Err(Fault::OperandKind { found }),
        }
    }

    /// `from` or `to`: a vertex in a row, zero in all other commands.
    fn vertex(&mut self, place: Place, within: usize, name: &str, kind: u32) -> Result<u32, ArtifactError> {
        let vertex = u64_at(self.bytes, place.offset + within);
        if kind != 0 && vertex != 0 {
            return Err(Self::fault(place, within, name, Fault::NotZero));
        }
        if vertex >= self.vertices {
            let fault =
                Fault::OutOfRange { found: vertex.cast_signed(), low: 0, high: self.vertices as i64 - 1 };
            return Err(Self::fault(place, within, name, fault));
        }
        self.highest_vertex = self.highest_vertex.max(vertex as u32);
        Ok(vertex as u32)
    }

    /// No slot is read before it was zeroed.
    fn check_flow(&mut self, command: Command) -> Result<(), Fault> {
        let read = |slot: u32| {
            let known = self.zeroed[slot as usize / 64] >> (slot % 64) & 1 == 1;
            if known { Ok(()) } else { Err(Fault::ReadBeforeZero { slot }) }
        };
        match command {
            Command::Zero { slot } => {
                self.zeroed[slot as usize / 64] |= 1 << (slot % 64);
                Ok(())
            }
            Command::Row { multiplier, .. } => read(multiplier),
            Command::Invert { slot }
            | Command::OneMinus { slot }
            | Command::AddInput { slot, .. }
            | Command::DivideByInput { slot, .. } => read(slot),
            Command::Add { slot, from: other }
            | Command::Divide { slot, by: other }
            | Command::AddProductInput { slot, right: other, .. } => read(slot).and(read(other)),
            Command::AddProduct { slot, left, right } => read(slot).and(read(left)).and(read(right)),
        }
    }

    #[cold]
    fn fault(place: Place, within: usize, name: &str, fault: Fault) -> ArtifactError {
        at(place.offset + within, format!("commands[{}].{name}", place.command), fault)
    }
}
