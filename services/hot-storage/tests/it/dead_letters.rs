//! What can never be stored goes aside with its reason; everything around it is stored.

use marketprism_bus::dead_letter_subject;
use marketprism_core::{DataType, topology};
use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig, TRADE_SUBJECT, trade};

#[tokio::test]
async fn poison_becomes_dead_letters_and_the_others_go_on() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    let of_trades = |payload: String| (TRADE_SUBJECT.to_owned(), payload);
    let poison = [
        of_trades("{\"data_type\":\"tra".to_owned()),
        of_trades(trade(9).replace("\"100\"", "\"-100\"")),
        of_trades(trade(9).replace("BTC-USDT", "ETH-USDT")),
        of_trades(trade(9).replace("\"schema\":1", "\"schema\":2")),
        ("trade.binance.nonsense.BTC-USDT".to_owned(), trade(9)),
        ("trade.binance".to_owned(), trade(9)),
    ];
    let letters = poison.len() as u64;
    rig.publish_trades(1..101).await;
    rig.publish(poison).await;
    rig.publish_trades(101..201).await;
    rig.assert_trades(200).await;

    let bus = rig.bus().await;
    poll_until(DEADLINE, "the dead letters are there", async || {
        bus.stream_state(topology::DEAD_LETTER).await.unwrap().messages == letters
    })
    .await;
    let subject = dead_letter_subject(topology::MARKET_DATA);
    let last = bus.last_message(topology::DEAD_LETTER, &subject).await.unwrap().unwrap();
    assert_eq!(last.payload, trade(9), "the original bytes");
    let metrics = rig.metrics("one").await;
    let line = format!("marketprism_storage_validation_errors_total{{data_type=\"trade\"}} {letters}");
    assert!(metrics.contains(&line), "{metrics}");
    assert_eq!(rig.health("one").await.0, 200);
    assert!(service.stop().success());
}

#[tokio::test]
async fn more_poison_than_can_be_buried_within_ack_wait_is_delivered_once() {
    const POISON: u64 = 40_000;
    let rig = Rig::start().await;
    rig.publish((0..POISON).map(|number| (TRADE_SUBJECT.to_owned(), format!("no trade {number}")))).await;
    // All of it in one batch.
    let whole = [("MARKETPRISM__BATCH__ROWS_MAX", "50000"), ("MARKETPRISM__BATCH__AGE_MAX", "2s")];
    let mut service = rig.service_with("one", &whole).await;
    rig.assert_trades(0).await;
    let metrics = rig.metrics("one").await;
    let line = format!("marketprism_storage_messages_received_total{{data_type=\"trade\"}} {POISON}");
    assert!(metrics.contains(&line), "{metrics}");
    let letters = rig.bus().await.stream_state(topology::DEAD_LETTER).await.unwrap().messages;
    assert_eq!(letters, POISON);
    assert!(service.stop().success());
}

#[tokio::test]
async fn what_only_a_view_refuses_is_stored_or_a_letter_but_not_both() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.run("CREATE TABLE marketprism_hot.numbers (id UInt64) ENGINE = MergeTree ORDER BY id").await;
    rig.run(
        "CREATE MATERIALIZED VIEW marketprism_hot.view TO marketprism_hot.numbers AS SELECT \
         toUInt64(if(price > 1000, concat('no number ', trade_id), trade_id)) AS id FROM marketprism_hot.trades",
    )
    .await;
    let dear = (5_001..5_003).map(|id| (TRADE_SUBJECT.to_owned(), trade(id).replace("\"100\"", "\"5000\"")));
    let messages = (1..301).map(|id| (TRADE_SUBJECT.to_owned(), trade(id)));
    rig.publish(messages.chain(dear)).await;
    rig.wait_acknowledged(DataType::Trade).await;
    let rows = rig.number("SELECT count() FROM marketprism_hot.trades").await;
    let trades = rig.number("SELECT uniqExact(trade_id) FROM marketprism_hot.trades").await;
    let letters = rig.bus().await.stream_state(topology::DEAD_LETTER).await.unwrap().messages;
    assert_eq!((rows, trades + letters), (trades, 302), "{letters} letters");
    assert!(service.stop().success());
}

#[tokio::test]
async fn a_row_that_clickhouse_refuses_is_found_among_the_others() {
    let rig = Rig::start().await;
    let mut service = rig.service("one").await;
    rig.run("ALTER TABLE marketprism_hot.trades ADD CONSTRAINT cheap CHECK price < 1000").await;
    let dear = [5_001, 5_002].map(|id| (TRADE_SUBJECT.to_owned(), trade(id).replace("\"100\"", "\"5000\"")));
    let messages = (1..301).map(|id| (TRADE_SUBJECT.to_owned(), trade(id)));
    rig.publish(messages.chain(dear)).await;
    rig.assert_trades(300).await;
    let bus = rig.bus().await;
    poll_until(DEADLINE, "the dead letters are there", async || {
        bus.stream_state(topology::DEAD_LETTER).await.unwrap().messages == 2
    })
    .await;
    assert!(service.stop().success());
}
