//! Who is asked: Prometheus, Alertmanager, and the services' own health. Nothing is remembered between two questions.

mod alertmanager;
mod client;
mod components;
mod config;
mod prometheus;
mod watch;

pub(crate) use alertmanager::{Alertmanager, FoundAlert};
pub(crate) use client::UpstreamError;
pub(crate) use components::{Component, ComponentStatus, Components};
pub(crate) use config::{ComponentConfig, UpstreamsConfig, default_components};
pub(crate) use prometheus::{FoundRule, Prometheus};
pub(crate) use watch::watch;
