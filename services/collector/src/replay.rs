//! `collector replay`: recorded frames through the state machines without any network, messages as lines of JSON on standard
//! output, what happened as a summary on standard error. What a replay is: the crate `marketprism-replay`.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use marketprism_core::{DataType, MarketType, Message, Timestamp};
use marketprism_recording::capture;
use marketprism_replay::{BooksAt, Format, JsonLines, Lane, Messages, ReplayError, ReplayOptions, Summary};
use marketprism_service::{Context, Report};

/// What `collector replay` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Files in their order; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whose format the files have
    #[arg(long, value_enum, default_value_t = FileFormat::Marketprism)]
    format: FileFormat,
    /// Exchange of the files, such as binance; of a recording of ours only this one's sessions
    #[arg(long, requires = "market", value_name = "EXCHANGE")]
    exchange: Option<String>,
    /// Market type: spot, perpetual, futures or options
    #[arg(long, requires = "exchange", value_name = "MARKET")]
    market: Option<MarketType>,
    /// Each file is a connection of its own, all at the same time: the same event from two of them is one message
    #[arg(long)]
    parallel: bool,
    /// Only these canonical symbols, such as BTC-USDT
    #[arg(long, value_delimiter = ',', value_name = "SYMBOL")]
    symbols: Vec<String>,
    /// Only these data types
    #[arg(long, value_delimiter = ',', value_name = "TYPE")]
    data_types: Vec<DataType>,
    /// The exchange's instrument list, as its REST answers it, for captures without one; may be given several times
    #[arg(long, value_name = "FILE")]
    instruments: Vec<PathBuf>,
    /// Which of Binance's trade streams is in the files: trade or aggTrade
    #[arg(long, value_name = "STREAM")]
    trade_stream: Option<String>,
    /// Levels per side in an order book; as recorded when absent, 100 of a capture
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    book_depth: Option<u32>,
    /// When order books come: updates, or an interval such as 1s; as recorded when absent, updates of a capture
    #[arg(long, value_name = "WHEN", value_parser = books_at)]
    at: Option<BooksAt>,
    /// Give out nothing of before this time, such as 2026-11-21T06:30:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Read nothing of after this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Instead of the messages the summary, as one JSON object
    #[arg(long)]
    stats: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FileFormat {
    /// What collector record writes
    Marketprism,
    /// hftbacktest: `<receive time, ns> <frame>`
    Hbt,
    /// cryptofeed: `<receive time, s>: <frame>`
    Cryptofeed,
}

/// Replays, and says how the process ends: 1 when something could not be read.
pub(crate) fn run(arguments: &ReplayArgs) -> ExitCode {
    let begun = Instant::now();
    let said = match replay(arguments) {
        Ok(summary) => {
            let rate = u128::from(summary.frames) * 1_000 / begun.elapsed().as_millis().max(1);
            format!("{summary}{rate} frames/s")
        }
        // Whoever reads the messages has had enough of them: `… | head`.
        Err(error) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads standard error, the exit code still says it.
            drop(writeln!(io::stderr(), "error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    drop(writeln!(io::stderr(), "{said}"));
    ExitCode::SUCCESS
}

fn replay(arguments: &ReplayArgs) -> Result<Summary, Report> {
    let lanes = match arguments.parallel {
        true => arguments.files.iter().map(|file| Lane(vec![file.clone()])).collect(),
        false => vec![Lane(arguments.files.clone())],
    };
    let options = arguments.options()?;
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    if arguments.stats {
        let summary = marketprism_replay::run(&lanes, &options, &mut Unwritten)?;
        serde_json::to_writer(&mut output, &summary)?;
        writeln!(output)?;
        output.flush()?;
        return Ok(summary);
    }
    let mut lines = JsonLines::new(output);
    let summary = marketprism_replay::run(&lanes, &options, &mut lines)?;
    lines.flush().map_err(ReplayError::Write)?;
    Ok(summary)
}

impl ReplayArgs {
    fn options(&self) -> Result<ReplayOptions, Report> {
        let read =
            |path: &PathBuf| std::fs::read(path).context(format_args!("failed to read {}", path.display()));
        Ok(ReplayOptions {
            market: self.exchange.clone().zip(self.market),
            symbols: self.symbols.clone(),
            data_types: self.data_types.clone(),
            instrument_lists: self.instruments.iter().map(read).collect::<Result<_, _>>()?,
            trade_stream: self.trade_stream.clone(),
            book_depth: self.book_depth,
            books_at: self.at,
            from: self.from,
            to: self.to,
            ..ReplayOptions::new(match self.format {
                FileFormat::Marketprism => Format::Marketprism,
                FileFormat::Hbt => Format::Capture(capture::Format::Hbt),
                FileFormat::Cryptofeed => Format::Capture(capture::Format::Cryptofeed),
            })
        })
    }
}

/// Where only the summary is wanted.
struct Unwritten;

impl Messages for Unwritten {
    fn take(&mut self, _: &Message<'_>) -> io::Result<()> {
        Ok(())
    }
}

fn is_broken_pipe(error: &Report) -> bool {
    matches!(error.cause().downcast_ref(), Some(ReplayError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe)
}

/// `updates` or `1s`.
fn books_at(text: &str) -> Result<BooksAt, String> {
    if text == "updates" {
        return Ok(BooksAt::Updates);
    }
    match humantime::parse_duration(text) {
        Ok(interval) => Ok(BooksAt::Interval(interval)),
        Err(error) => Err(format!("is neither `updates` nor an interval: {error}")),
    }
}

/// RFC 3339.
fn time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Timestamp::from_micros(time.as_microsecond()).ok_or_else(|| "is not between 1970 and 2200".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_and_intervals_are_read_and_others_refused() {
        assert_eq!(books_at("updates"), Ok(BooksAt::Updates));
        assert_eq!(books_at("250ms"), Ok(BooksAt::Interval(Duration::from_millis(250))));
        assert!(books_at("often").unwrap_err().contains("neither"));
        assert_eq!(time("2026-11-21T06:30:00.5Z").map(Timestamp::as_micros), Ok(1_795_242_600_500_000));
        assert!(time("1950-01-01T00:00:00Z").is_err());
        assert!(time("yesterday").is_err());
    }
}
