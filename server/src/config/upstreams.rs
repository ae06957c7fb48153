//! The registries to mirror: `[[mirror.upstreams]]`, or one variable of the environment.
//!
//! Addresses are judged here only as far as their form goes; what they lead to is the business of `mirror`.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Millis, Whole};

/// What stands for the commit in an address.
pub const COMMIT: &str = "{commit}";

/// The registries to mirror, those to be believed first at the front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<UpstreamSettings>")]
pub struct Upstreams(Vec<UpstreamSettings>);

/// One registry to mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "hub.toml explains every field")]
pub struct UpstreamSettings {
    pub name: UpstreamName,
    pub url: String,
    #[serde(default)]
    pub commit_url: String,
    #[serde(default)]
    pub trust: Trust,
    #[serde(default = "hourly")]
    pub interval_ms: Millis,
    #[serde(default = "usual_requests")]
    pub max_requests_per_hour: Whole<1, 1_000_000>,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub token_file: PathBuf,
    #[serde(default)]
    pub token_env: String,
}

/// What it takes for a compute of an upstream to be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Its files have the announced digests and the structure of a program for their graph; where this hub knows the
    /// graph, the program is also made anew and must be the same.
    #[default]
    Checked,
    /// This hub knows the graph, has made the program anew, and it is the same.
    VerifiedOnly,
}

impl Trust {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::VerifiedOnly => "verified-only",
        }
    }

    /// The trust of a word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Checked, Self::VerifiedOnly].into_iter().find(|trust| trust.as_str() == word)
    }
}

/// The name of an upstream: 1 to 64 letters, digits, `.`, `_` and `-`, the first a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamName(String);

impl UpstreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<UpstreamName> for String {
    fn from(name: UpstreamName) -> Self {
        name.0
    }
}

impl TryFrom<String> for UpstreamName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_name = (1..=64).contains(&text.len())
            && text.bytes().all(known)
            && text.as_bytes()[0].is_ascii_alphanumeric();
        if is_name {
            return Ok(Self(text));
        }
        Err(format!(
            "an upstream is named by 1 to 64 letters, digits, '.', '_' and '-', the first a letter or a digit, not by \
             {text:?}"
        ))
    }
}

impl std::str::FromStr for UpstreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

/// A secret an upstream asks for. It is sent to that upstream, and shown to nobody.
#[derive(Clone)]
pub struct UpstreamToken(String);

impl UpstreamToken {
    /// The value of an `Authorization` header.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for UpstreamToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("UpstreamToken(…)")
    }
}

/// A token that is named by the settings and is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the token file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("the environment variable {0} with the token is not set")]
    Variable(String),
    /// What was found cannot be sent.
    #[error("the token of the upstream is empty or has other characters than printable ASCII without blanks")]
    Text,
}

impl UpstreamSettings {
    /// Whether the address is one of the web. All others are of this machine.
    pub fn is_web(&self) -> bool {
        is_web(&self.url)
    }

    /// Reads the token, if the settings name one; each time anew, so that it can be changed beside a running hub.
    ///
    /// # Errors
    /// When it is named and not there.
    pub fn token(&self) -> Result<Option<UpstreamToken>, TokenError> {
        let text = if !self.token_file.as_os_str().is_empty() {
            let path = &self.token_file;
            fs::read_to_string(path)
                .map_err(|source| TokenError::File { path: path.clone(), source })?
                .trim()
                .to_owned()
        } else if !self.token_env.is_empty() {
            std::env::var(&self.token_env).map_err(|_| TokenError::Variable(self.token_env.clone()))?
        } else {
            return Ok(None);
        };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Text);
        }
        Ok(Some(UpstreamToken(text)))
    }

    fn check(&self) -> Result<(), String> {
        let Self { name, url, commit_url, token_file, token_env, .. } = self;
        if url.is_empty() {
            return Err(format!("upstream {name}: url is empty"));
        }
        if url.contains(COMMIT) == commit_url.is_empty() {
            return Err(format!(
                "upstream {name}: {COMMIT} in url and commit_url belong together; give both or neither"
            ));
        }
        for (key, address) in [("url", url), ("commit_url", commit_url)] {
            let is_plain =
                |url: &Url| url.has_host() && url.username().is_empty() && url.password().is_none();
            let address = address.replace(COMMIT, "0");
            let is_wrong = is_web(&address) && !Url::parse(&address).is_ok_and(|url| is_plain(&url));
            if is_wrong || (key == "commit_url" && !address.is_empty() && !is_web(&address)) {
                return Err(format!(
                    "upstream {name}: {key} must be an http:// or https:// URL without user and password (a token \
                     goes into token_file or token_env)"
                ));
            }
        }
        if !token_file.as_os_str().is_empty() && !token_env.is_empty() {
            return Err(format!("upstream {name}: give token_file or token_env, not both"));
        }
        Ok(())
    }
}

/// Whether an address is one of the web.
pub fn is_web(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

impl Upstreams {
    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &UpstreamSettings> {
        self.0.iter()
    }

    /// The one of a name, and its place among all.
    pub fn find(&self, name: &str) -> Option<(usize, &UpstreamSettings)> {
        self.0.iter().enumerate().find(|(_, settings)| settings.name.as_str() == name)
    }

    /// What the variable of the environment says: `name=address` several times, with blanks between, or the TOML
    /// array of the settings file.
    pub(super) fn read_variable(text: &str) -> Option<toml::Value> {
        let text = text.trim();
        if text.starts_with('[') {
            return toml::from_str::<toml::Table>(&format!("upstreams = {text}")).ok()?.remove("upstreams");
        }
        let upstream = |pair: &str| {
            let (name, url) = pair.split_once('=')?;
            let entry = [("name", name), ("url", url)].map(|(key, text)| (key.to_owned(), text.into()));
            Some(toml::Value::Table(entry.into_iter().collect()))
        };
        text.split_whitespace().map(upstream).collect::<Option<Vec<_>>>().map(toml::Value::Array)
    }
}

impl TryFrom<Vec<UpstreamSettings>> for Upstreams {
    type Error = String;

    fn try_from(list: Vec<UpstreamSettings>) -> Result<Self, Self::Error> {
        let mut names = HashSet::new();
        for settings in &list {
            settings.check()?;
            if !names.insert(&settings.name) {
                return Err(format!("two upstreams are named {}", settings.name));
            }
        }
        Ok(Self(list))
    }
}

impl Default for Upstreams {
    /// The public registry.
    fn default() -> Self {
        Self(vec![UpstreamSettings {
            name: UpstreamName("phasic-traces".to_owned()),
            url: "https://raw.githubusercontent.com/munch-group/phasic-traces/{commit}/registry.json"
                .to_owned(),
            commit_url: "https://api.github.com/repos/munch-group/phasic-traces/git/ref/heads/master"
                .to_owned(),
            trust: Trust::Checked,
            interval_ms: hourly(),
            max_requests_per_hour: Whole::of::<50>(),
            enabled: true,
            token_file: PathBuf::new(),
            token_env: String::new(),
        }])
    }
}

fn hourly() -> Millis {
    Millis::of::<3_600_000>()
}

/// Requests an upstream is sent in an hour at most, where nothing else is said.
pub(crate) fn usual_requests() -> Whole<1, 1_000_000> {
    Whole::of::<3600>()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Flags};
    use super::Trust;

    fn with(variable: &str) -> Result<Config, String> {
        let environment = [("PHASIC_HUB_MIRROR_UPSTREAMS".to_owned(), variable.to_owned())];
        Config::load(&Flags::default(), environment).map_err(|error| error.to_string())
    }

    #[test]
    fn one_variable_names_all_upstreams_or_none() {
        assert_eq!(with("").unwrap().mirror.upstreams.iter().len(), 0);
        let config = with("lab=https://hub.lab.example archive=/srv/phasic-traces").unwrap();
        let (place, archive) = config.mirror.upstreams.find("archive").unwrap();
        assert_eq!((place, archive.url.as_str(), archive.is_web()), (1, "/srv/phasic-traces", false));
        assert_eq!(archive.trust, Trust::Checked);
        let config = with(r#"[{name = "a", url = "http://a", trust = "verified-only", interval_ms = 5}]"#);
        assert_eq!(config.unwrap().mirror.upstreams.find("a").unwrap().1.trust, Trust::VerifiedOnly);
    }

    #[test]
    fn upstreams_that_cannot_be_meant_are_refused_with_their_name() {
        for (variable, said) in [
            ("lab", "must be"),
            ("a=http://x a=http://y", "two upstreams are named a"),
            ("../a=http://x", "an upstream is named by"),
            ("a=", "url is empty"),
            ("a=http://user:secret@x/", "without user and password"),
            ("a=http://", "without user and password"),
            ("a=http://x/{commit}/registry.json", "belong together"),
            (r#"[{name = "a", url = "http://x", commit_url = "http://y"}]"#, "belong together"),
            (r#"[{name = "a", url = "http://x/{commit}", commit_url = "/tmp/x"}]"#, "commit_url must be"),
            (r#"[{name = "a", url = "http://x", token_env = "T", token_file = "t"}]"#, "not both"),
            (r#"[{name = "a", url = "http://x", interval_ms = 0}]"#, "out of range"),
            (r#"[{name = "a", url = "http://x", trust = "blind"}]"#, "verified-only"),
            (r#"[{name = "a", url = "http://x", colour = "red"}]"#, "colour"),
            (r#"[{url = "http://x"}]"#, "name"),
        ] {
            let error = with(variable).unwrap_err();
            assert!(error.contains(said), "{variable}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_token_is_read_from_its_file_and_shown_to_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let variable = format!(r#"[{{name = "a", url = "http://x", token_file = "{}"}}]"#, path.display());
        let config = with(&variable).unwrap();
        let settings = config.mirror.upstreams.find("a").unwrap().1;
        assert!(settings.token().unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&path, "hub_abc\n").unwrap();
        let token = settings.token().unwrap().unwrap();
        assert_eq!(token.bearer(), "Bearer hub_abc");
        assert!(!format!("{token:?}").contains("abc"));
        std::fs::write(&path, "two words").unwrap();
        assert!(settings.token().is_err());
    }
}
