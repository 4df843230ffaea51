//! A role that owns things in other databases of its server: each is opened with the same login and cleaned there.

use gk_shared::ids::SessionId;
use tokio_postgres::types::Type;

use super::connect::{Purpose, open};
use super::{PostgresTarget, one, query};
use crate::provider::error::{Failure, ProviderError};

const CLEAN: &str = "-- provider::clean_elsewhere\nSELECT gk.clean_here($1)";

/// Cleans the role out of every database that `detail` names.
pub(super) async fn clean_elsewhere(
    target: &PostgresTarget,
    session: SessionId,
    detail: &str,
) -> Result<(), ProviderError> {
    for database in databases_in(detail) {
        let client =
            open(&target.config, target.pools.servers.written().place(), (&database, Purpose::Helpers)).await?;
        let cleaned: bool = one(query(&client, CLEAN, &[(&session.to_string(), Type::TEXT)]).await?)?.try_get(0)?;
        if !cleaned {
            return Err(ProviderError::new(Failure::Busy, format!("it is connected to {database}")));
        }
        tracing::info!(%session, database, "what the session owned there was handed to gk_heir");
    }
    Ok(())
}

/// The databases in gk.reap's `2 object(s) in database app, 1 object(s) in database "Odd, name"; to mend, …`.
fn databases_in(detail: &str) -> Vec<String> {
    const MARK: &str = " object(s) in database ";
    let mut rest = detail;
    let mut found = Vec::new();
    while let Some(at) = rest.find(MARK) {
        rest = &rest[at + MARK.len()..];
        let (name, after) = take_ident(rest);
        found.push(name);
        rest = after;
    }
    found
}

/// Takes one identifier, as `%I` of Postgres' format() writes it, off the start of `text`.
fn take_ident(text: &str) -> (String, &str) {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut name = String::new();
    while let Some(quote) = rest.find('"') {
        name.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return (name, rest),
        }
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_are_read_out_of_what_reap_says() {
        let detail =
            "1 object(s) in database app2, 3 object(s) in database \"Odd, \"\"name\"; to mend, there: SELECT x;";
        assert_eq!(databases_in(detail), ["app2", "Odd, \"name"]);
        assert_eq!(databases_in("settling"), Vec::<String>::new());
    }

    #[test]
    fn a_quote_that_never_ends_is_no_panic() {
        assert_eq!(databases_in("1 object(s) in database \"half"), [""]);
    }
}
