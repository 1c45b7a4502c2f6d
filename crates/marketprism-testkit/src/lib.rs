//! Development only: real servers on free ports, fixtures, telemetry assertions.
