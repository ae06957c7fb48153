//! What is wrong with a file, and where.

use std::fmt;

/// A file that must not be used: which field, at which byte, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactError {
    /// Byte offset of the field in the file.
    pub offset: u64,
    /// The field, such as `version` or `commands[12].toT.slot`.
    pub field: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a field of an artifact file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends before its header does.
    #[error("the file has {found_bytes} bytes, but its header alone takes {needed_bytes}")]
    TooShort {
        /// Bytes of the header.
        needed_bytes: u64,
        /// Bytes of the file.
        found_bytes: u64,
    },
    /// The first eight bytes name no known format.
    #[error("the file begins with {found:02x?}, which is neither PTDPRMC1 nor PTDPRMC3")]
    UnknownMagic {
        /// The first bytes of the file.
        found: Vec<u8>,
    },
    /// A version this reader does not know.
    #[error("it is {found}, but only {supported} can be read")]
    Version {
        /// The version found.
        found: u32,
        /// The versions supported, in words.
        supported: &'static str,
    },
    /// A reserved or unused field is not zero.
    #[error("it must be zero")]
    NotZero,
    /// A count is above its limit.
    #[error("it is {found}, above the limit of {limit}")]
    AboveLimit {
        /// The count in the file.
        found: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The counts of the header do not add up to the size of the file.
    #[error("by its counts the file has {expected_bytes} bytes, but it has {found_bytes}")]
    Size {
        /// Bytes that the counts ask for, saturating.
        expected_bytes: u64,
        /// Bytes of the file.
        found_bytes: u64,
    },
    /// The number of vertices is not that of the graph.
    #[error("it is {found}, but the graph has {expected} vertices")]
    VertexCount {
        /// Vertices of the graph.
        expected: u64,
        /// Vertices in the file.
        found: u64,
    },
    /// The hash field is not that of the graph.
    #[error("it begins with {found}, but the graph's hash with {expected}")]
    Hash {
        /// First sixteen digits of the graph's hash.
        expected: String,
        /// First sixteen digits in the file.
        found: String,
    },
    /// A number is out of its range.
    #[error("it is {found}, but must be from {low} up to {high}")]
    OutOfRange {
        /// The number found, as the 64 bits of the file.
        found: i64,
        /// The lowest allowed number.
        low: i64,
        /// The highest allowed number.
        high: i64,
    },
    /// The operand kind is not allowed here.
    #[error("operand kind {found} is not allowed here")]
    OperandKind {
        /// The kind found.
        found: u8,
    },
    /// The multiplier field does not hold the constant its command type asks for.
    #[error("it must be exactly {expected}")]
    Multiplier {
        /// The constant.
        expected: &'static str,
    },
    /// A slot is read before the program zeroes it.
    #[error("slot {slot} is read before it is zeroed")]
    ReadBeforeZero {
        /// The slot.
        slot: u32,
    },
    /// An edge that the graph does not have.
    #[error("vertex {vertex} of the graph has no edge number {edge}")]
    NoSuchEdge {
        /// The vertex.
        vertex: u32,
        /// The edge number.
        edge: u32,
    },
}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the artifact is damaged or hostile at byte {} ({}): {}",
            self.offset, self.field, self.fault
        )
    }
}

impl std::error::Error for ArtifactError {}

/// Why a program could not be read from a stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The bytes must not be used.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The stream failed, or ended before the size it was said to have.
    #[error("the artifact cannot be read: {0}")]
    Io(#[from] std::io::Error),
}
