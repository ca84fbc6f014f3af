//! Phases as a set.

use std::ops::BitOr;

/// A set of phases that a plugin implements; the plan of a route leaves out what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases(u16);

#[allow(missing_docs)]
impl Phases {
    pub const NONE: Phases = Phases(0);
    pub const CERTIFICATE: Phases = Phases(1);
    pub const REWRITE: Phases = Phases(1 << 1);
    pub const ACCESS: Phases = Phases(1 << 2);
    pub const RESPONSE: Phases = Phases(1 << 3);
    pub const HEADER_FILTER: Phases = Phases(1 << 4);
    pub const BODY_FILTER: Phases = Phases(1 << 5);
    pub const LOG: Phases = Phases(1 << 6);
    pub const PREREAD: Phases = Phases(1 << 7);
    pub const STREAM_LOG: Phases = Phases(1 << 8);
}

impl Phases {
    /// Whether all phases of `other` are in the set.
    pub const fn contains(self, other: Phases) -> bool {
        self.0 & other.0 == other.0
    }

    /// Union, usable in constants.
    pub const fn with(self, other: Phases) -> Phases {
        Phases(self.0 | other.0)
    }
}

impl BitOr for Phases {
    type Output = Phases;
    fn bitor(self, rhs: Phases) -> Phases {
        self.with(rhs)
    }
}
