//! Progress bars, on a terminal only; elsewhere standard error stays quiet.

use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use phasic_engine::progress::{Observer, Phase, Progress};

/// A bar that appears on a terminal and is gone when the work is.
#[derive(Clone)]
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar counting in `unit`; nothing is drawn unless standard error is a terminal.
    pub(crate) fn new(label: &'static str, unit: Unit) -> Self {
        let template = match unit {
            Unit::Vertices => "{msg} [{bar:30}] {pos}/{len} vertices, {eta} left",
            Unit::Bytes => "{msg} [{bar:30}] {bytes}/{total_bytes}, {bytes_per_sec}",
        };
        // A draw target on standard error is hidden by itself when that is not a terminal.
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    /// A sign of life and a clock, for work whose end cannot be told.
    pub(crate) fn spinning(label: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed} so far") {
            bar.set_style(style);
        }
        bar.set_message(label);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    pub(crate) fn set(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What a bar counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Vertices,
    Bytes,
}

impl Observer for Bar {
    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        match progress.phase {
            Phase::Elimination => {}
            Phase::Reading => self.bar.set_message("reading the plan"),
            Phase::Ordering => self.bar.set_message("ordering the graph"),
            Phase::Collecting => self.bar.set_message("collecting edges"),
            Phase::Filling => self.bar.set_message("finding what fills in"),
            // Lowering, and what is still to come.
            _ => self.bar.set_message("writing commands"),
        }
        self.set(progress.vertices_done, progress.vertices);
        ControlFlow::Continue(())
    }
}
