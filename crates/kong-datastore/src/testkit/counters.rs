//! Counters of rate limits.

use std::time::Duration;

use uuid::Uuid;

use super::{Fixture, Verdict, ensure, sleep, text};
use crate::CounterKey;

const MINUTE: Duration = Duration::from_secs(60);

fn key(identifier: &str, period: &str) -> CounterKey {
    CounterKey {
        identifier: identifier.into(),
        period: period.into(),
        period_date: 1_700_000_040,
        service_id: Uuid::nil(),
        route_id: Uuid::nil(),
    }
}

pub(super) async fn add_returns_new_values(f: &Fixture) -> Verdict {
    let (a, b) = (key("a", "minute"), key("a", "hour"));
    let add = async |counters: &[(CounterKey, i64)]| f.store.add(counters, MINUTE).await.map_err(text);
    let values = add(&[(a.clone(), 1), (b.clone(), 5), (a.clone(), 2)]).await?;
    ensure!(values == [1, 5, 3], "first: {values:?}");
    let values = add(&[(b.clone(), -2), (a.clone(), 1)]).await?;
    ensure!(values == [3, 4], "second: {values:?}");
    let values = add(&[]).await?;
    ensure!(values.is_empty(), "nothing added gives {values:?}");
    let others = [
        key("b", "minute"),
        CounterKey {
            period_date: 0,
            ..a.clone()
        },
        CounterKey {
            service_id: Uuid::from_u128(1),
            ..a.clone()
        },
        CounterKey {
            route_id: Uuid::from_u128(1),
            ..a.clone()
        },
    ];
    for (counter, expected) in [(&a, 4), (&b, 3)].into_iter().chain(others.iter().map(|o| (o, 0))) {
        let value = f.store.counter(counter).await.map_err(text)?;
        ensure!(value == expected, "{counter:?} is {value}");
    }
    Ok(())
}

pub(super) async fn concurrent_adds_are_not_lost(f: &Fixture) -> Verdict {
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = f.store.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..25 {
                store.add(&[(key("c", "minute"), 1)], MINUTE).await?;
            }
            Ok::<(), crate::StoreError>(())
        }));
    }
    for task in tasks {
        task.await.map_err(text)?.map_err(text)?;
    }
    let value = f.store.counter(&key("c", "minute")).await.map_err(text)?;
    ensure!(value == 200, "200 adds made {value}");
    Ok(())
}

pub(super) async fn counter_expires_and_starts_again(f: &Fixture) -> Verdict {
    let short = Duration::from_millis(300);
    f.store.add(&[(key("e", "second"), 7)], short).await.map_err(text)?;
    sleep(500).await;
    let value = f.store.counter(&key("e", "second")).await.map_err(text)?;
    ensure!(value == 0, "an expired counter reads {value}");
    let values = f.store.add(&[(key("e", "second"), 2)], MINUTE).await.map_err(text)?;
    ensure!(values == [2], "an expired counter goes on from {values:?}");
    sleep(400).await;
    let value = f.store.counter(&key("e", "second")).await.map_err(text)?;
    ensure!(value == 2, "the new life time was not taken: {value}");
    Ok(())
}

pub(super) async fn expiry_is_set_at_creation(f: &Fixture) -> Verdict {
    let life = Duration::from_millis(700);
    f.store.add(&[(key("l", "second"), 1)], life).await.map_err(text)?;
    sleep(450).await;
    f.store.add(&[(key("l", "second"), 1)], life).await.map_err(text)?;
    sleep(450).await;
    let value = f.store.counter(&key("l", "second")).await.map_err(text)?;
    ensure!(value == 0, "a later add prolonged the counter: {value}");
    Ok(())
}
