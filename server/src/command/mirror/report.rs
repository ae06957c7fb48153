//! What `phasic-hub mirror` prints. Words of an upstream are escaped: they cannot steer a terminal.

use std::fmt::Write as _;

use phasic_hub_api::mirror::{
    MirrorPass, MirrorPassDetail, MirrorStatus, PassOutcome, QuarantineItem, UpstreamStatus,
};

/// One pass with all it left out and changed.
pub(super) fn pass(detail: &MirrorPassDetail) -> String {
    let MirrorPassDetail { pass, faults, changes, .. } = detail;
    let mut text = head(pass);
    text.push('\n');
    for fault in faults {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "  {} {}", fault.code, fault.entry.escape_debug());
        if let Some(artifact) = &fault.artifact {
            let _ = write!(text, " {}", artifact.escape_debug());
        }
        let _ = writeln!(text, ": {}", fault.reason.escape_debug());
    }
    for change in changes {
        let _ = write!(text, "  {} {}", change.kind.as_str(), change.id);
        if let Some(previous) = &change.previous_id {
            let _ = write!(text, ", formerly {previous}");
        }
        text.push('\n');
    }
    text
}

fn head(pass: &MirrorPass) -> String {
    let place = pass.address.as_deref().unwrap_or(&pass.upstream);
    let mirrored = pass.mirrored.unwrap_or(0);
    match pass.outcome {
        PassOutcome::Done => format!(
            "{place}: {} entries, {mirrored} mirrored, {} notes, {} changes",
            pass.entries.unwrap_or(0),
            pass.fault_count,
            pass.change_count
        ),
        PassOutcome::Unmodified => format!("{place}: not modified, {mirrored} mirrored"),
        PassOutcome::Held | PassOutcome::Failed => format!(
            "{place}: {}, {}: {}",
            pass.outcome.as_str(),
            pass.error_code.as_deref().unwrap_or_default(),
            pass.error.as_deref().unwrap_or_default().escape_debug()
        ),
    }
}

/// A list of passes, one line each.
pub(super) fn passes(passes: &[MirrorPass]) -> String {
    let mut text = String::new();
    for pass in passes {
        let MirrorPass { number, upstream, finished_at, actor, .. } = pass;
        let requests = pass.requests.unwrap_or(0);
        let _ = writeln!(
            text,
            "{number} {upstream} at {finished_at} by {actor}, {requests} requests: {}",
            head(pass)
        );
    }
    if text.is_empty() { "There was no pass yet.\n".to_owned() } else { text }
}

/// All upstreams.
pub(super) fn status(status: &MirrorStatus) -> String {
    let mut text = String::new();
    if status.offline {
        text.push_str("This hub is offline by its settings: only directories are mirrored.\n");
    }
    if status.upstreams.is_empty() {
        text.push_str("Nothing is mirrored, and the settings name no upstream.\n");
    }
    for upstream in &status.upstreams {
        describe(&mut text, upstream);
    }
    text
}

fn describe(text: &mut String, upstream: &UpstreamStatus) {
    let UpstreamStatus { name, trust, computes, .. } = upstream;
    let how = match (upstream.configured, upstream.scheduled) {
        (true, true) => "",
        (true, false) => ", no passes by itself",
        (false, _) => ", not in the settings",
    };
    let _ = writeln!(text, "{name}: {computes} computes, trust {trust}{how}");
    if let Some(address) = &upstream.address {
        let _ = writeln!(text, "  address      {}", address.escape_debug());
    }
    if let Some(commit) = &upstream.commit {
        let _ = writeln!(text, "  commit       {commit}");
    }
    match &upstream.checked_at {
        Some(at) => {
            let seconds = upstream.lag_seconds.unwrap_or(0.0);
            let _ = writeln!(text, "  compared     at {at}, {seconds:.0} s ago");
        }
        None => text.push_str("  compared     never\n"),
    }
    if upstream.unfetched > 0 {
        let _ = writeln!(text, "  unfetched    {} that it names could not be had so far", upstream.unfetched);
    }
    if let Some(pass) = &upstream.last_pass {
        let _ = writeln!(text, "  last pass    {} at {}: {}", pass.number, pass.finished_at, head(pass));
    }
    if upstream.failures_in_a_row > 0 {
        let _ = writeln!(text, "  failures     {} in a row", upstream.failures_in_a_row);
    }
    if upstream.scheduled {
        let next = upstream.next_run_at.as_deref().unwrap_or("at once");
        let _ = writeln!(text, "  next pass    {next}");
    }
    if let Some(left) = upstream.requests_left {
        let _ = writeln!(text, "  requests     {left} left of this hour");
    }
    if upstream.alarms + upstream.quarantined > 0 {
        let _ = writeln!(
            text,
            "  undecided    {} alarms, {} in quarantine (phasic-hub mirror quarantine)",
            upstream.alarms, upstream.quarantined
        );
    }
}

/// One line of the quarantine.
pub(super) fn line(text: &mut String, item: &QuarantineItem) {
    let QuarantineItem { number, upstream, code, reason, found_at, .. } = item;
    let entry = item.entry.as_deref().unwrap_or("(the document)").escape_debug();
    let _ = write!(text, "{number} {upstream} {code} {entry}");
    if let Some(artifact) = &item.artifact {
        let _ = write!(text, " {}", artifact.escape_debug());
    }
    let _ = write!(text, ": {}; found at {found_at}", reason.escape_debug());
    if let (Some(decision), Some(by), Some(at)) = (item.decision, &item.decided_by, &item.decided_at) {
        let _ = write!(text, "; {decision}ed by {by} at {at}");
    }
    text.push('\n');
}
