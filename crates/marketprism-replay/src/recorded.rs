//! Plays our own recordings: they say which sessions there were and how they were configured.

use std::collections::BTreeMap;

use compact_str::CompactString;
use marketprism_core::{Instrument, Timestamp};
use marketprism_exchanges::FetchFailed;
use marketprism_exchanges::registry::{self, Integration, SessionConfig};
use marketprism_recording::{Record, What};

use crate::answers::Unanswered;
use crate::error::ReplayError;
use crate::options::ReplayOptions;
use crate::output::Output;
use crate::player::Player;

/// Every session of the recording that is asked for.
pub(crate) struct Recorded<'o> {
    options: &'o ReplayOptions,
    /// Only this integration.
    only: Option<&'static Integration>,
    /// By integration and connection. Bounded by the recorded collector's plan.
    players: BTreeMap<(CompactString, CompactString), (u64, Player)>,
}

impl<'o> Recorded<'o> {
    pub(crate) fn new(options: &'o ReplayOptions, only: Option<&'static Integration>) -> Self {
        Self { options, only, players: BTreeMap::new() }
    }

    pub(crate) fn play(
        &mut self,
        lane: usize,
        record: Record,
        out: &mut Output<'_>,
    ) -> Result<(), ReplayError> {
        let Record { at, integration, connection, what } = record;
        if self.only.is_some_and(|only| only.id != integration) {
            return Ok(());
        }
        let place = (integration, connection);
        if let What::Session { run, config } = &what {
            return self.begin(place, *run, config, at, out);
        }
        // Instrument lists are nobody's; a session that is not asked for has no player either.
        let Some((_, player)) = self.players.get_mut(&place) else { return Ok(()) };
        player.advance(at, out);
        match what {
            What::Instruments(list) => {
                let instruments = serde_json::from_str::<Vec<Instrument>>(&list)
                    .map_err(|source| unreadable(&place, source))?;
                let instruments = self.options.wanted(instruments);
                player.set_instruments(instruments, at, out);
            }
            // Told again at the start of each file.
            What::Opened { link } if player.is_open((lane, link)) => {}
            What::Opened { link } => player.opened((lane, link), at, out),
            What::Closed { link } => player.closed((lane, link), at, out),
            What::Frame { link, payload } => player.frame((lane, link), &payload, at, out),
            What::Answer { path, body } => player.answer(path, Ok(body), at, out),
            What::Failed { path, status, retry_after_seconds, reason } => {
                let failed = match status {
                    Some(status) => FetchFailed::Status { status, body: reason, retry_after_seconds },
                    None => FetchFailed::Transport(reason),
                };
                player.answer(path, Err(failed), at, out);
            }
            // The session asked then because its clock said so: let it ask now, and not at a tick after the answer.
            What::Request { .. } => player.tick(at, out),
            What::Session { .. } | What::Sent { .. } | What::Dropped { .. } => {}
        }
        Ok(())
    }

    fn begin(
        &mut self,
        place: (CompactString, CompactString),
        run: u64,
        config: &str,
        at: Timestamp,
        out: &mut Output<'_>,
    ) -> Result<(), ReplayError> {
        if self.players.get(&place).is_some_and(|(playing, _)| *playing == run) {
            return Ok(());
        }
        if let Some((_, player)) = self.players.remove(&place) {
            player.end(at, out);
        }
        let mut config: SessionConfig =
            serde_json::from_str(config).map_err(|source| unreadable(&place, source))?;
        let Some(integration) = registry::find(&place.0) else {
            return Err(ReplayError::UnknownIntegration(place.0.into_string()));
        };
        config.instruments = self.options.wanted(config.instruments);
        config.data_types.retain(|data_type| self.options.wants(*data_type));
        self.options.apply_to(&mut config.options);
        if !config.instruments.is_empty() && !config.data_types.is_empty() {
            let player = Player::new((integration.open)(config), Unanswered::Waits);
            self.players.insert(place, (run, player));
        }
        Ok(())
    }

    /// The recording is over.
    pub(crate) fn end(self, last: Timestamp, out: &mut Output<'_>) {
        for (_, (_, mut player)) in self.players {
            player.advance(last, out);
            player.end(last, out);
        }
    }
}

fn unreadable(
    (integration, connection): &(CompactString, CompactString),
    source: serde_json::Error,
) -> ReplayError {
    ReplayError::Session { place: format!("{integration} {connection}"), source }
}
