//! Writing programs, byte for byte as phasic does.

use std::io::{self, Write};

use super::layout::{KIND_EDGE, KIND_EXTERNAL, KIND_MEMORY, MAGIC_1, MAGIC_3};
use crate::graph::GraphHash;
use crate::trace::{Command, Input, Trace};

/// An operand as both formats know it: a memory slot, or an input by its number.
#[derive(Clone, Copy)]
enum Operand {
    None,
    Memory(u32),
    Input(u32),
}

/// A command as the files lay it out.
struct Record {
    kind: i32,
    from: u32,
    to: u32,
    multiplier: f64,
    operands: [Operand; 3],
}

/// Writes a program as PTDPRMC3, the form of phasic's computation cache: memory all zero.
///
/// 80 bytes a command, streamed through a buffer of a few kilobytes.
///
/// # Errors
/// Those of the stream.
pub fn encode_ptdprmc3(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    out.write_all(MAGIC_3)?;
    for count in [trace.commands().len() as u64, u64::from(trace.slots()), trace.inputs().len() as u64, 0] {
        out.write_all(&count.to_le_bytes())?;
    }
    let mut bytes = [0_u8; 80];
    for command in trace.commands() {
        let record = record(*command);
        fill_head(&mut bytes, &record);
        for (operand, place) in record.operands.iter().zip(bytes[32..].chunks_exact_mut(16)) {
            place.fill(0);
            match *operand {
                Operand::None => {}
                Operand::Memory(slot) => {
                    place[..8].copy_from_slice(&u64::from(slot).to_le_bytes());
                    place[12] = KIND_MEMORY;
                }
                Operand::Input(input) => {
                    place[8..12].copy_from_slice(&input.to_le_bytes());
                    place[12] = KIND_EDGE;
                }
            }
        }
        out.write_all(&bytes)?;
    }
    write_zeros(&mut out, 8 * u64::from(trace.slots()))?;
    for input in trace.inputs() {
        let (kind, vertex, edge) = match *input {
            Input::Edge { vertex, edge } => (KIND_EDGE, vertex, edge),
            Input::External { index } => (KIND_EXTERNAL, index, 0),
        };
        let mut bytes = [0_u8; 24];
        bytes[8..12].copy_from_slice(&vertex.to_le_bytes());
        bytes[12..16].copy_from_slice(&edge.to_le_bytes());
        bytes[16] = kind;
        out.write_all(&bytes)?;
    }
    out.flush()
}

/// Writes a program as PTDPRMC1, the form that phasic publishes: with the graph's hash, and with the contents of memory
/// after a run (see [`Trace::final_memory`]). Entries missing from `memory` are written as zero.
///
/// 128 bytes a command, streamed.
///
/// # Errors
/// Those of the stream.
pub fn encode_ptdprmc1(
    trace: &Trace,
    hash: &GraphHash,
    memory: &[f64],
    out: &mut impl Write,
) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let external = trace.inputs().iter().any(|input| matches!(input, Input::External { .. }));
    out.write_all(MAGIC_1)?;
    out.write_all(&1_u32.to_le_bytes())?;
    out.write_all(&(if external { 2_u32 } else { 1 }).to_le_bytes())?;
    out.write_all(&hash_field(hash))?;
    let vertices = u64::from(trace.vertex_count());
    for count in [trace.commands().len() as u64, u64::from(trace.slots()), vertices, 0] {
        out.write_all(&count.to_le_bytes())?;
    }
    let mut bytes = [0_u8; 128];
    for command in trace.commands() {
        let record = record(*command);
        fill_head(&mut bytes, &record);
        for (operand, place) in record.operands.iter().zip(bytes[32..].chunks_exact_mut(32)) {
            fill_operand_1(place, *operand, trace.inputs());
        }
        out.write_all(&bytes)?;
    }
    for slot in 0..trace.slots() as usize {
        let value = memory.get(slot).copied().unwrap_or(0.0);
        // Every NaN a run leaves behind on x86-64 is this one; other machines choose other bits.
        let bits = if value.is_nan() { 0xfff8_0000_0000_0000 } else { value.to_bits() };
        out.write_all(&bits.to_le_bytes())?;
    }
    for slot in 1..=vertices {
        out.write_all(&slot.to_le_bytes())?;
    }
    out.flush()
}

fn fill_operand_1(place: &mut [u8], operand: Operand, inputs: &[Input]) {
    place.fill(0);
    match operand {
        Operand::None => {}
        Operand::Memory(slot) => {
            place[0] = KIND_MEMORY;
            place[8..16].copy_from_slice(&u64::from(slot).to_le_bytes());
        }
        Operand::Input(input) => {
            let (kind, vertex, edge) = match inputs[input as usize] {
                Input::Edge { vertex, edge } => (KIND_EDGE, vertex, edge),
                Input::External { index } => (KIND_EXTERNAL, index, 0),
            };
            place[0] = kind;
            place[16..20].copy_from_slice(&vertex.to_le_bytes());
            place[20..24].copy_from_slice(&edge.to_le_bytes());
        }
    }
}

/// The hash as the header of PTDPRMC1 holds it: its first eight bytes, reversed.
fn hash_field(hash: &GraphHash) -> [u8; 8] {
    let mut field = [0; 8];
    field.copy_from_slice(&hash.as_bytes()[..8]);
    field.reverse();
    field
}

fn fill_head(bytes: &mut [u8], record: &Record) {
    bytes[..4].copy_from_slice(&record.kind.to_le_bytes());
    bytes[4..8].fill(0);
    bytes[8..16].copy_from_slice(&u64::from(record.from).to_le_bytes());
    bytes[16..24].copy_from_slice(&u64::from(record.to).to_le_bytes());
    bytes[24..32].copy_from_slice(&record.multiplier.to_le_bytes());
}

fn record(command: Command) -> Record {
    use Operand::{Input as In, Memory, None};
    let plain = |kind, operands| Record { kind, from: 0, to: 0, multiplier: 0.0, operands };
    let sum = |slot, operand| Record { multiplier: 1.0, ..plain(1, [Memory(slot), operand, None]) };
    match command {
        Command::Row { from, to, multiplier } => {
            Record { from, to, ..plain(0, [None, None, Memory(multiplier)]) }
        }
        Command::Add { slot, from } => sum(slot, Memory(from)),
        Command::AddInput { slot, input } => sum(slot, In(input)),
        Command::Invert { slot } => plain(2, [Memory(slot), None, None]),
        Command::AddProduct { slot, left, right } => plain(3, [Memory(slot), Memory(left), Memory(right)]),
        Command::AddProductInput { slot, input, right } => plain(3, [Memory(slot), In(input), Memory(right)]),
        Command::OneMinus { slot } => plain(4, [Memory(slot), None, None]),
        Command::Divide { slot, by } => plain(5, [Memory(slot), Memory(by), None]),
        Command::DivideByInput { slot, input } => plain(5, [Memory(slot), In(input), None]),
        Command::Zero { slot } => plain(6, [Memory(slot), None, None]),
    }
}

fn write_zeros(out: &mut impl Write, mut bytes: u64) -> io::Result<()> {
    let zeros = [0_u8; 4096];
    while bytes > 0 {
        let now = bytes.min(zeros.len() as u64);
        out.write_all(&zeros[..now as usize])?;
        bytes -= now;
    }
    Ok(())
}
