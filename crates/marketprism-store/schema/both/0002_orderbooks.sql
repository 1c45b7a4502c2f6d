CREATE TABLE IF NOT EXISTS {database}.`orderbooks`{on_cluster}
(
    `timestamp` DateTime64(6, 'UTC') COMMENT 'When the exchange says it happened, our clock where timestamp_source is recv' CODEC(Delta, ZSTD(1)),
    `exchange` LowCardinality(String) COMMENT 'Exchange token, such as binance' CODEC(ZSTD(1)),
    `market_type` LowCardinality(String) COMMENT 'spot, perpetual, futures or options' CODEC(ZSTD(1)),
    `symbol` LowCardinality(String) COMMENT 'Canonical symbol, such as BTC-USDT' CODEC(ZSTD(1)),
    `instrument_id` LowCardinality(String) COMMENT 'The exchange''s own name of the instrument' CODEC(ZSTD(1)),
    `last_update_id` UInt64 COMMENT 'The exchange''s sequence after which the book looked so' CODEC(ZSTD(1)),
    `previous_update_id` Nullable(UInt64) COMMENT 'last_update_id of the message before, NULL on the first one after a resync' CODEC(ZSTD(1)),
    `update_count` UInt64 COMMENT 'The exchange''s updates since the message before' CODEC(ZSTD(1)),
    `is_snapshot_of` LowCardinality(String) COMMENT 'full: every known level, top: the best depth levels of each side' CODEC(ZSTD(1)),
    `depth` UInt32 COMMENT 'The most levels a side may have in this row' CODEC(ZSTD(1)),
    `bids_count` UInt32 COMMENT 'Levels in bids' CODEC(ZSTD(1)),
    `asks_count` UInt32 COMMENT 'Levels in asks' CODEC(ZSTD(1)),
    `best_bid_price` Nullable(Decimal(38, 18)) COMMENT 'Price of the first bid, NULL where there is none' CODEC(ZSTD(1)),
    `best_ask_price` Nullable(Decimal(38, 18)) COMMENT 'Price of the first ask, NULL where there is none' CODEC(ZSTD(1)),
    `best_bid_quantity` Nullable(Decimal(38, 18)) COMMENT 'Quantity of the first bid in base units' CODEC(ZSTD(1)),
    `best_ask_quantity` Nullable(Decimal(38, 18)) COMMENT 'Quantity of the first ask in base units' CODEC(ZSTD(1)),
    `bids` Array(Tuple(Decimal(38, 18), Decimal(38, 18))) COMMENT '(price, quantity) of each bid, best (highest) first' CODEC(ZSTD(1)),
    `asks` Array(Tuple(Decimal(38, 18), Decimal(38, 18))) COMMENT '(price, quantity) of each ask, best (lowest) first' CODEC(ZSTD(1)),
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
ORDER BY (exchange, market_type, symbol, timestamp, last_update_id)
COMMENT 'The best levels of a verified order book after one of the exchange''s updates'
