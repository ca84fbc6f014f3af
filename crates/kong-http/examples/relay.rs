//! A bare reverse proxy on one worker, to measure the engine by itself:
//! `relay 127.0.0.1:8000 127.0.0.1:9000` relays from the first address to the second, with the header edits that every
//! proxied request of a gateway gets. A third argument is a directory: request bodies are then read whole first, and
//! kept there if they are large.
#![allow(missing_docs)]

use kong_http::{
    AcceptOptions, BufferConfig, Client, ClientConfig, Endpoint, ListenOptions, ServerConfig, Timeouts, UpstreamHead,
    bind, buffer_body, drain,
};
use kong_message::{Request, Response};
use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = |default: &str| {
        arguments
            .next()
            .unwrap_or_else(|| default.to_owned())
            .parse::<SocketAddr>()
    };
    let (listen, upstream) = (address("127.0.0.1:8000")?, address("127.0.0.1:9000")?);
    let buffer = arguments.next().map(|dir| {
        Rc::new(BufferConfig {
            memory: 8192,
            dir: dir.into(),
        })
    });
    let listener = bind(listen, 1, &ListenOptions::default())?
        .into_iter()
        .next()
        .ok_or("no listener")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_trigger, drain) = drain();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let client = Client::new(ClientConfig::default());
        let endpoint = Rc::new(Endpoint::plain(upstream));
        let serial = Rc::new(Cell::new(0u64));
        let options = AcceptOptions::new(0, Rc::new(ServerConfig::default()));
        let make_service = move |conn: &Rc<kong_message::ConnInfo>| {
            let peer: Rc<str> = conn.peer.ip().to_string().into();
            let (client, endpoint, serial, buffer) = (client.clone(), endpoint.clone(), serial.clone(), buffer.clone());
            tower::service_fn(move |request: Request| {
                let (client, endpoint, peer, buffer) = (client.clone(), endpoint.clone(), peer.clone(), buffer.clone());
                serial.set(serial.get() + 1);
                let serial = serial.get();
                async move {
                    let mut request = request;
                    if let Some(config) = buffer {
                        request.body = match buffer_body(std::mem::take(&mut request.body), &config).await {
                            Ok(body) => body,
                            Err(_) => return Ok(Response::status(400)),
                        };
                    }
                    Ok::<_, Infallible>(relay(client, endpoint, peer, request, serial).await)
                }
            })
        };
        listener.run(options, make_service, drain).await
    })?;
    Ok(())
}

async fn relay(client: Client, endpoint: Rc<Endpoint>, peer: Rc<str>, mut request: Request, serial: u64) -> Response {
    let id: [u8; 32] = std::array::from_fn(|at| b"0123456789abcdef"[(serial as u128 >> (124 - 4 * at)) as usize & 15]);
    let head = &mut request.head;
    head.headers.remove("keep-alive");
    head.headers.append("X-Forwarded-For", peer.as_bytes());
    head.headers.append("X-Forwarded-Proto", request.conn.scheme());
    head.headers.append("X-Real-IP", peer.as_bytes());
    head.headers.append("Via", "1.1 relay");
    head.headers.append("X-Request-Id", id);
    let upstream_head = UpstreamHead {
        method: &head.method,
        target: head.target_parts().path_and_query(),
        host: Some(b"origin.test"),
        headers: &head.headers,
        upgrade: false,
    };
    match client
        .send(&endpoint, &upstream_head, &mut request.body, &Timeouts::default())
        .await
    {
        Ok(answer) => {
            let mut response = Response::new(answer.head, answer.body);
            response.head.headers.append("Via", "1.1 relay");
            response.head.headers.append("X-Proxy-Latency", "1");
            response.head.headers.append("X-Upstream-Latency", "1");
            response.head.headers.append("X-Request-Id", id);
            response
        }
        Err(error) => Response::status(if error.is_timeout() { 504 } else { 502 }),
    }
}
