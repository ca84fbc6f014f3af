//! Turns row changes into snapshots, off the request path and in proportion to what changed.
//!
//! The compiler keeps the rows that the snapshot is made of ([`COMPILED_ENTITIES`]). Consumers and credentials are not
//! among them: there may be millions, and they are loaded on demand through the entity cache.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kong_datastore::Row;
use kong_model::{ForeignKey, Plugin as PluginRow, Protocol, Route, Service};
use kong_plugin::{Instance, PluginEnv, PluginKind, Selected};
use kong_router::{Flavor, RouteChange, Router};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::balancers::{BalancerChange, Balancers, NameChange};
use crate::certificates::{CertificateTable, ServerNames};
use crate::plan_table::PlanTable;
use crate::snapshot::{Plans, RouteEntry, ServiceEntry, Snapshot};

/// A change to one row of an entity that snapshots are compiled from.
#[derive(Debug, Clone)]
pub enum RowChange {
    /// The row is there, new or changed.
    Put(Row),
    /// The row with this id is gone.
    Gone(Uuid),
}

/// Entities that snapshots are compiled from, parents first.
pub const COMPILED_ENTITIES: [&str; 8] = [
    "ca_certificates",
    "certificates",
    "snis",
    "upstreams",
    "targets",
    "services",
    "routes",
    "plugins",
];

/// See the module.
pub struct Compiler {
    services: HashMap<Uuid, Arc<Service>>,
    routes: HashMap<Uuid, Arc<Route>>,
    routes_of_service: HashMap<Uuid, BTreeSet<Uuid>>,
    plugins: PlanTable,
    certificates: CertificateTable,
    balancers: Arc<Balancers>,
    /// Names of upstreams that have a client certificate.
    upstreams_with_identity: BTreeSet<String>,
    env: PluginEnv,
    snapshot: Snapshot,
}

impl Compiler {
    /// A compiler with an empty configuration. `kinds` are the enabled plugins.
    pub fn new(flavor: Flavor, kinds: Vec<Arc<dyn PluginKind>>, env: PluginEnv) -> Self {
        Compiler {
            services: HashMap::new(),
            routes: HashMap::new(),
            routes_of_service: HashMap::new(),
            plugins: PlanTable::new(kinds),
            certificates: CertificateTable::default(),
            balancers: Arc::default(),
            upstreams_with_identity: BTreeSet::new(),
            env,
            snapshot: Snapshot {
                router: Router::empty(flavor),
                services: Default::default(),
                upstreams: Default::default(),
                plans: Plans::default(),
                server_names: ServerNames::default(),
            },
        }
    }

    /// The snapshot of the last [`Compiler::apply`].
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The upstreams with their balancers, which change under the snapshots.
    pub fn balancers(&self) -> &Arc<Balancers> {
        &self.balancers
    }

    /// Id of the plugin row with this scope, so that an event which names only the cache key finds it.
    pub fn plugin_by_scope(
        &self,
        name: &str,
        route: Option<Uuid>,
        service: Option<Uuid>,
        consumer: Option<Uuid>,
    ) -> Option<Uuid> {
        self.plugins.id_by_scope(name, route, service, consumer)
    }

    /// Ids of all rows of an entity, for a full compare.
    pub fn ids(&self, entity: &str) -> Vec<Uuid> {
        match entity {
            "services" => self.services.keys().copied().collect(),
            "routes" => self.routes.keys().copied().collect(),
            "plugins" => self.plugins.ids(),
            "upstreams" | "targets" => self.balancers.ids(entity),
            other => self.certificates.ids(other),
        }
    }

    /// Applies changes and compiles. A row that cannot be used (a plugin that fails to build, a route whose regex does
    /// not compile) is logged and left out; the rest works.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = (String, RowChange)>) -> Snapshot {
        let mut route_changes = RouteChanges::default();
        let mut certificates_changed = false;
        let mut balancer_changes = Vec::new();
        for (entity, change) in changes {
            match entity.as_str() {
                "services" => self.change_service(change, &mut route_changes),
                "routes" => self.change_route(change, &mut route_changes),
                "plugins" => self.change_plugin(change),
                "certificates" | "snis" | "ca_certificates" => {
                    self.change_certificate(&entity, change);
                    certificates_changed = true;
                }
                "upstreams" | "targets" => balancer_changes.extend(balancer_change(&entity, change)),
                _ => {}
            }
        }
        if !balancer_changes.is_empty() {
            self.apply_balancers(balancer_changes);
        }
        if certificates_changed {
            self.apply_certificates();
        }
        if !route_changes.is_empty() {
            self.apply_routes(route_changes);
        }
        let (routes, routes_of_service) = (&self.routes, &self.routes_of_service);
        self.plugins.refresh(
            &mut self.snapshot.plans,
            |route| routes.get(&route)?.service.map(|service| service.id),
            |service| routes_of_service.get(&service).into_iter().flatten().copied().collect(),
        );
        self.plugins.notify_configured(&self.env);
        self.snapshot.clone()
    }

    /// Replaces the whole configuration (`POST /config`, first load). Plugin instances whose row is unchanged survive.
    pub fn replace(&mut self, rows: impl IntoIterator<Item = (String, Row)>) -> Snapshot {
        let mut gone: HashMap<&str, BTreeSet<Uuid>> = COMPILED_ENTITIES
            .iter()
            .map(|entity| (*entity, self.ids(entity).into_iter().collect()))
            .collect();
        let mut changes = Vec::new();
        for (entity, row) in rows {
            if let (Some(gone), Some(id)) = (gone.get_mut(entity.as_str()), row_id(&row)) {
                gone.remove(&id);
            }
            changes.push((entity, RowChange::Put(row)));
        }
        let mut all: Vec<(String, RowChange)> = Vec::new();
        for entity in COMPILED_ENTITIES.iter().rev() {
            let ids = gone.remove(entity).unwrap_or_default();
            all.extend(ids.into_iter().map(|id| ((*entity).to_owned(), RowChange::Gone(id))));
        }
        all.extend(changes);
        self.apply(all)
    }

    fn change_service(&mut self, change: RowChange, route_changes: &mut RouteChanges) {
        let (id, service) = match change {
            RowChange::Gone(id) => (id, None),
            RowChange::Put(row) => match decode::<Service>("services", row) {
                Some(service) => (service.id, Some(Arc::new(service))),
                None => return,
            },
        };
        // A disabled service takes its routes out of the router.
        let was_enabled = self.services.get(&id).is_none_or(|service| service.enabled);
        let is_enabled = service.as_ref().is_none_or(|service| service.enabled);
        if was_enabled != is_enabled {
            route_changes
                .touched
                .extend(self.routes_of_service.get(&id).into_iter().flatten());
        }
        match service {
            Some(service) => {
                self.snapshot.services.insert(id, self.service_entry(&service));
                self.services.insert(id, service);
            }
            None => {
                self.snapshot.services.remove(&id);
                self.services.remove(&id);
            }
        }
    }

    fn apply_balancers(&mut self, changes: Vec<BalancerChange>) {
        let mut with_other_identity = BTreeSet::new();
        for change in self.balancers.apply(changes) {
            match change {
                NameChange::Put(name, entry) => {
                    let has_identity = entry.active().upstream.client_certificate.is_some();
                    let had_identity = match has_identity {
                        true => !self.upstreams_with_identity.insert(name.clone()),
                        false => self.upstreams_with_identity.remove(&name),
                    };
                    if has_identity || had_identity {
                        with_other_identity.insert(name.clone());
                    }
                    self.snapshot.upstreams.insert(name, entry);
                }
                NameChange::Gone(name) => {
                    self.snapshot.upstreams.remove(&name);
                    if self.upstreams_with_identity.remove(&name) {
                        with_other_identity.insert(name);
                    }
                }
            }
        }
        if !with_other_identity.is_empty() {
            self.renew_services(|service| with_other_identity.contains(&service.host));
        }
    }

    /// A service with what is derived from it. Where it has no client certificate, that of its upstream is shown.
    fn service_entry(&self, service: &Arc<Service>) -> Arc<ServiceEntry> {
        let inherited = match service.client_certificate {
            None if self.upstreams_with_identity.contains(&service.host) => {
                let upstream = self.snapshot.upstreams.get(&service.host);
                upstream.and_then(|entry| entry.active().upstream.client_certificate)
            }
            _ => None,
        };
        let tls = match inherited {
            None => self.certificates.client_tls(service),
            inherited => self.certificates.client_tls(&Service {
                client_certificate: inherited,
                ..(**service).clone()
            }),
        };
        Arc::new(ServiceEntry::new(service.clone(), tls))
    }

    /// Compiles anew the services for which something that they use has changed.
    fn renew_services(&mut self, is_concerned: impl Fn(&Service) -> bool) {
        let concerned: Vec<Arc<Service>> = self.services.values().filter(|s| is_concerned(s)).cloned().collect();
        for service in concerned {
            self.snapshot.services.insert(service.id, self.service_entry(&service));
        }
    }

    fn change_certificate(&mut self, entity: &str, change: RowChange) {
        let table = &mut self.certificates;
        match (entity, change) {
            ("certificates", RowChange::Gone(id)) => table.remove_certificate(id),
            ("snis", RowChange::Gone(id)) => table.remove_sni(id),
            (_, RowChange::Gone(id)) => table.remove_authority(id),
            ("certificates", RowChange::Put(row)) => {
                if let Some(certificate) = decode(entity, row) {
                    table.put_certificate(certificate);
                }
            }
            ("snis", RowChange::Put(row)) => {
                if let Some(sni) = decode(entity, row) {
                    table.put_sni(sni);
                }
            }
            (_, RowChange::Put(row)) => {
                if let Some(authority) = decode(entity, row) {
                    table.put_authority(authority);
                }
            }
        }
    }

    /// Server names, and the TLS of the services that use certificates.
    fn apply_certificates(&mut self) {
        self.snapshot.server_names = self.certificates.server_names();
        let with_identity = self.upstreams_with_identity.clone();
        self.renew_services(|service| {
            service.client_certificate.is_some()
                || service.ca_certificates.is_some()
                || with_identity.contains(&service.host)
        });
    }

    fn change_route(&mut self, change: RowChange, route_changes: &mut RouteChanges) {
        let (id, route) = match change {
            RowChange::Gone(id) => (id, None),
            RowChange::Put(row) => match decode::<Route>("routes", row) {
                Some(route) => (route.id, Some(Arc::new(route))),
                None => return,
            },
        };
        let service = |route: &Arc<Route>| route.service.map(|ForeignKey { id }| id);
        let old_service = self.routes.get(&id).and_then(service);
        let new_service = route.as_ref().and_then(service);
        if old_service != new_service {
            if let Some(old) = old_service
                && let Some(routes) = self.routes_of_service.get_mut(&old)
            {
                routes.remove(&id);
                if routes.is_empty() {
                    self.routes_of_service.remove(&old);
                }
            }
            if let Some(new) = new_service {
                self.routes_of_service.entry(new).or_default().insert(id);
            }
            self.plugins.route_moved(id);
        }
        route_changes.touched.insert(id);
        match route {
            Some(route) => self.routes.insert(id, route),
            None => self.routes.remove(&id),
        };
    }

    fn apply_routes(&mut self, route_changes: RouteChanges) {
        let changes: Vec<_> = route_changes
            .touched
            .into_iter()
            .map(|id| match self.routes.get(&id) {
                Some(route) if self.is_routable(route) => {
                    RouteChange::upsert(route.clone(), Arc::new(RouteEntry::new(route.clone())))
                }
                _ => RouteChange::Remove(id),
            })
            .collect();
        let (router, errors) = self.snapshot.router.apply(changes);
        self.snapshot.router = router;
        for error in errors.0 {
            tracing::error!("{error}; the route is left out of the router");
        }
    }

    fn is_routable(&self, route: &Route) -> bool {
        use Protocol::{Grpc, Grpcs, Http, Https};
        let is_enabled = match route.service {
            Some(ForeignKey { id }) => self.services.get(&id).is_none_or(|service| service.enabled),
            None => true,
        };
        is_enabled
            && route
                .protocols
                .iter()
                .any(|protocol| matches!(protocol, Http | Https | Grpc | Grpcs))
    }

    fn change_plugin(&mut self, change: RowChange) {
        match change {
            RowChange::Gone(id) => self.plugins.remove(id),
            RowChange::Put(row) => {
                let ws_id = row
                    .get("ws_id")
                    .and_then(Value::as_str)
                    .and_then(|id| id.parse().ok())
                    .unwrap_or_default();
                let Some(row) = decode::<PluginRow>("plugins", row) else {
                    return;
                };
                use Protocol::{Grpc, Grpcs, Http, Https};
                let is_http = row.protocols.is_empty()
                    || row
                        .protocols
                        .iter()
                        .any(|protocol| matches!(protocol, Http | Https | Grpc | Grpcs));
                if !row.enabled || !is_http {
                    self.plugins.remove(row.id);
                    return;
                }
                self.plugins.put(
                    Instance {
                        id: row.id,
                        name: row.name,
                        instance_name: row.instance_name,
                        config: row.config,
                        route_id: row.route.map(|key| key.id),
                        service_id: row.service.map(|key| key.id),
                        consumer_id: row.consumer.map(|key| key.id),
                        ws_id,
                    },
                    &self.env,
                );
            }
        }
    }
}

#[derive(Default)]
struct RouteChanges {
    touched: BTreeSet<Uuid>,
}

impl RouteChanges {
    fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

/// Primary key of a row.
pub(crate) fn row_id(row: &Row) -> Option<Uuid> {
    row.get("id")?.as_str()?.parse().ok()
}

fn decode<T: DeserializeOwned>(entity: &str, row: Row) -> Option<T> {
    let id = row.get("id").cloned().unwrap_or_default();
    match serde_json::from_value(Value::Object(row)) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!("{entity} {id} cannot be used: {error}");
            None
        }
    }
}

fn balancer_change(entity: &str, change: RowChange) -> Option<BalancerChange> {
    match (entity, change) {
        ("upstreams", RowChange::Gone(id)) => Some(BalancerChange::UpstreamGone(id)),
        (_, RowChange::Gone(id)) => Some(BalancerChange::TargetGone(id)),
        ("upstreams", RowChange::Put(row)) => decode(entity, row).map(BalancerChange::Upstream),
        (_, RowChange::Put(row)) => decode(entity, row).map(BalancerChange::Target),
    }
}

/// Makes the placeholder instance of a plugin that could not be built: requests that need it fail with a 500 instead of
/// silently going without.
pub(crate) fn broken(instance: Instance, reason: String) -> Arc<Selected> {
    Arc::new(Selected {
        instance,
        plugin: Arc::new(crate::broken_plugin::Broken { reason }),
        phases: kong_plugin::Phases::ACCESS,
    })
}
