//! The one command that brings Postgres to the system at hand.

/// The command that installs a Postgres server here, judged by `/etc/os-release`.
#[must_use]
pub fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install postgresql@17";
    }
    command_for(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn command_for(os_release: &str) -> &'static str {
    let ids = field(os_release, "ID").chain(field(os_release, "ID_LIKE"));
    ids.flat_map(str::split_whitespace)
        .find_map(known)
        .unwrap_or("install the PostgreSQL server, version 14 or newer, with your package manager")
}

fn known(id: &str) -> Option<&'static str> {
    match id {
        "debian" | "ubuntu" => Some("sudo apt-get install --yes postgresql"),
        "fedora" | "rhel" | "centos" => Some("sudo dnf install --assumeyes postgresql-server postgresql-contrib"),
        "arch" => Some("sudo pacman -S --noconfirm postgresql"),
        "alpine" => Some("sudo apk add postgresql postgresql-contrib"),
        "suse" | "opensuse" => Some("sudo zypper --non-interactive install postgresql-server postgresql-contrib"),
        _ => None,
    }
}

fn field<'a>(os_release: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    os_release
        .lines()
        .filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
        .map(|value| value.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::command_for;

    #[test]
    fn each_system_is_told_its_own_command() {
        for (os_release, word) in [
            ("ID=debian\n", "apt-get install"),
            ("NAME=Mint\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get install"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf install"),
            ("ID=arch\n", "pacman -S"),
            ("ID=alpine\n", "apk add"),
            ("ID=plan9\n", "your package manager"),
            ("", "your package manager"),
        ] {
            assert!(command_for(os_release).contains(word), "{os_release:?} got {:?}", command_for(os_release));
        }
    }
}
