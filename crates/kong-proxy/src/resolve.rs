//! Names of services to addresses, per worker (upstream.md §13).
//!
//! A name is looked up by one request, others that need it meanwhile wait for the same look-up. An expired answer is
//! used while it is refreshed in the background.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kong_balancer::{Answer, Record, RecordKind, Resolve, ResolveError};
use tokio::sync::Semaphore;

use crate::dns::DnsSettings;

/// A remembered answer.
#[derive(Clone)]
struct Remembered {
    answer: Result<Rc<Answer>, ResolveError>,
    fresh_until: Instant,
    usable_until: Instant,
}

struct Entry {
    remembered: RefCell<Option<Remembered>>,
    next: Cell<usize>,
    looking: Semaphore,
}

/// See the module. Use inside a `LocalSet`.
pub struct Resolver {
    shared: Rc<Shared>,
}

struct Shared {
    lookup: Arc<dyn Resolve>,
    settings: DnsSettings,
    entries: RefCell<HashMap<String, Rc<Entry>>>,
}

/// An address of a name, and the port of an SRV record.
pub type Found = (IpAddr, Option<u16>);

impl Resolver {
    /// A resolver without answers.
    pub fn new(lookup: Arc<dyn Resolve>, settings: DnsSettings) -> Self {
        Resolver {
            shared: Rc::new(Shared {
                lookup,
                settings,
                entries: RefCell::default(),
            }),
        }
    }

    /// An address of the name; several are used in turn.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, name: &str) -> Result<Found, ResolveError> {
        let entry = self.shared.entry(name);
        let now = Instant::now();
        if let Some(remembered) = entry.remembered() {
            if now < remembered.fresh_until {
                return entry.pick(&remembered.answer);
            }
            if now < remembered.usable_until {
                self.refresh(name, &entry);
                return entry.pick(&remembered.answer);
            }
        }
        // The semaphore is never closed.
        let Ok(_permit) = entry.looking.acquire().await else {
            return Err(ResolveError::Failed("closed".to_owned()));
        };
        if let Some(remembered) = entry.remembered()
            && Instant::now() < remembered.fresh_until
        {
            return entry.pick(&remembered.answer);
        }
        let answer = self.shared.ask(name, &entry).await;
        entry.pick(&answer)
    }

    /// Looks the name up in the background, unless somebody does already.
    fn refresh(&self, name: &str, entry: &Rc<Entry>) {
        if entry.looking.available_permits() == 0 {
            return;
        }
        let (shared, name, entry) = (self.shared.clone(), name.to_owned(), entry.clone());
        tokio::task::spawn_local(async move {
            if let Ok(_permit) = entry.looking.try_acquire() {
                shared.ask(&name, &entry).await.ok();
            }
        });
    }
}

impl Shared {
    async fn ask(&self, name: &str, entry: &Entry) -> Result<Rc<Answer>, ResolveError> {
        let answer = self.lookup.resolve(name).await.map(Rc::new);
        let now = Instant::now();
        let settings = &self.settings;
        let (ttl, stale) = match &answer {
            Ok(answer) => (answer.ttl, settings.stale_ttl),
            Err(ResolveError::NotFound(_)) => (settings.not_found_ttl, Duration::ZERO),
            Err(ResolveError::Failed(_)) => (settings.error_ttl, Duration::ZERO),
        };
        // What was right a moment ago is a better guess than a failure; it is asked for again soon.
        if answer.is_err()
            && let Some(old) = entry.remembered()
            && old.answer.is_ok()
            && now < old.usable_until
        {
            entry.remembered.replace(Some(Remembered {
                fresh_until: (now + settings.error_ttl).min(old.usable_until),
                ..old.clone()
            }));
            return old.answer;
        }
        entry.remembered.replace(Some(Remembered {
            answer: answer.clone(),
            fresh_until: now + ttl,
            usable_until: now + ttl + stale,
        }));
        answer
    }

    fn entry(&self, name: &str) -> Rc<Entry> {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get(name) {
            return entry.clone();
        }
        if entries.len() >= self.settings.cache_size.max(1) {
            entries.clear();
        }
        let entry = Rc::new(Entry {
            remembered: RefCell::new(None),
            next: Cell::new(0),
            looking: Semaphore::new(1),
        });
        entries.insert(name.to_owned(), entry.clone());
        entry
    }
}

impl Entry {
    fn remembered(&self) -> Option<Remembered> {
        self.remembered.borrow().clone()
    }

    fn pick(&self, answer: &Result<Rc<Answer>, ResolveError>) -> Result<Found, ResolveError> {
        let answer = answer.as_ref().map_err(Clone::clone)?;
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        in_turn(answer, turn)
            .map(|record| (record.ip, record.port))
            .ok_or_else(|| ResolveError::NotFound("dns client error: 101 empty record received".to_owned()))
    }
}

/// Plain addresses one after the other, SRV records by their weights.
fn in_turn(answer: &Answer, turn: usize) -> Option<&Record> {
    let records = &answer.records;
    if answer.kind != RecordKind::Srv {
        return records.get(turn.checked_rem(records.len())?);
    }
    let weight = |record: &Record| record.weight.unwrap_or(1) as usize;
    let mut left = turn.checked_rem(records.iter().map(weight).sum())?;
    records.iter().find(|record| {
        let is_it = left < weight(record);
        left = left.saturating_sub(weight(record));
        is_it
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kong_balancer::Resolving;
    use tokio::task::LocalSet;

    use super::*;

    struct Counting(Arc<AtomicUsize>);

    impl Resolve for Counting {
        fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                tokio::task::yield_now().await;
                let record = |last, port, weight| Record {
                    port,
                    weight,
                    ..Record::address([10, 0, 0, last].into())
                };
                let (kind, ttl, records) = match name {
                    "two" => (RecordKind::A, 60, vec![record(1, None, None), record(2, None, None)]),
                    "short" if count == 0 => (RecordKind::A, 0, vec![record(1, None, None)]),
                    "service" => (
                        RecordKind::Srv,
                        60,
                        vec![record(1, Some(81), Some(2)), record(2, None, Some(1))],
                    ),
                    "short" => return Err(ResolveError::Failed("server failure".into())),
                    _ => return Err(ResolveError::NotFound("name error".into())),
                };
                Ok(Answer {
                    kind,
                    records,
                    ttl: Duration::from_secs(ttl),
                })
            })
        }
    }

    fn resolver() -> (Resolver, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let resolver = Resolver::new(Arc::new(Counting(count.clone())), DnsSettings::default());
        (resolver, count)
    }

    #[tokio::test]
    async fn one_lookup_serves_many_and_addresses_take_turns() {
        let (resolver, count) = resolver();
        let (a, b) = tokio::join!(resolver.resolve("two"), resolver.resolve("two"));
        assert_eq!(
            (a.unwrap().0.to_string(), b.unwrap().0.to_string()),
            ("10.0.0.1".into(), "10.0.0.2".into())
        );
        for _ in 0..2 {
            assert!(matches!(resolver.resolve("none").await, Err(ResolveError::NotFound(_))));
        }
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn services_are_chosen_by_weight_and_bring_their_port() {
        let (resolver, _) = resolver();
        let mut ports = Vec::new();
        for _ in 0..6 {
            ports.push(resolver.resolve("service").await.unwrap().1);
        }
        assert_eq!(ports, [Some(81), Some(81), None, Some(81), Some(81), None]);
    }

    #[tokio::test]
    async fn an_expired_answer_is_used_while_it_cannot_be_refreshed() {
        LocalSet::new()
            .run_until(async {
                let (resolver, count) = resolver();
                for _ in 0..3 {
                    assert_eq!(resolver.resolve("short").await.unwrap().0.to_string(), "10.0.0.1");
                    for _ in 0..10 {
                        tokio::task::yield_now().await;
                    }
                }
                // Once at first, once in the background; the failure is remembered for a moment.
                assert_eq!(count.load(Ordering::Relaxed), 2);
            })
            .await;
    }
}
