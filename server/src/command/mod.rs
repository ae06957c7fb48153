//! The command line: what the words are, and what the exit status says.
//!
//! Standard output carries results only (the address, a token, a listing); everything else goes to standard error.
//! The work is done in the other rooms.

mod audit;
mod bundle;
mod compute;
mod keep;
mod logs;
mod mirror;
mod serve;
mod token;
mod upkeep;

use std::error::Error as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use phasic_hub_api::{IdPattern, Sha256};

use crate::auth::{NoRandomness, Scope};
use crate::bundle::BundleError;
use crate::config::{Config, ConfigError, Flags};
use crate::hub::DataError;
use crate::jobs::SubmitError;
use crate::mirror::MirrorError;
use crate::store::{ChainFault, StoreError};
use crate::upkeep::UpkeepError;
use crate::variants::VariantsError;

/// Keeps eliminations of phase-type graphs, verified, and serves them to phasic.
#[derive(Debug, Parser)]
// Options before a subcommand would be those of `serve`, and silently not meant.
#[command(name = "phasic-hub", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service (also what happens without a subcommand)
    Serve(ServeArgs),
    /// Copy an upstream registry
    #[command(subcommand)]
    Mirror(mirror::MirrorCommand),
    /// Take a registry to a place without any network, in one file
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Hide computes, retire them, and choose which program of theirs is served
    #[command(subcommand)]
    Compute(compute::ComputeCommand),
    /// Export and check the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Hash every blob again; quarantine what is rotten, and restore what can be restored
    Scrub {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Find, and with --remove remove, blobs that nobody refers to
    Gc {
        /// Leave alone what was stored within this time, such as 1d, 12h or 0; with --remove less than 1h only while no hub
        /// is running
        #[arg(long, value_name = "TIME", value_parser = grace, default_value = "1d")]
        grace: u64,
        /// Remove them; without, they are only listed
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Keep blobs, whoever else refers to them
    #[command(subcommand)]
    Pin(keep::PinCommand),
    /// Look at damaged files that were set aside
    #[command(subcommand)]
    Quarantine(keep::QuarantineCommand),
    /// Write database and blobs to one file, beside a running hub, and read it again
    Backup {
        /// The file; it must not be there yet
        file: PathBuf,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Make a data directory out of a backup
    Restore {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Print the API document (OpenAPI)
    Openapi,
    /// One elimination, for a hub with --isolated: reads what to do, and writes what comes of it
    #[command(hide = true)]
    Eliminate,
    /// One comparison of a file with a graph, in the same way
    #[command(hide = true)]
    Compare,
}

#[derive(Debug, Args)]
struct DataArgs {
    /// Settings file; every setting is explained in hub.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Open no connection to anybody
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Address clients use, when it is another one (a proxy, a name)
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Make each elimination of a job in a process of its own, with a limit on its memory
    #[arg(long)]
    isolated: bool,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it, once
    Create {
        /// What to call it
        #[arg(long)]
        name: String,
        /// What it allows: read, compute, publish or admin; may be repeated
        #[arg(long = "scope", required = true)]
        scopes: Vec<Scope>,
        /// Ids it is for, such as 'ourlab-*': it changes only those, and sees only those among what is private; may be
        /// repeated; all, if not given
        #[arg(long, value_name = "PATTERN")]
        ids: Vec<IdPattern>,
        /// When it expires: in a time such as 90d, 2w, 12h, 30m or 60s, or at the end of a day such as 2027-06-30 (UTC);
        /// never, if not given
        #[arg(long, value_name = "TIME|DATE", value_parser = expiry)]
        expires: Option<u64>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// List all tokens, without their secrets
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Revoke a token
    Revoke {
        /// Its id, as `token list` shows it
        id: String,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read all settings as the service would, and print those in force
    Check {
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Print all lines, one JSON object each
    Export {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Compute the digest of every line anew, and see that they form one chain
    Verify {
        /// A digest the log once ended with, noted elsewhere: it must still be in it
        #[arg(long, value_name = "SHA256")]
        head: Option<Sha256>,
        #[command(flatten)]
        data: DataArgs,
    },
}

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error(transparent)]
    Token(#[from] NoRandomness),
    #[error("a token of scope admin is for all ids; leave out --ids, or give other scopes")]
    AdminOfIds,
    #[error("cannot listen on {address}: {source}; choose another --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Uploads(#[from] crate::uploads::UploadError),
    #[error(transparent)]
    Jobs(#[from] SubmitError),
    #[error(transparent)]
    Variants(#[from] VariantsError),
    #[error("the elimination pool cannot be started: {0}")]
    Pool(#[from] rayon::ThreadPoolBuildError),
    #[error("log.filter {filter:?} is wrong: {reason}")]
    LogFilter { filter: String, reason: String },
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    #[error("{0}")]
    Nothing(String),
    #[error("the audit log is broken: {0}")]
    Audit(ChainFault),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("cannot do this: {0}")]
    Io(#[from] std::io::Error),
}

impl CommandError {
    /// 2 for what was asked wrongly, 3 for network and hub, 4 for refused bytes (`spec/cli.md`).
    fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::LogFilter { .. }
            | Self::AdminOfIds
            | Self::Nothing(_)
            | Self::Data(DataError::NoHub { .. }) => 2,
            Self::Audit(_) => 4,
            Self::Bundle(error) => error.exit_status(),
            Self::Upkeep(error) => error.exit_status(),
            Self::Mirror(error) => error.exit_status(),
            _ => 3,
        }
    }
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => block_on(serve::serve(cli.serve)),
        Some(Command::Serve(args)) => block_on(serve::serve(args)),
        Some(Command::Mirror(command)) => block_on(mirror::run(command)),
        Some(Command::Bundle(command)) => block_on(bundle::run(command)),
        Some(Command::Compute(command)) => block_on(compute::run(command)),
        Some(Command::Token(command)) => block_on(token::run(command)),
        Some(Command::Config(ConfigCommand::Check { data })) => upkeep::check(data),
        Some(Command::Scrub { data }) => block_on(upkeep::scrub(data)),
        Some(Command::Gc { grace, remove, data }) => block_on(upkeep::gc(grace, remove, data)),
        Some(Command::Pin(command)) => block_on(keep::pin(command)),
        Some(Command::Quarantine(command)) => block_on(keep::quarantine(command)),
        Some(Command::Backup { file, data }) => block_on(async move { upkeep::backup(&file, data).await }),
        Some(Command::Restore { file, data }) => block_on(async move { upkeep::restore(&file, data).await }),
        Some(Command::Audit(command)) => block_on(audit::run(command)),
        Some(Command::Eliminate | Command::Compare) => return crate::isolated::child(),
        Some(Command::Openapi) => print(&crate::http::api_document_json()).map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(status) => status,
        Err(error) => {
            let mut text = format!("phasic-hub: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "{}", in_letters(&text));
            ExitCode::from(error.exit_status())
        }
    }
}

/// A text without what a terminal would obey: errors repeat what was found in files from elsewhere.
fn in_letters(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' {
            letters.extend(letter.escape_default());
        } else {
            letters.push(letter);
        }
    }
    letters
}

type Outcome = Result<ExitCode, CommandError>;

fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Writes a result to standard output, now.
fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

impl DataArgs {
    fn flags(self) -> Flags {
        Flags { config: self.config, data_dir: self.data, offline: self.offline, ..Flags::default() }
    }

    fn load(self) -> Result<Config, CommandError> {
        load(&self.flags())
    }
}

impl ServeArgs {
    fn load(self) -> Result<Config, CommandError> {
        let Self { data, listen, public_url, isolated } = self;
        load(&Flags { listen, public_url, isolated, ..data.flags() })
    }
}

fn load(flags: &Flags) -> Result<Config, CommandError> {
    // Variables that are no Unicode cannot be ours: all our names and values are.
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let environment = environment.map(|(name, value)| (name, value.to_string_lossy().into_owned()));
    let config = Config::load(flags, environment)?;
    logs::start(&config.log)?;
    Ok(config)
}

/// As [`seconds`], and 0.
fn grace(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { seconds(text) }
}

/// The seconds of a time such as `90d`; a number alone is of days.
fn seconds(text: &str) -> Result<u64, String> {
    const LONGEST: u64 = 36_500 * 86_400;
    let (number, unit) = match text.chars().last() {
        Some('d') => (&text[..text.len() - 1], 86_400),
        Some('w') => (&text[..text.len() - 1], 7 * 86_400),
        Some('h') => (&text[..text.len() - 1], 3600),
        Some('m') => (&text[..text.len() - 1], 60),
        Some('s') => (&text[..text.len() - 1], 1),
        _ => (text, 86_400),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let reason = "write a number and w, d, h, m or s, such as 90d, up to 36500d";
    seconds.filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or_else(|| reason.to_owned())
}

/// The seconds of a time, or those until the end of a day in UTC, such as `2027-06-30`.
fn expiry(text: &str) -> Result<u64, String> {
    expiry_at(text, jiff::Timestamp::now())
}

fn expiry_at(text: &str, now: jiff::Timestamp) -> Result<u64, String> {
    let Ok(day) = text.parse::<jiff::civil::Date>() else {
        return seconds(text).map_err(|reason| format!("{reason}, or a day such as 2027-06-30"));
    };
    let end = day.tomorrow().and_then(|next| next.to_zoned(jiff::tz::TimeZone::UTC));
    let end = end.map_err(|error| error.to_string())?.timestamp();
    let left = end.as_second() - now.as_second();
    u64::try_from(left).ok().filter(|&left| left > 0).ok_or_else(|| format!("{text} is over"))
}

#[cfg(test)]
mod tests {
    use super::{expiry_at, seconds};

    #[test]
    fn a_token_may_expire_at_the_end_of_a_day() {
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        assert_eq!(expiry_at("2026-11-28", now), Ok(43_200), "today");
        assert_eq!(expiry_at("2027-11-27", now), Ok(43_200 + 364 * 86_400));
        assert_eq!(expiry_at("1h", now), Ok(3600));
        for wrong in ["2026-11-27", "2026-13-01", "tomorrow", "2026-11-28T12:00:00Z"] {
            assert!(expiry_at(wrong, now).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, expected) in
            [("90d", 7_776_000), ("2", 172_800), ("12h", 43_200), ("5m", 300), ("1s", 1), ("2w", 1_209_600)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for wrong in ["", "d", "0d", "-1d", "1y", "36501d", "99999999999999999999s", "1.5h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
