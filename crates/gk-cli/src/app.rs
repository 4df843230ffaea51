//! What every command is given: the flags, the environment, the way to answer, and the control plane when it is needed.

use std::cell::OnceCell;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use gk_shared::problem::ErrorCode;
use gk_shared::secret::BearerToken;

use crate::cli::Globals;
use crate::client::{Address, Client};
use crate::config::{Paths, Settings, SettingsFlags, read_authorities};
use crate::context::ContextStore;
use crate::env::Env;
use crate::error::CliError;
use crate::machine::CoreLimit;
use crate::output::{Output, OutputFlags};
use crate::token::{self, Found, TokenSource};

/// This run of `gk`.
pub(crate) struct App {
    /// The environment.
    pub(crate) env: Env,
    /// How to answer.
    pub(crate) out: Output,
    /// What a child may do that gk itself may not.
    pub(crate) core: CoreLimit,
    globals: Globals,
    token_source: OnceCell<TokenSource>,
}

impl App {
    /// A run with these flags in this environment. Reads no file yet.
    pub(crate) fn new(globals: Globals, env: Env) -> Self {
        let flags = OutputFlags {
            json: globals.json,
            field: globals.field.clone(),
            quiet: globals.quiet,
            debug: globals.debug,
            color: globals.color,
        };
        let core = crate::machine::forbid_core();
        Self { out: Output::new(flags, &env), env, core, globals, token_source: OnceCell::new() }
    }

    /// Where files lie.
    pub(crate) fn paths(&self) -> Result<Paths, CliError> {
        Ok(Paths::of(&self.env)?)
    }

    /// The contexts of this user.
    pub(crate) fn contexts(&self) -> Result<ContextStore, CliError> {
        Ok(ContextStore::open(&self.env)?)
    }

    /// The flags that stand over all settings.
    pub(crate) fn settings_flags(&self) -> SettingsFlags {
        SettingsFlags { address: self.globals.address.clone(), context: self.globals.context.clone() }
    }

    /// All settings, read now.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        Settings::read(&self.env, Paths::of(&self.env).ok().as_ref(), &self.settings_flags())
    }

    /// The token of this run and where it was found.
    pub(crate) fn token(&self, settings: &Settings) -> Result<Found, CliError> {
        let context = settings.context.as_ref().map(|found| &found.value);
        let found =
            token::find(&self.env, Paths::of(&self.env).ok().as_ref(), context)?.ok_or_else(|| no_token(settings))?;
        let _ = self.token_source.set(found.source.clone());
        Ok(found)
    }

    /// The control plane that the settings name, with the token that was found.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        self.client_for(&self.settings()?)
    }

    /// The same for settings that were read already.
    pub(crate) fn client_for(&self, settings: &Settings) -> Result<Client, CliError> {
        let address = settings.address.as_ref().ok_or_else(no_address)?;
        let found = self.token(settings)?;
        self.out.debug(&format!("{} ({}), token from {}", address.value, address.origin, found.source));
        let ca_file = settings.ca_file.as_ref().map(|found| found.value.as_path());
        self.client_with(address.value.clone(), found.token, ca_file)
    }

    /// A client for this very address and token.
    pub(crate) fn client_with(
        &self,
        address: Address,
        token: BearerToken,
        ca_file: Option<&Path>,
    ) -> Result<Client, CliError> {
        let authorities = ca_file.map(read_authorities).transpose()?;
        let client = Client::trusting(address, Some(token), authorities.as_ref());
        let client = client.map_err(|error| CliError::new(ErrorCode::Internal, error.to_string()))?;
        Ok(if self.out.debugs() { client.traced(trace) } else { client })
    }

    /// Adds to a refusal of the token which one it was.
    pub(crate) fn with_token_source(&self, error: CliError) -> CliError {
        let refused = [ErrorCode::NotLoggedIn, ErrorCode::TokenInvalid, ErrorCode::TokenExpired];
        match self.token_source.get() {
            Some(source) if error.code().is_some_and(|code| refused.contains(&code)) => {
                // Next to the server's time in the message: a clock that is off explains a token that seems expired.
                let now = crate::commands::session::view::moment(crate::machine::now());
                error.why(format!("the token came from {source}; this machine's clock says {now}"))
            }
            Some(_) | None => error,
        }
    }

    /// Whether questions may be asked.
    pub(crate) fn may_ask(&self) -> bool {
        let forbidden = self.globals.no_input || self.env.is_on("GK_NO_INPUT");
        !forbidden && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks for a value that no flag gave, or says which flag is missing.
    pub(crate) fn ask(&self, flag: &str, question: &str) -> Result<String, CliError> {
        if !self.may_ask() {
            return Err(missing(flag));
        }
        crate::output::to_stderr(&format!("{question}: "));
        typed_line().ok_or_else(|| missing(flag))
    }

    /// The same beside other work, for a caller who has caught the signals that would end a `gk` at its question.
    pub(crate) async fn ask_meanwhile(&self, flag: &str, question: &str) -> Result<String, CliError> {
        if !self.may_ask() {
            return Err(missing(flag));
        }
        crate::output::to_stderr(&format!("{question}: "));
        let (answer, answered) = tokio::sync::oneshot::channel();
        // No task of the runtime: the process must be able to end while nobody has answered.
        std::thread::spawn(move || answer.send(typed_line()));
        answered.await.ok().flatten().ok_or_else(|| missing(flag))
    }
}

fn missing(flag: &str) -> CliError {
    CliError::usage(format!("{flag} is missing")).next(format!("Pass {flag}."))
}

/// What was typed, unless stdin has come to its end.
fn typed_line() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok_and(|length| length > 0).then(|| line.trim().to_owned())
}

fn trace(line: &str) {
    crate::output::to_stderr(&format!("debug: {}\n", crate::error::plain(line)));
}

fn no_address() -> CliError {
    CliError::new(ErrorCode::NotLoggedIn, "no control plane is set")
        .next("run gk login --with-token --address URL < FILE; or `gk dev` for one on this machine.")
}

fn no_token(settings: &Settings) -> CliError {
    let at = settings.address.as_ref().map(|address| format!(" for {}", address.value)).unwrap_or_default();
    let error = CliError::new(ErrorCode::NotLoggedIn, format!("no token is saved{at}"));
    error.next("run gk login --with-token < FILE, or set GK_TOKEN_FILE.")
}
