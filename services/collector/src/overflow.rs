//! Between one connection and the queue to the publisher: nothing here waits, so that a socket is read whatever the broker
//! does.
//!
//! What the queue has no room for waits here, in order and bounded, and the connection's books are held meanwhile
//! (see [`Overflow::is_behind`]). When it fills, everything but trades and liquidations is shed first, and those when it
//! is full, until half of it is free again; then a `gap` for each stream says what is missing. Gaps have a reserve; one
//! that finds no place even there is merged into the one that is declared later.

use std::collections::VecDeque;

use marketprism_core::{DataType, Message, Timestamp};

use crate::missed::{Missed, MissedStream};
use crate::queue::{Queue, QueuesConfig, Timed};

/// Why what was shed is missing.
pub(crate) const WHY_SHED: &str = "shed: the broker did not take them in time";

/// So full, only what cannot be had again in a moment has the rest: trades and liquidations.
const LAST_PERCENT: usize = 80;
/// Gaps have so much beyond what messages may fill.
const RESERVE_PERCENT: usize = 10;
/// Shedding ends when no more than this is filled, so that what is missing has one beginning and one end.
const RELEASE_PERCENT: usize = 50;

/// What finds no place. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shedding {
    Nothing,
    /// Everything but trades and liquidations.
    Others,
    /// Those, too.
    Everything,
}

/// The way of one connection's messages to the queue.
#[derive(Debug)]
pub(crate) struct Overflow {
    queue: Queue,
    waiting: VecDeque<Timed>,
    waiting_bytes: usize,
    messages_max: usize,
    bytes_max: usize,
    shedding: Shedding,
    shed: Missed,
}

impl Overflow {
    pub(crate) fn new(queue: Queue, config: &QueuesConfig) -> Self {
        Self {
            queue,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            messages_max: config.overflow_messages_max,
            bytes_max: config.overflow_bytes_max,
            shedding: Shedding::Nothing,
            shed: Missed::default(),
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
        let takes = match message.data_type() {
            DataType::Gap => !self.is_filled(100 + RESERVE_PERCENT),
            DataType::Trade | DataType::Liquidation => self.shedding < Shedding::Everything,
            DataType::OrderBook
            | DataType::FundingRate
            | DataType::OpenInterest
            | DataType::LsrTopPosition
            | DataType::LsrAllAccount
            | DataType::VolatilityIndex => self.shedding < Shedding::Others,
        };
        if !takes {
            self.shed.add(message);
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
        let shedding = match () {
            () if self.is_filled(100) => Shedding::Everything,
            () if self.is_filled(LAST_PERCENT) => Shedding::Others,
            () => Shedding::Nothing,
        };
        if shedding > self.shedding {
            self.shedding = shedding;
            tracing::warn!(
                ?shedding,
                waiting = self.waiting.len(),
                waiting_bytes = self.waiting_bytes,
                "the broker does not keep up: messages are shed, and declared as gaps"
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
        if !self.is_filled(RELEASE_PERCENT) {
            self.shedding = Shedding::Nothing;
        }
    }

    /// What was shed and is to be declared, once there is room again.
    pub(crate) fn take_shed(&mut self) -> Vec<MissedStream> {
        if self.shedding == Shedding::Nothing { self.shed.take().collect() } else { Vec::new() }
    }

    /// Gives up what waits, and what was shed and is not declared.
    pub(crate) fn abandon(&mut self, missed: &mut Missed, now: Timestamp) {
        for Timed { outgoing, .. } in self.waiting.drain(..) {
            missed.add_encoded(&outgoing.subject, &outgoing.payload);
        }
        self.shed.take().for_each(|shed| missed.add(&shed.gap(WHY_SHED, now).into()));
    }

    fn is_filled(&self, percent: usize) -> bool {
        self.waiting.len() * 100 >= self.messages_max * percent
            || self.waiting_bytes * 100 >= self.bytes_max * percent
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use marketprism_bus::{Outgoing, Stopwatch};
    use marketprism_core::message::{FundingRate, Gap, Liquidation, Origin, Trade};
    use marketprism_core::{Decimal, GapReason, Instrument, MarketType, Source, TakerSide};
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

    fn funding(overflow: &mut Overflow) -> bool {
        let (instrument, rate) = (instrument(), "0.0001".parse::<Decimal>().unwrap());
        let funding = FundingRate::new(origin(&instrument), at(400), rate, None, None, None, None, None);
        offer(overflow, &funding.into())
    }

    fn liquidation(overflow: &mut Overflow) -> bool {
        let (instrument, one) = (instrument(), "1".parse::<Decimal>().unwrap());
        let liquidation =
            Liquidation::new(origin(&instrument), at(500), TakerSide::Buy, one, None, one, None, None);
        offer(overflow, &liquidation.into())
    }

    #[test]
    fn trades_and_liquidations_are_shed_after_everything_else() {
        let (mut overflow, mut messages) = overflow();
        // One in the queue, seven of ten behind it.
        (1..=8).for_each(|id| assert!(trade(&mut overflow, id)));
        assert!(funding(&mut overflow), "the eighth");
        assert!(!funding(&mut overflow), "the rest is for what is shed last");
        assert!(trade(&mut overflow, 9) && liquidation(&mut overflow));
        assert!(!trade(&mut overflow, 10) && !liquidation(&mut overflow), "it is full");
        while messages.try_recv().is_ok() {
            overflow.flush();
        }
        assert!(funding(&mut overflow) && trade(&mut overflow, 11));
        let declared: Vec<_> =
            overflow.take_shed().iter().map(|shed| shed.gap(WHY_SHED, at(600)).missing_data_type).collect();
        assert_eq!(declared, [DataType::Trade, DataType::FundingRate, DataType::Liquidation]);
    }

    #[test]
    fn an_overflow_of_one_message_takes_again_what_comes_later() {
        let config =
            QueuesConfig { publish_messages_max: 1, overflow_messages_max: 1, ..QueuesConfig::default() };
        let (queue, mut messages) = queue(&config);
        let mut overflow = Overflow::new(queue, &config);
        assert!(trade(&mut overflow, 1) && trade(&mut overflow, 2) && !trade(&mut overflow, 3));
        while messages.try_recv().is_ok() {
            overflow.flush();
        }
        assert!(trade(&mut overflow, 4));
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
        let gap = shed.gap(WHY_SHED, at(600));
        assert_eq!((gap.missing_data_type, gap.reason), (DataType::Trade, GapReason::Shed));
        assert_eq!((gap.from_sequence, gap.to_sequence), (Some(12), Some(21)));
        assert_eq!((gap.from_time_us, gap.to_time_us), (Some(at(12)), Some(at(21))));
        assert!(gap.detail.as_deref().unwrap().starts_with("10 messages shed"), "{gap:?}");
        assert!(Message::from(gap).validate().is_ok());
        assert!(overflow.take_shed().is_empty());
    }

    #[test]
    fn a_gap_has_a_reserve_and_without_a_place_even_there_is_not_forgotten() {
        let (mut overflow, mut messages) = overflow();
        (1..=11).for_each(|id| assert!(trade(&mut overflow, id)));
        let instrument = instrument();
        let mut gap = |from, to| {
            let (times, detail) = ((None, None), None);
            let gap = Gap::new(
                origin(&instrument),
                at(41),
                DataType::Trade,
                Some(from),
                Some(to),
                times.0,
                times.1,
                GapReason::Sequence,
                0,
                detail,
            );
            offer(&mut overflow, &gap.into())
        };
        assert!(gap(12, 12), "the reserve");
        assert!(!gap(13, 40), "is one place of ten");
        while messages.try_recv().is_ok() {
            overflow.flush();
        }
        let declared: Vec<_> = overflow
            .take_shed()
            .iter()
            .map(|shed| {
                let gap = shed.gap(WHY_SHED, at(600));
                (gap.missing_data_type, gap.from_sequence.zip(gap.to_sequence))
            })
            .collect();
        assert_eq!(declared, [(DataType::Trade, Some((13, 40)))]);
    }
}
