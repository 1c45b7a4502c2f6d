CREATE TABLE IF NOT EXISTS {database}.`stream_epochs`{on_cluster}
(
    `stream` LowCardinality(String) COMMENT 'Name of the stream' CODEC(ZSTD(1)),
    `epoch` UInt32 COMMENT 'stream_epoch of the rows of this incarnation, from 1' CODEC(ZSTD(1)),
    `stream_created_at` DateTime64(6, 'UTC') COMMENT 'When the broker says the stream was created' CODEC(ZSTD(1)),
    `last_sequence` UInt64 COMMENT 'Last sequence of the stream when this epoch began' CODEC(ZSTD(1)),
    `reason` LowCardinality(String) COMMENT 'Why it began: first, recreated (another creation time) or shorter (less than is stored)' CODEC(ZSTD(1)),
    `first_seen_at` DateTime64(6, 'UTC') COMMENT 'When hot-storage began this epoch' CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (stream, epoch)
COMMENT 'Incarnations of the JetStream streams whose sequences are stored'
