//! From tier to tier: ranges are found, copied, resumed, compared and entered.

use marketprism_core::DataType;
use marketprism_store::range::Range;
use marketprism_store::{Copied, Store, StoreError, Tier};
use marketprism_testkit::ClickHouse;

use crate::sql::{Sql, insert_trades, tier};

const TRADE: DataType = DataType::Trade;

async fn tiers(server: &ClickHouse) -> (Store, Store, Sql) {
    let ((hot, _), (cold, sql)) = (tier(server, Tier::Hot).await, tier(server, Tier::Cold).await);
    (hot, cold, sql)
}

async fn copy(cold: &Store, hot: &Store, range: &Range) -> Copied {
    cold.copy_missing(hot, range, || async { Ok::<_, StoreError>(()) }).await.unwrap()
}

#[tokio::test]
async fn ranges_end_where_they_are_full() {
    let server = ClickHouse::start();
    let (hot, ..) = tiers(&server).await;
    insert_trades(&hot, 1, &[(5, 0), (7, 0), (9, 0), (20, 0), (21, 0)]).await;
    let range = |from_seq, to_seq| Some(Range { data_type: TRADE, stream_epoch: 1, from_seq, to_seq });
    let next = async |after, upper, rows_max| hot.next_range(TRADE, 1, after, upper, rows_max).await.unwrap();
    assert_eq!(next(0, 100, 10).await, range(1, 40), "half full is enough");
    assert_eq!(next(0, 100, 20).await, range(1, 100), "nothing more to take in");
    assert_eq!(next(0, 100, 2).await, range(1, 8), "the third row begins the next range");
    assert_eq!(next(19, 100, 3).await, range(20, 22));
    assert_eq!(next(0, 8, 1).await, range(1, 6));
    assert_eq!(next(9, 19, 3).await, None, "no row, no range");
    assert_eq!(next(21, 21, 3).await, None);
    assert_eq!(hot.next_range(TRADE, 2, 0, 100, 3).await.unwrap(), None);
    assert!(hot.oldest_after(TRADE, 1, 9).await.unwrap().is_some());
    assert_eq!(hot.oldest_after(TRADE, 1, 21).await.unwrap(), None);
}

#[tokio::test]
async fn a_range_over_midnight_is_copied_once_whatever_a_run_before_left() {
    let server = ClickHouse::start();
    let (hot, cold, sql) = tiers(&server).await;
    // Sequences alternate between two days, as they do around midnight.
    let days: Vec<_> = (1..=40).map(|sequence| (sequence, if sequence % 2 == 0 { 59 } else { 61 })).collect();
    insert_trades(&hot, 1, &days).await;
    let range = Range { data_type: TRADE, stream_epoch: 1, from_seq: 1, to_seq: 40 };

    // A run that ended in the middle: some of the first day only.
    let part = Range { to_seq: 10, ..range };
    assert_eq!(copy(&cold, &hot, &part).await.rows, 10);
    sql.run("ALTER TABLE trades DROP PARTITION '2026-10-08'").await;
    let left: u64 = sql.ask("SELECT count() FROM trades").await[0].parse().unwrap();
    assert_eq!(left, 5, "the test's own idea of the two days");

    assert_eq!(copy(&cold, &hot, &range).await.rows, 35);
    assert_eq!(copy(&cold, &hot, &range).await.rows, 0, "nothing is copied twice");
    let (of_hot, of_cold) = (hot.summary(&range).await.unwrap(), cold.summary(&range).await.unwrap());
    assert_eq!(of_hot, of_cold);
    assert_eq!((of_hot.rows, of_hot.sequences), (40, 40));
}

#[tokio::test]
async fn a_summary_sees_every_column_and_duplicates() {
    let server = ClickHouse::start();
    let (hot, cold, sql) = tiers(&server).await;
    insert_trades(&hot, 1, &[(1, 0), (2, 0), (3, 0)]).await;
    let range = Range { data_type: TRADE, stream_epoch: 1, from_seq: 1, to_seq: 3 };
    copy(&cold, &hot, &range).await;
    let good = hot.summary(&range).await.unwrap();
    for change in [
        "price = price + toDecimal128('0.000000000000000001', 18)",
        "contracts = 0",
        "is_maker = false",
        "ts_recv = ts_recv + INTERVAL 1 MICROSECOND",
        "created_at = created_at + INTERVAL 1 MICROSECOND",
    ] {
        sql.run(&format!(
            "ALTER TABLE trades UPDATE {change} WHERE stream_seq = 2 SETTINGS mutations_sync = 1"
        ))
        .await;
        let changed = cold.summary(&range).await.unwrap();
        assert_ne!(changed.checksum, good.checksum, "{change}");
        assert_eq!(changed.rows, 3);
    }
    insert_trades(&hot, 1, &[(2, 0)]).await;
    let doubled = hot.summary(&range).await.unwrap();
    assert_eq!((doubled.rows, doubled.sequences), (4, 3));
}

#[tokio::test]
async fn the_watermark_is_what_the_ledger_covers() {
    let server = ClickHouse::start();
    let (hot, cold, sql) = tiers(&server).await;
    insert_trades(&hot, 1, &[(3, 0), (8, 0)]).await;
    assert_eq!(cold.watermark(TRADE, 1).await.unwrap(), 0);
    let first = Range { data_type: TRADE, stream_epoch: 1, from_seq: 1, to_seq: 5 };
    let second = Range { from_seq: 6, to_seq: 10, ..first };
    for range in [first, second] {
        copy(&cold, &hot, &range).await;
        let summary = cold.summary(&range).await.unwrap();
        cold.enter_range(&range, &summary).await.unwrap();
        // Answered too late and entered again: still one range.
        cold.enter_range(&range, &summary).await.unwrap();
        assert_eq!(cold.watermark(TRADE, 1).await.unwrap(), range.to_seq);
    }
    assert_eq!(cold.watermark(TRADE, 2).await.unwrap(), 0);
    assert_eq!(cold.watermark(DataType::Gap, 1).await.unwrap(), 0);
    assert_eq!(cold.ranges(TRADE).await.unwrap().len(), 4);
    // The entry of an instance that was frozen, late: it knew less of the stream than the one that went on.
    let late = Range { from_seq: 6, to_seq: 8, ..first };
    cold.enter_range(&late, &cold.summary(&late).await.unwrap()).await.unwrap();
    assert_eq!(cold.watermark(TRADE, 1).await.unwrap(), 10);

    sql.run("ALTER TABLE replication_log DELETE WHERE from_seq = 1 SETTINGS mutations_sync = 1").await;
    let error = cold.watermark(TRADE, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::LedgerBroken { table: "trades", epoch: 1, .. }), "{error}");
}
