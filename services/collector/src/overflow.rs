//! Between one connection and the queue to the publisher: nothing here waits, so that a socket is read whatever the broker
//! does.
//!
//! What the queue has no room for waits here, in order and bounded, and the connection's books are held meanwhile
//! (see [`Overflow::is_behind`]). When the overflow is full, messages are shed until half of it is free again; then a `gap`
//! for each stream says what is missing. Liquidations and gaps have a reserve; a gap that finds no place even there
//! is merged into the one that is declared later.

use std::collections::{BTreeMap, VecDeque};

use marketprism_core::message::{Gap, Origin};
use marketprism_core::{DataType, GapReason, Instrument, MarketType, Message, Source, Timestamp};

use crate::queue::{Queue, QueuesConfig, Timed};
use crate::sequence;

/// Places kept for liquidations and gaps beyond what others may fill.
const RESERVE_PERCENT: usize = 10;

/// The way of one connection's messages to the queue.
#[derive(Debug)]
pub(crate) struct Overflow {
    queue: Queue,
    waiting: VecDeque<Timed>,
    waiting_bytes: usize,
    messages_max: usize,
    bytes_max: usize,
    is_shedding: bool,
    /// Bounded by the connection's streams.
    shed: BTreeMap<StreamKey, Shed>,
}

/// A stream: what a gap is declared for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct StreamKey {
    data_type: DataType,
    market_type: MarketType,
    symbol: String,
}

/// What was shed of one stream.
#[derive(Debug)]
pub(crate) struct Shed {
    instrument: Instrument,
    data_type: DataType,
    messages: u64,
    /// First and last missing id.
    ids: Option<(u64, u64)>,
    first_event: Timestamp,
    last_event: Timestamp,
}

impl Shed {
    /// The message that declares it; `now` is when that is said.
    pub(crate) fn gap(&self, now: Timestamp) -> Gap<'_> {
        let detail = format!("{} messages shed: the broker did not take them in time", self.messages);
        Gap::new(
            Origin { instrument: &self.instrument, received: now, source: Source::Ws },
            now,
            self.data_type,
            self.ids.map(|(from, _)| from),
            self.ids.map(|(_, to)| to),
            Some(self.first_event),
            Some(self.last_event),
            GapReason::Shed,
            0,
            Some(detail.into()),
        )
    }
}

impl Overflow {
    pub(crate) const fn new(queue: Queue, config: &QueuesConfig) -> Self {
        Self {
            queue,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            messages_max: config.overflow_messages_max,
            bytes_max: config.overflow_bytes_max,
            is_shedding: false,
            shed: BTreeMap::new(),
        }
    }

    /// Whether messages wait for the queue.
    pub(crate) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Messages waiting for the queue.
    pub(crate) fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is a place for `message`; where there is none it is counted as shed.
    pub(crate) fn takes(&mut self, message: &Message<'_>) -> bool {
        let is_last = matches!(message.data_type(), DataType::Liquidation | DataType::Gap);
        let takes = if is_last { !self.is_filled(100 + RESERVE_PERCENT) } else { !self.is_shedding };
        if !takes {
            self.shed(message);
        }
        takes
    }

    /// Queues a message, or lets it wait. Ask [`Self::takes`] first.
    pub(crate) fn push(&mut self, message: Timed) {
        let message = if self.waiting.is_empty() {
            let Some(message) = self.queue.offer(message) else { return };
            message
        } else {
            message
        };
        self.waiting_bytes += message.outgoing.payload.len();
        self.waiting.push_back(message);
        if self.is_filled(100) && !std::mem::replace(&mut self.is_shedding, true) {
            tracing::warn!(
                waiting = self.waiting.len(),
                waiting_bytes = self.waiting_bytes,
                "the broker takes no more: messages are shed, and declared as gaps"
            );
        }
    }

    /// Waits until the queue has room for what waits longest; for ever where nothing waits. False when the publisher is
    /// gone.
    pub(crate) async fn has_room(&self) -> bool {
        match self.waiting.front() {
            Some(message) => self.queue.has_room(message).await,
            None => std::future::pending().await,
        }
    }

    /// Queues what there is room for.
    pub(crate) fn flush(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            let bytes = message.outgoing.payload.len();
            if let Some(message) = self.queue.offer(message) {
                self.waiting.push_front(message);
                break;
            }
            self.waiting_bytes -= bytes;
        }
        if self.is_shedding && !self.is_filled(50) {
            self.is_shedding = false;
        }
    }

    /// What was shed and is to be declared, once there is room again.
    pub(crate) fn take_shed(&mut self) -> Vec<Shed> {
        if self.is_shedding { Vec::new() } else { std::mem::take(&mut self.shed).into_values().collect() }
    }

    fn is_filled(&self, percent: usize) -> bool {
        self.waiting.len() >= self.messages_max * percent / 100
            || self.waiting_bytes >= self.bytes_max * percent / 100
    }

    fn shed(&mut self, message: &Message<'_>) {
        let common = message.common();
        let (data_type, ids, messages) = if let Message::Gap(gap) = message {
            // Its content is declared later, by the gap that takes its place.
            (gap.missing_data_type, gap.from_sequence.zip(gap.to_sequence), 0)
        } else {
            (message.data_type(), sequence::of(message), 1)
        };
        let key = StreamKey { data_type, market_type: common.market_type, symbol: common.symbol.to_owned() };
        let event = common.ts_event_us;
        let shed = self.shed.entry(key).or_insert_with(|| Shed {
            instrument: Instrument {
                exchange: common.exchange.to_owned(),
                market_type: common.market_type,
                symbol: common.symbol.to_owned(),
                instrument_id: common.instrument_id.to_owned(),
                contract: None,
            },
            data_type,
            messages: 0,
            ids: None,
            first_event: event,
            last_event: event,
        });
        shed.messages += messages;
        shed.first_event = shed.first_event.min(event);
        shed.last_event = shed.last_event.max(event);
        if let Some((from, to)) = ids {
            let (first, last) = shed.ids.unwrap_or((from, to));
            shed.ids = Some((first.min(from), last.max(to)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use marketprism_bus::{Outgoing, Stopwatch};
    use marketprism_core::message::{Liquidation, Trade};
    use marketprism_core::{Decimal, TakerSide};
    use metrics::Histogram;
    use tokio::sync::mpsc;

    use super::*;
    use crate::queue::{Queued, queue};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000).unwrap()
    }

    fn origin(instrument: &Instrument) -> Origin<'_> {
        Origin { instrument, received: at(0), source: Source::Ws }
    }

    fn instrument() -> Instrument {
        Instrument::pair("binance", MarketType::Spot, "BTC", "USDT", "BTCUSDT").unwrap()
    }

    /// An overflow of ten messages behind a queue of one.
    fn overflow() -> (Overflow, mpsc::Receiver<Queued>) {
        let config =
            QueuesConfig { publish_messages_max: 1, overflow_messages_max: 10, ..QueuesConfig::default() };
        let (queue, messages) = queue(&config);
        (Overflow::new(queue, &config), messages)
    }

    /// Whether it was taken; every message weighs the same here.
    fn offer(overflow: &mut Overflow, message: &Message<'_>) -> bool {
        let takes = overflow.takes(message);
        if takes {
            let (subject, message_id) = ("s".to_owned(), "i".to_owned());
            overflow.push(Timed {
                outgoing: Outgoing { subject, message_id, payload: Bytes::from_static(b"{}") },
                received: Instant::now(),
                handed: Histogram::noop(),
                confirmed: Stopwatch::running_since(Instant::now(), Histogram::noop()),
            });
        }
        takes
    }

    fn trade(overflow: &mut Overflow, id: u64) -> bool {
        let (instrument, one) = (instrument(), "1".parse::<Decimal>().unwrap());
        let id_text = id.to_string().into();
        let event = at(i64::try_from(id).unwrap());
        let none = (None, None, None, None);
        let trade = Trade::new(
            origin(&instrument),
            event,
            id_text,
            one,
            one,
            TakerSide::Buy,
            None,
            none.0,
            none.1,
            none.2,
            none.3,
        );
        offer(overflow, &trade.into())
    }

    fn liquidation(overflow: &mut Overflow) -> bool {
        let (instrument, one) = (instrument(), "1".parse::<Decimal>().unwrap());
        let liquidation =
            Liquidation::new(origin(&instrument), at(500), TakerSide::Buy, one, None, one, None, None);
        offer(overflow, &liquidation.into())
    }

    #[test]
    fn what_is_shed_is_declared_exactly_once_there_is_room_again() {
        let (mut overflow, mut messages) = overflow();
        let taken = (1..=20).filter(|id| trade(&mut overflow, *id)).count();
        assert_eq!(taken, 11, "one in the queue, ten behind it");
        assert!(overflow.take_shed().is_empty(), "not while there is no room");
        // Room for one: shedding goes on until half of it is free, so that what is missing has one beginning and one end.
        messages.try_recv().unwrap();
        overflow.flush();
        assert!(!trade(&mut overflow, 21));
        for _ in 0..10 {
            messages.try_recv().unwrap();
            overflow.flush();
        }
        assert!(!overflow.is_behind() && trade(&mut overflow, 22));
        let shed = overflow.take_shed();
        let [shed] = &shed[..] else { panic!("{shed:?}") };
        let gap = shed.gap(at(600));
        assert_eq!((gap.missing_data_type, gap.reason), (DataType::Trade, GapReason::Shed));
        assert_eq!((gap.from_sequence, gap.to_sequence), (Some(12), Some(21)));
        assert_eq!((gap.from_time_us, gap.to_time_us), (Some(at(12)), Some(at(21))));
        assert!(gap.detail.as_deref().unwrap().starts_with("10 messages shed"), "{gap:?}");
        assert!(Message::from(gap).validate().is_ok());
        assert!(overflow.take_shed().is_empty());
    }

    #[test]
    fn liquidations_and_gaps_go_last_and_a_gap_without_a_place_is_not_forgotten() {
        let (mut overflow, mut messages) = overflow();
        (1..=11).for_each(|id| assert!(trade(&mut overflow, id)));
        assert!(!trade(&mut overflow, 12));
        assert!(liquidation(&mut overflow), "the reserve");
        assert!(!liquidation(&mut overflow), "is one place of ten");
        let instrument = instrument();
        let ids = (Some(13), Some(40));
        let gap = Gap::new(
            origin(&instrument),
            at(41),
            DataType::Trade,
            ids.0,
            ids.1,
            None,
            None,
            GapReason::Sequence,
            0,
            None,
        );
        assert!(!offer(&mut overflow, &gap.into()));
        while messages.try_recv().is_ok() {
            overflow.flush();
        }
        let declared: Vec<_> = overflow
            .take_shed()
            .iter()
            .map(|shed| {
                let gap = shed.gap(at(600));
                (gap.missing_data_type, gap.from_sequence.zip(gap.to_sequence))
            })
            .collect();
        assert_eq!(declared, [(DataType::Trade, Some((12, 40))), (DataType::Liquidation, None)]);
    }
}
