//! Writes `docs/reference` from the code, so that it cannot be wrong; `--check` says where it is.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "syntax trees have dozens of variants, and the rest is not ours to read"
)]

mod configuration;
mod metrics;
mod rust_source;
mod schemas;
mod subjects;
mod tables;

use std::path::PathBuf;

use crate::{Failure, workspace};

#[derive(Debug, clap::Args)]
pub(crate) struct DocsArgs {
    /// Change nothing; fail if anything would change
    #[arg(long)]
    pub(crate) check: bool,
}

/// One generated file.
struct Page {
    /// Below `docs/reference`.
    path: PathBuf,
    text: String,
}

pub(crate) fn run(args: &DocsArgs) -> Result<(), Failure> {
    let folder = workspace::root()?.join("docs/reference");
    let sources = rust_source::read()?;
    let mut pages = schemas::pages()?;
    pages.push(subjects::page());
    pages.push(tables::page()?);
    pages.push(metrics::page(&sources)?);
    pages.push(configuration::page(&sources)?);

    let mut stale = Vec::new();
    for page in pages {
        let path = folder.join(&page.path);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == page.text) {
            continue;
        }
        if !args.check {
            std::fs::create_dir_all(path.parent().ok_or("a page without a folder")?)?;
            std::fs::write(&path, page.text)?;
            println!("wrote docs/reference/{}", page.path.display());
        }
        stale.push(page.path.display().to_string());
    }
    if args.check && !stale.is_empty() {
        return Err(format!("not what the code says: {}; run `cargo xtask docs`", stale.join(", ")).into());
    }
    Ok(())
}

/// Text inside a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
