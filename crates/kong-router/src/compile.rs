//! From a route to its matchers.

use std::sync::Arc;

use kong_model::{Protocol, Route};

use crate::classic::{Classic, required_schemes};
use crate::expression::ExpressionTest;
use crate::flavor::Flavor;
use crate::matcher::{Matcher, Target, Test};
use crate::pattern::PatternCache;
use crate::priority::{self, Rank};
use crate::split::{split, split_each};
use crate::traditional;

/// Which traffic a router is for. Routes for the other kind are not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subsystem {
    Http,
    Stream,
}

impl Subsystem {
    pub(crate) fn serves(self, route: &Route) -> bool {
        let is_http = |protocol: &Protocol| {
            matches!(
                protocol,
                Protocol::Http | Protocol::Https | Protocol::Grpc | Protocol::Grpcs
            )
        };
        route
            .protocols
            .iter()
            .any(|protocol| is_http(protocol) == (self == Subsystem::Http))
    }
}

/// The matchers of a route, or why it has none.
pub(crate) fn compile<T>(
    flavor: Flavor,
    subsystem: Subsystem,
    target: &Arc<Target<T>>,
    patterns: &PatternCache,
) -> Result<Vec<Matcher<T>>, String> {
    let route = &*target.route;
    if let (Flavor::Expressions, Some(source)) = (flavor, &route.expression) {
        let rank = Rank {
            major: priority::expression(route),
            minor: 0,
            id: priority::tie_breaker(route.id),
        };
        let schemes = required_schemes(&route.protocols);
        let test = ExpressionTest::new(source, subsystem == Subsystem::Http, schemes, patterns)?;
        let regexes = test.path_regexes().into();
        return Ok(vec![Matcher {
            rank,
            target: Arc::clone(target),
            test: Test::Expression(test, regexes),
        }]);
    }
    let paths = route.paths.as_deref().unwrap_or_default();
    let groups = if flavor == Flavor::Traditional {
        split_each(route.id, paths)
    } else {
        split(route.id, paths)
    };
    let matchers = groups.iter().map(|group| {
        let id = priority::tie_breaker(group.id);
        let rank = match (flavor, subsystem) {
            (Flavor::Traditional, _) => traditional::rank(route, group.shape, group.id),
            (_, Subsystem::Http) => Rank {
                major: priority::http(route, group.shape),
                minor: 0,
                id,
            },
            (_, Subsystem::Stream) => Rank {
                major: priority::stream(route),
                minor: 0,
                id,
            },
        };
        let test = Test::Classic(Classic::new(route, &group.paths, flavor, patterns)?);
        Ok(Matcher {
            rank,
            target: Arc::clone(target),
            test,
        })
    });
    matchers.collect()
}
