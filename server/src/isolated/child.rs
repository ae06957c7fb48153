//! The other side: a process that does one piece of work and ends.

use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use phasic_engine::trace::Progress;
use phasic_hub_api::jobs::JobProgress;

use super::{Order, Said, Work};

/// The shortest time between two lines about progress.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What a process that was ended by its hub, or never had one, exits with; nobody is there to see it.
const ORPHANED: i32 = 3;

/// Reads an order from standard input, and writes what comes of it to standard output.
pub(crate) fn child() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let Order { work, input_bytes, address_space_bytes } =
        serde_json::from_str(&line).map_err(io::Error::other)?;
    drop(line);
    // Before there is another thread: an allocator reserves address space for each, as long as nothing forbids it.
    confine(address_space_bytes)?;
    let mut input = Vec::new();
    if io::stdin().take(input_bytes).read_to_end(&mut input)? as u64 != input_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    std::thread::Builder::new().stack_size(64 << 10).spawn(end_with_the_hub)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().map_err(io::Error::other)?;
    let mut told = Instant::now();
    let watch = |progress: Option<Progress>| {
        if let Some(Progress { vertices_done, vertices, commands, .. }) = progress
            && told.elapsed() > TELL_EVERY
        {
            told = Instant::now();
            // If nobody listens, the hub is gone, and this process soon will be.
            let _ = say(&Said::Progress(JobProgress { vertices_done, vertices, commands }), &[]);
        }
        ControlFlow::Continue(())
    };
    let made = match work {
        Work::Eliminate(task) => {
            task.perform(watch).map(|made| made.bytes).map_err(|error| error.to_string())
        }
        Work::Compare(comparison) => {
            comparison.perform_in_json(&input, watch).map_err(|error| error.to_string())
        }
    };
    match made {
        Ok(bytes) => {
            let (size_bytes, peak_memory_bytes) = (bytes.len() as u64, peak_memory_bytes());
            say(&Said::Result { size_bytes, peak_memory_bytes }, &bytes)
        }
        Err(reason) => say(&Said::Failed(reason), &[]),
    }
}

fn say(said: &Said, bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, said)?;
    out.write_all(b"\n")?;
    out.write_all(bytes)?;
    out.flush()
}

/// The most memory this process had at a time, where the operating system tells.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    peak_in(&status)
}

/// The peak of the resident set in a `status` of `/proc`, which counts it in units of 1024 bytes.
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Ends this process when its standard input ends.
fn end_with_the_hub() {
    let _ = io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(ORPHANED);
}

/// Takes no more memory than this, leaves no picture of it behind, and lets the hub go first.
#[cfg(unix)]
fn confine(address_space_bytes: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};
    let limit = |bytes| Rlimit { current: Some(bytes), maximum: Some(bytes) };
    setrlimit(Resource::Core, limit(0))?;
    // Some systems know no such limit; there the process is merely another one.
    if let Err(error) = setrlimit(Resource::As, limit(address_space_bytes))
        && cfg!(target_os = "linux")
    {
        return Err(error.into());
    }
    nice(crate::workers::NICENESS)?;
    Ok(())
}

#[cfg(not(unix))]
fn confine(_address_space_bytes: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::peak_in;

    #[test]
    fn the_peak_is_read_where_the_operating_system_writes_one() {
        assert_eq!(peak_in("Name:\tphasic-hub\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\n"), Some(1234 * 1024));
        for status in ["", "VmHWM:", "VmHWM:\t12 MB", "VmHWM:\t18446744073709551615 kB", "XVmHWM:\t1 kB"] {
            assert_eq!(peak_in(status), None, "{status:?}");
        }
    }
}
