//! Faults of the command line, told as all other errors are: what, why, next, with a code.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use gk_shared::problem::ErrorCode;

use crate::arg::Fault;
use crate::error::CliError;

/// What became of a command line that is no command.
pub(crate) enum Parsed {
    /// Help or version was asked for.
    Show(String),
    /// It is wrong.
    Fault(CliError),
}

/// Whether `--json` stands before any `--`, for faults that are found before the flags are read.
pub(crate) fn wants_json(args: &[OsString]) -> bool {
    args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

/// Refuses arguments that are not text. What follows `--` is for a child and may be any bytes.
pub(crate) fn check_text(args: &[OsString]) -> Result<(), CliError> {
    let mut own = args.iter().take_while(|arg| *arg != "--").enumerate();
    match own.find(|(_, arg)| arg.to_str().is_none()) {
        Some((place, _)) => {
            Err(CliError::usage(format!("argument {place} is not valid text")).why("arguments are read as UTF-8"))
        }
        None => Ok(()),
    }
}

/// Sorts what the parser reports.
pub(crate) fn read(error: &clap::Error) -> Parsed {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Parsed::Show(error.render().to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let error = CliError::usage("a command is missing");
            Parsed::Fault(error.next("See `gk --help`, or --help of the command you began."))
        }
        _ => Parsed::Fault(fault(error)),
    }
}

fn fault(error: &clap::Error) -> CliError {
    let text = |kind: ContextKind| error.get(kind).map(context_text);
    let flag = text(ContextKind::InvalidArg).map(|arg| bare(&arg));
    match (error.kind(), flag) {
        (ErrorKind::ArgumentConflict, Some(flag))
            if text(ContextKind::PriorArg).map(|prior| bare(&prior)) == Some(flag.clone()) =>
        {
            CliError::usage(format!("{flag} is given twice"))
                .why("the last one must never win silently")
                .next("Give it once.")
        }
        (ErrorKind::ArgumentConflict, Some(flag)) => {
            let prior = text(ContextKind::PriorArg).map(|prior| bare(&prior)).unwrap_or_default();
            CliError::usage(format!("{flag} cannot stand together with {prior}"))
        }
        (ErrorKind::UnknownArgument, Some(word)) if !word.starts_with('-') => stray(&word, error),
        (ErrorKind::UnknownArgument, Some(flag)) => suggest(CliError::usage(format!("there is no flag {flag}")), error),
        (ErrorKind::InvalidSubcommand, _) => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            suggest(CliError::usage(format!("there is no command `{name}`")), error)
        }
        (ErrorKind::ValueValidation, Some(flag)) => invalid_value(&flag, error),
        (ErrorKind::InvalidValue, Some(flag)) => one_of(&flag, error),
        (ErrorKind::MissingRequiredArgument, Some(flag)) => missing(&flag, error),
        (ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::NoEquals, Some(flag)) => {
            CliError::usage(format!("{flag} needs a value"))
        }
        (_, _) => CliError::usage(first_line(&error.render().to_string())),
    }
}

/// `--ttl <TTL>` is `--ttl`; a positional argument keeps its name.
fn bare(arg: &str) -> String {
    let word = if arg.starts_with('-') { arg.split([' ', '=', '[']).next().unwrap_or(arg) } else { arg };
    word.trim_end_matches("...").trim_matches(['<', '>', '[', ']']).to_owned()
}

fn context_text(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(all) => all.join(", "),
        other => other.to_string(),
    }
}

/// Whether the fault is in a use of this command.
fn is_in(error: &clap::Error, command: &str) -> bool {
    error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains(command))
}

fn stray(word: &str, error: &clap::Error) -> CliError {
    let fault = CliError::usage(format!("unexpected argument `{word}`"));
    fault.next(if is_in(error, "gk exec") { "Put -- before the command." } else { "See --help." })
}

/// What lists the things of this kind.
fn list_of(flag: &str) -> Option<&'static str> {
    match flag {
        "TOKEN" => Some("Copy the whole id as `gk token list` prints it."),
        "AGENT" => Some("Copy the whole id as `gk agent list` prints it."),
        _ => None,
    }
}

fn suggest(fault: CliError, error: &clap::Error) -> CliError {
    let near = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    match near.into_iter().find_map(|kind| error.get(kind)) {
        Some(near) => fault.next(format!("Did you mean {}?", nearest(near))),
        None => fault.next("See --help."),
    }
}

/// One suggestion; the parser puts the nearest last.
fn nearest(near: &ContextValue) -> String {
    match near {
        ContextValue::Strings(all) => all.last().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

fn invalid_value(flag: &str, error: &clap::Error) -> CliError {
    if error.get(ContextKind::InvalidValue).map(context_text).is_some_and(|value| value.is_empty())
        && flag != "--reason"
    {
        return CliError::usage(format!("{flag} needs a value"));
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<Fault>()) {
        Some(fault) => {
            let shown = CliError::new(fault.code, format!("{flag}: {fault}"));
            match list_of(flag) {
                Some(next) if fault.code == ErrorCode::InvalidId => shown.next(next),
                Some(_) | None => shown,
            }
        }
        None => {
            let cause = source.map_or_else(|| first_line(&error.render().to_string()), ToString::to_string);
            CliError::usage(format!("{flag}: {cause}"))
        }
    }
}

fn one_of(flag: &str, error: &clap::Error) -> CliError {
    let value = error.get(ContextKind::InvalidValue).map(context_text).unwrap_or_default();
    let valid = error.get(ContextKind::ValidValue).map(context_text).unwrap_or_default();
    if value.is_empty() {
        return CliError::usage(format!("{flag} needs a value"));
    }
    let fault = CliError::usage(format!("{flag} does not take `{value}`"));
    if valid.is_empty() { fault } else { fault.next(format!("It takes: {valid}.")) }
}

fn missing(flag: &str, error: &clap::Error) -> CliError {
    match flag {
        "SESSION" => {
            let next = if is_in(error, "session revoke") {
                "Name one of `gk session list`, or pass --mine, or --all --target T."
            } else {
                "Name one of `gk session list`."
            };
            CliError::usage("expected a session id sess_..., got none").next(next)
        }
        flag => CliError::usage(format!("{flag} is missing")).next(format!("Pass {flag}.")),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
