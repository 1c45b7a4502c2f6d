CREATE TABLE IF NOT EXISTS {database}.`lsr_top_positions`{on_cluster}
(
    `timestamp` DateTime64(6, 'UTC') COMMENT 'When the exchange says it happened, our clock where timestamp_source is recv' CODEC(Delta, ZSTD(1)),
    `exchange` LowCardinality(String) COMMENT 'Exchange token, such as binance' CODEC(ZSTD(1)),
    `market_type` LowCardinality(String) COMMENT 'spot, perpetual, futures or options' CODEC(ZSTD(1)),
    `symbol` LowCardinality(String) COMMENT 'Canonical symbol, such as BTC-USDT' CODEC(ZSTD(1)),
    `instrument_id` LowCardinality(String) COMMENT 'The exchange''s own name of the instrument' CODEC(ZSTD(1)),
    `long_short_ratio` Decimal(38, 18) COMMENT 'Long divided by short' CODEC(ZSTD(1)),
    `long_position_ratio` Nullable(Decimal(38, 18)) COMMENT 'Share of the longs, 0 to 1' CODEC(ZSTD(1)),
    `short_position_ratio` Nullable(Decimal(38, 18)) COMMENT 'Share of the shorts, 0 to 1' CODEC(ZSTD(1)),
    `period` LowCardinality(String) COMMENT 'The period it is taken over, such as 5m' CODEC(ZSTD(1)),
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
ORDER BY (exchange, market_type, symbol, timestamp, period, stream_seq)
COMMENT 'Long/short ratio of the top traders'' positions'
