//! The `phasic-hub` command.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    phasic_hub::command::run()
}
