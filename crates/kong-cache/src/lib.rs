//! Read-through cache of entities that are too many for a snapshot (consumers, credentials): negative entries,
//! stale-on-error, invalidation from changes and cluster events. Knows no entity, and no database but the trait.

mod cache;
mod cached;
mod entry;
mod error;
mod loads;
mod local;
mod stripes;

pub use cache::{CacheOptions, CachedList, EntityCache, ListLookup, Lookup};
pub use cached::Cached;
pub use error::CacheError;
