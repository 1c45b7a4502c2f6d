//! What the pieces and the whole cost, measured in one run on one machine: one table, with the broker's and the
//! engine's own limits of the same run beside. `docs/benchmarks.md` says what each row means.

mod decoders;
mod input;
mod machine;
mod pieces;
mod pipeline;
mod storage;
mod table;

use crate::{Failure, workspace};

/// Frames per stream that the decoders are measured on.
const FRAMES: &str = "50000";

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Shorter runs and fewer rounds: to see that it works, not to compare
    #[arg(long)]
    quick: bool,
    /// Print the result as one JSON object on the last line, too
    #[arg(long)]
    json: bool,
    /// Messages a second of the pipeline's runs; 10000 and 20000 when absent
    #[arg(long, value_name = "RATE", value_delimiter = ',')]
    rates: Vec<u64>,
    /// Folder of the input's generator, gen.py
    #[arg(long, env = "MARKETPRISM_BENCH", value_name = "FOLDER")]
    input: Option<std::path::PathBuf>,
    /// Only this; without it everything but footprint and soak
    #[command(subcommand)]
    part: Option<Part>,
}

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
enum Part {
    /// Frames to messages and books, one thread
    Decoders,
    /// JetStream to the hot and on to the cold tier, beside the broker's and the engine's own rates
    Storage,
    /// Memory, processor time and descriptors of a collector of three exchanges with fifty symbols each, over a minute; fails
    /// when memory is above its target
    Footprint {
        /// What the exchanges send
        #[arg(default_value_t = 20_000)]
        messages_per_second: u64,
    },
    /// Sockets, descriptors, tasks and memory of a collector over forced reconnects; fails when they grow
    Soak {
        /// How many
        #[arg(default_value_t = 10_000)]
        reconnects: u64,
    },
}

pub(crate) fn run(args: &BenchArgs) -> Result<(), Failure> {
    let root = workspace::root()?;
    pieces::build(&root)?;
    let programs = workspace::metadata()?.target_directory.into_std_path_buf().join("release");
    match args.part {
        Some(Part::Footprint { messages_per_second }) => {
            return watch(&programs, "footprint", messages_per_second);
        }
        Some(Part::Soak { reconnects }) => return watch(&programs, "reconnect_soak", reconnects),
        Some(Part::Decoders | Part::Storage) | None => {}
    }
    let scratch = programs.with_file_name("bench");
    let machine = machine::Machine::now();
    let everything = args.part.is_none();
    let mut rows = Vec::new();
    if everything || args.part == Some(Part::Decoders) {
        let generator = args.input.clone().unwrap_or_else(|| root.join("../shared/bench"));
        match input::generate(&generator, &scratch)? {
            Some(data) => rows.extend(decoders::run(&programs, &data, args.quick)?),
            None => println!("decoders left out: no gen.py in {} (MARKETPRISM_BENCH)", generator.display()),
        }
    }
    if everything {
        rows.extend(pieces::publisher(&programs, args.quick)?);
        rows.extend(pieces::inserts(&programs, &scratch)?);
    }
    if everything || args.part == Some(Part::Storage) {
        rows.extend(storage::run(&programs, args.quick)?);
    }
    if everything {
        let rates: &[u64] = if args.rates.is_empty() { &[10_000, 20_000] } else { &args.rates };
        for rate in rates {
            rows.extend(pipeline::run(&programs, &scratch, *rate, args.quick)?);
        }
    }
    println!("{machine}\n{}", table::text(&rows));
    if args.json {
        println!("{}", serde_json::json!({ "machine": machine, "rows": rows }));
    }
    Ok(())
}

/// Runs an example and shows its figures as they come: it takes minutes.
fn watch(programs: &std::path::Path, example: &str, argument: u64) -> Result<(), Failure> {
    let mut command = std::process::Command::new(programs.join("examples").join(example));
    let status = command.arg(argument.to_string()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}
