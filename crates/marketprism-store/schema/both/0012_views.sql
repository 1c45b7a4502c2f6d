CREATE OR REPLACE VIEW {database}.`candles`{on_cluster} AS
SELECT
    exchange, market_type, symbol,
    toStartOfInterval(timestamp, toIntervalSecond({interval_seconds:UInt32})) AS time,
    argMin(price, (timestamp, ifNull(trade_sequence, toUInt64OrZero(trade_id)), trade_id)) AS open,
    max(price) AS high,
    min(price) AS low,
    argMax(price, (timestamp, ifNull(trade_sequence, toUInt64OrZero(trade_id)), trade_id)) AS close,
    sum(quantity) AS volume,
    CAST(sum(toDecimal256(price, 18) * toDecimal256(quantity, 18)) AS Decimal(38, 18)) AS quote_volume,
    sumIf(quantity, side = 'buy') AS buy_volume,
    sum(toUInt64(ifNull(last_trade_id - first_trade_id + 1, 1))) AS trades
FROM {database}.`trades`
GROUP BY exchange, market_type, symbol, time
COMMENT 'Bars of any length: candles(interval_seconds = 120). Made of the trades from time until time + interval. Volumes in base and quote units, buy_volume of takers who bought, trades counts the single trades of aggregates. An interval without a trade has no row'
;
CREATE OR REPLACE VIEW {database}.`candles_1s`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 1)
COMMENT 'Bars of 1 second, see candles'
;
CREATE OR REPLACE VIEW {database}.`candles_1m`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 60)
COMMENT 'Bars of 1 minute, see candles'
;
CREATE OR REPLACE VIEW {database}.`candles_5m`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 300)
COMMENT 'Bars of 5 minutes, see candles'
;
CREATE OR REPLACE VIEW {database}.`candles_15m`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 900)
COMMENT 'Bars of 15 minutes, see candles'
;
CREATE OR REPLACE VIEW {database}.`candles_1h`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 3600)
COMMENT 'Bars of 1 hour, see candles'
;
CREATE OR REPLACE VIEW {database}.`candles_4h`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 14400)
COMMENT 'Bars of 4 hours from 00:00 UTC, see candles'
;
CREATE OR REPLACE VIEW {database}.`candles_1d`{on_cluster} AS SELECT * FROM {database}.`candles`(interval_seconds = 86400)
COMMENT 'Bars of 1 day from 00:00 UTC, see candles'
;
CREATE OR REPLACE VIEW {database}.`best_bid_ask`{on_cluster} AS
SELECT
    timestamp AS time, exchange, market_type, symbol,
    best_bid_price AS bid_price, best_bid_quantity AS bid_quantity,
    best_ask_price AS ask_price, best_ask_quantity AS ask_quantity,
    best_ask_price - best_bid_price AS spread,
    (best_bid_price + best_ask_price) / 2 AS mid_price,
    last_update_id
FROM {database}.`orderbooks`
COMMENT 'The best bid and ask of each stored book, NULL where a side is empty'
;
CREATE OR REPLACE VIEW {database}.`orderbook_at`{on_cluster} AS
WITH book AS
(
    SELECT timestamp, last_update_id, bids, asks
    FROM {database}.`orderbooks`
    WHERE exchange = {exchange:String} AND market_type = {market_type:String} AND symbol = {symbol:String}
        AND timestamp <= {at:DateTime64(6, 'UTC')} AND timestamp > {at:DateTime64(6, 'UTC')} - INTERVAL 1 DAY
    ORDER BY timestamp DESC, last_update_id DESC, stream_seq DESC
    LIMIT 1
)
SELECT
    timestamp AS time, last_update_id,
    entry.1 AS side, toUInt32(entry.2) AS level, entry.3.1 AS price, entry.3.2 AS quantity
FROM book
ARRAY JOIN arrayConcat(
    arrayMap((bid, at) -> ('bid', at, bid), bids, arrayEnumerate(bids)),
    arrayMap((ask, at) -> ('ask', at, ask), asks, arrayEnumerate(asks))
) AS entry
ORDER BY side DESC, level
COMMENT 'The last book at or before a time, of the day before it, one row a level, level 1 the best: orderbook_at(exchange = ..., market_type = ..., symbol = ..., at = ...)'
