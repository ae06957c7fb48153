//! `phasic-hub mirror`: passes by hand, the state of the mirror, and decisions about what was refused.

mod report;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use phasic_hub_api::mirror::QuarantineDecision;

use super::{CommandError, DataArgs, Outcome, print};
use crate::config::{Config, Trust, UpstreamName, is_web};
use crate::hub::DataDirectory;
use crate::mirror::{self, AD_HOC_PLACE, Errand, MirrorError, Permissions, Upstream};
use crate::store::{Actor, Decided, UpstreamIdentity};
use crate::visibility::Viewer;

/// Lines of a list of the quarantine, read at a time.
const PAGE: i64 = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum MirrorCommand {
    /// Passes, now: read the upstream registries, check their artifacts, take over what is good, remove what is gone
    ///
    /// Computes that were mirrored and are no longer in the registry are removed and listed; those whose entry or file
    /// has become bad stay as they were. Addresses that carry a digest stay good in any case. A running hub on the same
    /// data directory shows the outcome within a second.
    Sync {
        /// Upstreams of the settings (mirror.upstreams); all that are enabled, if none is named
        #[arg(value_name = "NAME", conflicts_with = "from")]
        names: Vec<String>,
        /// An upstream that is not in the settings: a registry.json, or what it lies in, as http(s) URL or directory
        #[arg(long, value_name = "URL|DIR")]
        from: Option<String>,
        /// What to call that upstream
        #[arg(long = "as", value_name = "NAME", default_value = "manual", requires = "from")]
        name: UpstreamName,
        /// How far to trust that upstream: checked or verified-only
        #[arg(long, value_name = "TRUST", value_parser = trust, default_value = "checked", requires = "from")]
        trust: Trust,
        /// Mirror that upstream in place of the one of the same name, and remove whatever only the former has
        #[arg(long, requires = "from")]
        replace: bool,
        /// Allow an upstream to have removed or retracted more than 30 % of what is mirrored from it
        #[arg(long)]
        remove_many: bool,
        /// Read the documents again, even if they have not changed
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Every upstream: what is mirrored, since when, what fails, and when the next pass is due
    Status {
        /// As JSON, as GET /v1/mirror
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// The latest passes; or one, with all it left out and changed
    Passes {
        /// The number of a pass
        number: Option<i64>,
        /// Of this upstream only
        #[arg(long, value_name = "NAME", conflicts_with = "number")]
        upstream: Option<String>,
        /// How many
        #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[command(flatten)]
        data: DataArgs,
    },
    /// What was refused or is suspicious, and alarms
    Quarantine {
        /// Decided lines, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Take what is in a line of the quarantine, or acknowledge an alarm
    Accept {
        /// The number of the line
        number: i64,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Never take the bytes of a line of the quarantine, and withdraw them where they are served
    Reject {
        /// The number of the line
        number: i64,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Remove a line of the quarantine, and judge anew at the next pass
    Forget {
        /// The number of the line
        number: i64,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Forget an upstream, and remove all that was mirrored from it
    Drop {
        /// The upstream
        name: UpstreamName,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub(super) fn trust(word: &str) -> Result<Trust, String> {
    Trust::read(word).ok_or_else(|| "write checked or verified-only".to_owned())
}

pub(super) async fn run(command: MirrorCommand) -> Outcome {
    match command {
        MirrorCommand::Sync { names, from, name, trust, replace, remove_many, again, data } => {
            let config = data.load()?;
            let permissions = Permissions { replace, remove_many, read_again: again, keep_others: false };
            let errands = match from {
                Some(from) => vec![ad_hoc(&config, &from, &name, trust, permissions)?],
                None => configured(&config, &names, permissions)?,
            };
            sync(&config, &errands).await
        }
        MirrorCommand::Status { json, data } => status(json, data).await,
        MirrorCommand::Passes { number, upstream, limit, data } => {
            passes(number, upstream.as_deref(), limit, data).await
        }
        MirrorCommand::Quarantine { all, data } => quarantine(all, data).await,
        MirrorCommand::Accept { number, data } => decide(number, QuarantineDecision::Accept, data).await,
        MirrorCommand::Reject { number, data } => decide(number, QuarantineDecision::Reject, data).await,
        MirrorCommand::Forget { number, data } => decide(number, QuarantineDecision::Forget, data).await,
        MirrorCommand::Drop { name, data } => drop_upstream(&name, data).await,
    }
}

/// The errand of an upstream that is named here.
pub(super) fn ad_hoc(
    config: &Config,
    from: &str,
    name: &UpstreamName,
    trust: Trust,
    permissions: Permissions,
) -> Result<Errand, CommandError> {
    if config.mirror.upstreams.find(name.as_str()).is_some() {
        let reason =
            format!("{name} is an upstream of the settings, which say where it is; choose another --as");
        return Err(CommandError::Nothing(reason));
    }
    if config.offline && is_web(from) {
        return Err(MirrorError::Offline { upstream: from.to_owned() }.into());
    }
    let address = Upstream::address(from).map_err(MirrorError::from)?;
    let (name, place) = (name.to_string(), AD_HOC_PLACE);
    let upstream = UpstreamIdentity { name, address, trust: trust.as_str(), place };
    Ok(Errand {
        upstream,
        commit_url: String::new(),
        settings: None,
        trust,
        max_requests_per_hour: None,
        timing: None,
        permissions,
        actor: Actor::Operator,
    })
}

fn configured(
    config: &Config,
    names: &[String],
    permissions: Permissions,
) -> Result<Vec<Errand>, CommandError> {
    let enabled = config.mirror.upstreams.iter().filter(|settings| settings.enabled);
    let all: Vec<String> = enabled.map(|settings| settings.name.to_string()).collect();
    let names = if names.is_empty() { &all } else { names };
    if names.is_empty() {
        let reason = "the settings name no upstream that is enabled; name one with --from".to_owned();
        return Err(CommandError::Nothing(reason));
    }
    let errand = |name: &String| Errand::configured(&config.mirror, name, permissions, Actor::Operator);
    Ok(names.iter().map(errand).collect::<Result<_, _>>()?)
}

/// One pass each, in order; a hub that is not there yet is made of what they bring. One that fails does not stop the others; the status is that of the last failure.
pub(super) async fn sync(config: &Config, errands: &[Errand]) -> Outcome {
    let data = DataDirectory::open(&config.data_dir).await?.within(config.storage.max_bytes.get());
    let mut failure: Option<MirrorError> = None;
    for errand in errands {
        let ended = mirror::run(&data, config, errand).await;
        let error = match ended {
            Ok(ended) => {
                if ended.result.is_ok()
                    && let Some(pass) = data.store.pass(ended.number, None).await?
                {
                    print(&report::pass(&pass))?;
                }
                ended.result.err()
            }
            Err(error) => Some(error),
        };
        if let Some(before) = failure.take_if(|_| error.is_some()) {
            let _ = writeln!(std::io::stderr(), "phasic-hub: {before}");
        }
        failure = error.or(failure);
    }
    data.store.close().await;
    failure.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}

/// Status 1, a plain no, when there is nothing that is mirrored or could be.
async fn status(json: bool, data: DataArgs) -> Outcome {
    let config = data.load()?;
    let data = DataDirectory::existing(&config.data_dir).await?;
    let status = mirror::status(&data.store, &config, &Viewer::All, &|_| false).await?;
    data.store.close().await;
    if json {
        let text = serde_json::to_string_pretty(&status).map_err(std::io::Error::other)?;
        print(&format!("{text}\n"))?;
    } else {
        print(&report::status(&status))?;
    }
    Ok(if status.upstreams.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

async fn passes(number: Option<i64>, upstream: Option<&str>, limit: u32, data: DataArgs) -> Outcome {
    let data = DataDirectory::existing(&data.load()?.data_dir).await?;
    let text = match number {
        Some(number) => {
            let pass = data.store.pass(number, None).await?;
            pass.as_ref().map(report::pass)
        }
        None => Some(report::passes(&data.store.passes(upstream, None, limit, &Viewer::All).await?)),
    };
    data.store.close().await;
    let Some(text) = text else {
        return Err(CommandError::Nothing("there is no pass of this number, or no longer".to_owned()));
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn quarantine(all: bool, data: DataArgs) -> Outcome {
    let data = DataDirectory::existing(&data.load()?.data_dir).await?;
    let (mut text, mut after) = (String::new(), 0);
    loop {
        let items = data.store.quarantine(after, PAGE, all).await?;
        let Some(last) = items.last() else { break };
        after = last.number;
        for item in &items {
            report::line(&mut text, item);
        }
    }
    data.store.close().await;
    print(if text.is_empty() { "Nothing waits for a decision.\n" } else { &text })?;
    Ok(ExitCode::SUCCESS)
}

async fn decide(number: i64, decision: QuarantineDecision, data: DataArgs) -> Outcome {
    let data = DataDirectory::existing(&data.load()?.data_dir).await?;
    let decided = data.store.decide(number, decision, &Actor::Operator).await?;
    data.store.close().await;
    match decided {
        Decided::Done(item) => {
            let mut text = format!("{decision}: ");
            report::line(&mut text, &item);
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        Decided::Unknown => {
            Err(CommandError::Nothing(format!("nothing in quarantine has the number {number}")))
        }
        Decided::Impossible(item) => Err(CommandError::Nothing(format!(
            "{} cannot be accepted: the bytes are not what their entry says, or no artifact for its graph",
            item.code
        ))),
    }
}

async fn drop_upstream(name: &UpstreamName, data: DataArgs) -> Outcome {
    let config = data.load()?;
    let data = DataDirectory::existing(&config.data_dir).await?;
    // A pass under way would bring it back.
    let _lock = mirror::MirrorLock::take(&config.data_dir).await?;
    let dropped = data.store.drop_upstream(name.as_str(), &Actor::Operator).await?;
    data.store.close().await;
    let Some(computes) = dropped else {
        return Err(CommandError::Nothing(format!("nothing is mirrored as {name}")));
    };
    print(&format!("{name}: dropped, {computes} computes removed\n"))?;
    Ok(ExitCode::SUCCESS)
}
