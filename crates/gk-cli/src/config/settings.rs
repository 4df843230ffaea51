//! The settings of this run, each with where it comes from.

use std::path::PathBuf;

use gk_shared::names::{PackName, TargetName};
use gk_shared::ttl::Ttl;

use super::{ConfigError, Defaults, Paths, SystemFile, UserFile, find_project, read_checked};
use crate::client::Address;
use crate::context::{Context, ContextName};
use crate::env::Env;
use crate::error::CliError;

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag of this command.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// The project's, user's or system's file.
    File(PathBuf),
    /// The context of this name.
    Context(ContextName),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => out.write_str(flag),
            Self::Variable(name) => out.write_str(name),
            Self::File(path) => path.display().fmt(out),
            Self::Context(name) => write!(out, "context {name}"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub(crate) value: T,
    /// Where from.
    pub(crate) origin: Origin,
}

/// What flags may say.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingsFlags {
    /// `--address`
    pub(crate) address: Option<String>,
    /// `--context`
    pub(crate) context: Option<ContextName>,
}

/// All that a command can be set to.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The control plane.
    pub(crate) address: Option<Setting<Address>>,
    /// Authorities that its certificate may come from, beside the system's own.
    pub(crate) ca_file: Option<Setting<PathBuf>>,
    /// The context whose token is used: the one that was chosen, if its address is the one that is called.
    pub(crate) context: Option<Setting<Context>>,
    /// Target where none is named.
    pub(crate) target: Option<Setting<TargetName>>,
    /// Role where none is named.
    pub(crate) role: Option<Setting<PackName>>,
    /// Time where none is named.
    pub(crate) ttl: Option<Setting<Ttl>>,
}

/// The files, and the environment, as they were read.
struct Sources {
    user: (UserFile, PathBuf),
    system: (SystemFile, PathBuf),
    project: Option<(Defaults, PathBuf)>,
}

impl Sources {
    /// Without a place for them there are no files of the user, and what flags and environment say still counts.
    fn read(env: &Env, paths: Option<&Paths>) -> Result<Self, ConfigError> {
        let project = find_project(env.directory());
        let project = project.map(|path| read_checked(&path).map(|file| (file, path))).transpose()?;
        let Some(paths) = paths else {
            return Ok(Self { user: Default::default(), system: Default::default(), project });
        };
        let (user, system) = (paths.user_file(), paths.system_file().to_owned());
        Ok(Self { user: (read_checked(&user)?, user), system: (read_checked(&system)?, system), project })
    }

    /// The first file that has a default.
    fn default<T: Clone>(&self, pick: impl Fn(&Defaults) -> &Option<T>) -> Option<Setting<T>> {
        let project = self.project.as_ref().map(|(file, path)| (file, path));
        let all =
            [project, Some((&self.user.0.defaults, &self.user.1)), Some((&self.system.0.defaults, &self.system.1))];
        all.into_iter().flatten().find_map(|(defaults, path)| {
            pick(defaults).clone().map(|value| Setting { value, origin: Origin::File(path.clone()) })
        })
    }

    fn context(&self, name: &str, origin: Origin) -> Result<Option<Setting<Context>>, CliError> {
        let Some(entry) = self.user.0.contexts.get(name) else { return Ok(None) };
        let value = Context::from_entry(name, entry).map_err(|why| {
            let error = ConfigError::Invalid { path: self.user.1.clone(), cause: format!("context {name}: {why}") };
            CliError::from(error)
        })?;
        Ok(Some(Setting { value, origin }))
    }
}

impl Settings {
    /// Reads the environment and the files, and lets the flags stand over them.
    pub(crate) fn read(env: &Env, paths: Option<&Paths>, flags: &SettingsFlags) -> Result<Self, CliError> {
        let sources = Sources::read(env, paths)?;
        let context = chosen_context(env, flags, &sources)?;
        let address = chosen_address(env, flags, &sources, context.as_ref())?;
        let target = variable(env, "GK_TARGET")?.or_else(|| sources.default(|file| &file.target));
        let role = variable(env, "GK_ROLE")?.or_else(|| sources.default(|file| &file.role));
        let ttl = variable(env, "GK_TTL")?.or_else(|| sources.default(|file| &file.ttl));
        let context = for_address(context, address.as_ref(), &sources)?;
        let ca_file = chosen_ca_file(env, &sources, context.as_ref());
        Ok(Self { context, address, ca_file, target, role, ttl })
    }

    /// Name, value and origin of each setting that is set.
    pub(crate) fn list(&self) -> Vec<(&'static str, String, String)> {
        fn line<T: ToString>(
            name: &'static str,
            setting: Option<&Setting<T>>,
        ) -> Option<(&'static str, String, String)> {
            setting.map(|found| (name, found.value.to_string(), found.origin.to_string()))
        }
        let context =
            self.context.as_ref().map(|found| Setting { value: found.value.name(), origin: found.origin.clone() });
        let ca_file = self.ca_file.as_ref();
        let ca_file = ca_file.map(|found| Setting { value: found.value.display(), origin: found.origin.clone() });
        let all = [
            line("address", self.address.as_ref()),
            line("ca_file", ca_file.as_ref()),
            line("context", context.as_ref()),
            line("target", self.target.as_ref()),
            line("role", self.role.as_ref()),
            line("ttl", self.ttl.as_ref()),
        ];
        all.into_iter().flatten().collect()
    }
}

/// A setting from the environment; a bad value is refused with the variable's name.
fn variable<T: std::str::FromStr>(env: &Env, name: &'static str) -> Result<Option<Setting<T>>, CliError>
where
    T::Err: crate::arg::Coded,
{
    let Some(text) = env.text(name)? else { return Ok(None) };
    let value = text.parse().map_err(|error| crate::arg::fault(&format!("{name}: "), &error))?;
    Ok(Some(Setting { value, origin: Origin::Variable(name) }))
}

fn chosen_context(env: &Env, flags: &SettingsFlags, sources: &Sources) -> Result<Option<Setting<Context>>, CliError> {
    let named = match (&flags.context, env.text("GK_CONTEXT")?) {
        (Some(name), _) => Some((name.to_string(), Origin::Flag("--context"))),
        (None, Some(name)) => Some((name.to_owned(), Origin::Variable("GK_CONTEXT"))),
        (None, None) => None,
    };
    if let Some((name, origin)) = named {
        let found = sources.context(&name, origin)?;
        return found.map(Some).ok_or_else(|| no_context(&name, sources));
    }
    match &sources.user.0.current {
        Some(name) => sources.context(name, Origin::File(sources.user.1.clone())),
        None => Ok(None),
    }
}

fn no_context(name: &str, sources: &Sources) -> CliError {
    let known: Vec<&str> = sources.user.0.contexts.keys().map(String::as_str).collect();
    let known =
        if known.is_empty() { "there is none yet".to_owned() } else { format!("there is: {}", known.join(", ")) };
    CliError::new(gk_shared::problem::ErrorCode::NotFound, format!("there is no context `{name}`"))
        .why(known)
        .next("See `gk context list`; `gk login --with-token --address URL --context NAME` makes one.")
}

fn chosen_address(
    env: &Env,
    flags: &SettingsFlags,
    sources: &Sources,
    context: Option<&Setting<Context>>,
) -> Result<Option<Setting<Address>>, CliError> {
    let read = |text: &str, origin: Origin| -> Result<Option<Setting<Address>>, CliError> {
        let value = text.parse().map_err(|error| crate::convert::from_address(&error, &origin.to_string()))?;
        Ok(Some(Setting { value, origin }))
    };
    if let Some(text) = &flags.address {
        return read(text, Origin::Flag("--address"));
    }
    // A context that was named for this command stands over an address that lies around in the environment.
    let named = context.filter(|found| found.origin == Origin::Flag("--context"));
    if named.is_none()
        && let Some(text) = env.text("GK_ADDRESS")?
    {
        return read(text, Origin::Variable("GK_ADDRESS"));
    }
    if let Some(found) = context {
        let origin = Origin::Context(found.value.name().clone());
        return Ok(Some(Setting { value: found.value.address().clone(), origin }));
    }
    match &sources.system.0.address {
        Some(text) => read(text, Origin::File(sources.system.1.clone())),
        None => Ok(None),
    }
}

/// The variable, the context that is used, else the machine's file.
fn chosen_ca_file(env: &Env, sources: &Sources, context: Option<&Setting<Context>>) -> Option<Setting<PathBuf>> {
    if let Some(value) = env.path("GK_CA_FILE") {
        return Some(Setting { value, origin: Origin::Variable("GK_CA_FILE") });
    }
    let of_context = context.and_then(|found| {
        let origin = Origin::Context(found.value.name().clone());
        found.value.ca_file().map(|file| Setting { value: file.to_owned(), origin })
    });
    let of_system = || {
        let value = sources.system.0.ca_file.clone()?;
        Some(Setting { value, origin: Origin::File(sources.system.1.clone()) })
    };
    of_context.or_else(of_system)
}

/// A saved token is sent to its own address alone. Where another one is called, the context that belongs to it serves.
fn for_address(
    context: Option<Setting<Context>>,
    address: Option<&Setting<Address>>,
    sources: &Sources,
) -> Result<Option<Setting<Context>>, CliError> {
    let Some(address) = address else { return Ok(context) };
    if context.as_ref().is_some_and(|found| *found.value.address() == address.value) {
        return Ok(context);
    }
    for (name, entry) in &sources.user.0.contexts {
        if entry.address.parse::<Address>().is_ok_and(|known| known == address.value) {
            return sources.context(name, address.origin.clone());
        }
    }
    Ok(None)
}
