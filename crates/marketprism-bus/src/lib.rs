//! Everything that knows NATS.
