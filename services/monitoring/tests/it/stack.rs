//! monitoring with a real Prometheus, which scrapes it and has two rules, and a real Alertmanager.

use std::path::Path;
use std::time::Duration;

use marketprism_testkit::{MonitoringServer, poll_until};
use serde_json::Value;
use tempfile::TempDir;

use crate::monitoring::Monitoring;

const DEADLINE: Duration = marketprism_testkit::DEADLINE;

pub(crate) struct Stack {
    pub(crate) monitoring: Monitoring,
    pub(crate) prometheus: MonitoringServer,
    pub(crate) alertmanager: MonitoringServer,
    _folder: TempDir,
}

const RULES: &str = "
groups:
  - name: test
    rules:
      - alert: AlwaysFiring
        expr: vector(7) > 1
        labels: {severity: critical, category: test}
        annotations: {description: 'it is {{ $value }}'}
      - alert: NeverFiring
        expr: vector(0) > 1
        for: 90s
        labels: {severity: warning}
        annotations: {description: never}
";

impl Stack {
    /// Starts the three, and waits until an alert is in Alertmanager and the scrape in Prometheus.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("rules.yaml"), RULES).unwrap();
        std::fs::write(at("targets.yaml"), "[]").unwrap();
        let config = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n";
        std::fs::write(at("alertmanager.yml"), config).unwrap();
        let alertmanager = started(&at("alertmanager.yml"), MonitoringServer::alertmanager).await;
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: [{}]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n\
             scrape_configs: [{{job_name: monitoring, file_sd_configs: [{{files: [{}], refresh_interval: 1s}}]}}]\n",
            at("rules.yaml").display(),
            alertmanager.url().trim_start_matches("http://"),
            at("targets.yaml").display(),
        );
        std::fs::write(at("prometheus.yml"), config).unwrap();
        let prometheus = started(&at("prometheus.yml"), MonitoringServer::prometheus).await;
        let monitoring = Monitoring::start(&[
            ("MARKETPRISM__UPSTREAMS__PROMETHEUS", &prometheus.url()),
            ("MARKETPRISM__UPSTREAMS__ALERTMANAGER", &alertmanager.url()),
            ("MARKETPRISM__COMPONENTS__COLLECTOR__HEALTH", "http://127.0.0.1:1"),
        ])
        .await;
        let target = monitoring.metrics_url.trim_start_matches("http://").trim_end_matches("/metrics");
        std::fs::write(at("targets.yaml"), format!("[{{\"targets\": [\"{target}\"]}}]")).unwrap();
        let stack = Self { monitoring, prometheus, alertmanager, _folder: folder };
        poll_until(DEADLINE, "the alert is in Alertmanager", async || {
            stack.get("/api/v1/alerts").await["data"]["total_count"] == 1
        })
        .await;
        poll_until(DEADLINE, "the service is scraped", async || {
            let figures = stack.get("/api/v1/metrics?category=resources").await;
            figures["data"]["metrics"].as_array().unwrap().iter().all(|figure| figure["value"].is_number())
        })
        .await;
        stack
    }

    /// The body of a good answer.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (code, body) = self.monitoring.get(path).await;
        assert_eq!((code, &body["status"]), (200, &"success".into()), "{path}: {body}");
        body
    }
}

async fn started(config: &Path, start: fn(&Path) -> MonitoringServer) -> MonitoringServer {
    let config = config.to_owned();
    tokio::task::spawn_blocking(move || start(&config)).await.unwrap()
}
