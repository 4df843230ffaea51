//! `gk token`.

use gk_shared::ids::TokenId;
use gk_shared::names::{ActorName, GroupName};
use gk_shared::wire::token::{CreateToken, Scope, TokenView};
use serde_json::json;

use super::session::view::moment;
use crate::app::App;
use crate::arg::{checked, checked_id};
use crate::credential::{check_place, write_file};
use crate::error::{CliError, plain};
use crate::output::{Answer, table};
use crate::run::Exit;
use crate::span::Span;

/// Tokens of people and services (for admins)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Token {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a token and print it, this once
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Whose token; the actor is made where there is none
    #[arg(long, value_name = "NAME", value_parser = checked::<ActorName>)]
    actor: ActorName,
    /// The actor is a program: each of its creates needs an idempotency key of its own
    #[arg(long)]
    service: bool,
    /// What it may be used for: requester, admin or auditor; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
    scopes: Vec<Scope>,
    /// Group of the actor, for policy; may be repeated; replaces those there were
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',', value_parser = checked::<GroupName>)]
    groups: Vec<GroupName>,
    /// E-mail of the actor
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// How long it works, from 60s to 90d; 12h where nothing is said
    #[arg(long, value_name = "TIME", value_parser = checked::<Span>)]
    ttl: Option<Span>,
    /// Write the token into this file, of mode 0600, and not to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<std::path::PathBuf>,
}

/// List tokens, never their text
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

/// Revoke tokens; their sessions go on until their own end
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// Tokens, as `gk token list` prints them
    #[arg(value_name = "TOKEN", required = true, value_parser = checked_id::<TokenId>)]
    tokens: Vec<TokenId>,
}

/// Reads a scope; what is none is told which there are. That of agents comes with `gk agent enroll`.
fn scope(word: &str) -> Result<Scope, String> {
    word.parse().map_err(|_| format!("`{word}` is no scope: requester, admin or auditor"))
}

pub(crate) async fn run(app: &App, command: Token) -> Result<Exit, CliError> {
    match command {
        Token::Create(args) => create(app, args).await,
        Token::List(List {}) => list(app).await,
        Token::Revoke(args) => revoke(app, &args).await,
    }
}

/// A length of time that the wire can carry.
pub(super) fn wire_secs(ttl: Option<Span>) -> Result<Option<u32>, CliError> {
    let secs = ttl.map(|ttl| u32::try_from(ttl.as_secs())).transpose();
    secs.map_err(|_| CliError::new(gk_shared::problem::ErrorCode::InvalidTtl, "--ttl: at most 90d"))
}

async fn create(app: &App, args: Create) -> Result<Exit, CliError> {
    let out = args.out.clone();
    if let Some(path) = &out {
        check_place(&app.env.absolute(path))?;
    }
    let groups = (!args.groups.is_empty()).then(|| args.groups.clone());
    let ttl_seconds = wire_secs(args.ttl)?;
    let Create { actor, service, scopes, email, .. } = args;
    let asked = CreateToken { actor, service, scopes, groups, email, ttl_seconds };
    let made = app.client()?.create_token(&asked).await?;
    match &out {
        Some(path) => {
            let lost =
                |error: CliError| error.why(format!("{0} was made and is lost: gk token revoke {0}", made.token_id));
            write_file(&app.env.absolute(path), made.token.expose()).map_err(lost)?;
            let body = json!({ "tokenId": made.token_id, "actor": made.actor, "scopes": made.scopes, "expiresAt": made.expires_at });
            app.out.answer(&Answer::new("gk.token.v1", &body, ""))?;
        }
        None => app.out.answer(&Answer::new("gk.token.v1", &made, made.token.expose()))?,
    }
    app.out.done(&format!(
        "{} for {} until {}; it is shown this once",
        made.token_id,
        made.actor,
        moment(made.expires_at)
    ));
    Ok(Exit::OK)
}

async fn list(app: &App) -> Result<Exit, CliError> {
    let seen = app.client()?.tokens().await?;
    let text = table(["TOKEN", "ACTOR", "SCOPES", "STATE"], seen.tokens.iter().map(row));
    app.out.answer(&Answer::new("gk.tokens.v1", &seen, text))?;
    Ok(Exit::OK)
}

fn row(token: &TokenView) -> [String; 4] {
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let state = match token.revoked_at {
        Some(at) => format!("revoked {}", moment(at)),
        None => format!("until {}", moment(token.expires_at)),
    };
    [token.token_id.to_string(), plain(&token.actor), scopes.join(","), state]
}

async fn revoke(app: &App, args: &Revoke) -> Result<Exit, CliError> {
    let client = app.client()?;
    for id in &args.tokens {
        client.revoke_token(*id).await?;
        app.out.done(&format!("{id} no longer works"));
    }
    app.out.answer(&Answer::new("gk.tokens_revoked.v1", &json!({ "tokens": args.tokens }), ""))?;
    Ok(Exit::OK)
}
