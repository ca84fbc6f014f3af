//! Opens the proxy's and the control's ports before any thread starts, so that a busy port stops the start.

use std::net::{SocketAddr, TcpListener};

use kong_config::{Listener as Configured, TcpKeepAlive};
use kong_http::{ListenOptions, Listener, bind};

use crate::NodeError;

/// One port of the proxy: a socket per worker.
pub(crate) struct ProxyPort {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) so_keepalive: bool,
    pub(crate) sockets: Vec<Listener>,
}

fn addresses(listener: &Configured) -> Result<Vec<SocketAddr>, NodeError> {
    listener.resolve().map_err(|source| NodeError::Address {
        listener: listener.url(),
        source,
    })
}

fn options(listener: &Configured) -> ListenOptions {
    ListenOptions {
        backlog: listener.backlog.and_then(|n| i32::try_from(n).ok()).unwrap_or(511),
        reuseport: listener.reuseport,
        ipv6_only: listener.ipv6only.unwrap_or(true),
    }
}

pub(crate) fn proxy(configured: &[Configured], workers: usize) -> Result<Vec<ProxyPort>, NodeError> {
    let mut ports = Vec::new();
    for listener in configured {
        for address in addresses(listener)? {
            let sockets = bind(address, workers, &options(listener))?;
            let address = sockets
                .first()
                .and_then(|socket| socket.local_addr().ok())
                .unwrap_or(address);
            ports.push(ProxyPort {
                address,
                is_tls: listener.ssl,
                so_keepalive: matches!(listener.so_keepalive, Some(TcpKeepAlive::On { .. })),
                sockets,
            });
        }
    }
    Ok(ports)
}

/// A port of the Admin or Status API.
pub(crate) struct ControlPort {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    pub(crate) socket: TcpListener,
}

pub(crate) fn control(configured: &[Configured]) -> Result<Vec<ControlPort>, NodeError> {
    let mut ports = Vec::new();
    for listener in configured {
        for address in addresses(listener)? {
            for socket in bind(address, 1, &options(listener))? {
                let socket = socket.into_std();
                let address = socket.local_addr().unwrap_or(address);
                ports.push(ControlPort {
                    address,
                    is_tls: listener.ssl,
                    socket,
                });
            }
        }
    }
    Ok(ports)
}
