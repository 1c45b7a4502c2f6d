//! A certificate that nobody vouches for is refused, for REST as for WebSockets: not a byte is said to who shows it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use marketprism_testkit::poll_until;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::rig::{DEADLINE, Rig};

/// Somebody who says to be the exchange, with a certificate of their own making.
struct Impostor {
    address: SocketAddr,
    seen: Arc<Seen>,
    _accepting: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    /// Handshakes that the client ended.
    refused: AtomicUsize,
    /// Handshakes that came to their end: the client would talk now.
    trusted: AtomicUsize,
}

impl Impostor {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (mut accepting, counted) = (JoinSet::new(), seen.clone());
        accepting.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let outcome = acceptor.accept(stream).await;
                let count = if outcome.is_ok() { &counted.trusted } else { &counted.refused };
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, seen, _accepting: accepting }
    }

    fn assert_nobody_trusted(&self) {
        assert_eq!(self.seen.trusted.load(Ordering::Relaxed), 0, "a handshake came to its end");
    }

    async fn refused(&self) {
        poll_until(DEADLINE, "the handshake is refused", async || {
            self.seen.refused.load(Ordering::Relaxed) > 0
        })
        .await;
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_named() {
    let (of_sockets, of_rest) = (Impostor::start().await, Impostor::start().await);
    let rig = Rig::start_with(|config| {
        config["exchanges"]["binance_spot"]["ws_url"] = json!(format!("wss://{}", of_sockets.address));
        config["exchanges"]["binance_usdm"]["rest_url"] = json!(format!("https://{}", of_rest.address));
    })
    .await;
    of_sockets.refused().await;
    of_rest.refused().await;
    rig.logged(&format!("failed to connect to wss://{}", of_sockets.address), 1).await;
    poll_until(DEADLINE, "health names the host and what is wrong with it", async || {
        let health = rig.health().await;
        let reason = health["checks"]["exchanges"]["reason"].as_str().unwrap_or_default();
        reason.contains(&of_rest.address.to_string()) && reason.contains("invalid peer certificate")
    })
    .await;
    let log = rig.collector.log();
    let line = log.lines().find(|line| line.contains("failed to connect to wss://")).unwrap();
    assert!(line.contains("invalid peer certificate"), "{line}");
    of_sockets.assert_nobody_trusted();
    of_rest.assert_nobody_trusted();
}
