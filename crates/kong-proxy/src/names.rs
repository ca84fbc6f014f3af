//! Names of targets: what they stand for, who uses them, when they are looked up again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kong_balancer::{Answer, Resolution, ResolveError};
use uuid::Uuid;

/// Least time between two look-ups of a name.
const LEAST: Duration = Duration::from_secs(1);
/// Greatest time between two look-ups of a name that fail.
const GREATEST_BACK_OFF: Duration = Duration::from_secs(30);

struct Name {
    resolution: Arc<Resolution>,
    users: BTreeSet<Uuid>,
    /// `None`: it is being looked up.
    due: Option<Instant>,
    /// When the answer was no longer fresh.
    expired: Instant,
    failures: u32,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Names(HashMap<Arc<str>, Name>);

impl Names {
    /// What the name stands for, from now on also for this upstream.
    pub(crate) fn used_by(
        &mut self,
        name: &Arc<str>,
        upstream: Uuid,
        known: impl FnOnce() -> Option<Answer>,
    ) -> Arc<Resolution> {
        let entry = self.0.entry(name.clone()).or_insert_with(|| {
            let now = Instant::now();
            match known() {
                Some(answer) => Name {
                    due: Some(now + answer.ttl),
                    expired: now + answer.ttl,
                    resolution: Arc::new(Resolution::Known(answer)),
                    users: BTreeSet::new(),
                    failures: 0,
                },
                None => Name {
                    due: Some(now),
                    expired: now,
                    resolution: Arc::new(Resolution::Pending),
                    users: BTreeSet::new(),
                    failures: 0,
                },
            }
        });
        entry.users.insert(upstream);
        entry.resolution.clone()
    }

    pub(crate) fn no_longer_used_by<'a>(&mut self, names: impl Iterator<Item = &'a Arc<str>>, upstream: Uuid) {
        for name in names {
            if let Some(entry) = self.0.get_mut(name) {
                entry.users.remove(&upstream);
                if entry.users.is_empty() {
                    self.0.remove(name);
                }
            }
        }
    }

    /// A name that has to be looked up now; it is not given again before [`Names::answered`].
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Arc<str>> {
        let (name, entry) = self
            .0
            .iter_mut()
            .find(|(_, entry)| entry.due.is_some_and(|due| due <= now))?;
        entry.due = None;
        Some(name.clone())
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(|entry| entry.due).min()
    }

    /// Takes an answer. Answers the upstreams for which something changed.
    pub(crate) fn answered(
        &mut self,
        name: &str,
        answer: Result<Answer, ResolveError>,
        now: Instant,
        stale: Duration,
    ) -> Vec<Uuid> {
        // Nobody may use it any more.
        let Some(entry) = self.0.get_mut(name) else {
            return Vec::new();
        };
        let next = match answer {
            Ok(mut answer) => {
                entry.failures = 0;
                entry.due = Some(now + answer.ttl.max(LEAST));
                entry.expired = now + answer.ttl;
                // Servers turn the order around with each answer, which means nothing.
                answer.records.sort();
                answer.records.dedup();
                Resolution::Known(answer)
            }
            Err(error) => {
                let back_off = LEAST * 2_u32.saturating_pow(entry.failures.min(10));
                entry.failures = entry.failures.saturating_add(1);
                entry.due = Some(now + back_off.min(GREATEST_BACK_OFF));
                if entry.failures == 1 {
                    tracing::error!("querying dns for {name} failed: {error}");
                }
                let is_still_good = matches!(*entry.resolution, Resolution::Known(_)) && now < entry.expired + stale;
                if is_still_good {
                    return Vec::new();
                }
                Resolution::Failed(error)
            }
        };
        let is_same = match (&*entry.resolution, &next) {
            (Resolution::Known(old), Resolution::Known(new)) => (old.kind, &old.records) == (new.kind, &new.records),
            (old, new) => old == new,
        };
        entry.resolution = Arc::new(next);
        match is_same {
            true => Vec::new(),
            false => entry.users.iter().copied().collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kong_balancer::{Record, RecordKind};

    use super::*;

    fn answer(last: &[u8], ttl: u64) -> Result<Answer, ResolveError> {
        Ok(Answer {
            kind: RecordKind::A,
            records: last
                .iter()
                .map(|last| Record::address([10, 0, 0, *last].into()))
                .collect(),
            ttl: Duration::from_secs(ttl),
        })
    }

    fn failure() -> Result<Answer, ResolveError> {
        Err(ResolveError::Failed("no".into()))
    }

    #[test]
    fn changes_are_told_and_failures_back_off() {
        let (mut names, name, user) = (Names::default(), Arc::from("a.test"), Uuid::new_v4());
        let stale = Duration::from_secs(100);
        assert_eq!(*names.used_by(&name, user, || None), Resolution::Pending);
        let start = Instant::now();
        assert_eq!(names.take_due(start), Some(name.clone()));
        assert_eq!(names.take_due(start), None, "it is being looked up");

        // Answer, whether the users are told, seconds until the next look-up.
        let mut now = start;
        let rows = [
            (failure(), true, 1),
            (failure(), false, 2),
            (answer(&[1, 2], 5), true, 5),
            (answer(&[2, 1], 5), false, 5),
            (answer(&[1], 0), true, 1),
            (failure(), false, 1),
            (failure(), false, 2),
            (failure(), false, 4),
            (failure(), false, 8),
            (failure(), false, 16),
            (failure(), false, 30),
            (failure(), false, 30),
            (failure(), false, 30),
            // The stale answer is too old by now.
            (failure(), true, 30),
        ];
        for (n, (answer, is_told, seconds)) in rows.into_iter().enumerate() {
            let users = names.answered(&name, answer, now, stale);
            assert_eq!(!users.is_empty(), is_told, "{n}");
            assert_eq!(names.next_due().unwrap() - now, Duration::from_secs(seconds), "{n}");
            now = names.next_due().unwrap();
            assert_eq!(names.take_due(now), Some(name.clone()));
        }
        names.no_longer_used_by([name.clone()].iter(), user);
        assert!(names.answered(&name, answer(&[9], 1), now, stale).is_empty());
        assert_eq!(names.next_due(), None);
    }
}
