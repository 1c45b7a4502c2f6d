//! Everything that knows ClickHouse.
