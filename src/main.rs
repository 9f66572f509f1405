//! The command `bulla`: API keys that verify themselves.

fn main() -> std::process::ExitCode {
    bulla_server::cli::run()
}
