//! Health checks of an upstream, as they are configured (upstream.md §12).

use std::time::Duration;

use kong_balancer::{Limits, Report};
use kong_model::{CheckType, Healthchecks};

/// Statuses as bits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Statuses([u64; 16]);

impl Statuses {
    fn new(list: Option<&Vec<u16>>) -> Self {
        let mut bits = [0; 16];
        for status in list.into_iter().flatten() {
            if let Some(word) = bits.get_mut(usize::from(status / 64)) {
                *word |= 1 << (status % 64);
            }
        }
        Statuses(bits)
    }

    fn contains(&self, status: u16) -> bool {
        let word = self.0.get(usize::from(status / 64)).copied().unwrap_or_default();
        word >> (status % 64) & 1 == 1
    }
}

/// What counts, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// How many reports change the health.
    pub limits: Limits,
    healthy: Statuses,
    unhealthy: Statuses,
}

impl Judgement {
    /// What a status says. `None`: nothing.
    pub fn of_status(&self, status: u16) -> Option<Report> {
        if self.healthy.contains(status) {
            Some(Report::Success)
        } else if self.unhealthy.contains(status) {
            Some(Report::HttpFailure)
        } else {
            None
        }
    }
}

/// How addresses are probed.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Protocol.
    pub protocol: ProbeProtocol,
    /// Longest time for all of it.
    pub timeout: Duration,
    /// Probes at a time.
    pub concurrency: usize,
    /// Path of the request.
    pub http_path: String,
    /// Further header lines.
    pub headers: Vec<(String, String)>,
    /// Server name of the handshake.
    pub https_sni: Option<String>,
    /// Whether the certificate is verified.
    pub https_verify: bool,
    /// `Host` of the request, unless that of the target.
    pub host_header: Option<String>,
    /// Between probes of healthy addresses; `None`: they are not probed.
    pub healthy_interval: Option<Duration>,
    /// Between probes of unhealthy addresses; `None`: they are not probed.
    pub unhealthy_interval: Option<Duration>,
    /// What the results mean.
    pub judgement: Judgement,
}

/// Protocol of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProbeProtocol {
    Tcp,
    Http,
    Https,
}

/// Health checks of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    /// Anything can make an address unhealthy. If not, all are taken for healthy.
    pub are_on: bool,
    /// Of proxied requests.
    pub passive: Judgement,
    /// Of the gateway's own requests.
    pub active: Probe,
}

impl Checks {
    pub(crate) fn new(config: &Healthchecks, host_header: Option<&str>) -> Self {
        let (active, passive) = (&config.active, &config.passive);
        let seconds = |value: Option<f64>| {
            value
                .filter(|seconds| *seconds > 0.0)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        };
        // The original cannot run with 255.
        let limit = |value: Option<u8>| value.unwrap_or(0).min(254);
        let healthy_interval = seconds(active.healthy.interval);
        let unhealthy_interval = seconds(active.unhealthy.interval);
        let passive_limits = Limits {
            successes: limit(passive.healthy.successes),
            http_failures: limit(passive.unhealthy.http_failures),
            tcp_failures: limit(passive.unhealthy.tcp_failures),
            timeouts: limit(passive.unhealthy.timeouts),
        };
        let counts_failures = Limits {
            successes: 0,
            ..passive_limits
        } != Limits::default();
        let headers = active.headers.iter().flatten();
        Checks {
            are_on: healthy_interval.is_some() || unhealthy_interval.is_some() || counts_failures,
            passive: Judgement {
                limits: passive_limits,
                healthy: Statuses::new(passive.healthy.http_statuses.as_ref()),
                unhealthy: Statuses::new(passive.unhealthy.http_statuses.as_ref()),
            },
            active: Probe {
                protocol: match active.check_type {
                    Some(CheckType::Https) => ProbeProtocol::Https,
                    Some(CheckType::Tcp | CheckType::Grpc | CheckType::Grpcs) => ProbeProtocol::Tcp,
                    _ => ProbeProtocol::Http,
                },
                timeout: seconds(active.timeout).unwrap_or(Duration::from_secs(1)),
                concurrency: active.concurrency.map_or(10, |n| n.clamp(1, 1024) as usize),
                http_path: active.http_path.clone().unwrap_or_else(|| "/".to_owned()),
                headers: headers
                    .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value.clone())))
                    .collect(),
                https_sni: active.https_sni.clone(),
                https_verify: active.https_verify_certificate,
                host_header: host_header.map(str::to_owned),
                healthy_interval,
                unhealthy_interval,
                judgement: Judgement {
                    limits: Limits {
                        successes: limit(active.healthy.successes),
                        http_failures: limit(active.unhealthy.http_failures),
                        tcp_failures: limit(active.unhealthy.tcp_failures),
                        timeouts: limit(active.unhealthy.timeouts),
                    },
                    healthy: Statuses::new(active.healthy.http_statuses.as_ref()),
                    unhealthy: Statuses::new(active.unhealthy.http_statuses.as_ref()),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_judged_by_the_lists() {
        let judgement = Judgement {
            healthy: Statuses::new(Some(&vec![200, 302, 999])),
            unhealthy: Statuses::new(Some(&vec![429, 500, 100])),
            ..Judgement::default()
        };
        let rows = [
            (200, Some(Report::Success)),
            (302, Some(Report::Success)),
            (999, Some(Report::Success)),
            (429, Some(Report::HttpFailure)),
            (100, Some(Report::HttpFailure)),
            (404, None),
            (201, None),
            (u16::MAX, None),
        ];
        for (status, expected) in rows {
            assert_eq!(judgement.of_status(status), expected, "{status}");
        }
    }
}
