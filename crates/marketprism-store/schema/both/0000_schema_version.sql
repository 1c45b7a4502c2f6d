CREATE TABLE IF NOT EXISTS {database}.`schema_version`{on_cluster}
(
    `version` UInt32 COMMENT 'Number of the file' CODEC(ZSTD(1)),
    `name` String COMMENT 'Name of the file' CODEC(ZSTD(1)),
    `applied_at` DateTime64(6, 'UTC') COMMENT 'When it was applied' CODEC(ZSTD(1))
)
ENGINE = {engine}
ORDER BY version
COMMENT 'Which numbered schema files this database has seen'
