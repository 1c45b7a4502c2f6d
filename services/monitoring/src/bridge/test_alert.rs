//! `marketprism-monitoring --test`: one sample message to a target, and what its robot answers.

use std::io::Write;
use std::process::ExitCode;

use jiff::Timestamp;
use marketprism_service::{Context, Report};

use super::config::BridgeConfig;
use super::message::Message;
use super::robot::Robot;
use super::webhook::Notification;

/// Of `--test` and of `test-alert`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TestAlertArgs {
    /// The target, a name below `bridge.targets`
    #[arg(long, default_value = "marketprism")]
    pub(crate) target: String,
}

/// Sends once, past any queue. The exit code is 0 when the robot took it.
///
/// # Errors
/// When the target is not configured, or the robot did not take it.
pub(crate) async fn run(config: &BridgeConfig, arguments: &TestAlertArgs) -> Result<ExitCode, Report> {
    let name = &arguments.target;
    let target = config.targets.get(name).ok_or_else(|| {
        let known: Vec<_> = config.targets.keys().map(String::as_str).collect();
        Report::message(format!("--target: `{name}`: is none of bridge.targets: {}", known.join(", ")))
    })?;
    let robot = Robot::new(target)?
        .ok_or_else(|| Report::message(format!("bridge.targets.{name}.url is not set")))?;
    let now = Timestamp::now();
    let message = Message::of(&[&Notification::sample(now)], robot.markup());
    let answer = robot.send(&message, now).await.context("the test alert was not delivered")?;
    writeln!(std::io::stdout(), "{answer}").context("failed to print the answer")?;
    Ok(ExitCode::SUCCESS)
}
