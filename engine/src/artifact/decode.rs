//! Reading programs that come from outside: every check of artifact specification, section 10, items 1 to 6.
//!
//! Nothing is allocated before the header's counts agree with the file's size, and the whole result takes less memory
//! than the file. One pass over the bytes.

use super::error::{ArtifactError, Fault};
use super::fields::{at, count, i64_at, must_be_zero, too_short, u32_at, u64_at};
use super::layout::{
    COMMAND_1, COMMAND_3, HEADER_1, HEADER_3, MAGIC_1, MAGIC_3, ptdprmc1_size_bytes, ptdprmc3_size_bytes,
};
use super::reader::Reader;
use crate::graph::{Graph, GraphHash};
use crate::trace::Trace;

/// The two file formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The form phasic publishes; it carries the graph's hash and the memory of one run.
    Ptdprmc1,
    /// The form phasic's computation cache reads and writes.
    Ptdprmc3,
}

/// Bounds on the counts in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most commands.
    pub commands: u64,
    /// Most memory slots.
    pub slots: u64,
    /// Most inputs.
    pub inputs: u64,
    /// Most vertices.
    pub vertices: u64,
}

impl Default for Limits {
    /// 2^30 of each: what fits 32-bit numbering with room to spare.
    fn default() -> Self {
        let most = 1 << 30;
        Self { commands: most, slots: most, inputs: most, vertices: most }
    }
}

/// What a file is held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checks<'a> {
    /// Bounds on the counts.
    pub limits: Limits,
    /// The graph the program must fit: vertex count, vertices and edge numbers.
    pub graph: Option<&'a Graph>,
    /// The content hash that a PTDPRMC1 header must carry.
    pub hash: Option<GraphHash>,
    /// Length of the caller's table of external inputs; without one, such operands are refused.
    pub external_inputs: u32,
}

/// A file that passed its checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Which format it was.
    pub format: Format,
    /// The program.
    pub trace: Trace,
    /// First eight bytes of the graph's hash; PTDPRMC1 only.
    pub hash_prefix: Option<[u8; 8]>,
    /// Contents of memory as stored; PTDPRMC1 only, else empty.
    pub memory: Vec<f64>,
}

/// Reads a program and checks everything that can be checked without recomputing it.
///
/// What it cannot show is that the program computes what the graph asks for: regenerate it
/// ([`eliminate`](crate::trace::eliminate)) and compare.
///
/// # Errors
/// [`ArtifactError`] with the first fault found.
///
/// ```
/// use phasic_engine::artifact::{Checks, decode};
///
/// let error = decode(b"PTDPRMC3 but nothing else", &Checks::default()).unwrap_err();
/// assert_eq!(error.field, "header");
/// ```
pub fn decode(bytes: &[u8], checks: &Checks<'_>) -> Result<Decoded, ArtifactError> {
    match bytes.get(..8) {
        Some(magic) if magic == MAGIC_1 => decode_ptdprmc1(bytes, checks),
        Some(magic) if magic == MAGIC_3 => decode_ptdprmc3(bytes, checks),
        Some(magic) => Err(at(0, "magic", Fault::UnknownMagic { found: magic.to_vec() })),
        None => Err(too_short(bytes, 8)),
    }
}

fn decode_ptdprmc3(bytes: &[u8], checks: &Checks<'_>) -> Result<Decoded, ArtifactError> {
    if bytes.len() < HEADER_3 {
        return Err(too_short(bytes, HEADER_3));
    }
    let limits = &checks.limits;
    let commands = count(bytes, 8, "commands_length", limits.commands)?;
    let slots = count(bytes, 16, "memory_length", limits.slots)?;
    let inputs = count(bytes, 24, "inputs_length", limits.inputs)?;
    must_be_zero(bytes, 32, 8, "reserved")?;
    check_size(bytes, ptdprmc3_size_bytes(commands, slots, inputs))?;
    let memory_at = HEADER_3 + commands as usize * COMMAND_3.size;
    check_memory(bytes, memory_at, slots)?;
    // Every vertex has a row of its own, so without a graph there are no more vertices than commands.
    let vertices =
        checks.graph.map_or(commands.min(limits.vertices), |graph| u64::from(graph.vertex_count()));
    let mut reader = Reader::new(bytes, checks, &COMMAND_3, slots, vertices);
    reader.read_input_table(memory_at + 8 * slots as usize, inputs)?;
    reader.read_commands(HEADER_3, commands)?;
    Ok(Decoded { format: Format::Ptdprmc3, trace: reader.finish(), hash_prefix: None, memory: Vec::new() })
}

fn decode_ptdprmc1(bytes: &[u8], checks: &Checks<'_>) -> Result<Decoded, ArtifactError> {
    if bytes.len() < HEADER_1 {
        return Err(too_short(bytes, HEADER_1));
    }
    let version = u32_at(bytes, 8);
    if version != 1 {
        return Err(at(8, "version", Fault::Version { found: version, supported: "version 1" }));
    }
    let revision = u32_at(bytes, 12);
    if !(1..=2).contains(&revision) {
        let fault = Fault::Version { found: revision, supported: "revisions 1 and 2" };
        return Err(at(12, "format_revision", fault));
    }
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&bytes[16..24]);
    prefix.reverse();
    check_hash(checks, prefix)?;
    let limits = &checks.limits;
    let commands = count(bytes, 24, "commands_length", limits.commands)?;
    let slots = count(bytes, 32, "memory_length", limits.slots)?;
    let vertices = count(bytes, 40, "memr_length", limits.vertices)?;
    must_be_zero(bytes, 48, 8, "reserved")?;
    check_size(bytes, ptdprmc1_size_bytes(commands, slots, vertices))?;
    if let Some(graph) = checks.graph.filter(|graph| u64::from(graph.vertex_count()) != vertices) {
        let fault = Fault::VertexCount { expected: u64::from(graph.vertex_count()), found: vertices };
        return Err(at(40, "memr_length", fault));
    }
    let memory_at = HEADER_1 + commands as usize * COMMAND_1.size;
    check_memory(bytes, memory_at, slots)?;
    let rates_at = memory_at + 8 * slots as usize;
    for (entry, slot) in bytes[rates_at..].chunks_exact(8).enumerate() {
        let wanted = entry as i64 + 1;
        let found = i64_at(slot, 0);
        if found != wanted || wanted >= slots as i64 {
            let fault = Fault::OutOfRange { found, low: wanted, high: wanted.min(slots as i64 - 1) };
            return Err(at(rates_at + 8 * entry, format!("memr[{entry}]"), fault));
        }
    }
    let mut reader = Reader::new(bytes, checks, &COMMAND_1, slots, vertices);
    reader.external_allowed = revision == 2;
    reader.read_commands(HEADER_1, commands)?;
    let mut trace = reader.finish();
    trace.vertex_count = vertices as u32;
    let memory =
        bytes[memory_at..rates_at].chunks_exact(8).map(|value| f64::from_bits(u64_at(value, 0))).collect();
    Ok(Decoded { format: Format::Ptdprmc1, trace, hash_prefix: Some(prefix), memory })
}

fn check_hash(checks: &Checks<'_>, prefix: [u8; 8]) -> Result<(), ArtifactError> {
    match checks.hash {
        Some(hash) if hash.as_bytes()[..8] != prefix => {
            let mut found = [0; 32];
            found[..8].copy_from_slice(&prefix);
            let digits = |hash: GraphHash| hash.to_string()[..16].to_owned();
            let fault = Fault::Hash { expected: digits(hash), found: digits(GraphHash::from_bytes(found)) };
            Err(at(16, "graph_hash", fault))
        }
        _ => Ok(()),
    }
}

/// Slot 0 exists and holds +0.0.
fn check_memory(bytes: &[u8], memory_at: usize, slots: u64) -> Result<(), ArtifactError> {
    if slots == 0 {
        let fault = Fault::OutOfRange { found: 0, low: 1, high: i64::MAX };
        return Err(at(0, "memory_length", fault));
    }
    must_be_zero(bytes, memory_at, 8, "memory[0]")
}

fn check_size(bytes: &[u8], expected_bytes: u64) -> Result<(), ArtifactError> {
    let found_bytes = bytes.len() as u64;
    if expected_bytes == found_bytes {
        return Ok(());
    }
    Err(at(0, "header", Fault::Size { expected_bytes, found_bytes }))
}
