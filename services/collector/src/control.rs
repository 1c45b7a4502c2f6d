//! Orders that come over NATS as requests, `{control.subject}.{order}`: read, passed to the fleet, answered in JSON.

use marketprism_bus::Bus;
use marketprism_core::MarketType;
use marketprism_service::{CancellationToken, ConfigError, Context, Report};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// Orders waiting for the fleet, which obeys one at a time; NATS holds what comes meanwhile.
pub(crate) const ORDERS_MAX: usize = 1;

/// What an operator can ask for. Each name is the last token of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// `reload`: read the configuration file again.
    Reload,
    /// `resync`: build one book anew.
    Resync(Book),
    /// `subscribe`: take symbols besides, until the next reload.
    Subscribe(Symbols),
    /// `unsubscribe`: take symbols no longer, until the next reload.
    Unsubscribe(Symbols),
}

/// `{"exchange": "okx_swap", "market_type": "perpetual", "symbol": "BTC-USDT"}`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Book {
    /// Key below `exchanges` in the configuration.
    pub(crate) exchange: String,
    pub(crate) market_type: MarketType,
    /// Canonical symbol.
    pub(crate) symbol: String,
}

/// `{"exchange": "okx_swap", "symbols": ["SOL-USDT"]}`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Symbols {
    /// Key below `exchanges` in the configuration.
    pub(crate) exchange: String,
    /// Canonical names or patterns.
    pub(crate) symbols: Vec<String>,
}

/// Why an order is not obeyed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Declined {
    #[error("no order `{0}`; known: reload, resync, subscribe, unsubscribe")]
    UnknownOrder(String),
    #[error("the order cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("configuration error: {0}")]
    Configuration(#[from] ConfigError),
    #[error("{0}")]
    Unlisted(String),
    #[error("exchange `{exchange}` is not collected; collected: {collected}")]
    UnknownExchange { exchange: String, collected: String },
    #[error("exchange `{exchange}` keeps no order book of {market_type} {symbol}")]
    NoBook { exchange: String, market_type: MarketType, symbol: String },
    #[error("the collector is stopping")]
    Stopping,
}

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Result<Value, Declined>>,
}

impl Request {
    fn read(order: &str, payload: &[u8]) -> Result<Self, Declined> {
        match order {
            "reload" => Ok(Self::Reload),
            "resync" => Ok(Self::Resync(serde_json::from_slice(payload)?)),
            "subscribe" => Ok(Self::Subscribe(serde_json::from_slice(payload)?)),
            "unsubscribe" => Ok(Self::Unsubscribe(serde_json::from_slice(payload)?)),
            _ => Err(Declined::UnknownOrder(order.to_owned())),
        }
    }
}

/// Listens until told to stop.
pub(crate) async fn listen(
    bus: Bus,
    subject: String,
    fleet: mpsc::Sender<Asked>,
    stop: CancellationToken,
) -> Result<(), Report> {
    let mut requests = bus.requests(&format!("{subject}.*")).await.context("failed to listen for orders")?;
    while let Some(Some(request)) = stop.run_until_cancelled(requests.next()).await {
        let order = request.subject.rsplit('.').next().unwrap_or_default();
        let obeyed = obey(order, &request.payload, &fleet).await;
        match &obeyed {
            Ok(done) => tracing::info!(order, %done, "order obeyed"),
            Err(declined) => tracing::warn!(order, %declined, "order declined"),
        }
        let answer = match obeyed {
            Ok(done) => json!({ "ok": true, "done": done }),
            Err(declined) => json!({ "ok": false, "error": declined.to_string() }),
        };
        if let Err(error) = bus.answer(&request, answer.to_string().into()).await {
            tracing::warn!(order, %error, "the answer could not be sent");
        }
    }
    // The connection to the broker only ends with the collector.
    stop.cancelled().await;
    Ok(())
}

async fn obey(order: &str, payload: &[u8], fleet: &mpsc::Sender<Asked>) -> Result<Value, Declined> {
    let request = Request::read(order, payload)?;
    let (reply, answer) = oneshot::channel();
    fleet.send(Asked { request, reply }).await.map_err(|_| Declined::Stopping)?;
    answer.await.map_err(|_| Declined::Stopping)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_what_is_wrong_is_named() {
        let book = br#"{"exchange":"okx_swap","market_type":"perpetual","symbol":"BTC-USDT"}"#;
        assert!(matches!(Request::read("resync", book), Ok(Request::Resync(_))));
        assert_eq!(Request::read("reload", b"").unwrap(), Request::Reload);
        for (order, payload, named) in [
            ("restart", "", "restart"),
            ("resync", "", "EOF"),
            ("resync", r#"{"exchange":"x","market_type":"swap","symbol":"y"}"#, "swap"),
            ("subscribe", r#"{"exchange":"x","symbol":["y"]}"#, "symbol"),
        ] {
            let error = Request::read(order, payload.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
