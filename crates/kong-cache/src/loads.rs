//! One load at a time per key: whoever misses the same key meanwhile waits for it, from whatever thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::CacheError;
use crate::entry::Loaded;
use crate::stripes::Stamp;

type Load = BoxFuture<'static, Result<Loaded, CacheError>>;
type WeakLoad = WeakShared<Load>;

#[derive(Default)]
struct Table {
    loads: HashMap<String, (u64, Stamp, WeakLoad)>,
    next: u64,
}

/// Loads under way.
#[derive(Clone, Default)]
pub(crate) struct Loads {
    table: Arc<Mutex<Table>>,
}

/// Removes a load from the table when it ends, also when all who waited for it went away.
struct Entered {
    loads: Loads,
    key: String,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut table = self.loads.lock();
        if table
            .loads
            .get(&self.key)
            .is_some_and(|(number, _, _)| *number == self.number)
        {
            table.loads.remove(&self.key);
        }
    }
}

impl Loads {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the load of this key, or begins one. A load that began before the last invalidation (it has another
    /// stamp) is not joined: its result may be older than what the caller knows to have happened.
    pub(crate) fn join(&self, key: &str, stamp: Stamp, begin: impl FnOnce() -> Load) -> Shared<Load> {
        let mut table = self.lock();
        // Upgraded only where it is returned: the last owner of a load must not drop it under this lock.
        if let Some((_, begun, load)) = table.loads.get(key)
            && *begun == stamp
            && let Some(load) = load.upgrade()
        {
            return load;
        }
        table.next += 1;
        let number = table.next;
        let entered = Entered {
            loads: self.clone(),
            key: key.to_owned(),
            number,
        };
        let load = begin();
        let shared = async move {
            let _entered = entered;
            load.await
        }
        .boxed()
        .shared();
        if let Some(weak) = shared.downgrade() {
            table.loads.insert(key.to_owned(), (number, stamp, weak));
        }
        shared
    }
}
