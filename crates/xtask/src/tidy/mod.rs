//! Rules no compiler knows. Every check returns what is wrong; none changes anything.

mod layers;
mod licences;
mod machine;
mod sources;

use crate::{Failure, workspace};

/// Runs every check and prints all problems, not only the first.
pub(crate) fn run() -> Result<(), Failure> {
    let metadata = workspace::metadata()?;
    let files = workspace::files()?;
    let sources = sources::read(&workspace::root()?, &files);
    println!("the ten largest Rust files:");
    for source in sources::largest(&sources) {
        println!("  {:4} {}", source.lines, source.path.display());
    }
    println!("crates in several versions: {}", licences::duplicates(&metadata).join(", "));

    let mut problems = layers::check(&metadata);
    problems.extend(sources::check(&sources));
    problems.extend(machine::check(&workspace::root()?, &files));
    problems.extend(licences::check(&metadata, &workspace::root()?)?);
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(format!("tidy found {count} problems").into()),
    }
}
