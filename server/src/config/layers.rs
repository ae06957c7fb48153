//! Laying the layers over one another. Works on tables, so that every key takes part without being named here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Config, Upstreams};

/// Prefix of the variables that override settings.
const PREFIX: &str = "PHASIC_HUB_";

/// Variables with our prefix that belong to the client.
const CLIENT_VARIABLES: [&str; 2] = ["PHASIC_HUB_URL", "PHASIC_HUB_TOKEN"];

/// What the command line says; `None` leaves the lower layers in force.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the file to read.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--public-url`.
    pub public_url: Option<String>,
    /// `--offline`; `false` is silence.
    pub offline: bool,
    /// `--isolated`; `false` is silence.
    pub isolated: bool,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, has an unknown key or a wrong value.
    #[error("the settings file {} is wrong: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A variable that sets nothing.
    #[error("the environment variable {name} sets nothing; remove it or correct its name (see hub.toml)")]
    UnknownVariable {
        /// The variable.
        name: String,
    },
    /// A variable whose value has the wrong type.
    #[error("the environment variable {name} is {value:?}, and must be {expected}")]
    Variable {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A value from a variable or a flag that has the right type and is not allowed.
    #[error("a setting from the environment or the command line is wrong: {0}")]
    Value(Box<toml::de::Error>),
}

impl Config {
    /// Reads all layers: defaults, the file if one is named, `environment`, `flags`.
    ///
    /// `environment` is passed in, so that tests need not change that of the process; other variables are ignored.
    ///
    /// # Errors
    /// Names the file, variable or key that is wrong. Unknown keys and unknown `PHASIC_HUB_*` variables are errors.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match &flags.config {
            Some(path) => read_file(path)?,
            None => Table::new(),
        };
        lay_environment(&mut table, environment)?;
        lay_flags(&mut table, flags);
        table.try_into().map_err(|error| ConfigError::Value(Box::new(error)))
    }
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
    let wrong = |source| ConfigError::Toml { path: path.to_owned(), source: Box::new(source) };
    // Read as settings first: this is where a mistake is still known by line and column.
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str(&text).map_err(wrong)
}

fn lay_environment(
    table: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    let defaults = Table::try_from(Config::default()).expect("the defaults are a table");
    for (name, value) in environment {
        if !name.starts_with(PREFIX) || CLIENT_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let Some((section, key, default)) = find(&defaults, &name) else {
            return Err(ConfigError::UnknownVariable { name });
        };
        let value = parse_like(default, &value).ok_or_else(|| ConfigError::Variable {
            value: value.clone(),
            expected: describe(default),
            name,
        })?;
        place(table, section, key, value);
    }
    Ok(())
}

/// The section, key and default of the setting a variable names.
fn find<'a>(defaults: &'a Table, variable: &str) -> Option<(Option<&'a str>, &'a str, &'a Value)> {
    let names = |parts: &[&str]| variable.strip_prefix(PREFIX) == Some(&parts.join("_").to_ascii_uppercase());
    defaults.iter().find_map(|(key, value)| match value {
        Value::Table(section) => {
            let (name, value) = section.iter().find(|(name, _)| names(&[key, name]))?;
            Some((Some(key.as_str()), name.as_str(), value))
        }
        value => names(&[key]).then_some((None, key.as_str(), value)),
    })
}

fn parse_like(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        // The one list there is.
        Value::Array(_) => Upstreams::read_variable(text),
        _ => Some(Value::String(text.to_owned())),
    }
}

fn describe(default: &Value) -> &'static str {
    match default {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "name=address, several with blanks between, or a TOML array",
        _ => "a text",
    }
}

fn place(table: &mut Table, section: Option<&str>, key: &str, value: Value) {
    let target = match section {
        None => Some(table),
        Some(section) => table.entry(section).or_insert_with(|| Value::Table(Table::new())).as_table_mut(),
    };
    // A file whose section is no table has been refused before.
    if let Some(target) = target {
        target.insert(key.to_owned(), value);
    }
}

fn lay_flags(table: &mut Table, flags: &Flags) {
    let texts = [
        ("data_dir", flags.data_dir.as_ref().map(|path| path.display().to_string())),
        ("listen", flags.listen.map(|address| address.to_string())),
        ("public_url", flags.public_url.clone()),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            place(table, None, key, Value::String(text));
        }
    }
    if flags.offline {
        place(table, None, "offline", Value::Boolean(true));
    }
    if flags.isolated {
        place(table, Some("compute"), "isolated", Value::Boolean(true));
    }
}
