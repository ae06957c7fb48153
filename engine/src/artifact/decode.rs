//! Reading programs that come from outside: every check of artifact specification, section 10, items 1 to 6.
//!
//! Nothing is allocated before the header's counts agree with the file's size, and the whole result takes less memory
//! than the file. One pass over the bytes.

use std::io::{BufRead, BufReader, Read};

use super::error::{ArtifactError, Fault, StreamError};
use super::fields::{at, count, must_be_zero, too_short, u32_at};
use super::layout::{
    COMMAND_1, COMMAND_3, HEADER_1, HEADER_3, INPUT_SIZE, MAGIC_1, MAGIC_3, ptdprmc1_size_bytes,
    ptdprmc3_size_bytes,
};
use super::reader::Reader;
use super::source::Source;
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
    decode_buffered(bytes, bytes.len() as u64, checks).map_err(|error| match error {
        StreamError::Artifact(error) => error,
        // The size was held against the header, so a slice cannot end too early.
        StreamError::Io(_) => too_short(bytes.len() as u64, bytes.len()),
    })
}

/// Reads a program of `size_bytes` bytes from a stream, with the checks of [`decode`].
///
/// Takes the memory of the program and a small buffer, never that of the file: the way to read large files. Memory is
/// reserved by `size_bytes` once the header agrees with it, so that must be a size you know, such as that of a file on
/// disk. Bytes after the end are a fault.
///
/// # Errors
/// [`StreamError::Artifact`] with the first fault found, [`StreamError::Io`] when the stream fails or ends too early.
///
/// ```
/// use phasic_engine::artifact::{Checks, StreamError, decode_stream};
///
/// let file = b"PTDPRMC3 but nothing else";
/// let error = decode_stream(&file[..], file.len() as u64, &Checks::default()).unwrap_err();
/// assert!(matches!(error, StreamError::Artifact(fault) if fault.field == "header"));
/// ```
pub fn decode_stream(
    source: impl Read,
    size_bytes: u64,
    checks: &Checks<'_>,
) -> Result<Decoded, StreamError> {
    // Large enough for few calls, small enough to stay in a core's own cache.
    decode_buffered(BufReader::with_capacity(1 << 18, source), size_bytes, checks)
}

fn decode_buffered(
    source: impl BufRead,
    size_bytes: u64,
    checks: &Checks<'_>,
) -> Result<Decoded, StreamError> {
    if size_bytes < 8 {
        return Err(too_short(size_bytes, 8).into());
    }
    let mut source = Source::new(source);
    match &source.take()? {
        MAGIC_1 => decode_ptdprmc1(source, size_bytes, checks),
        MAGIC_3 => decode_ptdprmc3(source, size_bytes, checks),
        magic => Err(at(0, "magic", Fault::UnknownMagic { found: magic.to_vec() }).into()),
    }
}

fn decode_ptdprmc3(
    mut source: Source<impl BufRead>,
    size_bytes: u64,
    checks: &Checks<'_>,
) -> Result<Decoded, StreamError> {
    let header: [u8; HEADER_3] = header(&mut source, size_bytes)?;
    let limits = &checks.limits;
    let commands = count(&header, 8, "commands_length", limits.commands)?;
    let slots = count(&header, 16, "memory_length", limits.slots)?;
    let inputs = count(&header, 24, "inputs_length", limits.inputs)?;
    must_be_zero(&header, 32, 8, 0, "reserved")?;
    check_size(size_bytes, ptdprmc3_size_bytes(commands, slots, inputs))?;
    check_slots(slots)?;
    // Every vertex has a row of its own, so without a graph there are no more vertices than commands.
    let vertices =
        checks.graph.map_or(commands.min(limits.vertices), |graph| u64::from(graph.vertex_count()));
    let mut reader = Reader::new(checks, &COMMAND_3, slots, vertices);
    reader.inputs_in_table = Some(inputs as u32);
    reader.reserve(commands);
    source.each::<{ COMMAND_3.size }>(commands as usize, |record, offset| {
        Ok(reader.read_command(record, offset)?)
    })?;
    check_constant(&mut source)?;
    source.skip(8 * (slots as usize - 1))?;
    let mut number = 0;
    source.each::<INPUT_SIZE>(inputs as usize, |record, offset| {
        reader.read_input(record, offset, number)?;
        number += 1;
        Ok(())
    })?;
    check_end(&mut source, size_bytes)?;
    Ok(Decoded { format: Format::Ptdprmc3, trace: reader.finish(), hash_prefix: None, memory: Vec::new() })
}

fn decode_ptdprmc1(
    mut source: Source<impl BufRead>,
    size_bytes: u64,
    checks: &Checks<'_>,
) -> Result<Decoded, StreamError> {
    let header: [u8; HEADER_1] = header(&mut source, size_bytes)?;
    let revision = check_version(&header)?;
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&header[16..24]);
    prefix.reverse();
    check_hash(checks, prefix)?;
    let limits = &checks.limits;
    let commands = count(&header, 24, "commands_length", limits.commands)?;
    let slots = count(&header, 32, "memory_length", limits.slots)?;
    let vertices = count(&header, 40, "memr_length", limits.vertices)?;
    must_be_zero(&header, 48, 8, 0, "reserved")?;
    check_size(size_bytes, ptdprmc1_size_bytes(commands, slots, vertices))?;
    check_slots(slots)?;
    if let Some(graph) = checks.graph.filter(|graph| u64::from(graph.vertex_count()) != vertices) {
        let fault = Fault::VertexCount { expected: u64::from(graph.vertex_count()), found: vertices };
        return Err(at(40, "memr_length", fault).into());
    }
    let mut reader = Reader::new(checks, &COMMAND_1, slots, vertices);
    reader.external_allowed = revision == 2;
    reader.reserve(commands);
    source.each::<{ COMMAND_1.size }>(commands as usize, |record, offset| {
        Ok(reader.read_command(record, offset)?)
    })?;
    check_constant(&mut source)?;
    let mut memory = Vec::with_capacity(slots as usize);
    memory.push(0.0);
    source.each(slots as usize - 1, |&value, _| {
        memory.push(f64::from_le_bytes(value));
        Ok(())
    })?;
    let mut wanted = 1;
    source.each(vertices as usize, |&slot, offset| {
        let found = i64::from_le_bytes(slot);
        if found != wanted || wanted >= slots as i64 {
            let fault = Fault::OutOfRange { found, low: wanted, high: wanted.min(slots as i64 - 1) };
            return Err(at(offset, format!("memr[{}]", wanted - 1), fault).into());
        }
        wanted += 1;
        Ok(())
    })?;
    check_end(&mut source, size_bytes)?;
    let mut trace = reader.finish();
    trace.vertex_count = vertices as u32;
    Ok(Decoded { format: Format::Ptdprmc1, trace, hash_prefix: Some(prefix), memory })
}

/// The whole header, of which the first eight bytes were taken already.
fn header<const N: usize>(
    source: &mut Source<impl BufRead>,
    size_bytes: u64,
) -> Result<[u8; N], StreamError> {
    if size_bytes < N as u64 {
        return Err(too_short(size_bytes, N).into());
    }
    let mut header = [0; N];
    for word in header[8..].as_chunks_mut::<8>().0 {
        *word = source.take()?;
    }
    Ok(header)
}

fn check_version(header: &[u8; HEADER_1]) -> Result<u32, ArtifactError> {
    let version = u32_at(header, 8);
    if version != 1 {
        return Err(at(8, "version", Fault::Version { found: version, supported: "version 1" }));
    }
    let revision = u32_at(header, 12);
    if !(1..=2).contains(&revision) {
        let fault = Fault::Version { found: revision, supported: "revisions 1 and 2" };
        return Err(at(12, "format_revision", fault));
    }
    Ok(revision)
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

/// There is a slot 0.
fn check_slots(slots: u64) -> Result<(), ArtifactError> {
    if slots > 0 {
        return Ok(());
    }
    Err(at(0, "memory_length", Fault::OutOfRange { found: 0, low: 1, high: i64::MAX }))
}

/// Slot 0 holds +0.0.
fn check_constant(source: &mut Source<impl BufRead>) -> Result<(), StreamError> {
    let offset = source.offset();
    let value: [u8; 8] = source.take()?;
    Ok(must_be_zero(&value, 0, 8, offset, "memory[0]")?)
}

fn check_size(found_bytes: u64, expected_bytes: u64) -> Result<(), ArtifactError> {
    if expected_bytes == found_bytes {
        return Ok(());
    }
    Err(at(0, "header", Fault::Size { expected_bytes, found_bytes }))
}

/// Nothing follows; only a stream can hold more than was said.
fn check_end(source: &mut Source<impl BufRead>, size_bytes: u64) -> Result<(), StreamError> {
    if source.is_at_end()? {
        return Ok(());
    }
    let fault = Fault::Size { expected_bytes: size_bytes, found_bytes: size_bytes + 1 };
    Err(at(source.offset(), "end", fault).into())
}
