//! What was counted.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ahash::RandomState;
use kong_plugin::Exchange;
use uuid::Uuid;

use super::exposition::{Exposition, Kind, Labels};

/// Most bytes that series may take, by estimate; beyond that nothing new is counted, and an error is.
pub(super) const CAPACITY: usize = 5 << 20;

const KONG_BUCKETS: &[u64] = &[1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000];
const OTHER_BUCKETS: &[u64] = &[25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000];

/// What tells series apart. Entities go by id and time of change, since a new name makes a new series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    pub(super) route: (Uuid, i64),
    pub(super) service: Option<(Uuid, i64)>,
    pub(super) consumer: Option<(Uuid, i64)>,
    pub(super) status: u16,
    pub(super) is_service: bool,
}

/// What one request adds.
pub(super) struct Observation {
    pub(super) counts_status: bool,
    /// Received and sent.
    pub(super) bytes: Option<(u64, u64)>,
    /// Gateway, service, total, in milliseconds.
    pub(super) latencies: Option<(u64, Option<u64>, u64)>,
}

/// Names of the entities of a series, in label form.
#[derive(Debug, Clone)]
struct Names {
    service: String,
    route: String,
    consumer: String,
}

#[derive(Debug, Clone)]
struct Histogram {
    bounds: &'static [u64],
    /// Observations at most as large as the bound of the same index, and larger than the one before; one more for the rest.
    counts: Vec<u64>,
    sum: u64,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        Histogram {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0,
        }
    }

    fn observe(&mut self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(value);
    }

    fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[derive(Debug, Clone)]
struct Series {
    names: Names,
    requests: u64,
    received: u64,
    sent: u64,
    /// Boxed: most instances show no latencies.
    latencies: Option<Box<[Histogram; 3]>>,
}

type Map = HashMap<RequestKey, Series, RandomState>;

/// The series of a node: one map a worker.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<Mutex<Map>>>>,
    /// Distinguishes nodes within one process.
    id: OnceId,
    bytes: AtomicUsize,
    errors: AtomicU64,
}

struct OnceId(u64);

impl Default for OnceId {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        OnceId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

thread_local! {
    static OWN: RefCell<Vec<(u64, Arc<Mutex<Map>>)>> = const { RefCell::new(Vec::new()) };
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// This worker's map.
    fn own(&self) -> Arc<Mutex<Map>> {
        OWN.with_borrow_mut(|own| {
            if let Some((_, map)) = own.iter().find(|(id, _)| *id == self.id.0) {
                return map.clone();
            }
            let map = Arc::<Mutex<Map>>::default();
            lock(&self.workers).push(map.clone());
            own.push((self.id.0, map.clone()));
            map
        })
    }

    /// Estimated size.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn observe(&self, key: RequestKey, observation: &Observation, exchange: &Exchange) {
        let map = self.own();
        let mut map = lock(&map);
        let series = match map.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let names = names(&key, exchange);
                let size = 256 + names.service.len() + names.route.len() + names.consumer.len();
                if self.bytes.fetch_add(size, Ordering::Relaxed) + size > CAPACITY {
                    self.bytes.fetch_sub(size, Ordering::Relaxed);
                    self.errors.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                entry.insert(Series {
                    names,
                    requests: 0,
                    received: 0,
                    sent: 0,
                    latencies: None,
                })
            }
        };
        series.requests += u64::from(observation.counts_status);
        if let Some((received, sent)) = observation.bytes {
            series.received += received;
            series.sent += sent;
        }
        if let Some((kong, upstream, total)) = observation.latencies {
            let histograms = series.latencies.get_or_insert_with(|| {
                self.bytes.fetch_add(400, Ordering::Relaxed);
                Box::new([
                    Histogram::new(KONG_BUCKETS),
                    Histogram::new(OTHER_BUCKETS),
                    Histogram::new(OTHER_BUCKETS),
                ])
            });
            let [of_kong, of_upstream, of_request] = &mut **histograms;
            of_kong.observe(kong);
            if let Some(upstream) = upstream {
                of_upstream.observe(upstream);
            }
            of_request.observe(total);
        }
    }

    /// Writes everything counted.
    pub(super) fn write(&self, out: &mut Exposition) {
        let mut requests: BTreeMap<Labels, u64> = BTreeMap::new();
        let mut bandwidth: BTreeMap<Labels, u64> = BTreeMap::new();
        let mut latencies: BTreeMap<Labels, [Histogram; 3]> = BTreeMap::new();
        let workers = lock(&self.workers).clone();
        for map in workers {
            for (key, series) in lock(&map).iter() {
                let Names {
                    service,
                    route,
                    consumer,
                } = &series.names;
                let status = key.status.to_string();
                if series.requests > 0 {
                    let source = if key.is_service { "service" } else { "kong" };
                    let labels = Labels::new(&[
                        ("service", service),
                        ("route", route),
                        ("code", &status),
                        ("source", source),
                        ("workspace", "default"),
                        ("consumer", consumer),
                    ]);
                    *requests.entry(labels).or_default() += series.requests;
                }
                for (direction, bytes) in [("ingress", series.received), ("egress", series.sent)] {
                    if bytes > 0 {
                        let labels = Labels::new(&[
                            ("service", service),
                            ("route", route),
                            ("direction", direction),
                            ("workspace", "default"),
                            ("consumer", consumer),
                        ]);
                        *bandwidth.entry(labels).or_default() += bytes;
                    }
                }
                if let Some(histograms) = &series.latencies {
                    let labels = Labels::new(&[("service", service), ("route", route), ("workspace", "default")]);
                    latencies
                        .entry(labels)
                        .and_modify(|merged| merged.iter_mut().zip(&**histograms).for_each(|(a, b)| a.merge(b)))
                        .or_insert_with(|| (**histograms).clone());
                }
            }
        }
        let text = "Number of nginx-lua-prometheus errors";
        out.family("nginx_metric_errors_total", Kind::Counter, text);
        out.sample(
            "nginx_metric_errors_total",
            &Labels::default(),
            self.errors.load(Ordering::Relaxed),
        );
        let families = [
            (
                "http_requests_total",
                "HTTP status codes per consumer/service/route in Kong",
                requests,
            ),
            (
                "bandwidth_bytes",
                "Total bandwidth (ingress/egress) throughput in bytes",
                bandwidth,
            ),
        ];
        for (name, text, samples) in families {
            if !samples.is_empty() {
                out.family(name, Kind::Counter, text);
                samples
                    .iter()
                    .for_each(|(labels, value)| out.sample(name, labels, *value));
            }
        }
        let families = [
            (
                "kong_latency_ms",
                "Latency added by Kong and enabled plugins for each service/route in Kong",
            ),
            (
                "upstream_latency_ms",
                "Latency added by upstream response for each service/route in Kong",
            ),
            (
                "request_latency_ms",
                "Total latency incurred during requests for each service/route in Kong",
            ),
        ];
        for (index, (name, text)) in families.into_iter().enumerate() {
            let samples: Vec<_> = latencies
                .iter()
                .filter_map(|(labels, histograms)| Some((labels, histograms.get(index)?)))
                .filter(|(_, histogram)| histogram.total() > 0)
                .collect();
            if samples.is_empty() {
                continue;
            }
            out.family(name, Kind::Histogram, text);
            for (labels, histogram) in samples {
                out.histogram(name, labels, histogram.bounds, &histogram.counts, histogram.sum);
            }
        }
    }
}

#[cold]
fn names(key: &RequestKey, exchange: &Exchange) -> Names {
    let service = exchange
        .service
        .as_ref()
        .map(|s| s.name.clone().unwrap_or_else(|| s.host.clone()));
    let route = exchange
        .route
        .as_ref()
        .map(|r| r.name.clone().unwrap_or_else(|| r.id.to_string()));
    let consumer = exchange.consumer.as_ref().filter(|_| key.consumer.is_some());
    Names {
        service: service.unwrap_or_default(),
        route: route.unwrap_or_default(),
        consumer: consumer.and_then(|c| c.username.clone()).unwrap_or_default(),
    }
}
