//! Writes `docs/reference` and the dashboards from the code, so that they cannot be wrong; `--check` says where they are.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "syntax trees have dozens of variants, and the rest is not ours to read"
)]

mod configuration;
mod dashboards;
mod metrics;
mod openapi;
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
    /// Below the folder of its kind.
    path: PathBuf,
    text: String,
}

pub(crate) fn run(args: &DocsArgs) -> Result<(), Failure> {
    let sources = rust_source::read()?;
    let mut reference = schemas::pages()?;
    reference.push(subjects::page());
    reference.push(tables::page()?);
    reference.push(metrics::page(&sources)?);
    reference.push(configuration::page(&sources)?);
    reference.push(openapi::page()?);

    let mut stale = Vec::new();
    for (folder, pages) in
        [("docs/reference", reference), ("deploy/grafana/dashboards", dashboards::pages()?)]
    {
        for page in pages {
            let path = workspace::root()?.join(folder).join(&page.path);
            if std::fs::read_to_string(&path).is_ok_and(|text| text == page.text) {
                continue;
            }
            let name = format!("{folder}/{}", page.path.display());
            if !args.check {
                std::fs::create_dir_all(path.parent().ok_or("a page without a folder")?)?;
                std::fs::write(&path, page.text)?;
                println!("wrote {name}");
            }
            stale.push(name);
        }
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
