//! A client that sees every pull of a server, and answers in the server's place.

use alluvium_e2e::NatsServer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// What a server says of a pull for which it has no message.
const NO_MESSAGES: &str = "NATS/1.0 404 No Messages\r\n\r\n";

pub(crate) struct Forger {
    output: OwnedWriteHalf,
    /// Where the answers to the newest pull go.
    inbox: watch::Receiver<String>,
    /// How often it has answered.
    pub(crate) forged: u64,
}

impl Forger {
    pub(crate) async fn start(server: &NatsServer) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        let (input, mut output) = stream.into_split();
        let hello =
            "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB $JS.API.CONSUMER.MSG.NEXT.> 1\r\nPING\r\n";
        output.write_all(hello.as_bytes()).await.unwrap();
        let (newest, mut inbox) = watch::channel(String::new());
        tokio::spawn(async move {
            let (mut input, mut line) = (BufReader::new(input), String::new());
            while input.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let words: Vec<&str> = line.split_whitespace().collect();
                match words[..] {
                    // Subscribed.
                    ["PONG"] => drop(newest.send("ready".to_owned())),
                    ["MSG", _, _, reply, length] => {
                        newest.send_replace(reply.to_owned());
                        let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                        input.read_exact(&mut payload).await.unwrap();
                    }
                    _ => {}
                }
                line.clear();
            }
        });
        let ready = timeout(PATIENCE, inbox.wait_for(|inbox| !inbox.is_empty())).await;
        ready.expect("the server answers").expect("the connection stays");
        Self {
            output,
            inbox,
            forged: 0,
        }
    }

    /// Ends the newest pull, saying that there is no message for it.
    pub(crate) async fn end_the_pull(&mut self) {
        let inbox = timeout(PATIENCE, self.inbox.wait_for(|inbox| inbox != "ready")).await;
        let inbox = inbox
            .expect("there are pulls")
            .expect("the connection stays")
            .clone();
        let length = NO_MESSAGES.len();
        let forged = format!("HPUB {inbox} {length} {length}\r\n{NO_MESSAGES}\r\n");
        self.output.write_all(forged.as_bytes()).await.unwrap();
        self.forged += 1;
    }
}
