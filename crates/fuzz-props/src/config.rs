//! Settings files: whatever stands in them, the answer is settings within their bounds, or faults that name a place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;

use gk_agent::config::Environment;
use gk_cli::config::{Defaults, SystemFile, UserFile};
use gk_control_plane::config::PlaneConfig;
use gk_control_plane::policy::Policy;
use gk_shared::secret::BearerToken;
use gk_shared::ttl::Ttl;

use crate::shape::text;

/// No settings file may make its reader print what a secret file holds.
const SECRET: &str = "s3cret-of-the-ledger";

/// The files that settings name, made once: with them a settings file can be whole.
struct Files {
    directory: tempfile::TempDir,
    token: BearerToken,
}

impl Files {
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let token = BearerToken::generate([7; 32]);
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a temporary file can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("and made private");
    };
    write("url", &format!("postgresql://gk:{SECRET}@127.0.0.1:5432/ledger\n"));
    write("policy", "[[rule]]\nname='a'\nwho=['user:dana']\ntargets=['x']\nroles=['app_read']\nmax_ttl='10m'\n");
    write("token", token.expose());
    Files { directory, token }
});

/// `control-plane.toml`, and a policy of the same bytes.
pub fn check_plane(bytes: &[u8]) {
    let text = text(bytes);
    let environment = |name: &str| match name {
        "GK_LEDGER_URL_FILE" => Some(FILES.path("url")),
        "GK_POLICY_FILE" => Some(FILES.path("policy")),
        _ => None,
    };
    match PlaneConfig::parse(&text, &environment) {
        Ok(config) => {
            assert_ne!(config.listen.port(), 0);
            assert!(config.policy.ceiling() <= Ttl::MAX && !config.policy.is_empty());
            assert!((5..=3600).contains(&config.provision_deadline.as_secs()));
            assert!(!format!("{config:?}").contains(SECRET));
        }
        Err(faults) => assert!(!faults.to_string().is_empty() && !faults.to_string().contains(SECRET)),
    }
    match Policy::parse(&text, PlaneConfig::default_max_ttl()) {
        Ok(policy) => assert!(policy.len() <= text.matches(['[', '{']).count(), "a rule is written as a table"),
        Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.to_string().is_empty())),
    }
}

/// `agent.toml`.
pub fn check_agent(bytes: &[u8]) {
    let environment = Environment::from([("GK_TOKEN_FILE", FILES.path("token").as_str())]);
    match gk_agent::config::parse(Path::new("/agent.toml"), &text(bytes), &environment) {
        Ok(config) => {
            assert!((1..=256).contains(&config.slots));
            let mut names: Vec<_> = config.targets.iter().map(|target| &target.name).collect();
            assert!(!names.is_empty(), "an agent without targets does nothing");
            names.sort_unstable();
            assert!(names.is_sorted_by(|one, next| one < next), "each name once");
            assert!(config.targets.iter().all(|target| target.port != 0 && !target.host.is_empty()));
            assert!(!format!("{config:?}").contains(FILES.token.expose()));
        }
        Err(faults) => {
            assert!(!faults.0.is_empty());
            assert!(faults.0.iter().all(|fault| !fault.place.is_empty() && !fault.text.is_empty()));
        }
    }
}

/// The three files of `gk`: the user's, which `gk` writes too, the machine's, a project's.
pub fn check_cli(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(file) = toml::from_str::<UserFile>(&text) {
        let written = toml::to_string_pretty(&file).expect("what was read can be written");
        assert_eq!(toml::from_str::<UserFile>(&written).as_ref(), Ok(&file), "{written}");
    }
    let project = toml::from_str::<Defaults>(&text);
    let system = toml::from_str::<SystemFile>(&text);
    // A project's file can say nothing that a machine's may: no address.
    assert!(project.is_err() || system.is_err() || project == Ok(Defaults::default()), "{text:?}");
}
