//! Active health checks: probes of the targets of upstreams that ask for them, once per node (upstream.md §12).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kong_balancer::{Address, Report};
use kong_config::Config;
use kong_http::{ClientTls, ClientVerify};
use kong_proxy::{Balancers, Checks, Probe, ProbeProtocol, UpstreamEntry};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use uuid::Uuid;

/// Longest status line that is read.
const MAX_LINE: usize = 1024;
/// Certificates that may stand between a target's and an authority's.
const DEPTH: usize = 8;

/// TLS towards targets, with and without verification.
struct ProbeTls {
    verified: Option<ClientTls>,
    unverified: Option<ClientTls>,
}

/// An upstream that is probed, the checks that it asked for, and the tasks that do it.
type Probed = (Arc<UpstreamEntry>, Arc<Checks>, Vec<AbortHandle>);

/// Probes for ever.
pub(crate) async fn run(balancers: Arc<Balancers>, roots: RootCertStore) {
    let roots = Arc::new(roots);
    let verify = ClientVerify::Roots { roots, depth: DEPTH };
    let tls = Arc::new(ProbeTls {
        verified: ClientTls::new(verify, None).ok(),
        unverified: ClientTls::new(ClientVerify::Off, None).ok(),
    });
    let mut version = balancers.version();
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut running: HashMap<Uuid, Probed> = HashMap::new();
    loop {
        version.borrow_and_update();
        let mut wanted: HashMap<Uuid, (Arc<UpstreamEntry>, Arc<Checks>)> = balancers
            .entries()
            .into_iter()
            .map(|entry| (entry.id(), entry))
            .map(|(id, entry)| (id, (entry.clone(), entry.active().checks.clone())))
            .filter(|(_, (_, checks))| checks.are_on && intervals(&checks.active).next().is_some())
            .collect();
        // What goes on as before is left alone: its clocks keep running.
        running.retain(|id, (entry, checks, handles)| {
            let is_same = wanted
                .get(id)
                .is_some_and(|(new, new_checks)| Arc::ptr_eq(new, entry) && new_checks == checks);
            match is_same {
                true => drop(wanted.remove(id)),
                false => handles.iter().for_each(AbortHandle::abort),
            }
            is_same
        });
        for (id, (entry, checks)) in wanted {
            let handles = intervals(&checks.active)
                .map(|(every, is_for_healthy)| {
                    let task = probe_regularly(entry.clone(), checks.clone(), tls.clone(), every, is_for_healthy);
                    tasks.spawn(task)
                })
                .collect();
            running.insert(id, (entry, checks, handles));
        }
        while tasks.try_join_next().is_some() {}
        if version.changed().await.is_err() {
            return;
        }
    }
}

/// How often, and whether healthy addresses are meant.
fn intervals(probe: &Probe) -> impl Iterator<Item = (Duration, bool)> {
    let of_healthy = probe.healthy_interval.map(|every| (every, true));
    let of_unhealthy = probe.unhealthy_interval.map(|every| (every, false));
    of_healthy.into_iter().chain(of_unhealthy)
}

async fn probe_regularly(
    entry: Arc<UpstreamEntry>,
    checks: Arc<Checks>,
    tls: Arc<ProbeTls>,
    every: Duration,
    is_for_healthy: bool,
) {
    // The first run comes one interval after the start, and a run in progress holds the next one up.
    let mut clock = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let active = entry.active();
        let mut due: Vec<Arc<Address>> = Vec::new();
        for peer in active.balancer.peers() {
            let is_due = peer.weight > 0 && peer.address.condition().is_available() == is_for_healthy;
            if is_due && !due.iter().any(|known| Arc::ptr_eq(known, &peer.address)) {
                due.push(peer.address.clone());
            }
        }
        let name = &active.upstream.name;
        let mut probes = JoinSet::new();
        for address in due {
            if probes.len() >= checks.active.concurrency {
                probes.join_next().await;
            }
            let (checks, tls, name) = (checks.clone(), tls.clone(), name.clone());
            probes.spawn(async move {
                if let Some(report) = probe(&address, &checks.active, &tls).await
                    && address.report(report, checks.active.judgement.limits)
                {
                    let state = match address.condition().is_available() {
                        true => "healthy",
                        false => "unhealthy",
                    };
                    let (socket, host) = (address.socket(), address.host());
                    tracing::warn!("target {socket} ({host}) of upstream {name} is {state}, says its health check");
                }
            });
        }
        while probes.join_next().await.is_some() {}
    }
}

/// What one probe saw. `None`: nothing that counts.
async fn probe(address: &Address, probe: &Probe, tls: &ProbeTls) -> Option<Report> {
    match tokio::time::timeout(probe.timeout, attempt(address, probe, tls)).await {
        Ok(Ok(Seen::Connection)) => Some(Report::Success),
        Ok(Ok(Seen::Status(status))) => probe.judgement.of_status(status),
        Ok(Ok(Seen::Rubbish)) => Some(Report::HttpFailure),
        Ok(Err(_)) => Some(Report::TcpFailure),
        Err(_) => Some(Report::Timeout),
    }
}

enum Seen {
    /// It accepted the connection, and nothing more was asked.
    Connection,
    Status(u16),
    /// It answered something that is not HTTP.
    Rubbish,
}

async fn attempt(address: &Address, probe: &Probe, tls: &ProbeTls) -> std::io::Result<Seen> {
    let stream = TcpStream::connect(address.socket()).await?;
    match probe.protocol {
        ProbeProtocol::Tcp => Ok(Seen::Connection),
        ProbeProtocol::Http => status(stream, address, probe).await,
        ProbeProtocol::Https => {
            let tls = match probe.https_verify {
                true => &tls.verified,
                false => &tls.unverified,
            };
            let tls = tls.as_ref().ok_or_else(|| std::io::Error::other("no TLS"))?;
            let name = server_name(address, probe);
            let connector = tokio_rustls::TlsConnector::from(tls.rustls());
            status(connector.connect(name, stream).await?, address, probe).await
        }
    }
}

fn server_name(address: &Address, probe: &Probe) -> ServerName<'static> {
    let host_header = probe.host_header.as_deref().map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    });
    let name = probe.https_sni.as_deref().or(host_header).unwrap_or(address.host());
    ServerName::try_from(name.to_owned()).unwrap_or_else(|_| ServerName::from(address.socket().ip()))
}

async fn status<S>(mut stream: S, address: &Address, probe: &Probe) -> std::io::Result<Seen>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request(address, probe).as_bytes()).await?;
    stream.flush().await?;
    let mut line = Vec::with_capacity(64);
    let mut buffer = [0; 64];
    while line.len() < MAX_LINE && !line.contains(&b'\n') {
        match stream.read(&mut buffer).await? {
            0 => break,
            n => line.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(parse_status(&line).map_or(Seen::Rubbish, Seen::Status))
}

fn request(address: &Address, probe: &Probe) -> String {
    // Neither can hold a line break: the schema allows none. What came by other ways is cut off.
    let clean = |text: &str| text.split(['\r', '\n']).next().unwrap_or_default().to_owned();
    let host = probe.host_header.as_deref().unwrap_or(address.host());
    let mut request = format!("GET {} HTTP/1.0\r\n", clean(&probe.http_path));
    for (name, value) in &probe.headers {
        if !name.eq_ignore_ascii_case("host") {
            request.push_str(&format!("{}: {}\r\n", clean(name), clean(value)));
        }
    }
    request.push_str(&format!("Host: {}\r\n\r\n", clean(host)));
    request
}

/// Status of a line like `HTTP/1.1 200 OK`.
fn parse_status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let at = rest.iter().position(|b| *b == b' ')? + 1;
    let digits = rest.get(at..at + 3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Authorities that `lua_ssl_trusted_certificate` names: files, and those of the system.
pub(crate) fn trusted_roots(config: &Config) -> RootCertStore {
    const SYSTEM: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/pki/tls/cacert.pem",
        "/etc/ssl/cert.pem",
    ];
    let mut roots = RootCertStore::empty();
    let setting = config.text("lua_ssl_trusted_certificate").unwrap_or("system");
    for item in setting.split(',').map(str::trim) {
        let path = match item {
            "system" => SYSTEM.into_iter().find(|path| std::path::Path::new(path).is_file()),
            path => Some(path),
        };
        let Some(bytes) = path.and_then(|path| std::fs::read(path).ok()) else {
            continue;
        };
        for certificate in CertificateDer::pem_slice_iter(&bytes).flatten() {
            // Some authorities of a system's list are beyond what can be read; the others count.
            let _ = roots.add(certificate);
        }
    }
    roots
}

#[cfg(test)]
#[path = "prober_tests.rs"]
mod tests;
