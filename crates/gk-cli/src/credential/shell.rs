//! Assignments that a shell can run, with the value quoted so that it stays one value.

use std::str::FromStr;

use zeroize::Zeroizing;

/// A shell that runs the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    /// bash, zsh, dash and other POSIX shells
    Bash,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
}

/// The name of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VarName(String);

impl FromStr for VarName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let start = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if start && rest && text.len() <= 128 {
            Ok(Self(text.to_owned()))
        } else {
            Err("a variable is named with ASCII letters, digits and _, and starts with no digit".to_owned())
        }
    }
}

impl Shell {
    /// The line that sets the variable for the shell and its children.
    pub(crate) fn assign(self, name: &VarName, value: &str) -> Zeroizing<String> {
        let name = &name.0;
        Zeroizing::new(match self {
            Self::Bash => format!("export {name}='{}'\n", value.replace('\'', r"'\''")),
            Self::Fish => format!("set -gx {name} '{}'\n", value.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Powershell => format!("$env:{name} = '{}'\n", value.replace('\'', "''")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_never_leave_its_quotes() {
        let name: VarName = "DSN".parse().expect("a name");
        let value = r"a'b\c$(d)";
        assert_eq!(Shell::Bash.assign(&name, value).as_str(), "export DSN='a'\\''b\\c$(d)'\n");
        assert_eq!(Shell::Fish.assign(&name, value).as_str(), "set -gx DSN 'a\\'b\\\\c$(d)'\n");
        assert_eq!(Shell::Powershell.assign(&name, value).as_str(), "$env:DSN = 'a''b\\c$(d)'\n");
        let out = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("{}printf %s \"$DSN\"", Shell::Bash.assign(&name, value).as_str()))
            .output();
        assert_eq!(out.expect("sh runs").stdout, value.as_bytes());
    }

    #[test]
    fn a_name_is_nothing_but_a_name() {
        for bad in ["", "1A", "A-B", "A;rm", "A=B", "é"] {
            assert!(bad.parse::<VarName>().is_err(), "{bad}");
        }
    }
}
