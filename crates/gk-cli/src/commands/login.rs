//! `gk login`.

use std::io::Read as _;
use std::path::PathBuf;

use gk_shared::secret::{BearerToken, MAX_SECRET_FILE, read_secret_file};
use gk_shared::wire::token::Me;
use serde_json::json;
use zeroize::Zeroizing;

use super::session::view::moment;
use crate::app::App;
use crate::client::Address;
use crate::context::{Context, ContextName, ContextStore, MakeCurrent, TokenStore};
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;
use crate::token::{TokenError, save_in_keyring};

/// Save a token and the control plane that it is for
///
/// The token is read from stdin, so that it stands in no process list: gk login --with-token < FILE. It is checked
/// before it is saved.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read the token from stdin
    #[arg(long)]
    with_token: bool,
    /// Where to keep the token; without it the keyring, or a file of mode 0600 where none answers
    #[arg(long, value_name = "STORE")]
    store: Option<TokenStore>,
    /// Certificates of authorities that the control plane's may come from, beside the system's; kept with the context
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

pub(crate) async fn run(app: &App, args: Args) -> Result<Exit, CliError> {
    let address = address(app)?;
    let token = token(app, args.with_token)?;
    let ca_file = match &args.ca_file {
        Some(file) => Some(app.env.absolute(file)),
        None => app.env.path("GK_CA_FILE"),
    };
    let me = app.client_with(address.clone(), token.clone(), ca_file.as_deref())?.me().await?;
    let name = context_name(app)?;
    let store = app.contexts()?;
    let kept = keep(app, &store, (&name, &address, &token), args.store)?;
    let context = Context::new(name.clone(), address.clone(), kept).with_ca_file(ca_file);
    store.put(&context, MakeCurrent::Always)?;
    report(app, &me, &name, &address, kept)
}

/// The flag, the variable, the context that was named, else a question.
fn address(app: &App) -> Result<Address, CliError> {
    let flags = app.settings_flags();
    // A context that is about to be made is not there yet.
    let named = flags.address.is_some() || app.env.text("GK_ADDRESS")?.is_some();
    if named && let Some(text) = flags.address.or(app.env.text("GK_ADDRESS")?.map(str::to_owned)) {
        return text.parse().map_err(|error| crate::convert::from_address(&error, "--address"));
    }
    if let Some(found) = app.settings()?.address {
        return Ok(found.value);
    }
    let text = app.ask("--address", "Address of the control plane")?;
    text.parse().map_err(|error| crate::convert::from_address(&error, "--address"))
}

fn token(app: &App, with_token: bool) -> Result<BearerToken, CliError> {
    if !with_token {
        return Err(CliError::usage("--with-token is missing")
            .why("other ways to log in come with a later version")
            .next("gk login --with-token < FILE"));
    }
    if app.may_ask() {
        crate::output::to_stderr("Token, then Ctrl-D: ");
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = MAX_SECRET_FILE as u64 + 1;
    std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(|error| {
        CliError::new(gk_shared::problem::ErrorCode::BadTokenFile, format!("cannot read the token from stdin: {error}"))
    })?;
    let bad = |why: String| {
        CliError::new(gk_shared::problem::ErrorCode::BadTokenFile, format!("what came on stdin is no token: {why}"))
    };
    let line = read_secret_file(&bytes).map_err(|error| bad(error.to_string()))?;
    BearerToken::parse(line.expose()).map_err(|error| bad(error.to_string()))
}

/// The context that was named, else the current one, else `default`.
fn context_name(app: &App) -> Result<ContextName, CliError> {
    if let Some(name) = app.settings_flags().context {
        return Ok(name);
    }
    let name = app.env.text("GK_CONTEXT")?.unwrap_or("default");
    name.parse().map_err(|error| crate::arg::fault("GK_CONTEXT: ", &error))
}

fn keep(
    app: &App,
    store: &ContextStore,
    (name, address, token): (&ContextName, &Address, &BearerToken),
    wanted: Option<TokenStore>,
) -> Result<TokenStore, CliError> {
    let context = Context::new(name.clone(), address.clone(), TokenStore::File);
    let to_file = || store.put_token_file(&context, token).map(|()| TokenStore::File).map_err(CliError::from);
    match wanted {
        Some(TokenStore::None) => Ok(TokenStore::None),
        Some(TokenStore::File) => to_file(),
        Some(TokenStore::Keyring) => Ok(save_in_keyring(name, token).map(|()| TokenStore::Keyring)?),
        None => match save_in_keyring(name, token) {
            Ok(()) => Ok(TokenStore::Keyring),
            Err(TokenError::Keyring(_) | TokenError::File { .. } | TokenError::Variable(_) | TokenError::Typed(_)) => {
                let path = store.paths().token_file(&name.to_string());
                app.out.warn(&format!("no keyring answers: the token is kept in {} (mode 0600)", path.display()));
                to_file()
            }
        },
    }
}

fn report(app: &App, me: &Me, name: &ContextName, address: &Address, kept: TokenStore) -> Result<Exit, CliError> {
    let store = match kept {
        TokenStore::Keyring => "keyring",
        TokenStore::File => "file",
        TokenStore::None => "none",
    };
    let body = json!({
        "actor": me.actor, "context": name.to_string(), "address": address.to_string(), "store": store,
        "expiresAt": me.expires_at,
    });
    app.out.answer(&Answer::new("gk.login.v1", &body, ""))?;
    app.out.done(&format!("logged in to {address} as {} until {}", me.actor, moment(me.expires_at)));
    app.out.note(&format!("  context {name}, token kept: {store}"));
    Ok(Exit::OK)
}
