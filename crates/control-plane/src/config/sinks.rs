//! The `[[audit.sinks]]` tables: what each sink is called, what it is given, and where it is.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use gk_edge::client::Authorities;

use super::files::{read_public, read_secret};
use super::keys::{Faults, Keys};
use super::plane::keep_file;
use crate::sinks::{Content, HttpEndpoint, Pace, Signer, SinkConfig, SinkKind, SinkUrl};

const KEYS: &[&str] = &["name", "kind", "what", "path", "url", "secret_file", "ca_file"];

/// The kinds that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Stdout,
    Http,
}

impl Kind {
    /// The keys that only other kinds have.
    const fn strange(self) -> &'static [&'static str] {
        match self {
            Self::File => &["url", "secret_file", "ca_file"],
            Self::Stdout => &["path", "url", "secret_file", "ca_file"],
            Self::Http => &["path"],
        }
    }
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "file" => Ok(Self::File),
            "stdout" => Ok(Self::Stdout),
            "http" => Ok(Self::Http),
            _ => Err("expected \"file\", \"stdout\" or \"http\""),
        }
    }
}

/// Reads the tables and the files that they name.
pub(super) fn read(tables: Vec<Keys>, faults: &mut Faults) -> Vec<SinkConfig> {
    let mut sinks: Vec<SinkConfig> = Vec::new();
    for table in tables {
        let path = table.name("name");
        let Some(sink) = one(table, faults) else { continue };
        if sinks.iter().any(|other| other.name == sink.name) {
            faults.add(&path, format!("two sinks are called \"{}\": each is remembered by its name", sink.name));
        }
        let is_stdout = |sink: &SinkConfig| matches!(sink.kind, SinkKind::Stdout);
        if is_stdout(&sink) && sinks.iter().any(is_stdout) {
            faults.add(&path, "there is one stdout: name it in one sink, with everything that it is to have");
        }
        sinks.push(sink);
    }
    sinks
}

fn one(mut keys: Keys, faults: &mut Faults) -> Option<SinkConfig> {
    keys.no_secret("secret", faults);
    let name = required(&mut keys, "name", "what the sink is called, such as \"siem\"", faults);
    let kind = required(&mut keys, "kind", "\"file\", \"stdout\" or \"http\"", faults);
    let what = content(&mut keys, faults);
    let place = kind.and_then(|kind| place(&mut keys, kind, faults));
    for known in KEYS {
        // Read where they belong; the rest has its fault already.
        keys.forget(known);
    }
    keys.finish(KEYS, faults);
    Some(SinkConfig { name: name?, content: what?, kind: place?, pace: Pace::default() })
}

fn required<T: FromStr<Err: std::fmt::Display>>(
    keys: &mut Keys,
    key: &str,
    what: &str,
    faults: &mut Faults,
) -> Option<T> {
    if !keys.has(key) {
        faults.add(keys.name(key), format!("is missing: {what}"));
    }
    keys.parsed(key, faults)
}

fn content(keys: &mut Keys, faults: &mut Faults) -> Option<Content> {
    let words = keys.texts("what", faults)?;
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.sort_unstable();
    match words[..] {
        ["events"] => Some(Content::Events),
        ["checkpoints"] => Some(Content::Checkpoints),
        ["checkpoints", "events"] => Some(Content::Both),
        _ => {
            faults.add(keys.name("what"), "expected \"events\", \"checkpoints\" or both, each once");
            None
        }
    }
}

fn place(keys: &mut Keys, kind: Kind, faults: &mut Faults) -> Option<SinkKind> {
    for strange in kind.strange() {
        if keys.has(strange) {
            faults.add(keys.name(strange), "is nothing that a sink of this kind has");
        }
    }
    match kind {
        Kind::Stdout => Some(SinkKind::Stdout),
        Kind::File => {
            if !keys.has("path") {
                faults.add(keys.name("path"), "is missing: the file that lines are appended to");
            }
            keys.path("path", faults).map(SinkKind::File)
        }
        Kind::Http => endpoint(keys, faults).map(SinkKind::Http),
    }
}

fn endpoint(keys: &mut Keys, faults: &mut Faults) -> Option<HttpEndpoint> {
    let url: Option<SinkUrl> = required(keys, "url", "where the receiver listens", faults);
    if !keys.has("secret_file") {
        let make = "is missing: the file with the secret that deliveries are signed with; \
                    make one with (printf whsec_; openssl rand -base64 32)";
        faults.add(keys.name("secret_file"), make);
    }
    let signer = keys.path("secret_file", faults).and_then(|file| signer(&keys.name("secret_file"), &file, faults));
    let authorities = match keys.path("ca_file", faults) {
        None => None,
        Some(file) => {
            let name = keys.name("ca_file");
            let pem = keep_file(read_public(&file), &name, faults)?;
            Some(keep(Authorities::from_pem(&pem), &name, faults)?)
        }
    };
    keep(HttpEndpoint::new(url?, signer?, authorities.as_ref()), &keys.name("url"), faults)
}

fn signer(name: &str, file: &Path, faults: &mut Faults) -> Option<Signer> {
    let secret = keep_file(read_secret(file), name, faults)?;
    let signer = secret.expose().parse::<Signer>();
    signer.map_err(|error| faults.add(name, format!("{}: {error}", file.display()))).ok()
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, name: &str, faults: &mut Faults) -> Option<T> {
    result.map_err(|error| faults.add(name, error)).ok()
}

/// Refuses two uses of one file: what is read back of it would be the other's.
pub(super) fn check_files(checkpoints: Option<&Path>, sinks: &[SinkConfig], faults: &mut Faults) {
    let mut taken: Vec<PathBuf> = checkpoints.map(Path::to_owned).into_iter().collect();
    for sink in sinks {
        let SinkKind::File(path) = &sink.kind else { continue };
        if taken.contains(path) {
            let message =
                format!("{} is written by something else, too: give \"{}\" its own", path.display(), sink.name);
            faults.add("audit.sinks", message);
        }
        taken.push(path.clone());
    }
}
