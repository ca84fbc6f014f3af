//! Plugin instances by scope, and the plans made of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use kong_plugin::{ConsumerScoped, Instance, Phases, Plan, PlanEntry, PluginEnv, PluginKind, Selected};
use uuid::Uuid;

use crate::compiler::broken;
use crate::shard_map::{ShardMap, UuidMap};
use crate::snapshot::Plans;

/// (route, service) of instances without a consumer.
type Scope = (Option<Uuid>, Option<Uuid>);

/// Instances of one plugin.
struct KindTable {
    kind: Arc<dyn PluginKind>,
    by_scope: HashMap<Scope, Arc<Selected>>,
    by_consumer: Arc<ConsumerTable>,
    consumer_instances: usize,
    changed: bool,
}

/// Consumer-bound instances of one plugin. They are looked up after authentication, so the table stands beside the
/// plans, and a change to it needs no new plan.
#[derive(Default)]
struct ConsumerTable {
    instances: ArcSwap<ShardMap<Arc<[Arc<Selected>]>>>,
}

impl ConsumerScoped for ConsumerTable {
    fn of_consumer(&self, consumer: Uuid) -> Vec<Arc<Selected>> {
        self.instances
            .load()
            .get(&consumer)
            .map(|instances| instances.to_vec())
            .unwrap_or_default()
    }
}

pub(crate) struct PlanTable {
    /// In order of execution.
    kinds: Vec<KindTable>,
    index: HashMap<String, usize>,
    instances: HashMap<Uuid, Arc<Selected>>,
    /// How many instances without a consumer a route or service has: those with any have a plan of their own.
    scoped_routes: UuidMap<usize>,
    scoped_services: UuidMap<usize>,
    stale: Stale,
}

/// Plans to compute anew.
#[derive(Default)]
struct Stale {
    all: bool,
    services: BTreeSet<Uuid>,
    routes: BTreeSet<Uuid>,
}

impl PlanTable {
    pub(crate) fn new(mut kinds: Vec<Arc<dyn PluginKind>>) -> Self {
        // Descending priority, equal ones by descending name.
        kinds.sort_by(|a, b| {
            let (a, b) = (a.descriptor(), b.descriptor());
            b.priority.cmp(&a.priority).then_with(|| b.name.cmp(&a.name))
        });
        let index = kinds
            .iter()
            .enumerate()
            .map(|(n, kind)| (kind.descriptor().name.clone(), n))
            .collect();
        let kinds = kinds
            .into_iter()
            .map(|kind| KindTable {
                kind,
                by_scope: HashMap::new(),
                by_consumer: Arc::default(),
                consumer_instances: 0,
                // `configure` runs once at start for every plugin.
                changed: true,
            })
            .collect();
        PlanTable {
            kinds,
            index,
            instances: HashMap::new(),
            scoped_routes: UuidMap::default(),
            scoped_services: UuidMap::default(),
            stale: Stale::default(),
        }
    }

    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.instances.keys().copied().collect()
    }

    pub(crate) fn id_by_scope(
        &self,
        name: &str,
        route: Option<Uuid>,
        service: Option<Uuid>,
        consumer: Option<Uuid>,
    ) -> Option<Uuid> {
        let kind = self.kinds.get(*self.index.get(name)?)?;
        match consumer {
            None => kind
                .by_scope
                .get(&(route, service))
                .map(|selected| selected.instance.id),
            Some(consumer) => kind
                .by_consumer
                .of_consumer(consumer)
                .iter()
                .find(|selected| selected.instance.route_id == route && selected.instance.service_id == service)
                .map(|selected| selected.instance.id),
        }
    }

    /// The route's service changed or the route is new or gone.
    pub(crate) fn route_moved(&mut self, route: Uuid) {
        self.stale.routes.insert(route);
    }

    pub(crate) fn put(&mut self, instance: Instance, env: &PluginEnv) {
        if self
            .instances
            .get(&instance.id)
            .is_some_and(|old| old.instance == instance)
        {
            return;
        }
        self.remove(instance.id);
        let Some(&n) = self.index.get(&instance.name) else {
            tracing::error!(
                "plugin '{}' not enabled; instance {} is left out",
                instance.name,
                instance.id
            );
            return;
        };
        let Some(kind) = self.kinds.get_mut(n) else { return };
        let phases = kind.kind.descriptor().phases;
        let selected = match kind.kind.instantiate(instance.clone(), env) {
            Ok(plugin) => Arc::new(Selected {
                instance,
                plugin,
                phases,
            }),
            Err(error) => {
                tracing::error!(
                    "[{}] instance {} could not be built: {error}",
                    instance.name,
                    instance.id
                );
                broken(instance, error.to_string())
            }
        };
        self.instances.insert(selected.instance.id, selected.clone());
        self.change(n, &selected, true);
    }

    pub(crate) fn remove(&mut self, id: Uuid) {
        if let Some(selected) = self.instances.remove(&id)
            && let Some(&n) = self.index.get(&selected.instance.name)
        {
            self.change(n, &selected, false);
        }
    }

    fn change(&mut self, n: usize, selected: &Arc<Selected>, is_added: bool) {
        let Some(kind) = self.kinds.get_mut(n) else { return };
        kind.changed = true;
        let instance = &selected.instance;
        if let Some(consumer) = instance.consumer_id {
            let mut table = ShardMap::clone(&kind.by_consumer.instances.load());
            let mut of_consumer = table
                .get(&consumer)
                .map(|instances| instances.to_vec())
                .unwrap_or_default();
            of_consumer.retain(|other| other.instance.id != instance.id);
            if is_added {
                of_consumer.push(selected.clone());
                kind.consumer_instances += 1;
            } else {
                kind.consumer_instances -= 1;
            }
            if of_consumer.is_empty() {
                table.remove(&consumer);
            } else {
                table.insert(consumer, of_consumer.into());
            }
            kind.by_consumer.instances.store(Arc::new(table));
            // The first and the last one decide whether plans have an entry that looks here.
            self.stale.all |= kind.consumer_instances == usize::from(is_added);
            return;
        }
        let scope = (instance.route_id, instance.service_id);
        if is_added {
            kind.by_scope.insert(scope, selected.clone());
        } else if kind
            .by_scope
            .get(&scope)
            .is_some_and(|other| other.instance.id == instance.id)
        {
            kind.by_scope.remove(&scope);
        }
        match scope {
            (Some(route), _) => {
                count(&mut self.scoped_routes, route, is_added);
                self.stale.routes.insert(route);
            }
            (None, Some(service)) => {
                count(&mut self.scoped_services, service, is_added);
                self.stale.services.insert(service);
            }
            (None, None) => self.stale.all = true,
        }
    }

    /// Computes stale plans anew.
    pub(crate) fn refresh(
        &mut self,
        plans: &mut Plans,
        service_of: impl Fn(Uuid) -> Option<Uuid>,
        routes_of: impl Fn(Uuid) -> Vec<Uuid>,
    ) {
        let Stale {
            all,
            mut services,
            mut routes,
        } = std::mem::take(&mut self.stale);
        if all {
            plans.global = Arc::new(self.plan(None, None));
            services.extend(self.scoped_services.keys());
            routes.extend(self.scoped_routes.keys());
        }
        for service in services {
            // A service's plugins also run for those of its routes that have plugins of their own.
            if !self.scoped_routes.is_empty() {
                routes.extend(
                    routes_of(service)
                        .into_iter()
                        .filter(|route| self.scoped_routes.contains_key(route)),
                );
            }
            if self.scoped_services.contains_key(&service) {
                plans
                    .by_service
                    .insert(service, Arc::new(self.plan(None, Some(service))));
            } else {
                plans.by_service.remove(&service);
            }
        }
        for route in routes {
            if self.scoped_routes.contains_key(&route) {
                plans
                    .by_route
                    .insert(route, Arc::new(self.plan(Some(route), service_of(route))));
            } else {
                plans.by_route.remove(&route);
            }
        }
    }

    fn plan(&self, route: Option<Uuid>, service: Option<Uuid>) -> Plan {
        // Ranks 4, 6, 7, 8 of plugins-auth-traffic.md §1.4.
        let both = route.is_some() && service.is_some();
        let scopes = [
            both.then_some((route, service)),
            route.is_some().then_some((route, None)),
            service.is_some().then_some((None, service)),
            Some((None, None)),
        ];
        let entries = self.kinds.iter().filter_map(|kind| {
            let instance = scopes
                .iter()
                .flatten()
                .find_map(|scope| kind.by_scope.get(scope))
                .cloned();
            let by_consumer =
                (kind.consumer_instances > 0).then(|| kind.by_consumer.clone() as Arc<dyn ConsumerScoped>);
            (instance.is_some() || by_consumer.is_some()).then(|| PlanEntry {
                // An instance that could not be built fails requests in `access`, whatever the plugin's phases.
                phases: kind.kind.descriptor().phases | Phases::ACCESS,
                instance,
                by_consumer,
            })
        });
        Plan::new(entries.collect())
    }

    /// Tells the plugins whose instances changed.
    pub(crate) fn notify_configured(&mut self, env: &PluginEnv) {
        for kind in self.kinds.iter_mut().filter(|kind| kind.changed) {
            kind.changed = false;
            if !kind.kind.observes_instances() {
                continue;
            }
            let name = &kind.kind.descriptor().name;
            let instances: Vec<Instance> = self
                .instances
                .values()
                .filter(|selected| selected.instance.name == *name)
                .map(|selected| selected.instance.clone())
                .collect();
            kind.kind.configure(&instances, env);
        }
    }
}

fn count(counts: &mut UuidMap<usize>, id: Uuid, is_added: bool) {
    if is_added {
        *counts.entry(id).or_default() += 1;
    } else if let Some(n) = counts.get_mut(&id) {
        *n -= 1;
        if *n == 0 {
            counts.remove(&id);
        }
    }
}
