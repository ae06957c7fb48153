//! Where an entry says its files are, and where we are willing to go.
//!
//! The operator names the upstream; an entry may only name places within it. phasic itself follows any URL, `file://`
//! too, which on a server would be somebody else's hand in our network and on our disk.

use url::Url;

/// A location that stays within the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Plain path segments below the directory of the registry document.
    Relative(Vec<String>),
    /// A URL. Whether it is at the origin of the upstream has been checked by [`Location::read`].
    SameOrigin(Url),
}

/// Why a location is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// Not a plain relative path.
    #[error(
        "the location {0:?} is not a plain relative path (segments of letters, digits, '.', '_' and '-', joined by '/')"
    )]
    Path(String),
    /// Not a URL.
    #[error("the location {0:?} is not a URL")]
    Url(String),
    /// A URL, of somewhere else.
    #[error("the location {location:?} is not at the upstream's own address {origin}")]
    Elsewhere {
        /// The location.
        location: String,
        /// The origin it should have.
        origin: String,
    },
}

/// Longer ones only fill logs.
const MAX_BYTES: usize = 2048;

impl Location {
    /// Reads the `cid_or_path` of an entry. `registry` is the address of the document; `None` for a directory, in which
    /// there are no URLs.
    ///
    /// # Errors
    /// When the location is not a plain relative path, nor an http(s) URL of the document's scheme, host and port.
    pub fn read(text: &str, registry: Option<&Url>) -> Result<Self, LocationError> {
        if text.contains("://") { Self::read_url(text, registry) } else { Self::read_path(text) }
    }

    fn read_path(text: &str) -> Result<Self, LocationError> {
        let plain = |segment: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(known)
        };
        let segments: Vec<_> = text.split('/').map(str::to_owned).collect();
        if text.len() > MAX_BYTES || !segments.iter().all(|segment| plain(segment)) {
            return Err(LocationError::Path(shorten(text)));
        }
        Ok(Self::Relative(segments))
    }

    fn read_url(text: &str, registry: Option<&Url>) -> Result<Self, LocationError> {
        // The parser of URLs repairs these silently, and two parsers may not agree on how.
        let suspicious = |character: char| {
            character.is_control() || character.is_whitespace() || character == '\\' || !character.is_ascii()
        };
        if text.len() > MAX_BYTES || text.contains(suspicious) {
            return Err(LocationError::Url(shorten(text)));
        }
        let url = Url::parse(text).map_err(|_| LocationError::Url(shorten(text)))?;
        let origin =
            registry.map_or_else(|| "(a directory)".to_owned(), |url| url.origin().ascii_serialization());
        let same = registry.is_some_and(|registry| {
            matches!(url.scheme(), "http" | "https")
                && url.origin() == registry.origin()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if !same {
            return Err(LocationError::Elsewhere { location: shorten(text), origin });
        }
        Ok(Self::SameOrigin(url))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}
