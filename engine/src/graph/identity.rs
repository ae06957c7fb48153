//! What a graph is called: the content hash phasic uses, and the edge-order digest that makes artifacts safe to share.
//!
//! The content hash ignores the order of a vertex's edges, artifacts do not (artifact specification, section 12): only
//! both together say whether a program fits a graph.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use super::Graph;

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 64 lower-case hexadecimal digits, but is {found:?}")]
pub struct ParseDigestError {
    what: &'static str,
    found: String,
}

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest with these bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes, in the order they are printed.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(hex_digits(&self.0, &mut [0; 64]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex(text).map(Self).ok_or_else(|| ParseDigestError {
                    what: $what,
                    found: text.chars().take(80).collect(),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(hex_digits(&self.0, &mut [0; 64]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_type! {
    /// The content hash of a graph (artifact specification, section 4): equal for graphs that differ only in weights
    /// or in the order of edges. Printed and parsed as 64 lower-case hexadecimal digits.
    GraphHash, "a graph hash"
}

digest_type! {
    /// A digest of the ordered target lists of a graph.
    ///
    /// It is the SHA-256 of a sequence of little-endian u64: the number of vertices, then for each vertex, in index
    /// order, its number of out-edges and their targets in edge order. In two graphs with one content hash and one
    /// edge-order digest, the edges at the same places have the same targets. A program depends on nothing else, so one
    /// made for the first runs on the second; which of several parallel edges has which coefficients may still differ.
    EdgeOrderDigest, "an edge-order digest"
}

/// The 64 lower-case hexadecimal digits of 32 bytes, written into `digits`. A registry document is full of them, and one
/// call for all of them costs a tenth of one for each byte.
#[expect(clippy::missing_panics_doc, reason = "the digits are ASCII")]
pub fn hex_digits<'a>(bytes: &[u8; 32], digits: &'a mut [u8; 64]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(digits).expect("hexadecimal digits are ASCII")
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

/// Bytes that are hashed between two questions whether to go on: a millisecond.
const WATCHED_BYTES: usize = 1 << 17;

/// What the hash of its own of a vertex costs, in bytes, however few edges it has.
const VERTEX_BYTES: usize = 128;

/// Edges of one vertex that are sorted between two such questions.
const WATCHED_EDGES: usize = 1 << 14;

/// Asks whether to go on whenever so many bytes have been hashed since it was last asked.
struct Pace<'w, W> {
    bytes: usize,
    watch: &'w mut W,
}

impl<B, W: FnMut() -> ControlFlow<B>> Pace<'_, W> {
    fn go_on(&mut self, bytes: usize) -> ControlFlow<B> {
        self.bytes += bytes;
        if self.bytes < WATCHED_BYTES {
            return ControlFlow::Continue(());
        }
        self.bytes = 0;
        (self.watch)()
    }
}

/// The result of something that is never broken off.
fn whole<T>(result: ControlFlow<Infallible, T>) -> T {
    match result {
        ControlFlow::Continue(result) => result,
        ControlFlow::Break(never) => match never {},
    }
}

impl Graph {
    /// The content hash, as phasic computes it (artifact specification, section 4).
    ///
    /// `SHA256(M ‖ h_0 ‖ … ‖ h_{V-1})`, where `M` holds the sizes and flags and `h_v` is taken from the SHA-256 of a
    /// vertex's state and sorted edges. Weights do not enter, nor does the order of a vertex's edges. Time is linear in
    /// the bytes hashed, plus a sort of each vertex's edges.
    pub fn content_hash(&self) -> GraphHash {
        whole(self.content_hash_watched(&mut || ControlFlow::Continue(())))
    }

    /// The same, of a graph that may be large: `watch` is asked every few milliseconds whether to go on, also within a
    /// vertex of very many edges, and what it breaks off with is given back.
    pub fn content_hash_watched<B>(
        &self,
        watch: &mut impl FnMut() -> ControlFlow<B>,
    ) -> ControlFlow<B, GraphHash> {
        let mut whole = Sha256::new();
        for size in [self.state_length as u64, self.param_length as u64, u64::from(self.vertex_count())] {
            whole.update(size.to_le_bytes());
        }
        whole.update([u8::from(self.parameterized) | u8::from(self.was_dph) << 1]);
        let mut order: Vec<usize> = Vec::new();
        let mut bytes: Vec<u8> = Vec::new();
        let mut hashes: Vec<u8> = Vec::with_capacity(8 * self.vertex_count() as usize);
        let mut pace = Pace { bytes: 0, watch };
        for vertex in 0..self.vertex_count() {
            pace.go_on(VERTEX_BYTES)?;
            order.clear();
            order.extend(self.edge_range(vertex));
            self.sort_edges(&mut order, pace.watch)?;
            let mut own = Sha256::new();
            bytes.clear();
            bytes.extend(self.state(vertex).iter().flat_map(|value| value.to_le_bytes()));
            for &edge in &order {
                bytes.extend(u64::from(self.targets[edge]).to_le_bytes());
                bytes.extend(self.coefficients_of(edge).iter().flat_map(|value| value.to_le_bytes()));
                if bytes.len() >= WATCHED_BYTES {
                    own.update(&bytes);
                    pace.go_on(bytes.len())?;
                    bytes.clear();
                }
            }
            own.update(&bytes);
            pace.go_on(bytes.len())?;
            hashes.extend(own.finalize()[..8].iter().rev());
        }
        whole.update(&hashes);
        ControlFlow::Continue(GraphHash(whole.finalize().into()))
    }

    /// The digest of the ordered target lists; see [`EdgeOrderDigest`] for its definition. Linear time.
    pub fn edge_order_digest(&self) -> EdgeOrderDigest {
        whole(self.edge_order_digest_watched(&mut || ControlFlow::Continue(())))
    }

    /// The same, of a graph that may be large: `watch` is asked every few milliseconds whether to go on, and what it breaks
    /// off with is given back.
    pub fn edge_order_digest_watched<B>(
        &self,
        watch: &mut impl FnMut() -> ControlFlow<B>,
    ) -> ControlFlow<B, EdgeOrderDigest> {
        let mut digest = Sha256::new();
        let mut bytes = Vec::new();
        let mut pace = Pace { bytes: 0, watch };
        digest.update(u64::from(self.vertex_count()).to_le_bytes());
        for vertex in 0..self.vertex_count() {
            digest.update(u64::from(self.degree(vertex)).to_le_bytes());
            pace.go_on(size_of::<u64>())?;
            for targets in self.targets(vertex).chunks(WATCHED_EDGES) {
                bytes.clear();
                bytes.extend(targets.iter().flat_map(|&target| u64::from(target).to_le_bytes()));
                digest.update(&bytes);
                pace.go_on(bytes.len())?;
            }
        }
        ControlFlow::Continue(EdgeOrderDigest(digest.finalize().into()))
    }

    /// Sorts edges of one vertex as they are hashed. Stable, as in phasic: coefficients 0.0 and −0.0 compare equal but hash
    /// differently. Very many are sorted in parts of which two and two become one, so that `watch` is asked between.
    fn sort_edges<B>(
        &self,
        edges: &mut [usize],
        watch: &mut impl FnMut() -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut width = WATCHED_EDGES;
        while width < edges.len() {
            for part in edges.chunks_mut(width) {
                part.sort_by(|&a, &b| self.compare_edges(a, b));
                watch()?;
            }
            width *= 2;
        }
        edges.sort_by(|&a, &b| self.compare_edges(a, b));
        ControlFlow::Continue(())
    }

    /// Order of two edges of one vertex in the hash: by target, number of coefficients, then coefficients.
    fn compare_edges(&self, a: usize, b: usize) -> Ordering {
        self.targets[a].cmp(&self.targets[b]).then_with(|| {
            let (left, right) = (self.coefficients_of(a), self.coefficients_of(b));
            left.len().cmp(&right.len()).then_with(|| compare_coefficients(left, right))
        })
    }
}

/// Lexicographic numeric order of two equally long lists of finite numbers.
pub(crate) fn compare_coefficients(left: &[f64], right: &[f64]) -> Ordering {
    left.iter()
        .zip(right)
        .map(|(a, b)| a.partial_cmp(b).unwrap_or(Ordering::Equal))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
