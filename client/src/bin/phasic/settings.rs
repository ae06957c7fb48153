//! Where the hub is, which token it gets, where the cache lies: flag, then environment, then file.
//!
//! Reading and merging settings only; using them is the commands' business.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use phasic_hub_client::cache::{ArtifactCache, DEFAULT_LOCK_TIMEOUT};
use serde::Deserialize;

use crate::arguments::Global;
use crate::failure::Failure;

/// Where `phasic-hub serve` listens unless told otherwise.
const DEFAULT_HUB: &str = "http://127.0.0.1:8787";

/// The merged settings.
#[derive(Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) hub_url: String,
    pub(crate) hub_token: Option<String>,
    /// `None`: phasic's own default place.
    pub(crate) cache_dir: Option<PathBuf>,
    pub(crate) lock_timeout: Duration,
}

/// `client.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hub_url: Option<String>,
    hub_token: Option<String>,
    cache_dir: Option<PathBuf>,
    lock_timeout_seconds: Option<u64>,
}

impl Settings {
    /// Merges the flags with the process environment and the settings file.
    pub(crate) fn gather(flags: &Global) -> Result<Self, Failure> {
        Self::merge(flags, |name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn merge(flags: &Global, environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let text = |name: &str| match environment(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => {
                Err(Failure::input(format!("the environment variable {name} is not valid UTF-8")))
            }
        };
        let path = environment("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".config")))
            .map(|folder| folder.join("phasic-hub").join("client.toml"));
        let file = path.map_or_else(|| Ok(File::default()), |path| read(&path))?;
        let lock_seconds = match text("PHASIC_HUB_LOCK_TIMEOUT")? {
            Some(given) => Some(given.trim().parse().map_err(|_| {
                Failure::input(format!(
                    "PHASIC_HUB_LOCK_TIMEOUT is '{given}'; it must be a whole number of seconds"
                ))
            })?),
            None => file.lock_timeout_seconds,
        };
        Ok(Self {
            hub_url: flags
                .hub
                .clone()
                .or(text("PHASIC_HUB_URL")?)
                .or(file.hub_url)
                .unwrap_or_else(|| DEFAULT_HUB.to_owned()),
            hub_token: flags.token.clone().or(text("PHASIC_HUB_TOKEN")?).or(file.hub_token),
            cache_dir: flags
                .cache_dir
                .clone()
                .or_else(|| environment("PHASIC_CACHE_DIR").map(PathBuf::from))
                .or(file.cache_dir),
            lock_timeout: lock_seconds.map_or(DEFAULT_LOCK_TIMEOUT, Duration::from_secs),
        })
    }

    /// The cache these settings name.
    pub(crate) fn cache(&self) -> Result<ArtifactCache, Failure> {
        let cache = match &self.cache_dir {
            Some(root) => ArtifactCache::at(root),
            None => ArtifactCache::from_environment().map_err(|error| Failure::input(error.to_string()))?,
        };
        Ok(cache.with_lock_timeout(self.lock_timeout))
    }
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => {
            return Err(Failure::input(format!(
                "cannot read the settings file '{}': {error}",
                path.display()
            )));
        }
    };
    toml::from_str(&text).map_err(|error| {
        Failure::input(format!(
            "the settings file '{}' cannot be used; it knows hub_url, hub_token, cache_dir and \
             lock_timeout_seconds\n{}",
            path.display(),
            error.to_string().trim_end()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(hub: Option<&str>) -> Global {
        Global { json: false, hub: hub.map(str::to_owned), token: None, cache_dir: None }
    }

    fn merged(flags: &Global, variables: &[(&str, &str)]) -> Result<Settings, Failure> {
        Settings::merge(flags, |wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_flag_beats_the_environment_and_the_environment_beats_the_file() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/phasic-hub");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            folder.join("client.toml"),
            "hub_url = 'http://file'\nhub_token = 'file'\nlock_timeout_seconds = 7",
        )
        .unwrap();
        let home = home.path().to_str().unwrap();
        let from_file = merged(&flags(None), &[("HOME", home)]).unwrap();
        assert_eq!(from_file.hub_url, "http://file");
        assert_eq!(from_file.hub_token.as_deref(), Some("file"));
        assert_eq!(from_file.lock_timeout, Duration::from_secs(7));
        let variables =
            [("HOME", home), ("PHASIC_HUB_URL", "http://variable"), ("PHASIC_HUB_LOCK_TIMEOUT", "9")];
        let from_environment = merged(&flags(None), &variables).unwrap();
        assert_eq!(from_environment.hub_url, "http://variable");
        assert_eq!(from_environment.lock_timeout, Duration::from_secs(9));
        assert_eq!(merged(&flags(Some("http://flag")), &variables).unwrap().hub_url, "http://flag");
    }

    #[test]
    fn nothing_set_means_the_local_hub() {
        let settings = merged(&flags(None), &[]).unwrap();
        assert_eq!(settings.hub_url, "http://127.0.0.1:8787");
        assert_eq!(settings.hub_token, None);
        assert_eq!(settings.cache_dir, None);
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused_with_its_name() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("phasic-hub");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("client.toml"), "hub_url = 'http://x'\nhub_tokn = 'y'").unwrap();
        let failure =
            merged(&flags(None), &[("XDG_CONFIG_HOME", home.path().to_str().unwrap())]).err().unwrap();
        assert_eq!(failure.exit_status(), 2);
        assert!(failure.to_string().contains("hub_tokn"), "{failure}");
    }
}
