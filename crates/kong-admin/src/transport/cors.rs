//! Which origin a browser may read answers from (admin-api.md §1.3).

/// Origins of the manager's pages (`admin_gui_url`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    origins: Vec<String>,
}

impl Cors {
    /// From the URLs of `admin_gui_url`; only scheme, host and port of each count.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            origins: urls
                .into_iter()
                .map(origin)
                .filter(|o| !o.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Value of `Access-Control-Allow-Origin`.
    pub(crate) fn allow_origin<'a>(&'a self, origin: Option<&'a str>) -> &'a str {
        match (self.origins.first(), origin) {
            (None, origin) => origin.unwrap_or("*"),
            (Some(_), Some(origin)) if self.origins.iter().any(|o| o == origin) => origin,
            (Some(first), _) => first,
        }
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    match url[authority..].find(['/', '?', '#']) {
        Some(end) => &url[..authority + end],
        None => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_url_answers_for_strangers() {
        let open = Cors::new([]);
        let closed = Cors::new(["http://one.test", "https://two.test:8445/manager"]);
        for (cors, origin, want) in [
            (&open, None, "*"),
            (&open, Some("http://x"), "http://x"),
            (&closed, None, "http://one.test"),
            (&closed, Some("http://one.test"), "http://one.test"),
            (&closed, Some("https://two.test:8445"), "https://two.test:8445"),
            (&closed, Some("https://two.test:8445/manager"), "http://one.test"),
            (&closed, Some("http://two.test"), "http://one.test"),
        ] {
            assert_eq!(cors.allow_origin(origin), want, "{origin:?}");
        }
    }
}
