//! The command line: every command, flag and help text, as data.
//!
//! Nothing is done here; `main` hands each command to the module of its name.
#![expect(clippy::doc_markdown, reason = "the doc comments here are help texts, read on a terminal")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const ABOUT: &str = "Share prepared phase-type models through a hub.";

const AFTER_HELP: &str = "\
Settings: a flag, else the environment (PHASIC_HUB_URL, PHASIC_HUB_TOKEN, PHASIC_CACHE_DIR, PHASIC_HUB_LOCK_TIMEOUT
in seconds), else ~/.config/phasic-hub/client.toml (hub_url, hub_token, cache_dir, lock_timeout_seconds).

Exit status: 0 done; 1 a plain no (not registered); 2 wrong usage or unreadable input; 3 hub or network trouble;
4 verification failed, bytes refused.";

#[derive(Debug, Parser)]
#[command(name = "phasic", version, about = ABOUT, after_help = AFTER_HELP)]
#[command(propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Print machine-readable JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Address of the hub [default: http://127.0.0.1:8787]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) hub: Option<String>,
    /// Token for the hub; other users of this machine can see flags, so prefer PHASIC_HUB_TOKEN
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true)]
    pub(crate) token: Option<String>,
    /// Cache folder shared with phasic [default: ~/.phasic_cache]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the hub's computes
    List(ListArguments),
    /// Show one compute of the hub
    Show(ShowArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// Only computes of this domain, such as population-genetics
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Only computes of this type, such as coalescent
    #[arg(long, value_name = "TYPE")]
    pub(crate) model_type: Option<String>,
    /// Only computes with this tag; may be repeated, all must be there
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Only computes with this text in their id, description or tags
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArguments {
    /// Compute id or graph hash
    pub(crate) id: String,
}
