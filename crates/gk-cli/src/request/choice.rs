//! Targets and roles to choose from: shown in the question at a terminal, and named by their command elsewhere.

use std::fmt::Display;

use gk_shared::names::{PackName, TargetName};
use gk_shared::problem::ErrorCode;
use gk_shared::wire::catalog::TargetView;

use crate::app::App;
use crate::client::Client;
use crate::config::Settings;
use crate::error::CliError;

/// More than these do not fit into a question.
const SHOWN: usize = 20;

/// The target that whoever sits at the terminal chooses; `flag` is how it is given otherwise.
pub(crate) async fn target(app: &App, settings: &Settings, flag: &str) -> Result<TargetName, CliError> {
    if !app.may_ask() {
        return Err(missing(flag, "`gk target list` shows yours"));
    }
    let seen = app.client_for(settings)?.targets().await?;
    let names = seen.targets.into_iter().map(|target| target.name).collect();
    pick(app, &Question { flag, word: "Target", list: "gk target list" }, names, || {
        CliError::new(ErrorCode::NotFound, "there is no target that you may use")
            .next("An admin can add a rule to the policy file.")
    })
}

/// The role on this target that whoever sits at the terminal chooses.
pub(crate) async fn role(app: &App, settings: &Settings, target: &TargetName) -> Result<PackName, CliError> {
    if !app.may_ask() {
        return Err(missing("--role", &format!("`gk target show {target}` shows yours")));
    }
    role_of(app, &look(&app.client_for(settings)?, target).await?)
}

/// The same among the roles of a target that was looked at.
pub(crate) fn role_of(app: &App, seen: &TargetView) -> Result<PackName, CliError> {
    let list = format!("gk target show {}", seen.name);
    let names = seen.roles.iter().map(|allowed| allowed.role.clone()).collect();
    pick(app, &Question { flag: "--role", word: "Role", list: &list }, names, || {
        CliError::new(ErrorCode::RoleNotAllowed, format!("you have no role on {}", seen.name))
    })
}

/// A target, as the caller may use it.
pub(crate) async fn look(client: &Client, target: &TargetName) -> Result<TargetView, CliError> {
    client.target(target).await.map_err(CliError::from).map_err(|error| match error.code() {
        Some(ErrorCode::NotFound) => error.next("`gk target list` shows yours."),
        Some(_) | None => error,
    })
}

/// What is asked: the flag that would have answered, its name for people, and the command that lists the answers.
struct Question<'a> {
    flag: &'a str,
    word: &'a str,
    list: &'a str,
}

/// One of these; where there is but one, an empty line takes it.
fn pick<T: Display + PartialEq>(
    app: &App,
    ask: &Question<'_>,
    mut names: Vec<T>,
    none: impl FnOnce() -> CliError,
) -> Result<T, CliError> {
    let Question { flag, word, list } = ask;
    let shown = listed(&names);
    let (question, only) = match names.len() {
        0 => return Err(none()),
        1 => (format!("{word} [{shown}]"), true),
        _ => (format!("{word} ({shown})"), false),
    };
    let answer = app.ask(flag, &question)?;
    let chosen = names.iter().position(|name| name.to_string() == answer);
    match chosen.or_else(|| (only && answer.is_empty()).then_some(0)) {
        Some(place) => Ok(names.swap_remove(place)),
        None => {
            let error = CliError::usage(format!("`{answer}` is none of: {shown}"));
            Err(error.next(format!("Pass {flag}; `{list}` shows yours.")))
        }
    }
}

/// The names that a question shows.
pub(crate) fn listed<T: Display>(names: &[T]) -> String {
    let text = names.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn missing(flag: &str, list: &str) -> CliError {
    CliError::usage(format!("{flag} is missing")).next(format!("Pass {flag}; {list}."))
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn a_question_stays_short_however_many_there_are() {
        assert_eq!(listed(&["a", "b"]), "a, b");
        let many: Vec<u32> = (0..25).collect();
        assert!(listed(&many).ends_with("18, 19 and 5 more"));
    }
}
