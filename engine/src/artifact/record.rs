//! One record the careful way: field by field, with the error that names the first one that is wrong.

use super::error::{ArtifactError, Fault};
use super::fields::{at, i64_at, must_be_zero, u32_at, u64_at};
use super::layout::{COMMAND_1, INPUT_SIZE, KIND_EDGE, KIND_EXTERNAL, KIND_MEMORY, KIND_NONE, OPERANDS_AT};
use super::reader::{Operand, Place, Reader};
use crate::trace::{Command, Input};

const OPERAND_NAMES: [&str; 3] = ["fromT", "toT", "multiplierptr"];

impl Reader<'_> {
    pub(super) fn read_input(
        &mut self,
        record: &[u8; INPUT_SIZE],
        offset: usize,
        number: usize,
    ) -> Result<(), ArtifactError> {
        let field = |name: &str| format!("inputs[{number}].{name}");
        must_be_zero(record, 0, 8, offset, || field("byte"))?;
        must_be_zero(record, 17, 7, offset, || field("pad"))?;
        self.external_allowed = self.checks.external_inputs > 0;
        let (first, second) = (u32_at(record, 8), u32_at(record, 12));
        let input =
            self.input(record[16], first, second).map_err(|fault| at(offset + 8, field("edge"), fault))?;
        self.inputs.push(input);
        Ok(())
    }

    #[cold]
    pub(super) fn read_carefully(&mut self, record: &[u8], place: Place) -> Result<Command, ArtifactError> {
        let kind = u32_at(record, 0);
        if kind > 6 {
            let fault = Fault::OutOfRange { found: i64::from(kind.cast_signed()), low: 0, high: 6 };
            return Err(Self::fault(place, 0, "type", fault));
        }
        if u32_at(record, 4) != 0 {
            return Err(Self::fault(place, 4, "pad", Fault::NotZero));
        }
        let from = self.vertex(record, place, 8, "from", kind)?;
        let to = self.vertex(record, place, 16, "to", kind)?;
        let (wanted, expected) = if kind == 1 { (1.0_f64, "1.0") } else { (0.0, "0.0") };
        if u64_at(record, 24) != wanted.to_bits() {
            return Err(Self::fault(place, 24, "multiplier", Fault::Multiplier { expected }));
        }
        let mut operands = [Operand::None; 3];
        for (number, operand) in operands.iter_mut().enumerate() {
            *operand = self.operand(record, place, number)?;
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

    fn operand(&mut self, record: &[u8], place: Place, number: usize) -> Result<Operand, ArtifactError> {
        let within = OPERANDS_AT + number * self.layout.operand_size;
        let field = &record[within..within + self.layout.operand_size];
        let read = if record.len() == COMMAND_1.size { self.operand_1(field) } else { self.operand_3(field) };
        read.map_err(|(inside, name, fault)| {
            Self::fault(place, within + inside, &format!("{}.{name}", OPERAND_NAMES[number]), fault)
        })
    }

    fn operand_3(&self, field: &[u8]) -> Result<Operand, (usize, &'static str, Fault)> {
        let (slot, input) = (i64_at(field, 0), u32_at(field, 8));
        let (kind, pad) = (field[12], &field[13..16]);
        let inputs = self.inputs_in_table.unwrap_or(0);
        if pad != [0; 3] {
            return Err((13, "pad", Fault::NotZero));
        }
        match kind {
            KIND_NONE | KIND_EDGE if slot != 0 => Err((0, "slot", Fault::NotZero)),
            KIND_NONE | KIND_MEMORY if input != 0 => Err((8, "input", Fault::NotZero)),
            KIND_NONE => Ok(Operand::None),
            KIND_MEMORY => self.memory_slot(slot).map_err(|fault| (0, "slot", fault)),
            KIND_EDGE if input < inputs => Ok(Operand::Input(input)),
            KIND_EDGE => {
                let high = i64::from(inputs) - 1;
                Err((8, "input", Fault::OutOfRange { found: i64::from(input), low: 0, high }))
            }
            found => Err((12, "kind", Fault::OperandKind { found })),
        }
    }

    fn operand_1(&mut self, field: &[u8]) -> Result<Operand, (usize, &'static str, Fault)> {
        let (kind, pad) = (field[0], &field[1..8]);
        let slot = i64_at(field, 8);
        let (vertex, edge) = (u32_at(field, 16), u32_at(field, 20));
        if pad != [0; 7] {
            return Err((1, "pad", Fault::NotZero));
        }
        if u64_at(field, 24) != 0 {
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
    fn vertex(
        &mut self,
        record: &[u8],
        place: Place,
        within: usize,
        name: &str,
        kind: u32,
    ) -> Result<u32, ArtifactError> {
        let vertex = u64_at(record, within);
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

    #[cold]
    pub(super) fn fault(place: Place, within: usize, name: &str, fault: Fault) -> ArtifactError {
        at(place.offset + within, format!("commands[{}].{name}", place.command), fault)
    }
}
