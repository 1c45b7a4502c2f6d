//! A row's hash is known from its message, and rows can be told apart, copied and removed by it.

use marketprism_core::DataType;
use marketprism_store::fingerprint::content;
use marketprism_store::range::Range;
use marketprism_store::{Entry, Tier};
use marketprism_testkit::ClickHouse;

use crate::round_trip::{samples, subject_of};
use crate::sql::{decode, insert_trades, tier};

#[tokio::test]
async fn the_hash_of_a_row_is_known_from_its_message() {
    let server = ClickHouse::start();
    let (store, _) = tier(&server, Tier::Hot).await;
    for data_type in DataType::ALL.iter().copied() {
        for (sample, stream_seq) in samples(data_type).iter().zip(1..) {
            let (subject, payload) = (subject_of(sample), sample.to_string());
            let message = decode(subject.as_str(), &payload);
            store.insert(&[Entry { message: &message, stream_epoch: 3, stream_seq }]).await.unwrap();
            let range = Range { data_type, stream_epoch: 3, from_seq: stream_seq, to_seq: stream_seq };
            let rows = store.fingerprints(&range).await.unwrap();
            let expected = content(&message, 3, stream_seq);
            assert_eq!(rows.iter().map(|row| row.content).collect::<Vec<_>>(), [expected], "{payload}");
            assert_eq!(store.summary(&range).await.unwrap().checksum, rows[0].row, "{payload}");
            assert_ne!(content(&message, 4, stream_seq), expected);
        }
    }
}

#[tokio::test]
async fn equal_rows_become_one_and_wrong_ones_go() {
    let server = ClickHouse::start();
    let (hot, sql) = tier(&server, Tier::Hot).await;
    insert_trades(&hot, 1, &[(1, 0), (2, 0), (3, 0)]).await;
    let all = Range { data_type: DataType::Trade, stream_epoch: 1, from_seq: 1, to_seq: 3 };
    let before = hot.fingerprints(&all).await.unwrap();
    sql.run("INSERT INTO trades SELECT * FROM trades WHERE stream_seq = 2").await;
    sql.run("INSERT INTO trades SELECT * FROM trades WHERE stream_seq = 2").await;
    assert_eq!(hot.fingerprints(&all).await.unwrap().len(), 6);
    let second = Range { from_seq: 2, to_seq: 2, ..all };
    hot.keep_one(&second, before[1].row).await.unwrap();
    assert_eq!(hot.fingerprints(&all).await.unwrap(), before);
    hot.delete_rows(&second, &[before[1].row, before[0].row]).await.unwrap();
    assert_eq!(hot.fingerprints(&all).await.unwrap(), [before[0], before[2]], "only of the range");
}
