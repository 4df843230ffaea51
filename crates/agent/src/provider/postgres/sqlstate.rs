//! What a Postgres error means for us: one table from SQLSTATE (and, where that is not enough, the server's own routine)
//! to a kind of failure. Pure.

use std::error::Error as _;

use crate::provider::error::{Failure, ProviderError};

/// What is known of an error that a server sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerError<'a> {
    /// Its SQLSTATE.
    pub(crate) state: &'a str,
    /// Its text, which may be in any language.
    pub(crate) message: &'a str,
    /// The C function that raised it, which is in none.
    pub(crate) routine: Option<&'a str>,
}

/// The kind of failure.
pub(crate) fn classify(error: ServerError<'_>) -> Failure {
    match error.state {
        "GK001" => Failure::Fenced,
        "GK002" => Failure::PastLease,
        "GK003" => Failure::ForeignRole,
        "GK004" => Failure::RoleReplaced,
        // The function itself may not be called: that is no verdict on a pack.
        "42501" if error.routine == Some("aclcheck_error") => Failure::HelpersMissing,
        "42501" => Failure::PackRefused,
        // No schema gk, no such function, no such relation.
        "3F000" | "42883" | "42P01" => Failure::HelpersMissing,
        "40001" | "40P01" | "55P03" | "57014" => Failure::Busy,
        "XX000" if is_concurrent_update(error) => Failure::Busy,
        // A standby: whoever is primary by now is asked next time.
        "25006" => Failure::Unreachable,
        state => by_class(state),
    }
}

/// Two sessions changed one catalog row at once; Postgres has no SQLSTATE for that.
fn is_concurrent_update(error: ServerError<'_>) -> bool {
    error.message.starts_with("tuple concurrently")
        || error.routine.is_some_and(|routine| routine == "simple_heap_update" || routine == "simple_heap_delete")
}

fn by_class(state: &str) -> Failure {
    match state.get(..2) {
        // Connection lost; shutting down or starting; login refused; no such database.
        Some("08" | "57" | "28" | "3D") => Failure::Unreachable,
        // Connections, memory, disk, or sessions of ours are used up.
        Some("53") => Failure::Busy,
        Some(_) | None => Failure::Refused,
    }
}

impl From<tokio_postgres::Error> for ProviderError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(server) = error.as_db_error() {
            if let Some(told) = super::limits::explain(server.code().code(), server.message()) {
                return told;
            }
            let failure = classify(ServerError {
                state: server.code().code(),
                message: server.message(),
                routine: server.routine(),
            });
            // Never DETAIL, CONTEXT or the statement: those may carry values.
            let hint = server.hint().map_or(String::new(), |hint| format!(" ({hint})"));
            return Self::new(failure, format!("{} [{}]{hint}", server.message(), server.code().code()));
        }
        let text = error.to_string();
        let ours = text.starts_with("error deserializing column") || text.starts_with("error serializing parameter");
        let failure = if ours { Failure::HelpersMissing } else { Failure::Unreachable };
        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
        Self::new(failure, format!("{text}{cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(state: &str) -> Failure {
        classify(ServerError { state, message: "", routine: None })
    }

    #[test]
    fn each_sqlstate_has_its_kind_of_failure() {
        let table = [
            (Failure::Busy, &["40001", "40P01", "55P03", "57014", "53000", "53100", "53200", "53300", "53400"][..]),
            (
                Failure::Unreachable,
                &["08000", "08003", "08006", "57P01", "57P02", "57P03", "57P05", "28P01", "28000", "3D000", "25006"],
            ),
            (Failure::Fenced, &["GK001"]),
            (Failure::PastLease, &["GK002"]),
            (Failure::ForeignRole, &["GK003"]),
            (Failure::RoleReplaced, &["GK004"]),
            (Failure::PackRefused, &["42501"]),
            (Failure::HelpersMissing, &["3F000", "42883", "42P01"]),
            (Failure::Refused, &["22023", "GK005", "XX000", "55000", "42601", "", "é"]),
        ];
        for (expected, states) in table {
            for state in states {
                assert_eq!(failure(state), expected, "{state}");
            }
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        for state in ["40001", "40P01", "55P03", "57P01", "08006", "53300"] {
            assert!(failure(state).passes(), "{state}");
        }
        for state in ["42501", "22023", "GK001", "GK002", "GK003", "GK004", "GK005", "42883"] {
            assert!(!failure(state).passes(), "{state}");
        }
    }

    #[test]
    fn a_concurrent_update_is_told_from_other_internal_errors() {
        let internal = |message, routine| classify(ServerError { state: "XX000", message, routine });
        assert_eq!(internal("tuple concurrently updated", None), Failure::Busy);
        assert_eq!(internal("Tupel wurde gleichzeitig geändert", Some("simple_heap_update")), Failure::Busy);
        assert_eq!(internal("cache lookup failed for role 7", Some("x")), Failure::Refused);
    }

    #[test]
    fn a_helper_that_may_not_be_called_is_not_a_refused_pack() {
        let denied = ServerError { state: "42501", message: "", routine: Some("aclcheck_error") };
        assert_eq!(classify(denied), Failure::HelpersMissing);
    }
}
