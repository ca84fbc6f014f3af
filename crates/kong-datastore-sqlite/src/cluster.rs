//! Events and counters.

use std::collections::HashSet;
use std::time::Duration;

use kong_datastore::{CounterKey, Event, EventCursor, EventPage, unix_now};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// How long events are kept, seconds (node.md §9).
const EVENT_LIFE: f64 = 3600.0;
/// Events are read again from this many seconds before the cursor. One writer at a time stamps and commits, so
/// stamps ascend in commit order; the overlap covers equal stamps.
const OVERLAP: f64 = 1.0;
/// New events per page.
const PAGE: usize = 1000;

/// Records events inside the writer's transaction. Stamps never run backwards, whatever the clock does.
pub(crate) fn record(connection: &Connection, node_id: Uuid, events: &[Event]) -> rusqlite::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let last: Option<f64> = connection
        .prepare_cached("SELECT max(at) FROM cluster_events")?
        .query_row([], |row| row.get(0))?;
    let now = (unix_now() * 1000.0).floor() / 1000.0;
    let at = now.max(last.unwrap_or(0.0));
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO cluster_events (id, node_id, at, nbf, expire_at, channel, data) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for event in events {
        let expire_at = at + EVENT_LIFE;
        insert.execute(params![
            event.id.to_string(),
            node_id.to_string(),
            at,
            event.nbf,
            expire_at,
            event.channel,
            event.data
        ])?;
    }
    Ok(())
}

pub(crate) fn events_since(connection: &Connection, node_id: Uuid, cursor: EventCursor) -> rusqlite::Result<EventPage> {
    if cursor == EventCursor::default() {
        let last: Option<f64> = connection
            .prepare_cached("SELECT max(at) FROM cluster_events")?
            .query_row([], |row| row.get(0))?;
        let at = last.unwrap_or_else(unix_now);
        let mut statement = connection.prepare_cached("SELECT id, at FROM cluster_events WHERE at >= ?1")?;
        let seen = statement.query_map([at - OVERLAP], |row| Ok((uuid(row, 0)?, row.get(1)?)))?;
        let seen = seen.collect::<rusqlite::Result<Vec<_>>>()?;
        return Ok(EventPage {
            events: Vec::new(),
            cursor: EventCursor { at, seen },
        });
    }
    let known: HashSet<Uuid> = cursor.seen.iter().map(|(id, _)| *id).collect();
    let mut statement = connection.prepare_cached(
        "SELECT id, node_id, channel, data, at, nbf FROM cluster_events WHERE at >= ?1 ORDER BY at, id",
    )?;
    let mut rows = statement.query([cursor.at - OVERLAP])?;
    let (own, mut reached) = (node_id.to_string(), cursor.at);
    let (mut read, mut fresh) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let at: f64 = row.get(4)?;
        reached = reached.max(at);
        // Own events only move the cursor: a node that writes much reads little.
        if row.get_ref(1)?.as_str()? == own {
            continue;
        }
        let (id, node_id) = (uuid(row, 0)?, uuid(row, 1)?);
        fresh += usize::from(!known.contains(&id));
        read.push(Event {
            id,
            node_id,
            channel: row.get(2)?,
            data: row.get(3)?,
            at,
            nbf: row.get(5)?,
        });
        if fresh >= PAGE {
            break;
        }
    }
    let cursor = EventCursor { at: reached, ..cursor };
    Ok(cursor.advance(read, node_id, OVERLAP))
}

fn uuid(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    let text = row.get_ref(index)?.as_str()?;
    Ok(Uuid::parse_str(text).unwrap_or_default())
}

pub(crate) fn add(
    connection: &Connection,
    counters: &[(CounterKey, i64)],
    expires_in: Duration,
) -> rusqlite::Result<Vec<i64>> {
    let now = unix_now();
    let mut statement = connection.prepare_cached(
        "INSERT INTO ratelimiting_metrics (identifier, period, period_date, service_id, route_id, value, ttl) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (identifier, period, period_date, service_id, route_id) DO UPDATE SET \
         value = CASE WHEN ttl <= ?8 THEN excluded.value ELSE value + excluded.value END, \
         ttl = CASE WHEN ttl <= ?8 THEN excluded.ttl ELSE ttl END RETURNING value",
    )?;
    let expiry = now + expires_in.as_secs_f64();
    let mut values = Vec::with_capacity(counters.len());
    for (key, n) in counters {
        let (service, route) = (key.service_id.to_string(), key.route_id.to_string());
        let parameters = params![
            key.identifier,
            key.period,
            key.period_date,
            service,
            route,
            n,
            expiry,
            now
        ];
        values.push(statement.query_row(parameters, |row| row.get(0))?);
    }
    Ok(values)
}

pub(crate) fn counter(connection: &Connection, key: &CounterKey) -> rusqlite::Result<i64> {
    let (service, route) = (key.service_id.to_string(), key.route_id.to_string());
    let value = connection
        .prepare_cached(
            "SELECT value FROM ratelimiting_metrics WHERE identifier = ?1 AND period = ?2 AND period_date = ?3 \
             AND service_id = ?4 AND route_id = ?5 AND (ttl IS NULL OR ttl > ?6)",
        )?
        .query_row(
            params![key.identifier, key.period, key.period_date, service, route, unix_now()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(value.unwrap_or(0))
}

/// Deletes expired events and counters, at most `limit` of each.
pub(crate) fn purge(connection: &Connection, limit: usize) -> rusqlite::Result<u64> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let now = unix_now();
    let events = connection.execute(
        "DELETE FROM cluster_events WHERE (at, id) IN \
         (SELECT at, id FROM cluster_events WHERE at < ?1 ORDER BY at LIMIT ?2)",
        params![now - EVENT_LIFE, limit],
    )?;
    let counters = connection.execute(
        "DELETE FROM ratelimiting_metrics WHERE (identifier, period, period_date, service_id, route_id) IN \
         (SELECT identifier, period, period_date, service_id, route_id FROM ratelimiting_metrics \
          WHERE ttl <= ?1 LIMIT ?2)",
        params![now, limit],
    )?;
    Ok((events + counters) as u64)
}
