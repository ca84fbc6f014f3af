//! A request allocates nothing, and a change allocates in proportion to the change: both counted by the allocator.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use kong_model::Route;
use kong_router::{Flavor, RequestQuery, RouteChange, Router, Scheme};
use uuid::Uuid;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; counting touches a thread-local without destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<R>(body: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATIONS.with(Cell::get);
    let result = body();
    (ALLOCATIONS.with(Cell::get) - before, result)
}

fn route(id: u128, fields: serde_json::Value) -> Arc<Route> {
    let mut value = serde_json::json!({
        "id": Uuid::from_u128(id.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)), "created_at": 0, "updated_at": 0,
        "protocols": ["http", "https"], "https_redirect_status_code": 426, "strip_path": true,
        "preserve_host": false, "request_buffering": true, "response_buffering": true,
    });
    value
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    Arc::new(serde_json::from_value(value).unwrap())
}

fn table(count: usize) -> Vec<Arc<Route>> {
    let fields = |index: usize| match index % 6 {
        0 => serde_json::json!({"hosts": [format!("h{index}.test")], "paths": [format!("/p{index}")]}),
        1 => serde_json::json!({"hosts": [format!("*.w{index}.test")]}),
        2 => serde_json::json!({"paths": [format!("/x{index}"), format!("/longer{index}")], "methods": ["GET"]}),
        3 => serde_json::json!({"headers": {"X-Tenant": [format!("t{index}")]}}),
        4 => serde_json::json!({"paths": [format!("~/r{index}/\\d+")]}),
        _ => serde_json::json!({"snis": [format!("s{index}.test")], "protocols": ["https"]}),
    };
    (0..count)
        .map(|index| route(index as u128 + 1, fields(index)))
        .collect()
}

#[test]
fn a_request_allocates_nothing_and_a_change_little() {
    let mut costs = Vec::new();
    for count in [300, 20_000] {
        let routes = table(count);
        let changes = routes.iter().map(|route| RouteChange::upsert(Arc::clone(route), ()));
        let (router, errors) = Router::empty(Flavor::default()).apply(changes);
        assert!(errors.is_empty());

        let headers = vec![("User-Agent", "curl/8"), ("x-tenant", "T9")];
        let requests = [
            ("h6.test:80", "/p6/a"),
            ("a.w7.test", "/p"),
            ("-", "/x8/a"),
            ("-", "/"),
            ("-", "/r10/77"),
        ];
        for (host, path) in requests {
            let query = RequestQuery {
                host: Some(host.as_bytes()),
                scheme: Scheme::Https,
                sni: Some("s11.test"),
                ..RequestQuery::http("GET", path.as_bytes(), &headers)
            };
            // The first regex search of a thread builds what the later ones use.
            assert!(router.find(&query).is_some(), "{host} {path}");
            let (during, found) = allocations(|| router.find(&query).is_some());
            assert!(found);
            assert_eq!(during, 0, "{host} {path} among {count}");
        }

        for kind in 0..6 {
            let changed = Arc::new(Route {
                strip_path: false,
                ..Route::clone(&routes[120 + kind])
            });
            let (during, (after, _)) = allocations(|| router.apply([RouteChange::upsert(changed, ())]));
            assert_eq!(after.len(), count);
            costs.push((kind, count, during));
        }
    }
    for (kind, count, during) in costs {
        assert!(
            during < 400,
            "a change of kind {kind} among {count} routes allocated {during} times"
        );
    }
}
