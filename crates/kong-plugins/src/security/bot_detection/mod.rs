//! `bot-detection`: refuses crawlers by their `User-Agent` (plugins-auth-traffic.md §3.1).
//!
//! On the request path: verdicts are remembered per worker; a known agent costs one hash and one lookup.

mod rules;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use ahash::RandomState;
use kong_plugin::context::Access;
use kong_plugin::{Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::{PluginScopes, Record};
use pcre2::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

/// Most agents that a worker remembers.
const REMEMBERED: usize = 10_000;

/// Configuration of `bot-detection`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Regular expressions of agents that may come in whatever the rules say.
    #[kong(default = [], elements(is_regex))]
    pub allow: Option<Vec<String>>,
    /// Regular expressions of agents to refuse besides those of the rules.
    #[kong(default = [], elements(is_regex))]
    pub deny: Option<Vec<String>>,
}

/// See the module.
pub struct BotDetection {
    allow: Vec<Regex>,
    deny: Vec<Regex>,
    /// Part of the key of remembered verdicts: a new configuration is a new instance.
    version: u64,
}

static VERSIONS: AtomicU64 = AtomicU64::new(0);

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// All built-in rules as one expression; `None` would mean that they do not compile, which a test excludes.
static RULES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let all: Vec<&str> = [rules::SHAPES, rules::CLIENTS, rules::CRAWLERS].concat();
    let pattern = all
        .iter()
        .map(|rule| format!("(?:{rule})"))
        .collect::<Vec<_>>()
        .join("|");
    compile(&pattern)
        .inspect_err(|error| tracing::error!("[bot-detection] {error}"))
        .ok()
});

thread_local! {
    /// Hash of instance and agent → whether it is refused. Hashes are keyed at random: a client cannot aim at another.
    static VERDICTS: RefCell<HashMap<u64, bool, RandomState>> = RefCell::new(HashMap::with_hasher(HASHER.clone()));
}

fn compile(pattern: &str) -> Result<Regex, PluginError> {
    let build = RegexBuilder::new().jit_if_available(true).build(pattern);
    build.map_err(|error| PluginError(format!("regular expression '{pattern}': {error}")))
}

impl PluginDefinition for BotDetection {
    const NAME: &'static str = "bot-detection";
    const PRIORITY: i32 = 2500;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let all = |list: Option<Vec<String>>| -> Result<Vec<Regex>, PluginError> {
            list.unwrap_or_default()
                .iter()
                .map(|pattern| compile(pattern))
                .collect()
        };
        Ok(BotDetection {
            allow: all(config.allow)?,
            deny: all(config.deny)?,
            version: VERSIONS.fetch_add(1, Ordering::Relaxed),
        })
    }
}

impl BotDetection {
    fn is_bot(&self, agent: &[u8]) -> bool {
        let key = HASHER.hash_one((self.version, agent));
        if let Some(verdict) = VERDICTS.with_borrow(|verdicts| verdicts.get(&key).copied()) {
            return verdict;
        }
        let verdict = self.judge(agent);
        VERDICTS.with_borrow_mut(|verdicts| {
            if verdicts.len() >= REMEMBERED {
                verdicts.clear();
            }
            verdicts.insert(key, verdict);
        });
        verdict
    }

    fn judge(&self, agent: &[u8]) -> bool {
        let any = |list: &[Regex]| list.iter().any(|regex| regex.is_match(agent).unwrap_or(false));
        !any(&self.allow)
            && (any(&self.deny)
                || RULES
                    .as_ref()
                    .is_some_and(|rules| rules.is_match(agent).unwrap_or(false)))
    }
}

impl Plugin for BotDetection {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let mut agents = cx.headers().get_all("user-agent");
        match (agents.next(), agents.next()) {
            (Some(_), Some(_)) => Step::respond(LocalResponse::error(400, "Only one User-Agent header allowed")),
            (Some(agent), None) if self.is_bot(agent.trim_ascii()) => Step::respond(LocalResponse::default_error(403)),
            _ => Step::CONTINUE,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_plugin::kind;
    use kong_plugin::testing::TestNode;
    use serde_json::{Value, json};

    fn status(config: Value, agents: &[&str]) -> u16 {
        let node = TestNode::new(vec![kind::<BotDetection>()]);
        let plan = node.plan_of(&[("bot-detection", config)]);
        let lines: String = agents.iter().map(|agent| format!("User-Agent: {agent}\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let first = node.run(&plan, &request).status();
        assert_eq!(node.run(&plan, &request).status(), first, "the remembered verdict");
        first
    }

    #[test]
    fn people_and_tools_pass() {
        for agent in [
            "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
            "curl/8.1",
            "python-requests/2.31",
            "Wget/1.21",
            "HelloWorld",
            "",
            "twitterbot",
            "OKHTTP/4",
            "SCRAPY",
            "CURL bot",
            "nobody",
            "robotics",
            "aws-sdk-dotnet-123/1.0",
        ] {
            assert_eq!(status(json!({}), &[agent]), 200, "{agent}");
        }
        assert_eq!(status(json!({}), &[]), 200);
    }

    #[test]
    fn robots_are_refused() {
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Twitterbot/1.0",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (compatible; bingbot/2.0)",
            "Scrapy/2.11 (+https://scrapy.org)",
            "AdsBot-Google (+http://www.google.com/adsbot.html)",
            "ia_archiver (+http://www.alexa.com)",
            "Mozilla/5.0 (compatible; YandexBot/3.0)",
            "okhttp/4.9.3",
            "Python-urllib/3.11",
            "Apache-HttpClient/4.5",
            "Go-http-client/1.1",
            "aws-cli/1.2 Python",
            "Boto3/1.9",
            "SomeThing Crawler/1.0",
            "xSpider 1.2",
            "axios/1.6.0",
            "GoogleBot 2",
            "abot/1.0",
            "Abc Bot 1.0",
            "Pingdom.com_bot_version_1.4",
            "x PTST/12.3",
            "aws-sdk-dotnet-45/1.0",
            "NING/1.0",
            "unirest-java/1.3",
            "my cRaWl thing",
            "Mozilla/4.0 MSIE 6.0b; MSIECrawler)",
        ] {
            assert_eq!(status(json!({}), &[agent]), 403, "{agent}");
        }
    }

    #[test]
    fn lists_come_before_the_rules() {
        assert_eq!(status(json!({"allow": ["Googlebot"]}), &["Googlebot/2.1"]), 200);
        assert_eq!(status(json!({"deny": ["^curl"]}), &["curl/8"]), 403);
        assert_eq!(
            status(json!({"deny": ["^curl"], "allow": ["curl/8"]}), &["  curl/8"]),
            200
        );
        assert_eq!(status(json!({}), &["curl/8", "curl/9"]), 400);
    }

    #[test]
    fn every_rule_compiles() {
        for rule in [rules::SHAPES, rules::CLIENTS, rules::CRAWLERS].concat() {
            assert!(compile(rule).is_ok(), "{rule}");
        }
        assert!(RULES.is_some());
    }
}
