//! The role of a node and the rules of hybrid mode.

use crate::checks::Reader;
use crate::listener::Listener;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Traditional,
    ControlPlane,
    DataPlane,
}

/// The listeners that the rules look at.
pub(crate) struct Families<'a> {
    pub(crate) proxy: &'a [Listener],
    pub(crate) admin: &'a [Listener],
    pub(crate) cluster: &'a [Listener],
}

impl Role {
    pub(crate) fn read(reader: &mut Reader<'_>, families: &Families<'_>) -> Self {
        let values = reader.values;
        let role = match values.text("role") {
            Some("control_plane") => Self::ControlPlane,
            Some("data_plane") => Self::DataPlane,
            _ => Self::Traditional,
        };
        let labels = values.list("cluster_dp_labels");
        let in_memory = values.text("database") == Some("off");
        match role {
            Self::ControlPlane => {
                if families.admin.is_empty() {
                    reader.invalid("admin_listen must be specified when role = \"control_plane\"");
                }
                if families.cluster.is_empty() {
                    reader.invalid("cluster_listen must be specified when role = \"control_plane\"");
                }
                if in_memory {
                    reader.invalid("in-memory storage can not be used when role = \"control_plane\"");
                }
                if values.is_on("cluster_use_proxy") {
                    reader.invalid("cluster_use_proxy can not be used when role = \"control_plane\"");
                }
                if !labels.is_empty() {
                    reader.invalid("cluster_dp_labels can not be used when role = \"control_plane\"");
                }
                if values.text("cluster_mtls") == Some("pki") && values.text("cluster_ca_cert").is_none() {
                    reader.invalid("cluster_ca_cert must be specified when cluster_mtls = \"pki\"");
                }
            }
            Self::DataPlane => {
                if families.proxy.is_empty() {
                    reader.invalid("proxy_listen must be specified when role = \"data_plane\"");
                }
                if !in_memory {
                    reader.invalid(
                        "only in-memory storage can be used when role = \"data_plane\"\n\
                         Hint: set database = off in your kong.conf",
                    );
                }
                if values.is_on("cluster_use_proxy") && values.text("proxy_server").is_none() {
                    reader.invalid("cluster_use_proxy is turned on but no proxy_server is configured");
                }
            }
            Self::Traditional => {}
        }
        if role != Self::DataPlane && role != Self::ControlPlane && !labels.is_empty() {
            reader.invalid("cluster_dp_labels can only be used when role = \"data_plane\"");
        }
        let pair = (values.text("cluster_cert"), values.text("cluster_cert_key"));
        if role != Self::Traditional && !matches!(pair, (Some(_), Some(_))) {
            reader.invalid("cluster certificate and key must be provided to use Hybrid mode");
        }
        if values
            .number("cluster_data_plane_purge_delay")
            .is_some_and(|seconds| seconds < 60.0)
        {
            reader.invalid("cluster_data_plane_purge_delay must be 60 or greater");
        }
        if values
            .number("cluster_max_payload")
            .is_some_and(|bytes| bytes < 4_194_304.0)
        {
            reader.invalid("cluster_max_payload must be 4194304 (4MB) or greater");
        }
        role
    }

    /// As `role` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traditional => "traditional",
            Self::ControlPlane => "control_plane",
            Self::DataPlane => "data_plane",
        }
    }
}
