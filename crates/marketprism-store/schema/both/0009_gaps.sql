CREATE TABLE IF NOT EXISTS {database}.`gaps`{on_cluster}
(
    `timestamp` DateTime64(6, 'UTC') COMMENT 'When the exchange says it happened, our clock where timestamp_source is recv' CODEC(Delta, ZSTD(1)),
    `exchange` LowCardinality(String) COMMENT 'Exchange token, such as binance' CODEC(ZSTD(1)),
    `market_type` LowCardinality(String) COMMENT 'spot, perpetual, futures or options' CODEC(ZSTD(1)),
    `symbol` LowCardinality(String) COMMENT 'Canonical symbol, such as BTC-USDT' CODEC(ZSTD(1)),
    `instrument_id` LowCardinality(String) COMMENT 'The exchange''s own name of the instrument' CODEC(ZSTD(1)),
    `missing_data_type` LowCardinality(String) COMMENT 'Data type of what is missing' CODEC(ZSTD(1)),
    `from_sequence` Nullable(UInt64) COMMENT 'First missing sequence or id' CODEC(ZSTD(1)),
    `to_sequence` Nullable(UInt64) COMMENT 'Last missing sequence or id' CODEC(ZSTD(1)),
    `from_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'Nothing is missing before this time' CODEC(ZSTD(1)),
    `to_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'Nothing is missing after this time' CODEC(ZSTD(1)),
    `reason` LowCardinality(String) COMMENT 'Why: disconnect, sequence, backpressure, shed, backfill_failed, undecodable or shutdown' CODEC(ZSTD(1)),
    `filled` UInt64 COMMENT 'How many of the missing were recovered and published as backfill' CODEC(ZSTD(1)),
    `detail` Nullable(String) COMMENT 'More about it, for people' CODEC(ZSTD(1)),
    `ts_recv` DateTime64(6, 'UTC') COMMENT 'When the frame''s bytes were read from the socket' CODEC(Delta, ZSTD(1)),
    `timestamp_source` LowCardinality(String) COMMENT 'Whose clock timestamp is: exchange or recv' CODEC(ZSTD(1)),
    `data_source` LowCardinality(String) COMMENT 'How it came: ws, rest (polled) or backfill (fetched later)' CODEC(ZSTD(1)),
    `message_schema` UInt16 COMMENT 'Version of the message''s shape' CODEC(ZSTD(1)),
    `stream_epoch` UInt32 COMMENT 'Incarnation of the JetStream stream, see stream_epochs in the hot tier' CODEC(ZSTD(1)),
    `stream_seq` UInt64 COMMENT 'Sequence of the message in its stream: with stream_epoch the identity of this row' CODEC(Delta, ZSTD(1)),
    `created_at` DateTime64(6, 'UTC') COMMENT 'When the row was written to the hot tier' CODEC(Delta, ZSTD(1)),
    INDEX stream_seq_range stream_seq TYPE minmax GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toDate(timestamp)
ORDER BY (exchange, market_type, symbol, timestamp, stream_seq)
COMMENT 'What is missing: messages of one stream that are not stored, by sequence, by time, or both'
