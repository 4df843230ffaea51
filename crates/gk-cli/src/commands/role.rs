//! `gk role`.

use gk_shared::names::PackName;
use gk_shared::problem::ErrorCode;
use gk_shared::wire::catalog::PackView;

use crate::app::App;
use crate::arg::checked;
use crate::error::{CliError, plain};
use crate::output::{Answer, table};
use crate::run::Exit;

/// Role packs: versioned sets of rights that a session can have
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Role {
    List(List),
    Show(Show),
}

/// List role packs, their versions, and where they are registered
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

/// Show one role pack with the digest of its SQL
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Role pack, as `gk role list` prints it
    #[arg(value_name = "ROLE", value_parser = checked::<PackName>)]
    role: PackName,
}

pub(crate) async fn run(app: &App, command: Role) -> Result<Exit, CliError> {
    let client = app.client()?;
    match command {
        Role::List(List {}) => {
            let seen = client.packs().await?;
            let rows = seen.packs.iter().map(|pack| [pack.name.to_string(), pack.version.clone(), targets(pack)]);
            let text = table(["ROLE", "VERSION", "TARGETS"], rows);
            app.out.answer(&Answer::new("gk.roles.v1", &seen, text))?;
        }
        Role::Show(args) => {
            let pack = client.pack(&args.role).await.map_err(CliError::from).map_err(|error| match error.code() {
                Some(ErrorCode::NotFound) => error.next("`gk role list` shows what there is."),
                Some(_) | None => error,
            })?;
            let text = format!(
                "role     {}\nversion  {}\ndigest   {}\ntargets  {}\n",
                pack.name,
                plain(&pack.version),
                plain(&pack.digest),
                targets(&pack),
            );
            app.out.answer(&Answer::new("gk.role.v1", &pack, text))?;
        }
    }
    Ok(Exit::OK)
}

fn targets(pack: &PackView) -> String {
    pack.targets.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",")
}
