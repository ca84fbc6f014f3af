//! `badge`: lets requests pass that show the badge of a consumer.

use std::sync::Arc;

use kong_plugin::context::Access;
use kong_plugin::{
    Action, Credential, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError,
    PluginResult, Step,
};
use kong_schema::{Entity, PluginScopes, Record, Schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Configuration of `badge`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Header that shows the badge.
    #[kong(required, kind = "header_name", default = "X-Badge")]
    pub header: String,
    /// Message of a refusal.
    #[kong(default = "show your badge", len_max = 100)]
    pub message: Option<String>,
}

/// A consumer's badge.
#[derive(Debug, Clone, Serialize, Deserialize, Entity)]
#[kong(
    name = "badges",
    cache_key("number"),
    endpoint_key = "number",
    collection = "badges",
    nested = "badges"
)]
pub struct BadgeCredential {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Who holds the badge.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: kong_model::ForeignKey,
    /// What is written on it; made by the gateway if not given.
    #[kong(auto, unique)]
    pub number: Option<String>,
}

/// An instance of the plugin.
pub struct Badge {
    config: Config,
}

impl PluginDefinition for Badge {
    const NAME: &'static str = "badge";
    const PRIORITY: i32 = 1240;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn entities() -> Vec<Arc<Schema>> {
        vec![BadgeCredential::schema()]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        Ok(Badge { config })
    }
}

impl Plugin for Badge {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        match cx.header(&self.config.header).map(str::to_owned) {
            Some(number) => Step::wait(self.check(cx, number)),
            None => Step::Ready(Ok(self.refuse())),
        }
    }
}

impl Badge {
    async fn check(&self, cx: &mut Access<'_>, number: String) -> PluginResult {
        let entities = cx.entities.clone();
        let Some(badge) = entities.find::<BadgeCredential>("badges", "number", &number).await? else {
            return Ok(self.refuse());
        };
        let consumer = entities.get("consumers", &badge.consumer.id.to_string()).await?;
        let credential = Credential {
            id: Some(badge.id.to_string().into()),
            identifier: badge.number.as_deref().map(Into::into),
            value: None,
        };
        cx.authenticate(consumer, Some(credential));
        Ok(Action::Continue)
    }

    fn refuse(&self) -> Action {
        Action::Respond(LocalResponse::error(
            401,
            self.config.message.clone().unwrap_or_default(),
        ))
    }
}
