//! One question to the name servers: over UDP, over TCP when the answer does not fit.
//!
//! Sockets are connected, so that a server which is not there is noticed at once, and live for one question: the port is
//! new for each, as it is half of what makes answers hard to forge.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use kong_balancer::ResolveError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

/// The name servers.
pub(super) struct Servers {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) timeout: Duration,
    pub(super) attempts: usize,
    next: AtomicUsize,
}

impl Servers {
    pub(super) fn new(addresses: Vec<SocketAddr>, timeout: Duration, attempts: usize, rotates: bool) -> Self {
        Servers {
            next: AtomicUsize::new(if rotates { fastrand::usize(..1024) } else { 0 }),
            addresses,
            timeout,
            attempts,
        }
    }

    /// The answer of the first server that gives one, whatever it is.
    ///
    /// # Errors
    /// No server answered.
    pub(super) async fn ask(&self, name: &Name, record_type: RecordType) -> Result<Message, ResolveError> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut reason = "no name server".to_owned();
        for attempt in 0..self.attempts {
            let at = first.wrapping_add(attempt).checked_rem(self.addresses.len());
            let Some(server) = at.and_then(|at| self.addresses.get(at)) else {
                break;
            };
            let mut question = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
            question.metadata.recursion_desired = true;
            question.add_query(Query::query(name.clone(), record_type));
            let deadline = Instant::now() + self.timeout;
            let answer = timeout_at(deadline, exchange(*server, &question)).await;
            match answer {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => reason = format!("failed to receive reply from server {server}: {error}"),
                Err(_) => reason = format!("failed to receive reply from server {server}: timeout"),
            }
        }
        Err(ResolveError::Failed(format!("dns client error: {reason}")))
    }
}

async fn exchange(server: SocketAddr, question: &Message) -> std::io::Result<Message> {
    let bytes = question.to_vec().map_err(std::io::Error::other)?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let len = socket.recv(&mut buffer).await?;
        // What answers another question is not ours, or forged: the right answer may still come.
        let Some(answer) = buffer.get(..len).and_then(|bytes| answer_to(question, bytes)) else {
            continue;
        };
        return match answer.metadata.truncation {
            true => exchange_tcp(server, question, &bytes).await,
            false => Ok(answer),
        };
    }
}

async fn exchange_tcp(server: SocketAddr, question: &Message, bytes: &[u8]) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let len = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    let framed = [&len.to_be_bytes()[..], bytes].concat();
    stream.write_all(&framed).await?;
    let len = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(len)];
    stream.read_exact(&mut buffer).await?;
    answer_to(question, &buffer).ok_or_else(|| std::io::Error::other("answer to another question"))
}

fn answer_to(question: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let is_it = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && answer.queries == question.queries;
    is_it.then_some(answer)
}
