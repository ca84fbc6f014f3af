//! What one configuration property is: its name, kind, default, meaning, and what this gateway does with it.

/// How the text of a property is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A number; text that is none leaves the property unset.
    Number,
    /// `on` and `true` are true, anything else is false.
    Boolean,
    /// `on` or `off`, shown as that word.
    Flag,
    /// Comma-separated texts.
    List,
    /// One word out of a list.
    Choice(&'static [&'static str]),
    /// Comma-separated listener declarations that may carry these flags.
    Listeners(Subsystem),
}

impl Kind {
    /// The word that the documentation uses for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
            Kind::Flag => "on/off",
            Kind::List => "list",
            Kind::Choice(_) => "choice",
            Kind::Listeners(_) => "listeners",
        }
    }

    /// Whether the value is a comma-separated list.
    pub fn is_list(self) -> bool {
        matches!(self, Kind::List | Kind::Listeners(_))
    }
}

/// The two kinds of traffic; each has its own listener flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subsystem {
    /// HTTP listeners.
    Http,
    /// TCP, TLS and UDP listeners.
    Stream,
}

/// What this gateway does with a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has the documented effect.
    Effective,
    /// It is read and checked, and has no effect here for the reason given.
    NoEffect(&'static str),
    /// It is read and checked; what it is about is not built yet. Setting it gives a warning.
    NotYet(&'static str),
    /// It decides who may connect, what is verified or which role the node has, and is not built yet: the node
    /// refuses to start unless the value is the default or one of `except`.
    Refused {
        /// What is missing.
        reason: &'static str,
        /// Further values (texts) that are fine.
        except: &'static [&'static str],
    },
}

/// One configuration property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// As written in `kong.conf`.
    pub name: &'static str,
    /// How its text is read.
    pub kind: Kind,
    /// The text that holds when nothing is set; none: unset.
    pub default: Option<&'static str>,
    /// For the user, in plain words.
    pub doc: &'static str,
    /// What this gateway does with it.
    pub status: Status,
    /// Older or longer spellings that mean the same.
    pub aliases: &'static [&'static str],
    /// Never shown in logs or by the Admin API.
    pub secret: bool,
    /// A certificate or key: a path, PEM text, or base64 of PEM text.
    pub pem: bool,
}

impl Property {
    /// A property that has its effect; `default` of `""` means unset.
    pub(crate) const fn new(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        let default = if default.is_empty() { None } else { Some(default) };
        let status = Status::Effective;
        Self {
            name,
            kind,
            default,
            doc,
            status,
            aliases: &[],
            secret: false,
            pem: false,
        }
    }

    pub(crate) const fn no_effect(mut self, reason: &'static str) -> Self {
        self.status = Status::NoEffect(reason);
        self
    }

    pub(crate) const fn not_yet(mut self, reason: &'static str) -> Self {
        self.status = Status::NotYet(reason);
        self
    }

    pub(crate) const fn refused(self, reason: &'static str) -> Self {
        self.refused_except(reason, &[])
    }

    pub(crate) const fn refused_except(mut self, reason: &'static str, except: &'static [&'static str]) -> Self {
        self.status = Status::Refused { reason, except };
        self
    }

    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(crate) const fn pem(mut self) -> Self {
        self.pem = true;
        self
    }
}

/// Properties that belong together, under one heading of `kong.conf`.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// A sentence or two on all of them.
    pub about: &'static str,
    /// In the order in which they are listed.
    pub properties: &'static [Property],
}
