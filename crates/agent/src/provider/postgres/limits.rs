//! What the helpers refuse because of a number: told with the limit and what to do about it. Pure.
//!
//! The words are those of our own helpers; a refusal in other words is passed on as it is.

use crate::provider::error::{Failure, Limit, ProviderError};

/// SQLSTATE of a parameter that the helpers do not take.
const BAD_PARAMETER: &str = "22023";

/// The failure in the words of whoever can mend it, if it is one of a limit.
pub(super) fn explain(state: &str, message: &str) -> Option<ProviderError> {
    if state != BAD_PARAMETER {
        return None;
    }
    connections(message).or_else(|| time(message)).or_else(|| iterations(message))
}

fn connections(message: &str) -> Option<ProviderError> {
    let most: u16 = message.strip_prefix("connection limit is not between 1 and ")?.parse().ok()?;
    let text = format!(
        "the role allows at most {most} connections at once on this target: ask for {most} or fewer \
         (--max-connections, `maxConnections`), or leave it out to get {most}"
    );
    Some(ProviderError::new(Failure::OverLimit(Limit::Connections), text))
}

fn time(message: &str) -> Option<ProviderError> {
    let range = message.strip_prefix("ttl is not between 0 and ")?;
    let most: u32 = range.strip_suffix(" seconds")?.parse().ok()?;
    let text = format!("the role allows at most {most} s on this target: ask for a shorter time");
    Some(ProviderError::new(Failure::OverLimit(Limit::Time), text))
}

fn iterations(message: &str) -> Option<ProviderError> {
    let range = message.strip_prefix("the verifier's iteration count is not between ")?;
    let (least, most) = range.split_once(" and ")?;
    let (least, _): (u32, u32) = (least.parse().ok()?, most.parse().ok()?);
    Some(ProviderError::new(Failure::Refused, too_few_rounds(least)))
}

/// Verifiers of fewer rounds than the target takes; our own upper bound is the helpers', so no other end is in reach.
pub(super) fn too_few_rounds(least: u32) -> String {
    format!(
        "the agent's scram_iterations is below the {least} that the target asks for, so no session can be made: \
         set target.scram_iterations to {least} in the agent's file, or lower min_iterations in gk.setting on the target"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> (Failure, String) {
        let error = explain(BAD_PARAMETER, message).expect("is one of a limit");
        (error.failure(), error.to_string())
    }

    #[test]
    fn a_limit_is_named_with_what_to_do_about_it() {
        let (failure, text) = told("connection limit is not between 1 and 5");
        assert_eq!(failure, Failure::OverLimit(Limit::Connections));
        assert!(text.contains("at most 5 connections") && text.contains("--max-connections"), "{text}");
        let (failure, text) = told("ttl is not between 0 and 14400 seconds");
        assert!(failure == Failure::OverLimit(Limit::Time) && text.contains("14400 s"), "{text}");
        let (failure, text) = told("the verifier's iteration count is not between 4096 and 20000");
        assert!(failure == Failure::Refused && text.contains("target.scram_iterations to 4096"), "{text}");
    }

    #[test]
    fn other_words_are_left_as_they_are() {
        assert!(explain(BAD_PARAMETER, "p_gen must be 1 or more").is_none());
        assert!(explain(BAD_PARAMETER, "connection limit is not between 1 and many").is_none());
        assert!(explain("42501", "connection limit is not between 1 and 5").is_none());
    }
}
