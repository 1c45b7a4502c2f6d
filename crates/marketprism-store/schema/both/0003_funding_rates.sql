CREATE TABLE IF NOT EXISTS {database}.`funding_rates`{on_cluster}
(
    `timestamp` DateTime64(6, 'UTC') COMMENT 'When the exchange says it happened, our clock where timestamp_source is recv' CODEC(Delta, ZSTD(1)),
    `exchange` LowCardinality(String) COMMENT 'Exchange token, such as binance' CODEC(ZSTD(1)),
    `market_type` LowCardinality(String) COMMENT 'spot, perpetual, futures or options' CODEC(ZSTD(1)),
    `symbol` LowCardinality(String) COMMENT 'Canonical symbol, such as BTC-USDT' CODEC(ZSTD(1)),
    `instrument_id` LowCardinality(String) COMMENT 'The exchange''s own name of the instrument' CODEC(ZSTD(1)),
    `funding_rate` Decimal(38, 18) COMMENT 'Fraction per interval: 0.0001 is 0.01 %' CODEC(ZSTD(1)),
    `funding_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'When funding was last exchanged' CODEC(ZSTD(1)),
    `next_funding_time` Nullable(DateTime64(6, 'UTC')) COMMENT 'When it is exchanged next' CODEC(ZSTD(1)),
    `mark_price` Nullable(Decimal(38, 18)) COMMENT 'Mark price in quote units' CODEC(ZSTD(1)),
    `index_price` Nullable(Decimal(38, 18)) COMMENT 'Index price in quote units' CODEC(ZSTD(1)),
    `interval_hours` Nullable(UInt32) COMMENT 'Hours between two fundings' CODEC(ZSTD(1)),
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
COMMENT 'Funding of perpetual contracts'
