//! `kong drain`: asks the node, through its Status API, to report that it is not ready.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use kong_config::{Config, Listener, LoadOptions};

use crate::cli::{ConfArgs, PrefixArg};
use crate::process::existing_prefix;

const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn drain(args: &ConfArgs) -> anyhow::Result<()> {
    let prefix = existing_prefix(&PrefixArg {
        prefix: args.prefix.clone(),
    })?;
    let options = LoadOptions {
        file: args.conf.clone(),
        base_file: Some(prefix.env_file()),
        prefix: Some(prefix.path),
        ..LoadOptions::from_process()
    };
    let config = Config::load(&options)?;
    let Some(listener) = config.listeners.status.first() else {
        println!("No status listeners found in configuration.");
        return Ok(());
    };
    let url = format!("{}/status/ready", listener.url());
    match post(listener) {
        Ok(204) => println!("Kong's status successfully changed to 'draining'"),
        Ok(status) => println!("Unexpected response status from {url}: {status}"),
        Err(error) => println!("Failed to send request to {url}: {error:#}"),
    }
    Ok(())
}

/// Sends the request; the status of the answer.
fn post(listener: &Listener) -> anyhow::Result<u16> {
    if listener.ssl {
        anyhow::bail!("TLS status listeners are not supported by this command yet");
    }
    let address = listener.resolve()?.into_iter().next().context("no address")?;
    let mut stream = TcpStream::connect_timeout(&reachable(address), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    const BODY: &str = r#"{"status":"draining"}"#;
    write!(
        stream,
        "POST /status/ready HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{BODY}",
        listener.host,
        listener.port,
        BODY.len()
    )?;
    let mut line = String::new();
    BufReader::new(std::io::Read::take(stream, 1024)).read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("not an HTTP answer: {line:?}"))
}

/// A wildcard is no address to connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(_) => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), address.port()),
    }
}
