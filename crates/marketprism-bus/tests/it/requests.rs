//! An operator asks, one of us answers.

use bytes::Bytes;
use marketprism_testkit::NatsServer;

use crate::connect;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_and_one_that_nobody_hears_is_an_error() {
    let server = NatsServer::start();
    let (asking, answering) = (connect(&server).await, connect(&server).await);
    let error = asking.ask("control.test.reload", Bytes::new()).await.unwrap_err();
    assert!(error.to_string().contains("control.test.reload"), "{error}");

    let mut requests = answering.requests("control.test.*").await.unwrap();
    let answer = async {
        let request = requests.next().await.unwrap();
        assert_eq!((request.subject.as_str(), &request.payload[..]), ("control.test.reload", &b"now"[..]));
        answering.answer(&request, Bytes::from_static(b"done")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(asking.ask("control.test.reload", Bytes::from_static(b"now")), answer);
    assert_eq!(answer.unwrap(), "done");
}
