#![allow(clippy::unwrap_used)]

use kong_balancer::{Answer, Choice, Record, RecordKind, ResolveError, Resolving};
use kong_datastore::Row;
use kong_model::{Registry, RegistryBuilder};
use kong_schema::Operation;
use serde_json::{Value, json};

use super::*;

fn row(registry: &Registry, entity: &str, body: Value) -> Row {
    let schema = registry.schema(entity).unwrap();
    let body = body.as_object().unwrap();
    schema.process(Operation::Insert, body, None, 1_700_000_000.0).unwrap()
}

fn upstream(body: Value) -> Upstream {
    let registry = RegistryBuilder::new(Default::default()).build().unwrap();
    serde_json::from_value(Value::Object(row(&registry, "upstreams", body))).unwrap()
}

fn target(upstream: Uuid, text: &str, created_at: f64) -> Target {
    Target {
        id: Uuid::new_v4(),
        created_at,
        updated_at: created_at,
        upstream: kong_model::ForeignKey { id: upstream },
        target: text.to_owned(),
        weight: 100,
        tags: None,
    }
}

fn addresses(entry: &UpstreamEntry) -> Vec<String> {
    let active = entry.active();
    let peers = active.balancer.peers().iter();
    peers.map(|peer| peer.address.socket().to_string()).collect()
}

#[test]
fn targets_are_ordered_by_age_and_the_newest_of_equals_counts() {
    let balancers = Balancers::default();
    let upstream = upstream(json!({"name": "u.test"}));
    let id = upstream.id;
    let mut old = target(id, "10.0.0.1:80", 1.0);
    old.weight = 5;
    balancers.apply([
        // Targets may come first.
        BalancerChange::Target(target(id, "10.0.0.2", 3.0)),
        BalancerChange::Target(old),
        BalancerChange::Target(target(id, "10.0.0.3:80", 2.0)),
        BalancerChange::Target(target(id, "010.0.0.1:80", 4.0)),
        BalancerChange::Upstream(Box::new(upstream)),
    ]);
    let entry = balancers.entry(id).unwrap();
    assert_eq!(addresses(&entry), ["10.0.0.3:80", "10.0.0.2:8000", "10.0.0.1:80"]);
    assert_eq!(entry.active().balancer.summary().weight.total, 300);
}

#[test]
fn renames_and_deletions_change_the_names() {
    let balancers = Balancers::default();
    let first = upstream(json!({"name": "u.test"}));
    let id = first.id;
    let told = |changes: Vec<NameChange>| -> Vec<String> {
        let text = |change| match change {
            NameChange::Put(name, _) => format!("+{name}"),
            NameChange::Gone(name) => format!("-{name}"),
        };
        changes.into_iter().map(text).collect()
    };
    let renamed = Upstream {
        name: "v.test".into(),
        ..first.clone()
    };
    let lone = target(id, "10.0.0.1:80", 1.0);
    let lone_id = lone.id;
    assert_eq!(
        told(balancers.apply([BalancerChange::Upstream(Box::new(first))])),
        ["+u.test"]
    );
    balancers.apply([BalancerChange::Target(lone)]);
    assert_eq!(
        told(balancers.apply([BalancerChange::Upstream(Box::new(renamed))])),
        ["-u.test", "+v.test"]
    );
    assert_eq!(balancers.ids("targets"), [lone_id]);
    assert_eq!(
        told(balancers.apply([BalancerChange::UpstreamGone(id), BalancerChange::TargetGone(lone_id)])),
        ["-v.test"]
    );
    assert!(balancers.ids("upstreams").is_empty() && balancers.ids("targets").is_empty());
    assert!(balancers.state().upstreams.is_empty());
}

#[test]
fn health_survives_a_rebuild_and_is_forgotten_without_checks() {
    let balancers = Balancers::default();
    let with_checks = upstream(json!({
        "name": "u.test",
        "healthchecks": {"passive": {"unhealthy": {"http_failures": 1}}},
    }));
    let id = with_checks.id;
    let mut without_checks = with_checks.clone();
    without_checks.healthchecks.passive.unhealthy.http_failures = Some(0);
    let first = target(id, "10.0.0.1:80", 1.0);
    balancers.apply([
        BalancerChange::Upstream(Box::new(with_checks.clone())),
        BalancerChange::Target(first),
    ]);
    let unhealthy = || balancers.summary(id).unwrap().1.weight;
    assert_eq!(balancers.set_health(id, "10.0.0.1", 80, None, false), Ok(()));
    assert_eq!((unhealthy().total, unhealthy().available), (100, 0));
    // An address that is not the target's changes nothing.
    let other = Some(([10, 9, 9, 9].into(), 80));
    assert_eq!(balancers.set_health(id, "10.0.0.1", 80, other, true), Ok(()));
    balancers.apply([BalancerChange::Target(target(id, "10.0.0.2:80", 2.0))]);
    assert_eq!((unhealthy().total, unhealthy().available), (200, 100));
    balancers.apply([BalancerChange::Upstream(Box::new(without_checks))]);
    assert_eq!((unhealthy().total, unhealthy().available), (200, 200));
    assert_eq!(
        balancers.set_health(id, "10.0.0.1", 80, None, false),
        Err(SetHealthError::NoHealthChecks)
    );
    assert_eq!(
        balancers.set_health(Uuid::new_v4(), "10.0.0.1", 80, None, false),
        Err(SetHealthError::NoBalancer)
    );
    balancers.apply([BalancerChange::Upstream(Box::new(with_checks))]);
    balancers.take_announcement(&format!("10.0.0.1||80|0|{id}|u.test"));
    assert_eq!(unhealthy().available, 100);
    balancers.take_announcement(&format!("10.0.0.1|10.0.0.1|80|1|{id}|u.test"));
    assert_eq!(unhealthy().available, 200);
    balancers.take_announcement("rubbish|||");
}

struct Scripted(Mutex<Vec<Result<Vec<u8>, ResolveError>>>);

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        let next = self.0.lock().unwrap().pop();
        Box::pin(async move {
            let records = next.unwrap_or_else(|| Err(ResolveError::Failed("no more".into())))?;
            Ok(Answer {
                kind: RecordKind::A,
                records: records
                    .into_iter()
                    .map(|n| Record::address([10, 0, 0, n].into()))
                    .collect(),
                ttl: Duration::from_secs(1),
            })
        })
    }
}

#[tokio::test]
async fn names_are_resolved_in_the_background_and_again_when_they_expire() {
    let balancers = Arc::new(Balancers::default());
    let upstream = upstream(json!({"name": "u.test"}));
    let id = upstream.id;
    balancers.apply([
        BalancerChange::Upstream(Box::new(upstream)),
        BalancerChange::Target(target(id, "name.test:81", 1.0)),
    ]);
    let entry = balancers.entry(id).unwrap();
    assert!(entry.active().balancer.is_pending());
    let script = Scripted(Mutex::new(vec![Ok(vec![7]), Ok(vec![2, 1])]));
    let task = tokio::spawn(
        balancers
            .clone()
            .resolve_names(Arc::new(script), Duration::from_secs(60)),
    );
    let wait_for = async |expected: &[&str]| {
        for _ in 0..400 {
            if addresses(&entry) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?} instead of {expected:?}", addresses(&entry));
    };
    wait_for(&["10.0.0.1:81", "10.0.0.2:81"]).await;
    assert!(!entry.active().balancer.is_pending());
    wait_for(&["10.0.0.7:81"]).await;
    // It fails from now on: the last answer is still used.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(entry.active().balancer.choose(&mut Choice::new(0)).is_some());
    task.abort();
}
