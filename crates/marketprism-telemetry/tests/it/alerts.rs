//! From the fault to the message in somebody's chat, and to the message that it is over: real Prometheus, Alertmanager and
//! monitoring service, with the deployed rules and routes in a hurry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use marketprism_telemetry::rules::rules;
use marketprism_telemetry::watched::{Plan, Watched};
use marketprism_testkit::{ROBOT_SECRET, Robot, poll_until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Times in rules and routes are so many times shorter: half a minute is a second, as often as is scraped.
const HURRY: u32 = 30;
/// For all that is no rule's own time: start and recovery on a machine that is busy.
const PATIENCE: Duration = marketprism_testkit::DEADLINE;
/// What comes on top of a rule's own time: figures of sockets every five seconds, a scrape, an evaluation, grouping, sending.
const ON_THE_WAY: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_is_told_and_so_is_its_end() {
    let begun = Instant::now();
    let robot = Robot::start().await;
    let mut watched = Watched::start(plan(&robot)).await;
    poll_until(PATIENCE, "every target is scraped and messages flow", async || {
        !watched
            .query(
                "sum(up) == count(up) and on () sum(rate(marketprism_nats_messages_published_total[4s])) > 0",
            )
            .await
            .is_empty()
    })
    .await;
    println!("all is well after {:.1} s", begun.elapsed().as_secs_f64());
    println!("{:<8} {:<25} {:>7} {:>7}", "", "alert", "by rule", "told");

    // 1. Sockets, silence and lag: none of them keeps another quiet.
    let alerts = ["CollectorHighConnections", "CollectorNoDataIngestion", "ColdReplicationLagHigh"];
    let chat = Chat::from_now(&robot);
    let health = format!("127.0.0.1:{}", watched.ports.collector_admin[0]);
    let sockets = clients(&health);
    control(&watched, "pause").await;
    chat.told("FIRING", &alerts).await;
    let chat = Chat::from_now(&robot);
    drop(sockets);
    control(&watched, "resume").await;
    copy_everything(&mut watched).await;
    chat.told("RESOLVED", &alerts).await;

    // 2. The collector and both tiers.
    let faults = [
        ("collector", "CollectorTargetDown"),
        ("clickhouse-hot", "ClickHouseHotDown"),
        ("clickhouse-cold", "ClickHouseColdDown"),
    ];
    killed(&mut watched, &robot, &faults, &["CollectorDown", "CollectorHealthDown"]).await;
    // 3. What writes them; while a tier is down this would not be told.
    let faults = [("hot-storage", "HotStorageDown"), ("cold-storage", "ColdStorageDown")];
    killed(&mut watched, &robot, &faults, &["HotServiceHealthDown", "ColdServiceHealthDown"]).await;
    // 4. The broker, without which nothing else is worth telling.
    killed(&mut watched, &robot, &[("nats-server", "BrokerDown")], &["HotServiceHealthDown"]).await;
    println!("all in all {:.1} s", begun.elapsed().as_secs_f64());
}

fn plan(robot: &Robot) -> Plan {
    let markets = ["binance_spot", "binance_usdm", "okx_spot", "okx_swap", "deribit"];
    // What is polled goes on while the sockets are silent.
    let rarely = markets.map(|market| (market.to_owned(), json!({ "poll_interval": "1h" })));
    let exchanges: serde_json::Map<_, _> = rarely.into_iter().collect();
    let target = json!({ "url": robot.url, "secret": ROBOT_SECRET, "messages_per_minute_max": 600 });
    Plan {
        symbols: 1,
        rate: 200,
        overrides: vec![
            ("collector", json!({ "exchanges": exchanges })),
            // Nothing is old enough to be copied.
            ("cold-storage", json!({ "replication": { "lag": "1h" } })),
        ],
        hurry: HURRY,
        // The same lag in seconds: a quarter of an hour cannot be in a hurry.
        rewritten: vec![(
            "marketprism_cold_replication_lag_minutes) > 15",
            "marketprism_cold_replication_lag_seconds) > 5",
        )],
        monitoring: json!({ "bridge": { "targets": { "marketprism": target } } }),
    }
}

/// As many clients of the health port as are too many and still get a place, of two hosts, as one alone gets half of the places.
/// Each asks again and again: one that says nothing is soon closed.
fn clients(health: &str) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..58 {
        let (host, health) = ([127, 0, 0, 2 + number % 2], health.parse::<SocketAddr>().unwrap());
        clients.spawn(async move {
            let request = format!("GET /live HTTP/1.1\r\nHost: {health}\r\n\r\n");
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from((host, 0))).unwrap();
                if let Ok(mut client) = socket.connect(health).await {
                    while client.write_all(request.as_bytes()).await.is_ok()
                        && client.read(&mut [0; 1 << 10]).await.is_ok_and(|bytes| bytes > 0)
                    {
                        sleep(Duration::from_secs(1)).await;
                    }
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
    }
    clients
}

async fn control(watched: &Watched, order: &str) {
    let url = format!("{}/control/{order}", watched.stack.simulator_url());
    watched.http.post(&url).await.unwrap();
}

/// Kills processes, waits for the alert of each, starts them again, and waits for the end of their alerts. What they keep quiet fires
/// too and is not told, because they say it.
async fn killed(watched: &mut Watched, robot: &Robot, faults: &[(&str, &str)], kept_quiet: &[&str]) {
    let alerts: Vec<_> = faults.iter().map(|(_, alert)| *alert).collect();
    let chat = Chat::from_now(robot);
    for (process, _) in faults {
        watched.stack.process(process).unwrap().kill().await.unwrap();
    }
    chat.told("FIRING", &alerts).await;
    for alert in kept_quiet {
        poll_until(PATIENCE, &format!("{alert} is kept quiet"), async || is_inhibited(watched, alert).await)
            .await;
    }
    let chat = Chat::from_now(robot);
    for (process, _) in faults {
        watched.stack.start_again(process).unwrap();
    }
    chat.told("RESOLVED", &alerts).await;
}

async fn is_inhibited(watched: &Watched, alert: &str) -> bool {
    let url = format!("{}/api/v2/alerts?filter=alertname={alert}", watched.alertmanager.url());
    let alerts = watched.http.get_json(&url).await.unwrap();
    alerts.as_array().unwrap().iter().any(|one| one["status"]["inhibitedBy"] != json!([]))
}

/// Copies what there is from now on.
async fn copy_everything(watched: &mut Watched) {
    let path = watched.folder.path().join("config/cold-storage.yaml");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["replication"]["lag"] = json!("0s");
    watched.folder.config("cold-storage", &config).unwrap();
    watched.stack.process("cold-storage").unwrap().kill().await.unwrap();
    watched.stack.start_again("cold-storage").unwrap();
}

/// What people are told from some moment on. A message whose signature does not hold fails the test.
struct Chat<'a> {
    robot: &'a Robot,
    since: Instant,
    /// Messages told before.
    before: usize,
}

impl<'a> Chat<'a> {
    fn from_now(robot: &'a Robot) -> Self {
        Self { robot, since: Instant::now(), before: robot.messages().len() }
    }

    async fn told(&self, status: &str, alerts: &[&str]) {
        let mut left = alerts.to_vec();
        poll_until(PATIENCE, &format!("{status} of {alerts:?} in the chat"), async || {
            let messages = self.robot.messages();
            left.retain(|alert| {
                let mut since = messages.iter().skip(self.before);
                let Some(message) = since.find(|message| tells(message, status, alert)) else { return true };
                self.check(status, alert, message["text"].as_str().unwrap());
                false
            });
            left.is_empty()
        })
        .await;
    }

    /// In time, and with all that somebody who was woken needs.
    fn check(&self, status: &str, alert: &str, text: &str) {
        let after = self.since.elapsed();
        let rule = rules().into_iter().find(|rule| rule.name == alert).unwrap();
        if status == "FIRING" {
            let due = rule.due / HURRY;
            println!("{status:<8} {alert:<25} {:>5.1} s {:>5.1} s", due.as_secs_f64(), after.as_secs_f64());
            assert!(after < due + ON_THE_WAY, "{alert} was told after {after:?}");
        } else {
            println!("{status:<8} {alert:<25} {:>15.1} s", after.as_secs_f64());
        }
        for part in [&format!("**{}**", rule.labels["severity"]), "](http://127.0.0.1:8082/runbook", "/d/"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

/// A message is of one notification, which its title names, or of several, each below a heading of its own.
fn tells(message: &Value, status: &str, alert: &str) -> bool {
    let text = message["text"].as_str().unwrap();
    let one = format!("### [MarketPrism] {status}: {alert} (");
    let of_several = format!("#### {status}: {alert} (");
    text.lines().any(|line| line.starts_with(&of_several))
        || text.lines().next().is_some_and(|title| title.starts_with(&one) && !text.contains("\n#### "))
}
