//! The system's resolver settings, `resolv.conf` (upstream.md §13).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Name servers that are asked.
const MAX_SERVERS: usize = 3;
/// Search suffixes that are tried.
const MAX_SEARCH: usize = 6;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<String>,
    pub(super) ndots: usize,
    pub(super) timeout: Duration,
    pub(super) attempts: usize,
    pub(super) rotates: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        ResolvConf {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(2),
            attempts: 5,
            rotates: false,
        }
    }
}

impl ResolvConf {
    /// Of this machine and process.
    pub(super) fn system() -> Self {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let variable = |name| std::env::var(name).ok();
        Self::parse(
            &text,
            variable("LOCALDOMAIN").as_deref(),
            variable("RES_OPTIONS").as_deref(),
        )
    }

    fn parse(text: &str, local_domain: Option<&str>, res_options: Option<&str>) -> Self {
        let mut conf = ResolvConf::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // Scoped addresses are skipped: they do not parse.
                    let ip = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    if let Some(ip) = ip
                        && conf.servers.len() < MAX_SERVERS
                    {
                        conf.servers.push(SocketAddr::new(ip, 53));
                    }
                }
                Some("search" | "domain") => conf.search = words.take(MAX_SEARCH).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if let Some(domains) = local_domain {
            conf.search = domains.split_whitespace().take(MAX_SEARCH).map(str::to_owned).collect();
        }
        res_options
            .into_iter()
            .flat_map(str::split_whitespace)
            .for_each(|word| conf.option(word));
        conf
    }

    fn option(&mut self, word: &str) {
        let number = |text: &str| text.parse::<u32>().ok();
        match word.split_once(':') {
            None if word == "rotate" => self.rotates = true,
            Some(("ndots", n)) => self.ndots = number(n).map_or(self.ndots, |n| n.min(15) as usize),
            Some(("timeout", n)) => {
                let seconds = number(n).filter(|n| *n > 0).map(|n| n.min(30));
                self.timeout = seconds.map_or(self.timeout, |n| Duration::from_secs(n.into()));
            }
            Some(("attempts", n)) => self.attempts = number(n).map_or(self.attempts, |n| n.clamp(1, 10) as usize),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_and_the_environment_say() {
        let text = "# a comment\n\
                    nameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver ::1\nnameserver 10.0.0.3\n\
                    nameserver 10.0.0.4\nrubbish\n\
                    domain one.test\nsearch two.test three.test ; a comment\n\
                    options ndots:3\noptions timeout:7 attempts:2\noptions rotate\noptions ndots:x";
        let conf = ResolvConf::parse(text, None, None);
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[::1]:53", "10.0.0.3:53"]);
        assert_eq!(conf.search, ["two.test", "three.test"]);
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (3, 7, 2));
        assert!(conf.rotates);
        let conf = ResolvConf::parse(text, Some("local.test"), Some("ndots:9 timeout:0"));
        assert_eq!((conf.search, conf.ndots), (vec!["local.test".to_owned()], 9));
        assert_eq!(conf.timeout.as_secs(), 7);
        assert_eq!(ResolvConf::parse("", None, None), ResolvConf::default());
    }
}
