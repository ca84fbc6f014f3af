//! Plugin kinds made of layers.

use std::sync::Arc;

use bytes::Bytes;
use kong_message::Body;
use kong_schema::Schema;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, Gate, LayerPlugin};
use crate::{Descriptor, Instance, Phases, Plugin, PluginEnv, PluginError, PluginKind};

struct LayerKind<F> {
    descriptor: Descriptor,
    make: F,
}

/// A plugin whose instances are tower layers: `make` gives the layer of an instance, from its configuration.
pub fn layer_kind<L, F, B>(name: &str, priority: i32, schema: Arc<Schema>, make: F) -> Arc<dyn PluginKind>
where
    F: Fn(&Instance) -> Result<L, PluginError> + Send + Sync + 'static,
    L: Layer<Gate> + Send + Sync + 'static,
    L::Service: Service<http::Request<Body>, Response = http::Response<B>> + Clone + 'static,
    <L::Service as Service<http::Request<Body>>>::Error: Into<BoxError>,
    <L::Service as Service<http::Request<Body>>>::Future: 'static,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    let descriptor = Descriptor {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        priority,
        phases: Phases::ACCESS.with(Phases::HEADER_FILTER),
        schema,
        entities: Vec::new(),
    };
    Arc::new(LayerKind { descriptor, make })
}

impl<L, F, B> PluginKind for LayerKind<F>
where
    F: Fn(&Instance) -> Result<L, PluginError> + Send + Sync + 'static,
    L: Layer<Gate> + Send + Sync + 'static,
    L::Service: Service<http::Request<Body>, Response = http::Response<B>> + Clone + 'static,
    <L::Service as Service<http::Request<Body>>>::Error: Into<BoxError>,
    <L::Service as Service<http::Request<Body>>>::Future: 'static,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn instantiate(&self, instance: Instance, _env: &PluginEnv) -> Result<Arc<dyn Plugin>, PluginError> {
        Ok(Arc::new(LayerPlugin::new((self.make)(&instance)?)))
    }
}
