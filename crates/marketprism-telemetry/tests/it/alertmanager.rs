//! Alertmanager's configuration: it is read, and each alert goes where it should.

use marketprism_telemetry::root;
use marketprism_testkit::amtool;

use crate::rules::content;

#[test]
fn alertmanager_reads_its_configuration() {
    let mut command = amtool();
    command.arg("check-config").arg(root().join("deploy/alertmanager/alertmanager.yml"));
    let said = content(command);
    assert!(said.contains("2 receivers"), "{said}");
}

#[test]
fn every_severity_reaches_somebody() {
    for severity in ["critical", "warning", "info"] {
        let mut command = amtool();
        command
            .args(["config", "routes", "test", "--verify.receivers=dingtalk", "--config.file"])
            .arg(root().join("deploy/alertmanager/alertmanager.yml"))
            .args(["alertname=BrokerDown", "service=message-broker", &format!("severity={severity}")]);
        content(command);
    }
}

/// Critical ones are repeated after ten minutes, all others after two hours.
#[test]
fn the_worse_the_more_often() {
    let text = std::fs::read_to_string(root().join("deploy/alertmanager/alertmanager.yml")).unwrap();
    let critical = text.split("severity = critical]").nth(1).unwrap();
    assert!(critical.split("- matchers").next().unwrap().contains("repeat_interval: 10m"), "{critical}");
    let warning = text.split("severity = warning]").nth(1).unwrap();
    assert!(warning.split("receivers:").next().unwrap().contains("repeat_interval: 2h"), "{warning}");
}
