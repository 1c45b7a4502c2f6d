CREATE TABLE IF NOT EXISTS {database}.`replication_log`{on_cluster}
(
    `table_name` LowCardinality(String) COMMENT 'Table the range was copied to' CODEC(ZSTD(1)),
    `stream_epoch` UInt32 COMMENT 'Epoch of the sequences' CODEC(ZSTD(1)),
    `from_seq` UInt64 COMMENT 'First stream_seq of the range, one more than to_seq of the range before' CODEC(ZSTD(1)),
    `to_seq` UInt64 COMMENT 'Last stream_seq of the range' CODEC(ZSTD(1)),
    `rows` UInt64 COMMENT 'Rows in the range, equal in both tiers' CODEC(ZSTD(1)),
    `checksum` UInt64 COMMENT 'Sum of the hashes of the range''s rows, equal in both tiers' CODEC(ZSTD(1)),
    `copied_at` DateTime64(6, 'UTC') COMMENT 'When the range was compared and entered here' CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (table_name, stream_epoch, from_seq)
COMMENT 'The ledger: ranges of stream sequences that are in this database and were compared with the hot tier'
