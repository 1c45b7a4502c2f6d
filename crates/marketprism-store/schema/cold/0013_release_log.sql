CREATE TABLE IF NOT EXISTS {database}.`release_log`{on_cluster}
(
    `table_name` LowCardinality(String) COMMENT 'Table of the hot tier' CODEC(ZSTD(1)),
    `day` Date COMMENT 'Day of the rows (UTC): the partition' CODEC(ZSTD(1)),
    `part` String COMMENT 'Part of the hot tier that was dropped' CODEC(ZSTD(1)),
    `stream_epoch` UInt32 COMMENT 'Epoch of the rows. A part with rows of several epochs has an entry for each' CODEC(ZSTD(1)),
    `from_seq` UInt64 COMMENT 'Lowest stream_seq in the part' CODEC(ZSTD(1)),
    `to_seq` UInt64 COMMENT 'Highest stream_seq in the part' CODEC(ZSTD(1)),
    `rows` UInt64 COMMENT 'Rows in the part, all of them in this database' CODEC(ZSTD(1)),
    `checksum` UInt64 COMMENT 'Sum of the hashes of the rows' CODEC(ZSTD(1)),
    `kept` Bool COMMENT 'The part was not dropped after all: takes back the entry before it of the same part' CODEC(ZSTD(1)),
    `released_at` DateTime64(6, 'UTC') COMMENT 'When both tiers were compared and this was entered, just before the part was dropped' CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY (table_name, day, released_at)
COMMENT 'What the hot tier let go of after it was proved to be here: why it is missing there'
