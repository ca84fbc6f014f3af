//! Rules about single entities that look at other rows, for the data access object.

mod ca_certificates;
mod plugins;
mod targets;

use std::sync::Arc;

use kong_datastore::dao::EntityRule;

/// Every rule that Kong's entities have beyond their schemas.
pub fn entity_rules() -> Vec<Arc<dyn EntityRule>> {
    vec![
        Arc::new(ca_certificates::InUse),
        Arc::new(plugins::MatchingProtocols),
        Arc::new(targets::NormalAddress),
    ]
}
