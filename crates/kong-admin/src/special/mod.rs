//! What single entities do differently from all others (admin-api.md §7). Each module replaces or wraps single
//! methods of single paths that `generic` has generated, and does nothing where its entity is not registered.

mod acls;
mod certificates;
mod consumers;
mod filter_chains;
mod health;
mod plugins;
mod sni_names;
mod tags;
mod targets;

use kong_model::Registry;

use crate::routes::Routes;

/// Adds what is special.
pub(crate) fn add(routes: &mut Routes, registry: &Registry, wasm: bool) {
    acls::add(routes, registry);
    certificates::add(routes, registry);
    consumers::add(routes, registry);
    plugins::add(routes, registry);
    tags::add(routes, registry);
    targets::add(routes, registry);
    filter_chains::add(routes, wasm);
}

/// Adds what the Status API of a node without a database shows of entities.
pub(crate) fn add_status(routes: &mut Routes, registry: &Registry) {
    targets::add_reading(routes, registry);
}
