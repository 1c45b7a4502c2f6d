//! The workspace as cargo and git see it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};

use crate::Failure;

/// The whole locked dependency graph.
pub(crate) fn metadata() -> Result<Metadata, Failure> {
    Ok(MetadataCommand::new()
        .features(CargoOpt::AllFeatures)
        .other_options(vec!["--locked".to_owned()])
        .exec()?)
}

/// The folder of the workspace: this crate is two folders below it.
pub(crate) fn root() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    Ok(root.ok_or("xtask is not two folders below the workspace")?.to_owned())
}

/// Every file git tracks or would track, relative to the root.
pub(crate) fn files() -> Result<Vec<PathBuf>, Failure> {
    let root = root()?;
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let listed = git.output()?;
    if !listed.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr)).into());
    }
    let names = String::from_utf8(listed.stdout)?;
    // A file that was deleted and not yet committed is still listed.
    Ok(names.split_terminator('\0').map(PathBuf::from).filter(|path| root.join(path).is_file()).collect())
}

/// The output of a command, or `None` where the tool is not there or fails.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
