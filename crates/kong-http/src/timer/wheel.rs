use super::clock::{TICK_MILLIS, Tick, now_millis};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Slots of the wheel: about eight seconds. Later deadlines are filed in the last slot and moved on from there.
const SLOTS: u64 = 1024;
const WORDS: usize = (SLOTS / 64) as usize;
/// A timer that is not armed, or not filed.
const NONE: u64 = 0;

thread_local! {
    static WHEEL: Wheel = Wheel::new();
}

/// A deadline that wakes the task which polls it. Made once per connection and armed again and again.
#[derive(Debug, Default)]
pub struct Timer {
    entry: Rc<Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    deadline: Cell<u64>,
    /// The tick in whose slot the entry lies.
    filed: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

struct Wheel {
    slots: RefCell<Vec<Vec<Rc<Entry>>>>,
    /// Which slots hold entries.
    occupied: [Cell<u64>; WORDS],
    /// The last tick whose slot was emptied.
    cursor: Cell<u64>,
    driver: RefCell<Option<Waker>>,
    driver_runs: Cell<bool>,
    /// The tick the driver sleeps for.
    driver_wakes: Cell<u64>,
}

impl Timer {
    /// A timer that is not armed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the deadline to `after` from now.
    pub fn arm(&self, after: Duration) {
        let deadline = Tick::now().after(after).0;
        self.entry.deadline.set(deadline);
        let filed = self.entry.filed.get();
        if filed == NONE || filed > deadline {
            // A thread that is ending has no wheel; nothing will wait on it.
            let _ = WHEEL.try_with(|wheel| wheel.file(Rc::clone(&self.entry), deadline));
        }
    }

    /// Arms the timer unless it is armed already.
    pub fn arm_if_idle(&self, after: Duration) {
        if !self.is_armed() {
            self.arm(after);
        }
    }

    /// Pulls the deadline forward to `after` from now, if it is later than that.
    pub fn arm_at_most(&self, after: Duration) {
        if !self.is_armed() || self.entry.deadline.get() > Tick::now().after(after).0 {
            self.arm(after);
        }
    }

    /// Takes the deadline away.
    pub fn disarm(&self) {
        self.entry.deadline.set(NONE);
    }

    /// Whether there is a deadline.
    pub fn is_armed(&self) -> bool {
        self.entry.deadline.get() != NONE
    }

    /// Ready once the deadline has passed; wakes the task then. Without a deadline it stays pending.
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.entry.deadline.get();
        if deadline == NONE {
            return Poll::Pending;
        }
        if Tick::now().0 >= deadline {
            return Poll::Ready(());
        }
        let mut waker = self.entry.waker.borrow_mut();
        match &mut *waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // The wheel lets go of the entry when its slot comes up; until then it must not keep the task alive.
        self.disarm();
        self.entry.waker.take();
    }
}

impl Wheel {
    fn new() -> Self {
        Self {
            slots: RefCell::new((0..SLOTS).map(|_| Vec::new()).collect()),
            occupied: [const { Cell::new(0) }; WORDS],
            cursor: Cell::new(Tick::now().0),
            driver: RefCell::new(None),
            driver_runs: Cell::new(false),
            driver_wakes: Cell::new(u64::MAX),
        }
    }

    fn file(&self, entry: Rc<Entry>, deadline: u64) {
        if !self.driver_runs.get() {
            self.start_driver();
        }
        let cursor = self.cursor.get();
        let tick = deadline.clamp(cursor + 1, cursor + SLOTS - 1);
        entry.filed.set(tick);
        let slot = (tick % SLOTS) as usize;
        if let Some(slot) = self.slots.borrow_mut().get_mut(slot) {
            slot.push(entry);
        }
        if let Some(word) = self.occupied.get(slot / 64) {
            word.set(word.get() | 1 << (slot % 64));
        }
        if tick < self.driver_wakes.get()
            && let Some(driver) = &*self.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }

    /// Fires what is due.
    fn advance(&self) {
        let now = Tick::now().0;
        let from = self.cursor.get() + 1;
        // After a long pause every slot is due, but each only once.
        let to = now.min(from + SLOTS - 1);
        self.cursor.set(now.max(self.cursor.get()));
        for tick in from..=to {
            let slot = (tick % SLOTS) as usize;
            let Some(word) = self.occupied.get(slot / 64) else {
                continue;
            };
            if word.get() & 1 << (slot % 64) == 0 {
                continue;
            }
            word.set(word.get() & !(1 << (slot % 64)));
            let Some(entries) = self.slots.borrow_mut().get_mut(slot).map(std::mem::take) else {
                continue;
            };
            for entry in entries {
                self.settle(entry, now);
            }
        }
    }

    /// An entry whose slot came up: fires, moves on, or is let go.
    fn settle(&self, entry: Rc<Entry>, now: u64) {
        let filed = entry.filed.get();
        if filed == NONE || filed > now {
            return; // a leftover of a deadline that was pulled forward
        }
        entry.filed.set(NONE);
        match entry.deadline.get() {
            NONE => {}
            deadline if deadline <= now => {
                if let Some(waker) = &*entry.waker.borrow() {
                    waker.wake_by_ref();
                }
            }
            deadline => self.file(entry, deadline),
        }
    }

    /// The next tick whose slot holds an entry.
    fn next(&self) -> Option<u64> {
        let cursor = self.cursor.get();
        let first = (cursor + 1) % SLOTS;
        for step in 0..=WORDS as u64 {
            let word = (first / 64 + step) % WORDS as u64;
            let mut bits = self.occupied.get(word as usize).map_or(0, Cell::get);
            if step == 0 {
                bits &= u64::MAX << (first % 64);
            }
            if bits != 0 {
                let slot = word * 64 + u64::from(bits.trailing_zeros());
                return Some(cursor + 1 + (slot + SLOTS - first) % SLOTS);
            }
        }
        None
    }

    /// The driver is a plain task: it touches the wheel only through the thread-local, so it is `Send` and needs no
    /// `LocalSet`; on a current-thread runtime it runs on this thread.
    fn start_driver(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.driver_runs.set(true);
            runtime.spawn(drive());
        }
    }
}

struct DriverEnds;

impl Drop for DriverEnds {
    fn drop(&mut self) {
        // The runtime went away: the next timer starts a new driver on whatever runtime there is then.
        let _ = WHEEL.try_with(|wheel| {
            wheel.driver_runs.set(false);
            wheel.driver_wakes.set(u64::MAX);
            wheel.driver.take();
        });
    }
}

async fn drive() {
    let _ends = DriverEnds;
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        WHEEL.with(|wheel| {
            wheel.driver.replace(Some(cx.waker().clone()));
            loop {
                // Nothing that is filed while the wheel turns needs to wake the driver: it looks again below.
                wheel.driver_wakes.set(0);
                wheel.advance();
                let Some(next) = wheel.next() else {
                    wheel.driver_wakes.set(u64::MAX);
                    return Poll::Pending;
                };
                wheel.driver_wakes.set(next);
                // One more millisecond, since tokio's clock and the coarse one do not tick together.
                let wait = (next * TICK_MILLIS).saturating_sub(now_millis()) + 1;
                sleep
                    .as_mut()
                    .reset(tokio::time::Instant::now() + Duration::from_millis(wait));
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::<()>::Pending;
                }
            }
        })
    })
    .await;
}
