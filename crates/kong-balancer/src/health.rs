//! The health of one address: four counters and four states (upstream.md §12).

use std::sync::atomic::{AtomicU64, Ordering};

/// What was seen of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Report {
    /// It answered with a healthy status, or accepted a connection where nothing more is asked.
    Success,
    /// It answered with an unhealthy status.
    HttpFailure,
    /// It could not be reached, or broke the connection.
    TcpFailure,
    /// It was too slow.
    Timeout,
}

/// How many reports in a row change the health; 0: reports of that kind do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Until it is healthy.
    pub successes: u8,
    /// Until it is not, by status.
    pub http_failures: u8,
    /// Until it is not, by broken connections.
    pub tcp_failures: u8,
    /// Until it is not, by timeouts.
    pub timeouts: u8,
}

impl Limits {
    fn of(self, report: Report) -> u8 {
        match report {
            Report::Success => self.successes,
            Report::HttpFailure => self.http_failures,
            Report::TcpFailure => self.tcp_failures,
            Report::Timeout => self.timeouts,
        }
    }
}

/// Health of an address. The middle two are on the way to the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No failure since the last success that counted.
    Healthy,
    /// Some failures, fewer than the limit: still in use.
    MostlyHealthy,
    /// Some successes, fewer than the limit: not yet in use.
    MostlyUnhealthy,
    /// As many failures as the limit.
    Unhealthy,
}

impl Condition {
    /// Whether requests may go there.
    pub fn is_available(self) -> bool {
        matches!(self, Condition::Healthy | Condition::MostlyHealthy)
    }
}

/// Condition and counters, as they are kept in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    condition: Condition,
    success: u8,
    failures: [u8; 3],
}

impl State {
    const HEALTHY: State = State {
        condition: Condition::Healthy,
        success: 0,
        failures: [0; 3],
    };

    fn pack(self) -> u64 {
        let [http, tcp, timeout] = self.failures;
        u64::from_le_bytes([self.condition as u8, self.success, http, tcp, timeout, 0, 0, 0])
    }

    fn unpack(word: u64) -> Self {
        let [condition, success, http, tcp, timeout, ..] = word.to_le_bytes();
        let condition = match condition {
            0 => Condition::Healthy,
            1 => Condition::MostlyHealthy,
            2 => Condition::MostlyUnhealthy,
            _ => Condition::Unhealthy,
        };
        State {
            condition,
            success,
            failures: [http, tcp, timeout],
        }
    }

    /// The state after a report; `None`: it does not count.
    fn after(self, report: Report, limits: Limits) -> Option<State> {
        let limit = limits.of(report);
        if limit == 0 {
            return None;
        }
        let mut next = self;
        if report == Report::Success {
            if self.condition == Condition::Healthy {
                return None;
            }
            next.success = self.success.saturating_add(1);
            next.failures = [0; 3];
            if next.success >= limit {
                next.condition = Condition::Healthy;
            } else if self.condition == Condition::Unhealthy {
                next.condition = Condition::MostlyUnhealthy;
            }
            return Some(next);
        }
        if self.condition == Condition::Unhealthy {
            return None;
        }
        let counter = match report {
            Report::HttpFailure => &mut next.failures[0],
            Report::TcpFailure => &mut next.failures[1],
            _ => &mut next.failures[2],
        };
        *counter = counter.saturating_add(1);
        let count = *counter;
        next.success = 0;
        if count >= limit {
            next.condition = Condition::Unhealthy;
        } else if self.condition == Condition::Healthy {
            next.condition = Condition::MostlyHealthy;
        }
        Some(next)
    }
}

/// The health of an address, changed by all workers without a lock.
#[derive(Debug)]
pub(crate) struct Health(AtomicU64);

impl Default for Health {
    fn default() -> Self {
        Health(AtomicU64::new(State::HEALTHY.pack()))
    }
}

impl Health {
    pub(crate) fn condition(&self) -> Condition {
        State::unpack(self.0.load(Ordering::Relaxed)).condition
    }

    /// Counts a report. Answers whether the address became available or stopped being so.
    pub(crate) fn report(&self, report: Report, limits: Limits) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let before = State::unpack(word);
            let Some(after) = before.after(report, limits) else {
                return false;
            };
            match self
                .0
                .compare_exchange_weak(word, after.pack(), Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return before.condition.is_available() != after.condition.is_available(),
                Err(now) => word = now,
            }
        }
    }

    /// Sets the health by hand; counters begin anew. Answers whether availability changed.
    pub(crate) fn force(&self, is_healthy: bool) -> bool {
        let condition = match is_healthy {
            true => Condition::Healthy,
            false => Condition::Unhealthy,
        };
        let next = State {
            condition,
            ..State::HEALTHY
        };
        let before = State::unpack(self.0.swap(next.pack(), Ordering::Relaxed));
        before.condition.is_available() != is_healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Condition::{Healthy, MostlyHealthy, MostlyUnhealthy, Unhealthy};

    const LIMITS: Limits = Limits {
        successes: 2,
        http_failures: 3,
        tcp_failures: 2,
        timeouts: 0,
    };

    /// `s`uccess, `h`ttp failure, `t`cp failure, `o`ut of time; `+` and `-` by hand.
    fn after(reports: &str) -> (Condition, bool) {
        let health = Health::default();
        let mut flipped = false;
        for report in reports.chars() {
            flipped = match report {
                's' => health.report(Report::Success, LIMITS),
                'h' => health.report(Report::HttpFailure, LIMITS),
                't' => health.report(Report::TcpFailure, LIMITS),
                'o' => health.report(Report::Timeout, LIMITS),
                '+' => health.force(true),
                _ => health.force(false),
            };
        }
        (health.condition(), flipped)
    }

    #[test]
    fn reports_move_the_health_as_the_limits_say() {
        let rows = [
            ("", Healthy, false),
            ("s", Healthy, false),
            ("h", MostlyHealthy, false),
            ("hh", MostlyHealthy, false),
            ("hhh", Unhealthy, true),
            ("hhhh", Unhealthy, false),
            // Kinds are counted apart, and neither resets the other.
            ("hht", MostlyHealthy, false),
            ("hhth", Unhealthy, true),
            ("tht", Unhealthy, true),
            // A kind without a limit does not count.
            ("oooo", Healthy, false),
            // A success forgives all failures.
            ("hhsh", MostlyHealthy, false),
            ("hhshh", MostlyHealthy, false),
            ("hhshhh", Unhealthy, true),
            // Two in a row are needed to be healthy again ...
            ("hs", MostlyHealthy, false),
            ("hss", Healthy, false),
            ("hhhs", MostlyUnhealthy, false),
            ("hhhss", Healthy, true),
            // ... and a failure in between begins the count anew.
            ("hhhshs", MostlyUnhealthy, false),
            ("hhhshss", Healthy, true),
            ("hhhstt", Unhealthy, false),
            ("-", Unhealthy, true),
            ("-+", Healthy, true),
            ("-s", MostlyUnhealthy, false),
            ("hh+h", MostlyHealthy, false),
            ("hhhs-s", MostlyUnhealthy, false),
        ];
        for (reports, condition, flipped) in rows {
            assert_eq!(after(reports), (condition, flipped), "{reports}");
        }
    }

    #[test]
    fn counters_do_not_wrap() {
        let health = Health::default();
        let limits = Limits {
            http_failures: 255,
            ..Limits::default()
        };
        let flips = (0..600).filter(|_| health.report(Report::HttpFailure, limits)).count();
        assert_eq!((health.condition(), flips), (Unhealthy, 1));
    }

    #[test]
    fn of_many_threads_exactly_one_sees_the_flip() {
        let health = Health::default();
        let limits = Limits {
            tcp_failures: 200,
            ..Limits::default()
        };
        let flips: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..100).filter(|_| health.report(Report::TcpFailure, limits)).count()))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap_or_default()).sum()
        });
        assert_eq!(flips, 1);
        assert!(!health.condition().is_available());
    }
}
