//! How sessions are shown.

use gk_shared::ttl::humanize;
use gk_shared::wire::session::SessionView;
use jiff::Timestamp;
use serde_json::Value;

/// What `gk.session.v1` may hold, so that a wrong `--field` is told before a session is made.
pub(crate) const FIELDS: [&str; 25] = [
    "schema",
    "sessionId",
    "status",
    "target",
    "role",
    "packVersion",
    "requester",
    "reason",
    "ticket",
    "createdAt",
    "ttlSeconds",
    "databaseUser",
    "expiresAt",
    "expiresInSeconds",
    "readyAt",
    "endReason",
    "endedBy",
    "cutAt",
    "endedAt",
    "backends",
    "blocked",
    "error",
    "dsn",
    "recipientFingerprint",
    "correlationId",
];

/// The session as programs see it: with its credential only where `dsn` is given.
pub(crate) fn as_json(view: &SessionView, dsn: Option<&str>) -> Value {
    let mut shown = view.clone();
    (shown.sealed_credential, shown.dsn) = (None, None);
    let mut value = serde_json::to_value(&shown).expect("a view has text keys and finite numbers only");
    if let (Value::Object(fields), Some(dsn)) = (&mut value, dsn) {
        fields.insert("dsn".to_owned(), Value::from(dsn));
    }
    value
}

/// `14:47 UTC (in 15m)`.
pub(crate) fn until(view: &SessionView) -> String {
    match (view.expires_at, view.expires_in_seconds) {
        (Some(at), Some(left)) => format!("{} (in {})", clock(at), span(left)),
        (Some(at), None) => clock(at),
        (None, _) => "not yet set".to_owned(),
    }
}

/// The time of day, in UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

/// A time as a whole, in UTC, to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Seconds as people say them: above a minute to the next five, so that a fresh quarter of an hour is 15m.
pub(crate) fn span(secs: i64) -> String {
    let secs = u64::try_from(secs).unwrap_or_default();
    humanize(if secs > 60 { secs.div_ceil(5) * 5 } else { secs })
}

/// What a list says of the end: time left, or when and why it ended.
pub(crate) fn end(view: &SessionView) -> String {
    match (view.ended_at.or(view.cut_at), view.expires_in_seconds) {
        (Some(at), _) => format!("ended {}", moment(at)),
        (None, Some(left)) if left > 0 => format!("{} left", span(left)),
        (None, Some(_) | None) => String::new(),
    }
}

/// One field a line.
pub(crate) fn lines(view: &SessionView) -> String {
    let time = |at: Option<Timestamp>| at.map(moment);
    let rows = [
        ("session", Some(view.session_id.to_string())),
        ("status", Some(view.status.to_string())),
        ("role", Some(format!("{} ({})", view.role, view.pack_version))),
        ("target", Some(view.target.to_string())),
        ("requester", Some(view.requester.clone())),
        ("reason", view.reason.clone()),
        ("ticket", view.ticket.clone()),
        ("user", Some(view.database_user.clone())),
        ("created", Some(moment(view.created_at))),
        ("ready", time(view.ready_at)),
        ("expires", view.expires_at.map(|_| until(view))),
        ("backends", view.backends.map(|count| count.to_string())),
        ("ended by", view.ended_by.clone()),
        ("cut", time(view.cut_at)),
        ("ended", time(view.ended_at)),
        ("blocked", view.blocked.clone()),
        ("error", view.error.as_ref().map(|error| format!("{}: {}", error.code, error.message))),
        ("request", Some(view.correlation_id.clone())),
    ];
    let shown = rows.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    shown.map(|(name, value)| format!("{name:<10} {}\n", crate::error::plain(&value))).collect()
}
