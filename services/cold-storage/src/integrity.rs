//! `cold-storage verify` and `cold-storage repair`: what `marketprism-integrity` finds, printed for people or as lines of JSON.
//! Both run beside the services.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use marketprism_bus::Bus;
use marketprism_core::DataType;
use marketprism_integrity::{Bound, Finding, Listener, Pipeline, Scope, repair, verify};
use marketprism_service::{CancellationToken, Context, Report};
use marketprism_store::range::Range;
use marketprism_store::{Store, Tier, table};

use crate::config::Config;

/// Findings of one kind that are printed one by one; the rest is counted. JSON has all.
const SHOWN_MAX: u64 = 20;
/// As of bad configuration: a range that cannot be.
const EXIT_ARGUMENTS: u8 = 64;

/// What to look at.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ScopeArgs {
    /// Only this table, such as trades; may be given several times
    #[arg(long = "table", value_name = "TABLE", value_parser = data_type)]
    tables: Vec<DataType>,
    /// First stream sequence, or first time of events such as 2026-11-21T06:30:00Z
    #[arg(long, value_name = "SEQUENCE|TIME")]
    from: Option<Bound>,
    /// Last stream sequence, or last time of events
    #[arg(long, value_name = "SEQUENCE|TIME")]
    to: Option<Bound>,
    /// Only this stream epoch
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
    /// A JSON object for each finding, all of them
    #[arg(long)]
    json: bool,
}

/// What `cold-storage repair` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Change nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Compares: 0 when nothing is wrong, 1 when something is.
pub(crate) async fn run_verify(
    config: Config,
    arguments: ScopeArgs,
    stop: CancellationToken,
) -> Result<ExitCode, Report> {
    let Some(scope) = scope(&arguments)? else { return Ok(ExitCode::from(EXIT_ARGUMENTS)) };
    let work = async {
        let pipeline = connect(&config).await?;
        let mut told = Printer::new(arguments.json);
        let findings = verify(&pipeline, &scope, &mut told).await?;
        told.finish(format_args!("{findings} findings"))?;
        Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    };
    stop.run_until_cancelled(work).await.unwrap_or(Ok(ExitCode::FAILURE))
}

/// Mends what can be proved: 0 when nothing is wrong any more, 1 when something is.
pub(crate) async fn run_repair(
    config: Config,
    arguments: RepairArgs,
    stop: CancellationToken,
) -> Result<ExitCode, Report> {
    let Some(scope) = scope(&arguments.scope)? else { return Ok(ExitCode::from(EXIT_ARGUMENTS)) };
    let work = async {
        let pipeline = connect(&config).await?;
        let mut told = Printer::new(arguments.scope.json);
        let done = repair(&pipeline, &scope, arguments.dry_run, &mut told).await?;
        let what = if arguments.dry_run { "would be repaired" } else { "repaired" };
        told.finish(format_args!("{} {what}, {} left", done.repaired, done.left))?;
        let is_clean = done.left == 0 && !(arguments.dry_run && done.repaired > 0);
        Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    };
    // Stopped in the middle of a row, it is there twice; the next repair mends that.
    stop.run_until_cancelled(work).await.unwrap_or(Ok(ExitCode::FAILURE))
}

/// `None` for a range that cannot be, which was told.
fn scope(arguments: &ScopeArgs) -> Result<Option<Scope>, Report> {
    let ScopeArgs { tables, from, to, epoch, .. } = arguments.clone();
    match Scope::new(tables, epoch, from, to) {
        Ok(scope) => Ok(Some(scope)),
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error}").context("failed to print")?;
            Ok(None)
        }
    }
}

async fn connect(config: &Config) -> Result<Pipeline, Report> {
    let (hot, cold) = (Store::new(config.hot.clone())?, Store::new(config.cold.clone())?);
    hot.find(Tier::Hot).await.context("failed to find the hot tier")?;
    cold.find(Tier::Cold).await.context("failed to find the cold tier")?;
    let bus = Bus::connect_within(&config.nats, "cold-storage integrity", config.wait.get()).await?;
    Ok(Pipeline { bus, hot, cold })
}

/// The data type of a table.
fn data_type(name: &str) -> Result<DataType, String> {
    let found = DataType::ALL.iter().copied().find(|data_type| table(*data_type) == name);
    found.ok_or_else(|| {
        let names: Vec<_> = DataType::ALL.iter().map(|data_type| table(*data_type)).collect();
        format!("is no table: {}", names.join(", "))
    })
}

/// Prints what is told, results on standard output, progress on standard error.
struct Printer {
    json: bool,
    bar: ProgressBar,
    /// How many of a kind there were.
    counts: BTreeMap<&'static str, u64>,
    failed: Option<std::io::Error>,
}

impl Printer {
    fn new(json: bool) -> Self {
        let bar = ProgressBar::no_length().with_style(ProgressStyle::default_spinner());
        let on_terminal = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        if json || !on_terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { json, bar, counts: BTreeMap::new(), failed: None }
    }

    fn line(&mut self, line: impl std::fmt::Display) {
        let printed = self.bar.suspend(|| writeln!(std::io::stdout(), "{line}"));
        self.failed = self.failed.take().or(printed.err());
    }

    fn told(&mut self, result: &str, finding: &Finding, more: &str) {
        if self.json {
            let mut object = serde_json::json!(finding);
            if let Some(object) = object.as_object_mut() {
                object.insert("result".to_owned(), result.into());
                object.insert("text".to_owned(), format!("{finding}{more}").into());
            }
            self.line(object);
            return;
        }
        let count = self.counts.entry(finding.trouble.kind()).or_default();
        *count += 1;
        if *count <= SHOWN_MAX {
            self.line(format_args!("{finding}{more}"));
        }
    }

    fn finish(mut self, summary: impl std::fmt::Display) -> Result<(), Report> {
        self.bar.finish_and_clear();
        if !self.json {
            for (kind, count) in std::mem::take(&mut self.counts) {
                if count > SHOWN_MAX {
                    self.line(format_args!("{kind}: {} more", count - SHOWN_MAX));
                }
            }
            self.line(summary);
        }
        self.failed.map_or(Ok(()), |error| Err(Report::from(error).context("failed to print")))
    }
}

impl Listener for Printer {
    fn found(&mut self, finding: &Finding) {
        self.told("found", finding, "");
    }

    fn progressed(&mut self, range: &Range) {
        let Range { data_type, stream_epoch, to_seq, .. } = range;
        self.bar
            .set_message(format!("{} compared up to {to_seq} of epoch {stream_epoch}", table(*data_type)));
        self.bar.tick();
    }

    fn repaired(&mut self, finding: &Finding, how: &str) {
        self.told("repaired", finding, &format!(": {how}"));
    }

    fn left(&mut self, finding: &Finding, why: &str) {
        self.told("left", finding, &format!(": left: {why}"));
    }
}
