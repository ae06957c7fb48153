//! A registry document as it is sent: plain or compressed, each with its entity tag.
//!
//! The document of somebody who sees private computes is that of everybody with more in front. So both are made in two
//! parts, what opens a document and the rest, and the rest is in memory once, compressed as well: deflated data that ends at
//! a byte goes on with other deflated data, and the checksum of both follows from those of the parts.

use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use phasic_hub_api::Sha256;

use super::render::OPEN;

/// What gzip writes first (RFC 1952): deflated data, no time, no name, of no particular system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes of the checksum and the length at the end.
const GZIP_TAIL: usize = 8;

/// What is sent of a document, whoever it is for.
pub trait Sent {
    /// The strong entity tag, with its quotes: two codings are two representations, and may not share one.
    fn tag(&self, is_compressed: bool) -> &Bytes;

    /// The JSON text, piece by piece.
    fn pieces(&self) -> Vec<Bytes>;

    /// The text, compressed, piece by piece, if somebody has asked for that.
    fn compressed_pieces(&self) -> Option<Vec<Bytes>>;
}

/// A registry document in its content codings.
#[derive(Debug)]
pub struct Representation {
    /// The JSON text.
    pub plain: Bytes,
    /// The same, compressed, once somebody wants it so.
    gzip: OnceLock<Gzip>,
    /// The SHA-256 of the JSON text.
    sha256: Sha256,
    /// What names the text, and the compressed one: that digest in quotes, as it is sent.
    tags: [Bytes; 2],
}

/// A compressed document.
#[derive(Debug)]
struct Gzip {
    bytes: Bytes,
    /// Where the rest begins, behind what opens the document.
    rest: usize,
    rest_crc: Crc,
}

/// A registry document with more in front than everybody gets.
#[derive(Debug)]
pub struct OwnRepresentation {
    head: Bytes,
    rest: Bytes,
    gzip: OnceLock<[Bytes; 3]>,
    tags: [Bytes; 2],
}

impl Representation {
    pub(super) fn of(text: String) -> Self {
        let sha256 = Sha256::of(text.as_bytes());
        Self::of_known(text.into(), sha256)
    }

    /// A text whose digest is known.
    pub(super) fn of_known(plain: Bytes, sha256: Sha256) -> Self {
        Self { plain, gzip: OnceLock::new(), sha256, tags: tags(sha256) }
    }

    /// The SHA-256 of the text.
    pub(super) fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The text, compressed, if somebody has asked for that.
    pub fn compressed(&self) -> Option<&Bytes> {
        self.gzip.get().map(|gzip| &gzip.bytes)
    }

    /// The text, compressed. The first time that takes a second for ten thousand computes; whoever asks meanwhile waits.
    pub fn gzip(&self) -> &Bytes {
        &self.zipped().bytes
    }

    fn zipped(&self) -> &Gzip {
        self.gzip.get_or_init(|| {
            let (open, rest) = self.plain.split_at(OPEN.len().min(self.plain.len()));
            let mut bytes = GZIP_HEAD.to_vec();
            bytes.extend(deflated(open, false));
            let begin = bytes.len();
            bytes.extend(deflated(rest, true));
            let rest_crc = crc(rest);
            bytes.extend(tail(open, &rest_crc));
            Gzip { bytes: bytes.into(), rest: begin, rest_crc }
        })
    }
}

impl Sent for Representation {
    fn tag(&self, is_compressed: bool) -> &Bytes {
        &self.tags[usize::from(is_compressed)]
    }

    fn pieces(&self) -> Vec<Bytes> {
        vec![self.plain.clone()]
    }

    fn compressed_pieces(&self) -> Option<Vec<Bytes>> {
        Some(vec![self.compressed()?.clone()])
    }
}

impl OwnRepresentation {
    /// A document that begins with `head` and goes on as that of everybody behind what opens it.
    pub(super) fn new(head: String, everybodys: &Representation) -> Self {
        let mut both = Sha256::of(head.as_bytes()).as_bytes().to_vec();
        both.extend(everybodys.sha256.as_bytes());
        let rest = everybodys.plain.slice(OPEN.len().min(everybodys.plain.len())..);
        Self { head: head.into(), rest, gzip: OnceLock::new(), tags: tags(Sha256::of(&both)) }
    }

    /// Compresses the text, and the document of everybody it was made with, `everybodys`. The first time that takes a second
    /// for ten thousand computes; whoever asks meanwhile waits.
    pub fn gzip(&self, everybodys: &Representation) {
        self.gzip.get_or_init(|| {
            let shared = everybodys.zipped();
            let mut head = GZIP_HEAD.to_vec();
            head.extend(deflated(&self.head, false));
            let rest = shared.bytes.slice(shared.rest..shared.bytes.len() - GZIP_TAIL);
            [head.into(), rest, tail(&self.head, &shared.rest_crc).to_vec().into()]
        });
    }

    /// Bytes it takes beside the document of everybody, compressed or not yet.
    pub(super) fn own_bytes(&self) -> usize {
        2 * self.head.len()
    }
}

impl Sent for OwnRepresentation {
    fn tag(&self, is_compressed: bool) -> &Bytes {
        &self.tags[usize::from(is_compressed)]
    }

    fn pieces(&self) -> Vec<Bytes> {
        vec![self.head.clone(), self.rest.clone()]
    }

    fn compressed_pieces(&self) -> Option<Vec<Bytes>> {
        self.gzip.get().map(|pieces| pieces.to_vec())
    }
}

fn tags(sha256: Sha256) -> [Bytes; 2] {
    [format!("\"{sha256}\"").into(), format!("\"{sha256}-gzip\"").into()]
}

/// Deflated data that ends at a byte: the end of all, or where more may follow.
fn deflated(text: &[u8], is_end: bool) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("writing to memory does not fail");
    if is_end {
        return encoder.finish().expect("writing to memory does not fail");
    }
    encoder.flush().expect("writing to memory does not fail");
    std::mem::take(encoder.get_mut())
}

fn crc(text: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(text);
    crc
}

/// The end of a compressed text of two parts.
fn tail(head: &[u8], rest: &Crc) -> [u8; GZIP_TAIL] {
    let mut whole = crc(head);
    whole.combine(rest);
    let mut tail = [0; GZIP_TAIL];
    tail[..4].copy_from_slice(&whole.sum().to_le_bytes());
    // The length modulo 2^32, which is how it is counted.
    tail[4..].copy_from_slice(&whole.amount().to_le_bytes());
    tail
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{OPEN, OwnRepresentation, Representation, Sent};

    fn unzipped(pieces: &[super::Bytes]) -> String {
        let all = pieces.concat();
        let (mut text, mut decoder) = (String::new(), flate2::bufread::GzDecoder::new(&all[..]));
        decoder.read_to_string(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "one member, and nothing behind it");
        text
    }

    #[test]
    fn the_rest_of_a_document_is_in_memory_once_whatever_is_in_front() {
        for entries in ["", &"\n    \"a\": {},".repeat(5000)] {
            let public = Representation::of(format!("{OPEN}{entries}\n  }}\n}}\n"));
            let heads =
                [OPEN.to_owned(), format!("{OPEN}\n    \"secret\": {{}},"), format!("{OPEN}{entries}")];
            let mut tags = vec![public.tag(false).clone(), public.tag(true).clone()];
            for head in heads {
                let own = OwnRepresentation::new(head.clone(), &public);
                assert_eq!(own.compressed_pieces(), None);
                own.gzip(&public);
                let expected = format!("{head}{}", std::str::from_utf8(&public.plain[OPEN.len()..]).unwrap());
                assert_eq!(own.pieces().concat(), expected.as_bytes());
                let pieces = own.compressed_pieces().unwrap();
                assert_eq!(unzipped(&pieces), expected);
                let compressed = public.gzip();
                assert!(compressed.as_ptr_range().contains(&pieces[1].as_ptr()), "it is a part of that");
                assert!(public.plain.as_ptr_range().contains(&own.pieces()[1].as_ptr()));
                tags.extend([own.tag(false).clone(), own.tag(true).clone()]);
            }
            assert_eq!(unzipped(&[public.gzip().clone()]), std::str::from_utf8(&public.plain).unwrap());
            let distinct: std::collections::HashSet<_> = tags.iter().collect();
            assert!(distinct.len() >= tags.len() - 2, "{tags:?}");
        }
    }

    #[test]
    fn what_is_in_front_changes_the_tag_and_so_does_the_rest() {
        let [one, two] =
            ["a", "b"].map(|name| Representation::of(format!("{OPEN}\n    \"{name}\": {{}}\n  }}\n}}\n")));
        let own = |head: &str, public| OwnRepresentation::new(format!("{OPEN}{head}"), public);
        let all = [own("x", &one), own("y", &one), own("x", &two)].map(|own| own.tag(false).clone());
        assert!(all[0] != all[1] && all[0] != all[2]);
        assert_eq!(own("x", &one).tag(true), own("x", &one).tag(true));
    }
}
