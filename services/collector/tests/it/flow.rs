//! The happy path, a stop, and the start after it.

use marketprism_core::DataType;

use crate::rig::Rig;

#[tokio::test]
async fn every_message_sent_is_in_the_streams_once_after_a_drain() {
    let rig = Rig::start().await;
    rig.flowing().await;
    let stored = rig.finish().await;
    assert!(stored.status.success(), "{}", stored.log);
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent, "every update is contained in one stored book");
    assert_eq!(stored.of(DataType::Gap).count(), 0);
    // The exchange's own best bid and ask at each stored update.
    let mut compared = 0;
    for line in stored.ledger.iter().filter(|line| line["data_type"] == "orderbook") {
        let same = |book: &&serde_json::Value| {
            book["market_type"] == line["market_type"]
                && book["instrument_id"] == line["instrument_id"]
                && book["last_update_id"] == line["last_update_id"]
        };
        let Some(book) = stored.of(DataType::OrderBook).find(same) else { continue };
        assert_eq!(book["bids"][0], line["best_bid"]);
        assert_eq!(book["asks"][0], line["best_ask"]);
        compared += 1;
    }
    assert!(compared > 50, "only {compared} books compared");
}

#[tokio::test]
async fn a_collector_that_stops_while_the_exchange_goes_on_loses_nothing_it_was_sent() {
    let mut rig = Rig::start().await;
    rig.flowing().await;
    // The exchange keeps sending: what is in the socket when SIGTERM comes must still be published.
    assert!(rig.collector.stop().success(), "{}", rig.collector.log());
    let stored = rig.finish().await;
    stored.assert_trades_are_whole();
    let (sent, contained) = stored.books_contain();
    assert_eq!(contained, sent);
}
