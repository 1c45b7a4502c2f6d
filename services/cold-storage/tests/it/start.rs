//! A start that cannot work says why.

use marketprism_testkit::poll_until;

use crate::rig::{DEADLINE, Rig};

#[tokio::test]
async fn a_start_that_cannot_work_says_why() {
    let rig = Rig::start().await;
    // How durable the hot tier is was decided for hot-storage, and is no reason.
    rig.run("ALTER TABLE marketprism_hot.gaps MODIFY SETTING fsync_after_insert = 0").await;
    let mut accepting = rig.service("accepting");
    poll_until(DEADLINE, "it is at work", async || {
        rig.get("accepting", "health").await.starts_with("HTTP/1.1 200")
    })
    .await;
    assert!(accepting.stop().success());
    let failed = |more: &[(&str, &str)]| {
        let mut service = rig.spawn("one", &[], more);
        let status = service.wait();
        (status.code(), service.log())
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("127.0.0.1:{port}");
    let (code, log) = failed(&[("MARKETPRISM__NATS__URL", &nobody)]);
    assert!(code == Some(1) && log.contains("failed to connect to NATS"), "{log}");
    let url = format!("http://{nobody}");
    let (code, log) = failed(&[("MARKETPRISM__COLD__URL", &url)]);
    assert!(
        code == Some(1) && log.contains("failed to prepare the cold tier") && log.contains(&url),
        "{log}"
    );
    let (code, log) = failed(&[("MARKETPRISM__HOT__DATABASE", "nowhere")]);
    assert!(code == Some(1) && log.contains("database nowhere lacks schema files 0001_trades"), "{log}");
    let (code, log) = failed(&[("MARKETPRISM__COLD__DATABASE", "marketprism_hot")]);
    assert!(code == Some(64) && log.contains("cold.database: marketprism_hot"), "{log}");
    rig.run("INSERT INTO marketprism_hot.schema_version SELECT 99, 'later', now64(6)").await;
    let (code, log) = failed(&[]);
    assert!(code == Some(1) && log.contains("has schema version 99"), "{log}");
}

#[tokio::test]
async fn passwords_are_in_no_log() {
    let secret = "correct-horse-battery";
    let server = marketprism_testkit::ClickHouse::start_with(&[
        ("MARKETPRISM__PASSWORD", secret),
        ("MARKETPRISM__LOGGING__LEVEL", "trace"),
    ]);
    let rig = Rig::start().await;
    let url = server.url();
    let with = |name: &str, password: &str| {
        let more = [
            ("MARKETPRISM__COLD__URL", url.as_str()),
            ("MARKETPRISM__COLD__PASSWORD", password),
            ("MARKETPRISM__HOT__PASSWORD", password),
            ("MARKETPRISM__LOGGING__LEVEL", "trace"),
        ];
        let mut service = rig.spawn(name, &[], &more);
        assert_eq!(service.wait().code(), Some(1));
        service.log()
    };
    let refused = with("refused", "wrong-staple");
    assert!(refused.contains("failed to prepare the cold tier") && !refused.contains("staple"), "{refused}");
    // The cold tier is made; the hot one has another password, and refuses this one.
    let made = with("made", secret);
    assert!(made.contains("schema file applied") && made.contains("failed to find the hot tier"), "{made}");
    assert!(!made.contains(secret), "{made}");
    let mut server = server;
    let log = server.process().log();
    assert!(!log.is_empty() && !log.contains(secret), "{log}");
}
