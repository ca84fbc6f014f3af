//! Which function answers which method of which path.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::AdminRequest;
use crate::table::Table;

/// An endpoint's function.
pub(crate) type Handler =
    Arc<dyn Fn(Arc<Admin>, AdminRequest) -> Pin<Box<dyn Future<Output = ApiResult> + Send>> + Send + Sync>;

/// The path table while it is being filled.
pub(crate) struct Routes {
    table: Table<Handler>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { table: Table::new() }
    }

    /// Sets the function of a method of a path, replacing an earlier one.
    pub(crate) fn on<F, Fut>(&mut self, method: &str, template: &str, function: F)
    where
        F: Fn(Arc<Admin>, AdminRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ApiResult> + Send + 'static,
    {
        self.table.on(
            method,
            template,
            Arc::new(move |admin, req| Box::pin(function(admin, req))),
        );
    }

    /// Puts a function in front of every method that a path has; it gets what answered the method before.
    pub(crate) fn wrap<F, Fut>(&mut self, template: &str, function: F)
    where
        F: Fn(Arc<Admin>, AdminRequest, Handler) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ApiResult> + Send + 'static,
    {
        self.table.wrap(template, |_, inner| {
            let function = function.clone();
            Arc::new(move |admin, req| Box::pin(function(admin, req, Arc::clone(&inner))))
        });
    }

    /// These methods of the path, and OPTIONS, are 404; other methods are 405.
    pub(crate) fn hide(&mut self, template: &str, methods: &[&str]) {
        for method in methods.iter().chain(&["OPTIONS"]) {
            self.on(method, template, |_, _| async { Err(ApiError::NotFound) });
        }
    }

    /// Every method of the paths that the predicate picks answers this refusal.
    pub(crate) fn refuse(&mut self, pick: impl Fn(&str) -> bool, status: u16, message: &'static str) {
        for template in self.table.templates().iter().filter(|t| pick(t)) {
            self.wrap(template, move |_, _, _| async move {
                Err(ApiError::message(status, message))
            });
        }
    }

    pub(crate) fn into_table(self) -> Table<Handler> {
        self.table
    }
}
