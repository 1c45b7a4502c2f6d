//! A TCP proxy before the broker that can swallow its answers: what arrives is stored, and nobody hears of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Open,
    Muted,
    Cut,
}

/// A proxy of one broker; dropped, its connections end.
pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(broker_url: &str) -> Self {
        let broker = broker_url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, watched) = watch::channel(Mode::Open);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&broker).await.unwrap();
                connections.spawn(pass(client, server, watched.clone()));
            }
        });
        Self { port, mode, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// From now on the broker's answers are swallowed.
    pub(crate) fn mute(&self) {
        self.mode.send_replace(Mode::Muted);
    }

    /// Ends the connections; new ones pass everything again.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }
}

async fn pass(client: TcpStream, server: TcpStream, mut mode: watch::Receiver<Mode>) {
    // A connection made after the cut is not the one that was cut.
    mode.mark_unchanged();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut muted = false;
    let answers = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            tokio::select! {
                biased;
                changed = mode.changed() => match changed.map(|()| *mode.borrow_and_update()) {
                    Ok(Mode::Muted) => muted = true,
                    Ok(Mode::Open) => muted = false,
                    Ok(Mode::Cut) | Err(_) => return,
                },
                read = from_server.read(&mut buffer) => match read {
                    Ok(bytes) if bytes > 0 && muted => {}
                    Ok(bytes) if bytes > 0 && to_client.write_all(&buffer[..bytes]).await.is_ok() => {}
                    _ => return,
                },
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = copy(&mut from_client, &mut to_server) => {}
    }
}
