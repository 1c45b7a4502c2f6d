CREATE TABLE IF NOT EXISTS {database}.`stream_losses`{on_cluster}
(
    `stream` LowCardinality(String) COMMENT 'Name of the stream' CODEC(ZSTD(1)),
    `epoch` UInt32 COMMENT 'Epoch of the sequences' CODEC(ZSTD(1)),
    `from_seq` UInt64 COMMENT 'First sequence that is missing' CODEC(ZSTD(1)),
    `to_seq` UInt64 COMMENT 'Last sequence that is missing' CODEC(ZSTD(1)),
    `messages` UInt64 COMMENT 'How many between them are in no table and no dead letter' CODEC(ZSTD(1)),
    `detected_at` DateTime64(6, 'UTC') COMMENT 'When hot-storage noticed' CODEC(ZSTD(1)),
    `reason` LowCardinality(String) COMMENT 'Limit of the stream that was reached: max_age, max_bytes or max_messages' CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (stream, epoch, from_seq)
COMMENT 'Messages that the broker dropped before they were stored: they are lost'
