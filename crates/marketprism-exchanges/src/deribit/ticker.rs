//! What is taken of a ticker: funding and open interest, each when it changed and at most once in a second of the
//! exchange's clock. Tickers come ten times a second.
//!
//! The first change in a second is published at once; the last of those after it when a later ticker, or the clock, says
//! that the second is over. So the value a quiet instrument ends with is never lost.

use marketprism_core::message::{FundingRate, OpenInterest, Origin};
use marketprism_core::{ContractUnit, DataType, Message, Source, Timestamp};

use super::messages::{Ticker, base};
use crate::context::{Context, SECOND};
use crate::latest::Latest;
use crate::liveness::Liveness;
use crate::session::{Note, Rejected};

/// `current_funding` is a rate for eight hours, although funding is exchanged continuously.
const FUNDING_HOURS: u32 = 8;

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Funding,
    OpenInterest,
}

impl Quantity {
    pub(super) const fn data_type(self) -> DataType {
        match self {
            Self::Funding => DataType::FundingRate,
            Self::OpenInterest => DataType::OpenInterest,
        }
    }
}

/// One quantity of one instrument's tickers.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) quantity: Quantity,
    pub(super) liveness: Liveness,
    /// The latest ticker seen.
    seen: Latest,
    /// The ticker published last.
    published: Option<Ticker>,
    /// A change in the second of the one published, and when it was received.
    pending: Option<(Ticker, Timestamp)>,
}

impl Sampled {
    /// Continues after what was `published` of it, and `heard` of its instrument, before this process started.
    pub(super) fn new(quantity: Quantity, published: Option<Timestamp>, heard: Option<Timestamp>) -> Self {
        Self {
            quantity,
            liveness: Liveness::after(quantity.data_type(), heard),
            seen: Latest::new(published),
            published: None,
            pending: None,
        }
    }

    /// A ticker arrived.
    ///
    /// # Errors
    /// When a field of it cannot be right.
    pub(super) fn event(&mut self, ticker: &Ticker, context: &mut Context<'_>) -> Result<(), Rejected> {
        let taken = self.take(ticker, context);
        match taken {
            Ok(()) => self.liveness.received(context.now, Some(ticker.event)),
            Err(_) => self.liveness.unreadable(context.now),
        }
        taken
    }

    fn take(&mut self, ticker: &Ticker, context: &mut Context<'_>) -> Result<(), Rejected> {
        if !self.seen.is_news(ticker.event) {
            context.out.note(Note::Duplicate { data_type: self.quantity.data_type() });
            return Ok(());
        }
        match self.message(ticker, context.origin(Source::Ws)) {
            Some(message) => message.validate()?,
            None => {
                context.out.note(Note::Ignored { what: "ticker_without_value" });
                return Ok(());
            }
        }
        self.seen.set(ticker.event);
        if let Some((pending, _)) = self.pending
            && second(pending.event) != second(ticker.event)
        {
            self.publish_pending(context);
        }
        match self.published {
            Some(published) if !self.differs(&published, ticker) => self.pending = None,
            Some(published) if second(published.event) == second(ticker.event) => {
                self.pending = Some((*ticker, context.now));
            }
            _ => self.publish(ticker, context.now, context),
        }
        Ok(())
    }

    /// Publishes a change whose second is over, where no later ticker said so.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        if self.pending.is_some_and(|(_, received)| context.now.micros_since(received) >= SECOND) {
            self.publish_pending(context);
        }
    }

    /// Publishes a change that still waits for its second to be over.
    pub(super) fn publish_pending(&mut self, context: &mut Context<'_>) {
        if let Some((ticker, received)) = self.pending.take() {
            self.publish(&ticker, received, context);
        }
    }

    fn publish(&mut self, ticker: &Ticker, received: Timestamp, context: &mut Context<'_>) {
        let mut origin = context.origin(Source::Ws);
        origin.received = received;
        if let Some(message) = self.message(ticker, origin) {
            context.out.emit(message);
        }
        self.published = Some(*ticker);
    }

    fn message<'c>(&self, ticker: &Ticker, origin: Origin<'c>) -> Option<Message<'c>> {
        match self.quantity {
            Quantity::Funding => funding_rate(ticker, origin),
            Quantity::OpenInterest => open_interest(ticker, origin),
        }
    }

    fn differs(&self, one: &Ticker, other: &Ticker) -> bool {
        match self.quantity {
            Quantity::Funding => {
                let funding =
                    |ticker: &Ticker| (ticker.current_funding, ticker.mark_price, ticker.index_price);
                funding(one) != funding(other)
            }
            Quantity::OpenInterest => one.open_interest != other.open_interest,
        }
    }
}

fn second(event: Timestamp) -> i64 {
    event.as_micros().div_euclid(SECOND)
}

fn funding_rate<'c>(ticker: &Ticker, origin: Origin<'c>) -> Option<Message<'c>> {
    let rate = ticker.current_funding?;
    Some(
        FundingRate::new(
            origin,
            ticker.event,
            rate,
            None,
            None,
            ticker.mark_price,
            ticker.index_price,
            Some(FUNDING_HOURS),
        )
        .into(),
    )
}

/// An inverse contract's is in quote units, and what that is in base units depends on the mark price; any other's is in
/// base units, and its value in quote units the exchange does not tell.
fn open_interest<'c>(ticker: &Ticker, origin: Origin<'c>) -> Option<Message<'c>> {
    let amount = ticker.open_interest?;
    let contract = origin.instrument.contract;
    let contracts = contract.and_then(|contract| contract.contracts_of_amount(amount));
    let (in_base, value) = match contract.map(|contract| contract.unit) {
        Some(ContractUnit::Quote) => {
            (ticker.mark_price.and_then(|price| base(contract.as_ref(), amount, price)), Some(amount))
        }
        Some(ContractUnit::Base) | None => (Some(amount), None),
    };
    Some(OpenInterest::new(origin, ticker.event, contracts, in_base, value).into())
}
