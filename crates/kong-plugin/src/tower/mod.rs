//! Tower layers as plugins, and `http` types for services around the gateway.
