//! Who is asked about alerts and figures: Prometheus and Alertmanager. Nothing is remembered between two questions.

mod alertmanager;
mod client;
mod config;
mod prometheus;
mod watch;

pub(crate) use alertmanager::{Alertmanager, FoundAlert};
pub(crate) use client::{Upstream, UpstreamError};
pub(crate) use config::UpstreamsConfig;
pub(crate) use prometheus::{FoundRule, Prometheus};
pub(crate) use watch::watch;
