//! `hot-storage dead-letters`: what could never be stored is listed, shown and, after a fix, published again. It needs the
//! broker only, runs beside the service, and never writes to the database: the service stores what it publishes.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use marketprism_bus::{Bus, DeadLetter};
use marketprism_core::{DataType, Timestamp, topology};
use marketprism_service::{CancellationToken, Context, Report};

use crate::config::Config;
use crate::lane::read;

/// Letters replayed in one go: they are in memory together, at most a message of 1 MiB each and usually a few hundred bytes.
const BATCH_LETTERS_MAX: usize = 500;

/// What `hot-storage dead-letters` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// List them, oldest first, a line each
    List {
        /// Only those of this stream, such as MARKET_DATA
        #[arg(long)]
        stream: Option<String>,
        /// Only those of this data type, such as trade
        #[arg(long, value_name = "TYPE")]
        data_type: Option<DataType>,
        /// Only those since a time, such as 2026-11-21T06:30:00Z, or for so long, such as 2h
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Timestamp>,
        /// A JSON object each, original bytes included
        #[arg(long)]
        json: bool,
    },
    /// Show one: reason, origin and original bytes
    Show {
        /// Its number, as listed
        sequence: u64,
        /// Nothing but the original bytes, as they are
        #[arg(long)]
        raw: bool,
    },
    /// Publish the original bytes again where this release can store them, and remove the letters: 0 if none is left, 1 else
    Replay {
        /// Their numbers, as listed
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        sequences: Vec<u64>,
        /// Every letter there is now
        #[arg(long)]
        all: bool,
        /// Change nothing; say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    config: Config,
    arguments: DeadLettersArgs,
    stop: CancellationToken,
) -> Result<ExitCode, Report> {
    let bus = Bus::connect_within(&config.nats, "hot-storage dead-letters", config.wait.get()).await?;
    let work = async {
        match arguments.command {
            Command::List { stream, data_type, since, json } => {
                list(&bus, stream.as_deref(), data_type, since, json).await
            }
            Command::Show { sequence, raw } => show(&bus, sequence, raw).await,
            Command::Replay { sequences, all, dry_run } => {
                let mut replay = Replay { bus: &bus, dry_run, done: 0, left: 0 };
                if all {
                    replay.all().await?;
                } else {
                    replay.some(&sequences).await?;
                }
                replay.summary()
            }
        }
    };
    // Stopped between two steps of a replay, the letter is still there, and replaying it again is safe.
    stop.run_until_cancelled(work).await.unwrap_or(Ok(ExitCode::FAILURE))
}

async fn list(
    bus: &Bus,
    stream: Option<&str>,
    data_type: Option<DataType>,
    since: Option<Timestamp>,
    json: bool,
) -> Result<ExitCode, Report> {
    let mut letters = bus.dead_letters(stream).await?;
    let mut listed = 0_u64;
    while let Some(letter) = letters.next().await? {
        let is_of_type = |data_type: DataType| letter.subject.split('.').next() == Some(data_type.as_str());
        if since.is_some_and(|since| letter.stored_us < since.as_micros())
            || data_type.is_some_and(|data_type| !is_of_type(data_type))
        {
            continue;
        }
        listed += 1;
        if json {
            print(as_json(&letter))?;
        } else {
            let DeadLetter { sequence, subject, reason, .. } = &letter;
            print(format_args!("{sequence}  {}  {subject}  {reason}", time(&letter)))?;
        }
    }
    if !json {
        print(format_args!("{listed} dead letters"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(bus: &Bus, sequence: u64, raw: bool) -> Result<ExitCode, Report> {
    let Some(letter) = bus.dead_letter_at(sequence).await? else {
        return Err(Report::message(format!("there is no dead letter {sequence}")));
    };
    if raw {
        std::io::stdout().write_all(&letter.payload).context("failed to print")?;
        return Ok(ExitCode::SUCCESS);
    }
    let DeadLetter { reason, subject, stream, stream_sequence, delivered, payload, truncated_from, .. } =
        &letter;
    print(format_args!("letter     {sequence}, since {}", time(&letter)))?;
    print(format_args!("reason     {reason}"))?;
    print(format_args!(
        "message    {stream_sequence} of {stream} on {subject}, delivered {delivered} times"
    ))?;
    match read(&letter.subject, &letter.payload) {
        Ok(_) => print("replay     this release can store it")?,
        Err(error) => print(format_args!("replay     refused: {error}"))?,
    }
    let (kind, text) = match std::str::from_utf8(payload) {
        Ok(text) => ("UTF-8", text.to_owned()),
        Err(_) => ("not UTF-8, escaped here, as it is with --raw", payload.escape_ascii().to_string()),
    };
    let of = truncated_from.map_or(String::new(), |bytes| format!(" of {bytes}, the rest did not fit"));
    print(format_args!("payload    {} bytes{of}, {kind}:\n{text}", payload.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// A replay and what came of it.
struct Replay<'a> {
    bus: &'a Bus,
    dry_run: bool,
    done: u64,
    left: u64,
}

impl Replay<'_> {
    async fn some(&mut self, sequences: &[u64]) -> Result<(), Report> {
        for some in sequences.chunks(BATCH_LETTERS_MAX) {
            let mut letters = Vec::with_capacity(some.len());
            for sequence in some {
                match self.bus.dead_letter_at(*sequence).await? {
                    Some(letter) => letters.push(letter),
                    None => self.leave(*sequence, "there is no such dead letter")?,
                }
            }
            self.batch(letters).await?;
        }
        Ok(())
    }

    /// Those there are now: one that is refused again by the service becomes a new letter behind them.
    async fn all(&mut self) -> Result<(), Report> {
        let last = self.bus.stream_state(topology::DEAD_LETTER).await?.last_sequence;
        let mut letters = self.bus.dead_letters(None).await?;
        let mut batch = Vec::new();
        while let Some(letter) = letters.next().await?.filter(|letter| letter.sequence <= last) {
            batch.push(letter);
            if batch.len() >= BATCH_LETTERS_MAX {
                self.batch(std::mem::take(&mut batch)).await?;
            }
        }
        self.batch(batch).await
    }

    async fn batch(&mut self, letters: Vec<DeadLetter>) -> Result<(), Report> {
        let mut good = Vec::with_capacity(letters.len());
        for letter in letters {
            match read(&letter.subject, &letter.payload) {
                Ok(_) => good.push(letter),
                Err(error) => self.leave(letter.sequence, &error.to_string())?,
            }
        }
        if self.dry_run {
            self.done += good.len() as u64;
            return good.iter().try_for_each(|letter| {
                print(format_args!("{}: would be published again on {}", letter.sequence, letter.subject))
            });
        }
        let before = self.bus.replayed_before(&good).await?;
        for letter in good {
            let already = before.get(&letter.sequence).copied();
            let replayed = self.bus.replay_dead_letter(&letter, already).await?;
            self.done += 1;
            let how = if already.is_some() { "was published again before, as" } else { "published again as" };
            print(format_args!("{}: {how} message {replayed} on {}", letter.sequence, letter.subject))?;
        }
        Ok(())
    }

    fn leave(&mut self, sequence: u64, why: &str) -> Result<(), Report> {
        self.left += 1;
        print(format_args!("{sequence}: left: {why}"))
    }

    fn summary(&self) -> Result<ExitCode, Report> {
        let Self { dry_run, done, left, .. } = self;
        let what = if *dry_run { "would be published again" } else { "published again" };
        print(format_args!("{done} {what}, {left} left"))?;
        Ok(if *left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_json(letter: &DeadLetter) -> serde_json::Value {
    let text = std::str::from_utf8(&letter.payload);
    serde_json::json!({
        "sequence": letter.sequence,
        "stored_at": time(letter),
        "reason": letter.reason,
        "subject": letter.subject,
        "stream": letter.stream,
        "stream_sequence": letter.stream_sequence,
        "delivered": letter.delivered,
        "truncated_from": letter.truncated_from,
        "payload": text.ok(),
        "payload_base64": text.is_err().then(|| STANDARD.encode(&letter.payload)),
    })
}

fn time(letter: &DeadLetter) -> String {
    Timestamp::from_micros(letter.stored_us).map(|time| time.to_string()).unwrap_or_default()
}

fn print(line: impl std::fmt::Display) -> Result<(), Report> {
    writeln!(std::io::stdout(), "{line}").context("failed to print")
}

/// A time, or so long before now.
fn since(text: &str) -> Result<Timestamp, String> {
    let Ok(ago) = humantime::parse_duration(text) else {
        return text.parse().map_err(|error: marketprism_core::TimestampError| error.to_string());
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(now.saturating_sub(ago).min(Duration::MAX).as_micros());
    micros.ok().and_then(Timestamp::from_micros).ok_or_else(|| format!("`{text}` is too long"))
}
