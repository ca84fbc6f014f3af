//! Deadlines on a wheel of this worker.
//!
//! Hot path. Budget: arming and disarming a timer is a clock read and two stores; the wheel is touched only when a
//! deadline moves *forward* of where the timer is filed. A timer is filed once and lazily moved on when its slot comes
//! up, so that a busy connection which arms the same 60 s timeout ten thousand times costs the wheel a move every few
//! seconds. The price is coarseness: a timer fires up to three ticks (24 ms) late, never early.

mod clock;
mod wheel;

pub(crate) use clock::Tick;
pub use wheel::Timer;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Waits for this long. Like every timer, it needs a current-thread tokio runtime with time enabled.
pub async fn sleep(duration: Duration) {
    let timer = Timer::new();
    timer.arm(duration);
    poll_fn(|cx| timer.poll_expired(cx)).await;
}

/// The future's output, or `None` when it takes longer than `limit`.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let timer = Timer::new();
    timer.arm(limit);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.poll_expired(cx).map(|()| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn a_timer_fires_after_its_time_and_not_much_later() {
        for millis in [1, 7, 8, 20, 100] {
            let begun = Instant::now();
            sleep(Duration::from_millis(millis)).await;
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(millis), "{millis} took {took:?}");
            assert!(took < Duration::from_millis(millis + 200), "{millis} took {took:?}");
        }
    }

    #[tokio::test]
    async fn a_deadline_that_is_pulled_forward_fires_at_its_new_time() {
        let timer = Timer::new();
        timer.arm(Duration::from_secs(60));
        timer.arm(Duration::from_millis(30));
        let begun = Instant::now();
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_deadline_that_is_pushed_back_does_not_fire_early() {
        let timer = Timer::new();
        timer.arm(Duration::from_millis(30));
        let begun = Instant::now();
        timer.arm(Duration::from_millis(150));
        poll_fn(|cx| timer.poll_expired(cx)).await;
        assert!(begun.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn a_disarmed_timer_never_fires() {
        let timer = Timer::new();
        timer.arm(Duration::from_millis(10));
        timer.disarm();
        assert!(
            timeout(Duration::from_millis(80), poll_fn(|cx| timer.poll_expired(cx)))
                .await
                .is_none()
        );
    }

    #[tokio::test]
    async fn timers_fire_in_the_order_of_their_deadlines() {
        let order = std::cell::RefCell::new(Vec::new());
        let wait = |millis| {
            let order = &order;
            async move {
                sleep(Duration::from_millis(millis)).await;
                order.borrow_mut().push(millis);
            }
        };
        tokio::join!(wait(120), wait(40), wait(80), wait(1));
        assert_eq!(*order.borrow(), [1, 40, 80, 120]);
    }

    #[test]
    fn the_wheel_outlives_a_runtime() {
        for _ in 0..3 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(sleep(Duration::from_millis(5)));
        }
    }
}
