//! A cached row with its decoded form.

use std::any::{Any, type_name};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kong_datastore::Row;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::CacheError;

type Decoded = Arc<dyn Any + Send + Sync>;

/// A row as it was loaded. Immutable: a change of the row makes a new value.
pub struct Cached {
    row: Row,
    /// The form that was asked for first; nearly always the only one.
    decoded: OnceLock<Decoded>,
    /// Forms of further types.
    others: Mutex<Vec<Decoded>>,
}

impl Cached {
    pub(crate) fn new(row: Row) -> Self {
        Self {
            row,
            decoded: OnceLock::new(),
            others: Mutex::new(Vec::new()),
        }
    }

    /// The stored row.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Absolute expiry of a TTL row, Unix seconds.
    pub(crate) fn row_expiry(&self) -> Option<f64> {
        self.row.get("ttl").and_then(Value::as_f64)
    }

    /// The row as a typed value, decoded at the first call and kept.
    pub fn decode<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, CacheError> {
        if let Some(first) = self.decoded.get() {
            if let Ok(value) = first.clone().downcast::<T>() {
                return Ok(value);
            }
            return self.decode_other();
        }
        let value = self.parse::<T>()?;
        // Another thread may have been first, even with another type: both values are equally good.
        let _ = self.decoded.set(value.clone());
        Ok(value)
    }

    fn decode_other<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, CacheError> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = others.iter().find_map(|v| v.clone().downcast::<T>().ok()) {
            return Ok(value);
        }
        let value = self.parse::<T>()?;
        others.push(value.clone());
        Ok(value)
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<Arc<T>, CacheError> {
        T::deserialize(Value::Object(self.row.clone()))
            .map(Arc::new)
            .map_err(|e| CacheError::Decode {
                entity: type_name::<T>(),
                reason: e.to_string(),
            })
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Rows may hold secrets.
        f.debug_struct("Cached")
            .field("id", &self.row.get("id"))
            .finish_non_exhaustive()
    }
}
