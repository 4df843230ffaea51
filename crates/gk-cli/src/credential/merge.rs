//! Adds a login to a file that holds others, too.

use gk_shared::names::RoleName;
use zeroize::Zeroizing;

/// A password file with this line first, because libpq takes the first that fits. Lines of earlier sessions for the same
/// server and database go; all others stay as they are.
pub(super) fn pgpass(before: &str, line: &str) -> Zeroizing<String> {
    let place = |line: &str| line.split(':').take(3).map(str::to_owned).collect::<Vec<_>>();
    let is_ours = |line: &str| line.split(':').nth(3).is_some_and(|user| user.parse::<RoleName>().is_ok());
    let wanted = place(line);
    let kept = before.lines().filter(|old| !(is_ours(old) && place(old) == wanted));
    joined(line, kept)
}

/// A service file with this section in place of the one of the same name.
pub(super) fn service(before: &str, stanza: &str) -> Zeroizing<String> {
    let heading = stanza.lines().next().unwrap_or_default();
    let mut dropping = false;
    let kept = before.lines().filter(|line| {
        if line.trim_start().starts_with('[') {
            dropping = line.trim() == heading;
        }
        !dropping
    });
    joined(stanza, kept)
}

fn joined<'a>(first: &str, rest: impl Iterator<Item = &'a str>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(first.len() + 1));
    text.push_str(first);
    for line in rest {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "db:5432:app:gk_01arz3ndektsv4rrffq69g5fav:old\n";

    #[test]
    fn other_logins_stay_and_an_earlier_session_of_the_same_place_goes() {
        let before = format!("# mine\n{OLD}db:5432:app:ada:secret\ndb:5432:other:gk_01arz3ndektsv4rrffq69g5fav:x");
        let after = pgpass(&before, "db:5432:app:gk_01hf7yat00041061050r3gg28a:new\n");
        let wanted = "db:5432:app:gk_01hf7yat00041061050r3gg28a:new\n# mine\ndb:5432:app:ada:secret\n\
                      db:5432:other:gk_01arz3ndektsv4rrffq69g5fav:x\n";
        assert_eq!(after.as_str(), wanted);
    }

    #[test]
    fn a_section_replaces_its_own_name_alone() {
        let before = "[one]\nhost=a\n[pg-local]\nhost=old\npassword=x\n[two]\nhost=b\n";
        let after = service(before, "[pg-local]\nhost=new\n");
        assert_eq!(after.as_str(), "[pg-local]\nhost=new\n[one]\nhost=a\n[two]\nhost=b\n");
    }
}
