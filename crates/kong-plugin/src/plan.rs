//! Which instances run for a request (plugins-auth-traffic.md §1.4).
//!
//! A plan is computed when the snapshot is compiled, per (route, service), so that a route pays for nothing it does not
//! use. Only consumer-scoped instances are looked up at run time, at their plugin's turn, with whatever consumer was
//! authenticated until then.

use std::sync::Arc;

use uuid::Uuid;

use crate::{Instance, Phases, Plugin};

/// An instance ready to run.
pub struct Selected {
    /// The row it was made of.
    pub instance: Instance,
    /// The running plugin.
    pub plugin: Arc<dyn Plugin>,
    /// Its phases.
    pub phases: Phases,
}

/// Finds consumer-scoped instances of one plugin.
pub trait ConsumerScoped: Send + Sync {
    /// All enabled instances of the plugin that are bound to this consumer.
    fn of_consumer(&self, consumer: Uuid) -> Vec<Arc<Selected>>;
}

/// One plugin of a plan.
pub struct PlanEntry {
    /// Phases of the plugin.
    pub phases: Phases,
    /// Best instance without a consumer for this (route, service).
    pub instance: Option<Arc<Selected>>,
    /// Where to look for instances bound to a consumer, if any exist.
    pub by_consumer: Option<Arc<dyn ConsumerScoped>>,
}

/// The plugins of a (route, service) in order of execution.
#[derive(Default)]
pub struct Plan {
    /// Entries in order of execution.
    pub entries: Vec<PlanEntry>,
    /// Union of all phases, so that an empty phase costs one test.
    pub phases: Phases,
}

/// An instance chosen for a request: an entry of its plan, or one bound to its consumer.
#[derive(Clone)]
pub enum Chosen {
    /// Position in [`Plan::entries`].
    Entry(u16),
    /// Bound to the consumer.
    Consumer(Arc<Selected>),
}

/// Rank of an instance's scope for a request, smaller wins; `None`: does not apply.
pub fn rank(instance: &Instance, route: Option<Uuid>, service: Option<Uuid>, consumer: Option<Uuid>) -> Option<u8> {
    let applies = |scope: Option<Uuid>, actual: Option<Uuid>| scope.is_none() || scope == actual;
    if !applies(instance.route_id, route)
        || !applies(instance.service_id, service)
        || !applies(instance.consumer_id, consumer)
    {
        return None;
    }
    Some(
        match (
            instance.route_id.is_some(),
            instance.service_id.is_some(),
            instance.consumer_id.is_some(),
        ) {
            (true, true, true) => 1,
            (true, false, true) => 2,
            (false, true, true) => 3,
            (true, true, false) => 4,
            (false, false, true) => 5,
            (true, false, false) => 6,
            (false, true, false) => 7,
            (false, false, false) => 8,
        },
    )
}

impl Plan {
    /// Makes a plan of entries that are already in order of execution.
    pub fn new(entries: Vec<PlanEntry>) -> Self {
        let phases = entries.iter().fold(Phases::NONE, |all, entry| all | entry.phases);
        Plan { entries, phases }
    }

    /// Chooses the instance of an entry for a request with this route, service and consumer. Routes and services
    /// without plugins of their own share a plan, so the ids are the request's.
    pub fn choose(
        &self,
        index: u16,
        route: Option<Uuid>,
        service: Option<Uuid>,
        consumer: Option<Uuid>,
    ) -> Option<Chosen> {
        let entry = self.entries.get(usize::from(index))?;
        if let (Some(by_consumer), Some(consumer)) = (&entry.by_consumer, consumer) {
            let general = entry
                .instance
                .as_ref()
                .and_then(|s| rank(&s.instance, route, service, None));
            let best = by_consumer
                .of_consumer(consumer)
                .into_iter()
                .filter_map(|s| Some((rank(&s.instance, route, service, Some(consumer))?, s)))
                .min_by_key(|(rank, _)| *rank);
            if let Some((rank, selected)) = best
                && general.is_none_or(|general| rank < general)
            {
                return Some(Chosen::Consumer(selected));
            }
        }
        entry.instance.is_some().then_some(Chosen::Entry(index))
    }

    /// The instance behind a choice.
    pub fn selected<'a>(&'a self, chosen: &'a Chosen) -> Option<&'a Arc<Selected>> {
        match chosen {
            Chosen::Entry(index) => self.entries.get(usize::from(*index))?.instance.as_ref(),
            Chosen::Consumer(selected) => Some(selected),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Nothing;
    impl Plugin for Nothing {}

    struct Bound(Vec<Arc<Selected>>);
    impl ConsumerScoped for Bound {
        fn of_consumer(&self, consumer: Uuid) -> Vec<Arc<Selected>> {
            self.0
                .iter()
                .filter(|s| s.instance.consumer_id == Some(consumer))
                .cloned()
                .collect()
        }
    }

    const R: Uuid = Uuid::from_u128(1);
    const S: Uuid = Uuid::from_u128(2);
    const C: Uuid = Uuid::from_u128(3);

    fn instance(scope: &str) -> Instance {
        let has = |letter: char, id: Uuid| scope.contains(letter).then_some(id);
        Instance {
            id: Uuid::new_v4(),
            name: "p".into(),
            instance_name: Some(scope.to_owned()),
            config: Default::default(),
            route_id: has('R', R),
            service_id: has('S', S),
            consumer_id: has('C', C),
            ws_id: Uuid::nil(),
        }
    }

    /// The plan that a snapshot would hold for (R, S): the best unbound instance, and those bound to a consumer.
    fn plan(scopes: &[&str], route: Option<Uuid>, service: Option<Uuid>) -> Plan {
        let select = |scope: &&str| {
            Arc::new(Selected {
                instance: instance(scope),
                plugin: Arc::new(Nothing),
                phases: Phases::ACCESS,
            })
        };
        let (bound, unbound): (Vec<_>, Vec<_>) = scopes
            .iter()
            .map(select)
            .partition(|s| s.instance.consumer_id.is_some());
        let best = unbound
            .into_iter()
            .filter_map(|s| Some((rank(&s.instance, route, service, None)?, s)))
            .min_by_key(|(rank, _)| *rank);
        let entry = PlanEntry {
            phases: Phases::ACCESS,
            instance: best.map(|(_, s)| s),
            by_consumer: (!bound.is_empty()).then(|| Arc::new(Bound(bound)) as Arc<dyn ConsumerScoped>),
        };
        Plan::new(vec![entry])
    }

    fn chosen(plan: &Plan, route: Option<Uuid>, service: Option<Uuid>, consumer: Option<Uuid>) -> Option<String> {
        let chosen = plan.choose(0, route, service, consumer)?;
        plan.selected(&chosen)?.instance.instance_name.clone()
    }

    /// §1.4, best first; the empty name is the global instance.
    const TABLE: [&str; 8] = ["RSC", "RC", "SC", "RS", "C", "R", "S", ""];

    #[test]
    fn the_first_existing_scope_of_the_table_wins() {
        // Every set of instances that there can be.
        for set in 0_u32..256 {
            let scopes: Vec<&str> = (0..8).filter(|i| set & (1 << i) != 0).map(|i| TABLE[i]).collect();
            for (route, service, consumer) in [
                (Some(R), Some(S), Some(C)),
                (Some(R), Some(S), None),
                (Some(R), None, Some(C)),
                (Some(R), None, None),
                (Some(Uuid::from_u128(9)), Some(S), Some(C)),
                (Some(R), Some(Uuid::from_u128(9)), Some(Uuid::from_u128(9))),
                (None, None, None),
            ] {
                let applies = |scope: &&&str| {
                    (!scope.contains('R') || route == Some(R))
                        && (!scope.contains('S') || service == Some(S))
                        && (!scope.contains('C') || consumer == Some(C))
                };
                let expected = TABLE.iter().filter(|scope| scopes.contains(scope)).find(applies);
                let plan = plan(&scopes, route, service);
                assert_eq!(
                    chosen(&plan, route, service, consumer).as_deref(),
                    expected.copied(),
                    "{scopes:?} for {route:?} {service:?} {consumer:?}"
                );
            }
        }
    }
}
