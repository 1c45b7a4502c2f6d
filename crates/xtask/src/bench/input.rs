//! The decoders' input: frames from the generator that others were measured with, too. Kept between runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::FRAMES;
use crate::Failure;

/// The folder of the frames; `None` where the generator is not there.
pub(crate) fn generate(generator: &Path, scratch: &Path) -> Result<Option<PathBuf>, Failure> {
    let script = generator.join("gen.py");
    if !script.is_file() {
        return Ok(None);
    }
    fs::create_dir_all(scratch)?;
    let (copy, data, done) = (scratch.join("gen.py"), scratch.join("data"), scratch.join("data.done"));
    let same = done.is_file() && fs::read(&script)? == fs::read(&copy).unwrap_or_default();
    if !same {
        println!("generating {FRAMES} frames per stream");
        // It writes beside itself, where we may not write.
        fs::copy(&script, &copy)?;
        let status = Command::new("python3").arg(&copy).arg(FRAMES).status()?;
        if !status.success() {
            return Err(format!("{} ended with {status}", script.display()).into());
        }
        fs::write(&done, FRAMES)?;
    }
    Ok(Some(data))
}
