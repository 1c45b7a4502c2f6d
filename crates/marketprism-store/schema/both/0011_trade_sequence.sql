ALTER TABLE {database}.`trades`{on_cluster}
    ADD COLUMN IF NOT EXISTS `trade_sequence` Nullable(UInt64) COMMENT 'The exchange''s consecutive number of the trade, where that is not trade_id (Deribit)' CODEC(ZSTD(1)) AFTER `contracts`
