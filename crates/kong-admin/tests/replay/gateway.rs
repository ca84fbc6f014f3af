//! A gateway that is nothing but its Admin API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use kong_admin::{AdminApp, AdminContext, Cors, LogLevels, Memory, NodeInfo, Zone, entity_rules};
use kong_datastore::dao::{Dao, NoListener};
use kong_datastore::{Datastore, MemoryStore};
use kong_model::{PluginSchema, Registry, RegistryBuilder, RouterFlavor};
use kong_schema::Object;
use serde_json::{Value, json};
use uuid::Uuid;

/// A gateway with the settings of a file and of a case.
pub(super) async fn gateway(file_env: &Value, case_env: &Value) -> Router {
    let setting = |name: &str| case_env[name].as_str().or(file_env[name].as_str()).map(str::to_owned);
    let flavor = match setting("KONG_ROUTER_FLAVOR").as_deref() {
        Some("traditional") => RouterFlavor::Traditional,
        Some("expressions") => RouterFlavor::Expressions,
        _ => RouterFlavor::TraditionalCompatible,
    };
    let plugins = setting("KONG_PLUGINS").unwrap_or_else(|| "bundled".to_owned());
    let plugins: Vec<&str> = plugins.split(',').map(str::trim).collect();
    let registry = registry(flavor, &plugins);
    let store = Arc::new(MemoryStore::new());
    store.prepare(registry.schemas()).await.unwrap();
    let node = Arc::new(Node {
        id: Uuid::new_v4(),
        level: Mutex::new("warn".to_owned()),
    });
    let dao = Dao::new(store, registry.schemas().into(), node.id, Arc::new(NoListener)).with_rules(entity_rules());
    let mut context = AdminContext::new(dao, registry, node);
    let urls = setting("KONG_ADMIN_GUI_URL").unwrap_or_default();
    context.cors = Cors::new(urls.split(',').map(str::trim));
    AdminApp::new(context)
}

/// Registries are the same for all cases with the same settings, and not cheap to make.
fn registry(flavor: RouterFlavor, plugins: &[&str]) -> Arc<Registry> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Registry>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let key = format!("{flavor:?} {plugins:?}");
    let new = || Arc::new(new_registry(flavor, plugins));
    Arc::clone(known.entry(key).or_insert_with(new))
}

fn new_registry(flavor: RouterFlavor, plugins: &[&str]) -> Registry {
    let mut builder = RegistryBuilder::new(flavor);
    for kind in kong_plugins::bundled() {
        let plugin = kind.descriptor();
        if !plugins.contains(&"bundled") && !plugins.contains(&plugin.name.as_str()) {
            continue;
        }
        builder = builder.plugin(PluginSchema {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            priority: plugin.priority.into(),
            schema: Arc::clone(&plugin.schema),
        });
        for entity in &plugin.entities {
            builder = builder.entity(Arc::clone(entity));
        }
    }
    builder.build().unwrap()
}

struct Node {
    id: Uuid,
    level: Mutex<String>,
}

impl NodeInfo for Node {
    fn node_id(&self) -> Uuid {
        self.id
    }

    fn hostname(&self) -> String {
        "test".to_owned()
    }

    fn configuration(&self) -> Object {
        json!({"database": "off"}).as_object().unwrap().clone()
    }

    fn memory(&self) -> Memory {
        let zone = Zone {
            name: "kong".to_owned(),
            allocated: 1 << 16,
            capacity: 5 << 20,
        };
        Memory {
            workers: vec![(1, 1 << 25)],
            zones: vec![zone],
        }
    }

    fn log_levels(&self) -> Option<&dyn LogLevels> {
        Some(self)
    }
}

impl LogLevels for Node {
    fn level(&self) -> String {
        self.level.lock().unwrap().clone()
    }

    fn set_level(&self, level: &str) {
        *self.level.lock().unwrap() = level.to_owned();
    }
}
