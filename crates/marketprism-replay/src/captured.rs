//! Plays a capture made by others: one session for everything in it. Each lane is one connection.

use std::collections::BTreeSet;

use marketprism_core::{DataType, Timestamp};
use marketprism_exchanges::registry::{Integration, SessionConfig};
use marketprism_recording::{Payload, Record, What};

use crate::answers::Unanswered;
use crate::catalogue::Catalogue;
use crate::error::ReplayError;
use crate::options::ReplayOptions;
use crate::output::Output;
use crate::player::Player;

/// The only socket that a lane of a capture has at once.
const SOCKET: u64 = 0;

/// A capture's session.
pub(crate) struct Captured<'o> {
    options: &'o ReplayOptions,
    catalogue: Catalogue,
    player: Player,
    /// Lanes whose socket is open.
    open: BTreeSet<usize>,
}

impl<'o> Captured<'o> {
    pub(crate) fn new(
        options: &'o ReplayOptions,
        integration: &'static Integration,
    ) -> Result<Self, ReplayError> {
        let market_type = options.market.as_ref().map_or_else(
            || integration.market_types.first().copied().unwrap_or(marketprism_core::MarketType::Spot),
            |(_, market_type)| *market_type,
        );
        let mut catalogue = Catalogue::new(integration, market_type);
        for list in &options.instrument_lists {
            catalogue.learn(list).map_err(ReplayError::Instruments)?;
        }
        let session_options = options.of_capture();
        // What is polled by REST is in no capture.
        let paths = (integration.paths)(integration.data_types, &session_options);
        let pushed = paths.into_iter().filter(|path| path.path.is_some()).flat_map(|path| path.data_types);
        let data_types: BTreeSet<DataType> = pushed.filter(|data_type| options.wants(*data_type)).collect();
        let session = (integration.open)(SessionConfig {
            // They join when a frame first names them.
            instruments: Vec::new(),
            data_types: data_types.into_iter().collect(),
            options: session_options,
            seeds: Vec::new(),
        });
        let player = Player::new(session, Unanswered::FailsUnlessBook);
        Ok(Self { options, catalogue, player, open: BTreeSet::new() })
    }

    pub(crate) fn play(&mut self, lane: usize, record: Record, out: &mut Output<'_>) {
        let Record { at, what, .. } = record;
        self.player.advance(at, out);
        match what {
            What::Opened { .. } => {
                // A capture does not say that the socket before this one was closed.
                self.player.closed((lane, SOCKET), at, out);
                self.opened(lane, at, out);
            }
            What::Frame { payload, .. } => {
                // Not every format says when a socket was opened.
                if !self.open.contains(&lane) {
                    self.opened(lane, at, out);
                }
                if let Payload::Text(text) = &payload
                    && self.catalogue.hear(text, |instrument| self.options.wants_symbol(&instrument.symbol))
                {
                    self.player.set_instruments(self.catalogue.heard(), at, out);
                }
                self.player.frame((lane, SOCKET), &payload, at, out);
            }
            What::Answer { path, body } if self.catalogue.is_list(&path) => {
                let learnt = self.catalogue.learn(&body);
                out.reject(learnt);
            }
            What::Answer { path, body } => self.player.answer(path, Ok(body), at, out),
            // In no capture, or nothing that the session did not do by itself.
            What::Session { .. }
            | What::Instruments(_)
            | What::Closed { .. }
            | What::Sent { .. }
            | What::Request { .. }
            | What::Failed { .. }
            | What::Dropped { .. } => {}
        }
    }

    fn opened(&mut self, lane: usize, at: Timestamp, out: &mut Output<'_>) {
        self.open.insert(lane);
        self.player.opened((lane, SOCKET), at, out);
    }

    /// A lane's files are over: so is its connection.
    pub(crate) fn lane_ends(&mut self, lane: usize, at: Timestamp, out: &mut Output<'_>) {
        if self.open.remove(&lane) {
            self.player.closed((lane, SOCKET), at, out);
        }
    }

    /// The capture is over.
    pub(crate) fn end(self, last: Timestamp, out: &mut Output<'_>) {
        self.player.end(last, out);
        // Captures hold no acknowledgements, or those of other requests: their sessions ask for sockets in vain.
        out.summary.reconnects.clear();
    }
}
