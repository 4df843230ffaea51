//! libpq's password file: `host:port:database:user:password`, `*` for any, the first line that fits.

use std::path::Path;

use gk_shared::secret::Password;

use super::safe_file::{FileFault, read_secret_text};

/// The login that a password is looked up for.
pub(super) struct Login<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password for this login, if the file has one.
pub(super) fn look_up(path: &Path, login: &Login<'_>) -> Result<Option<Password>, FileFault> {
    Ok(find(&read_secret_text(path)?, login))
}

fn find(text: &str, login: &Login<'_>) -> Option<Password> {
    let port = login.port.to_string();
    let wanted = [login.host, &port, login.database, login.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let fits = wanted.iter().all(|wanted| fields.next().is_some_and(|field| field == "*" || field == **wanted));
        fits.then(|| fields.next()).flatten().filter(|password| !password.is_empty()).map(Password::from)
    })
}

/// The fields of a line; `\` takes the meaning from the character after it.
fn fields(line: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let mut field = String::new();
        let mut letters = rest?.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => field.extend(letters.next().map(|(_, letter)| letter)),
                ':' => {
                    rest = rest.map(|text| &text[at + 1..]);
                    return Some(field);
                }
                other => field.push(other),
            }
        }
        rest = None;
        Some(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'static> = Login { host: "db", port: 5432, database: "app", user: "gk_agent" };

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# comment\nother:5432:app:gk_agent:no\ndb:*:app:gk_agent:pa\\:ss\\\\word\n*:*:*:*:late\n";
        assert_eq!(find(text, &LOGIN), Some(Password::from("pa:ss\\word")));
        assert_eq!(find("*:*:*:*:any", &LOGIN), Some(Password::from("any")));
    }

    #[test]
    fn no_line_and_half_a_line_give_no_password() {
        for text in ["", "db:5432:app", "db:5432:app:gk_agent", "db:5432:app:gk_agent:", "db:1:app:gk_agent:x"] {
            assert_eq!(find(text, &LOGIN), None, "{text}");
        }
    }
}
