use std::time::Duration;

/// Length of a tick in milliseconds.
pub(crate) const TICK_MILLIS: u64 = 8;

/// A point in time, in ticks of the coarse monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// Now. The coarse clock is read without a system call and lags up to 4 ms.
    pub(crate) fn now() -> Self {
        Self(now_millis() / TICK_MILLIS)
    }

    /// The first tick at which `duration` has passed for certain.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2);
        Self(self.0 + millis / TICK_MILLIS + 2)
    }

    /// Time since `earlier`, to the tick.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0) * TICK_MILLIS)
    }
}

pub(crate) fn now_millis() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for a timespec. The clocks named exist on every system we build for; were one
    // missing, `time` would stay zero.
    unsafe { libc::clock_gettime(CLOCK, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}
