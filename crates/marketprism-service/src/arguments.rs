//! The command line: the flags every service has, and those of one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};

use crate::config::{LEGACY, LegacyVariable};
use crate::run::{Descriptor, EXIT_CONFIGURATION};

/// The flags of a service that has none of its own.
#[derive(Debug, Clone, Copy, Args)]
pub struct NoArgs;

/// The flags every service has.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    /// Configuration file (YAML); without it the defaults and the environment
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Print the effective configuration, secrets redacted, and exit: 0 if it is good, 64 if not
    #[arg(long)]
    pub(crate) check_config: bool,
}

/// What the command line says, or how the process ends because of it (`--help`, `--version`, a mistake).
pub(crate) fn parse<A: Args>(
    descriptor: &Descriptor,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(CommonArgs, A), ExitCode> {
    let command = A::augment_args(CommonArgs::augment_args(Command::new(descriptor.name)));
    // Last: the derived flags bring their struct's documentation along as a description.
    let command = command.about(descriptor.about).long_about(None).version(descriptor.version);
    let command = command.after_help(variables(descriptor));
    let parsed = command
        .try_get_matches_from(arguments)
        .and_then(|matches| Ok((CommonArgs::from_arg_matches(&matches)?, A::from_arg_matches(&matches)?)));
    parsed.map_err(|error| {
        let code = if error.use_stderr() { EXIT_CONFIGURATION } else { 0 };
        match error.print() {
            Ok(()) => ExitCode::from(code),
            Err(_) => ExitCode::FAILURE,
        }
    })
}

/// The variables of the environment, for `--help` and the reference.
fn variables(descriptor: &Descriptor) -> String {
    let mut text = "Variables: MARKETPRISM__SECTION__FIELD sets section.field, and".to_owned();
    for LegacyVariable { variable, key } in LEGACY.iter().chain(descriptor.legacy_env) {
        text.extend(["\n  ", variable, " sets ", key]);
    }
    text
}
