//! `collector --plan`: asks the exchanges for their lists, and prints which connections would be opened for what. It opens no
//! socket and publishes nothing.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table};
use marketprism_exchanges::registry::{self, Integration};
use marketprism_service::{CancellationToken, Context, Report};
use serde::Serialize;

use crate::Arguments;
use crate::config::{Config, ExchangeConfig};
use crate::door::too_many;
use crate::listing::Listing;
use crate::plan::{Planned, plan, sockets};
use crate::proxy::Way;
use crate::rest::{Hosts, Rest};
use crate::symbols::select;
use crate::tap::Tap;

/// Symbols of a connection shown in the table; JSON has all.
const SHOWN_MAX: usize = 4;
/// As of bad configuration: a symbol that is not listed is one.
const EXIT_UNLISTED: u8 = 64;

/// One connection as it is printed.
#[derive(Debug, Serialize)]
struct Line {
    exchange: &'static str,
    connection: String,
    /// Below the WebSocket base; absent where everything is polled by REST.
    path: Option<&'static str>,
    data_types: Vec<&'static str>,
    symbols: Vec<String>,
    streams: usize,
    streams_max: usize,
    sockets: u8,
    /// Until everything is subscribed, once connected.
    subscribe_seconds: u64,
}

/// Everything that is printed.
#[derive(Debug, Default, Serialize)]
struct Plans {
    connections: Vec<Line>,
    /// What cannot be had, by exchange; then the exit code is 64.
    unlisted: Vec<String>,
    /// Exchanges whose list cannot be read; then it is 1.
    unreachable: Vec<String>,
}

/// Prints the plans of every enabled exchange: 0 when all is well.
pub(crate) async fn run(
    config: Config,
    arguments: Arguments,
    stop: CancellationToken,
) -> Result<ExitCode, Report> {
    crate::install_tls();
    let Some(plans) = stop.run_until_cancelled(plans(&config)).await else { return Ok(ExitCode::FAILURE) };
    let plans = plans?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&plans).context("failed to write the plans as JSON")?
    } else {
        shown(&plans)
    };
    writeln!(std::io::stdout(), "{text}").context("failed to print")?;
    Ok(if !plans.unlisted.is_empty() {
        ExitCode::from(EXIT_UNLISTED)
    } else if plans.unreachable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn plans(config: &Config) -> Result<Plans, Report> {
    let (hosts, mut plans) = (Hosts::default(), Plans::default());
    for (id, exchange) in config.exchanges.iter().filter(|(_, exchange)| exchange.enabled) {
        let Some(integration) = registry::find(id) else { continue };
        let base = exchange.rest_url.as_deref().unwrap_or(integration.rest_url);
        let way = Way::new(exchange.proxy.as_ref().or(config.proxy.as_ref()));
        let rest = Rest::new(&hosts, base, integration, &way)?;
        let listing = Listing { integration, rest, tap: Tap::default() };
        match listing.read().await {
            Ok(listed) => {
                let selected = select(integration, exchange, &listed, &[].into());
                plans.unlisted.extend(selected.complaint(id));
                let planned = plan(integration, exchange, &selected.instruments, &[]);
                plans.unlisted.extend(too_many(integration, sockets(exchange, &planned)));
                plans.connections.extend(planned.into_iter().map(|one| line(integration, exchange, one)));
            }
            Err(error) => plans.unreachable.push(format!("{id}: {error}")),
        }
    }
    Ok(plans)
}

fn line(integration: &'static Integration, exchange: &ExchangeConfig, planned: Planned) -> Line {
    let streams = planned.streams(integration);
    let rate = integration.subscribe_rate;
    let requests = u32::try_from(streams.div_ceil(rate.streams.max(1))).unwrap_or(u32::MAX);
    let is_pushed = planned.path.is_some();
    let configured = exchange.streams_per_connection_max.unwrap_or(usize::MAX);
    Line {
        exchange: integration.id,
        connection: planned.name,
        path: planned.path,
        data_types: planned.data_types.iter().map(|data_type| data_type.as_str()).collect(),
        symbols: planned.instruments.into_iter().map(|instrument| instrument.symbol).collect(),
        streams,
        streams_max: integration.streams_per_connection_max.min(configured),
        sockets: if is_pushed { exchange.redundancy } else { 0 },
        subscribe_seconds: if is_pushed { rate.per.saturating_mul(requests).as_secs() } else { 0 },
    }
}

fn shown(plans: &Plans) -> String {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "exchange",
        "connection",
        "path",
        "sockets",
        "streams",
        "subscribed after",
        "data types",
        "symbols",
    ]);
    for line in &plans.connections {
        let Line { symbols, streams, streams_max, subscribe_seconds, .. } = line;
        let mut names: Vec<_> = symbols.iter().take(SHOWN_MAX).map(String::as_str).collect();
        let more = symbols.len() - names.len();
        let more = format!("and {more} more");
        if symbols.len() > names.len() {
            names.push(&more);
        }
        let is_pushed = line.path.is_some();
        let after = humantime::format_duration(Duration::from_secs(*subscribe_seconds)).to_string();
        table.add_row([
            line.exchange.to_owned(),
            line.connection.clone(),
            line.path.unwrap_or("REST").to_owned(),
            line.sockets.to_string(),
            if is_pushed { format!("{streams} of {streams_max}") } else { streams.to_string() },
            if is_pushed { after } else { "polled".to_owned() },
            line.data_types.join(" "),
            names.join(" "),
        ]);
    }
    let problems = plans.unlisted.iter().chain(&plans.unreachable);
    std::iter::once(table.to_string()).chain(problems.cloned()).collect::<Vec<_>>().join("\n")
}
