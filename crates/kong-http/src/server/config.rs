use super::pages::{ErrorPages, PlainPages};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// Limits and timeouts of client connections. The defaults are nginx's.
#[derive(Clone)]
pub struct ServerConfig {
    /// For the whole head, from its first byte (for the first request: from the accept).
    pub header_timeout: Duration,
    /// Longest gap between two reads of a request body.
    pub body_timeout: Duration,
    /// Longest gap between two writes of a response.
    pub send_timeout: Duration,
    /// How long a connection may wait for its next request; zero turns keep-alive off.
    pub idle_timeout: Duration,
    /// Requests per connection.
    pub max_requests: u64,
    /// Longest request line or header line.
    pub max_line: usize,
    /// Longest head.
    pub max_head: usize,
    /// Longest request body; 0 for no limit (`client_max_body_size`).
    pub max_body: u64,
    /// How long the rest of a refused request is read and thrown away before the connection is closed, so that the
    /// client gets to see the answer.
    pub linger_total: Duration,
    /// Longest gap between two reads during that time.
    pub linger_gap: Duration,
    /// When the drain begins, how long a connection may wait for one more request (which is then answered with
    /// `Connection: close`) before it is closed: a request that is on its way is not lost.
    pub drain_grace: Duration,
    /// Makes the responses to requests that are refused before the service sees them.
    pub pages: Rc<dyn ErrorPages>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            max_requests: 10_000,
            max_line: 8 * 1024,
            max_head: 32 * 1024,
            max_body: 0,
            linger_total: Duration::from_secs(30),
            linger_gap: Duration::from_secs(5),
            drain_grace: Duration::from_secs(1),
            pages: Rc::new(PlainPages),
        }
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("max_line", &self.max_line)
            .field("max_head", &self.max_head)
            .field("max_body", &self.max_body)
            .finish_non_exhaustive()
    }
}
