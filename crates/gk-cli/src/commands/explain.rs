//! `gk explain`.

use gk_shared::problem::ErrorCode;
use serde_json::json;

use crate::app::App;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// Say what an error code means and what to do about it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code, as it stands in error[CODE]; without one all of them are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub(crate) fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let Some(word) = &args.code else {
        let text: String =
            ErrorCode::ALL.iter().map(|code| format!("{:<26} {}\n", code.as_str(), code.meaning())).collect();
        let all: Vec<_> = ErrorCode::ALL.iter().map(|code| body(*code)).collect();
        app.out.answer(&Answer::new("gk.error_codes.v1", &json!({ "codes": all }), text))?;
        return Ok(Exit::OK);
    };
    let code: ErrorCode = word.parse().map_err(|_| {
        CliError::new(ErrorCode::NotFound, format!("there is no code `{word}`")).next("`gk explain` lists all codes.")
    })?;
    app.out.answer(&Answer::new("gk.explain.v1", &body(code), text(code)))?;
    Ok(Exit::OK)
}

fn body(code: ErrorCode) -> serde_json::Value {
    json!({
        "code": code.as_str(),
        "meaning": code.meaning(),
        "next": code.next(),
        "status": code.status(),
        "exitCode": code.exit().number(),
        "retryable": code.retryable(),
        "docs": format!("docs/errors/{}.md", code.as_str()),
    })
}

fn text(code: ErrorCode) -> String {
    let again = if code.retryable() { "the same command may succeed later" } else { "repeating changes nothing" };
    format!(
        "{}\n\n{}\n{}\n\nexit {} · HTTP {} · {again} · docs/errors/{}.md\n",
        code.as_str(),
        code.meaning(),
        code.next(),
        code.exit().number(),
        code.status(),
        code.as_str(),
    )
}
