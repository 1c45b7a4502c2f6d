//! A start that cannot work says why.

use crate::rig::Rig;

#[tokio::test]
async fn a_start_that_cannot_work_says_why() {
    let rig = Rig::start().await;
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
