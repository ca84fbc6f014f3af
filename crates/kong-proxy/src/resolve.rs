//! Names of services to addresses, per worker.
//!
//! A name is looked up once per [`Resolver::TTL`] by one request; others that need it meanwhile use the old answer, if
//! there is one, or wait for the same look-up.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolveError {
    /// The name does not exist, or has no address.
    NotFound,
    /// The look-up failed: time-out, refused, server failure.
    Failed(String),
}

/// Looks names up. The system's resolver by default; a test or an embedder may bring its own.
pub trait Lookup {
    /// Addresses of a name, in order of preference, without a cache.
    fn lookup<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + 'a>>;
}

/// The system's resolver (`getaddrinfo`, so the hosts file and the search list count), on a helper thread.
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await.map_err(classify)?;
            let mut addresses: Vec<IpAddr> = Vec::new();
            for address in found.map(|address| address.ip()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            // A before AAAA, as the default `dns_order` has it.
            addresses.sort_by_key(IpAddr::is_ipv6);
            if addresses.iter().any(IpAddr::is_ipv4) {
                addresses.retain(IpAddr::is_ipv4);
            }
            if addresses.is_empty() {
                Err(ResolveError::NotFound)
            } else {
                Ok(addresses)
            }
        })
    }
}

fn classify(error: io::Error) -> ResolveError {
    let text = error.to_string();
    // `getaddrinfo` has no portable error kinds; these are the texts of EAI_NONAME and EAI_NODATA.
    if text.contains("not known") || text.contains("No address associated") {
        ResolveError::NotFound
    } else {
        ResolveError::Failed(text)
    }
}

struct Entry {
    answer: RefCell<Option<(Result<Rc<[IpAddr]>, ResolveError>, Instant)>>,
    next: Cell<usize>,
    looking: Semaphore,
}

/// See the module.
pub struct Resolver {
    lookup: Box<dyn Lookup>,
    entries: RefCell<HashMap<String, Rc<Entry>>>,
}

impl Resolver {
    /// How long an answer is used.
    pub const TTL: Duration = Duration::from_secs(10);
    /// How long a failure is used.
    pub const ERROR_TTL: Duration = Duration::from_secs(1);
    /// Most names remembered.
    const CAPACITY: usize = 10_000;

    /// A resolver without answers.
    pub fn new(lookup: Box<dyn Lookup>) -> Self {
        Resolver {
            lookup,
            entries: RefCell::default(),
        }
    }

    /// An address of the name; several are used in turn.
    pub async fn resolve(&self, name: &str) -> Result<IpAddr, ResolveError> {
        let entry = self.entry(name);
        if let Some((answer, is_fresh)) = entry.answer(Instant::now())
            && (is_fresh || answer.is_ok() && entry.looking.available_permits() == 0)
        {
            return entry.pick(answer);
        }
        // The semaphore is never closed.
        let Ok(_permit) = entry.looking.acquire().await else {
            return Err(ResolveError::NotFound);
        };
        if let Some((answer, true)) = entry.answer(Instant::now()) {
            return entry.pick(answer);
        }
        let answer = self.lookup.lookup(name).await.map(Rc::from);
        if let (Err(ResolveError::Failed(_)), Some((Ok(stale), _))) = (&answer, entry.answer(Instant::now())) {
            // The name server is down: what was right a moment ago is the best guess.
            entry.store(Ok(stale.clone()), Self::ERROR_TTL);
            return entry.pick(Ok(stale));
        }
        let ttl = if answer.is_ok() { Self::TTL } else { Self::ERROR_TTL };
        entry.store(answer.clone(), ttl);
        entry.pick(answer)
    }

    fn entry(&self, name: &str) -> Rc<Entry> {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get(name) {
            return entry.clone();
        }
        if entries.len() >= Self::CAPACITY {
            entries.clear();
        }
        let entry = Rc::new(Entry {
            answer: RefCell::new(None),
            next: Cell::new(0),
            looking: Semaphore::new(1),
        });
        entries.insert(name.to_owned(), entry.clone());
        entry
    }
}

impl Entry {
    /// The remembered answer and whether it is fresh.
    fn answer(&self, now: Instant) -> Option<(Result<Rc<[IpAddr]>, ResolveError>, bool)> {
        self.answer
            .borrow()
            .as_ref()
            .map(|(answer, until)| (answer.clone(), now < *until))
    }

    fn store(&self, answer: Result<Rc<[IpAddr]>, ResolveError>, ttl: Duration) {
        *self.answer.borrow_mut() = Some((answer, Instant::now() + ttl));
    }

    fn pick(&self, answer: Result<Rc<[IpAddr]>, ResolveError>) -> Result<IpAddr, ResolveError> {
        let addresses = answer?;
        let n = self.next.get();
        self.next.set(n.wrapping_add(1));
        n.checked_rem(addresses.len())
            .and_then(|n| addresses.get(n))
            .copied()
            .ok_or(ResolveError::NotFound)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Counting(Rc<Cell<usize>>);

    impl Lookup for Counting {
        fn lookup<'a>(
            &'a self,
            name: &'a str,
        ) -> Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + 'a>> {
            self.0.set(self.0.get() + 1);
            Box::pin(async move {
                tokio::task::yield_now().await;
                match name {
                    "two" => Ok(vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]),
                    _ => Err(ResolveError::NotFound),
                }
            })
        }
    }

    #[tokio::test]
    async fn one_lookup_serves_many_and_addresses_take_turns() {
        let count = Rc::new(Cell::new(0));
        let resolver = Resolver::new(Box::new(Counting(count.clone())));
        let (a, b) = tokio::join!(resolver.resolve("two"), resolver.resolve("two"));
        assert_eq!(
            (a.unwrap().to_string(), b.unwrap().to_string()),
            ("10.0.0.1".into(), "10.0.0.2".into())
        );
        assert_eq!(resolver.resolve("none").await, Err(ResolveError::NotFound));
        assert_eq!(resolver.resolve("none").await, Err(ResolveError::NotFound));
        assert_eq!(count.get(), 2);
    }
}
