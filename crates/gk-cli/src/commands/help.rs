//! `gk help`.

use gk_shared::exit::ExitCode;
use serde_json::json;

use crate::app::App;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// Help on a command, or on a topic: gk help exit-codes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Command or topic
    #[arg(value_name = "COMMAND")]
    topic: Vec<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    if args.topic == ["exit-codes"] {
        let text: String = ExitCode::ALL.iter().map(|(code, what)| format!("{:>3}  {what}\n", code.number())).collect();
        let all: Vec<_> =
            ExitCode::ALL.iter().map(|(code, what)| json!({ "code": code.number(), "meaning": what })).collect();
        app.out.answer(&Answer::new("gk.exit_codes.v1", &json!({ "exitCodes": all }), text))?;
        return Ok(Exit::OK);
    }
    let mut command = super::man::find(&args.topic)?;
    app.out.raw(command.render_long_help().to_string().as_bytes())?;
    Ok(Exit::OK)
}
