//! Where a control plane is.
//!
//! Always holds: an address is https, or plain http to this very machine, so a token never crosses a network readable.

use std::fmt;
use std::str::FromStr;

use gk_edge::client::is_loopback;
use reqwest::Url;

/// The checked address of a control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    url: Url,
}

/// Why a text is no address of a control plane. Never repeats what may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL of the right kind.
    #[error("an address is written like https://gatekeeper.example.com or http://127.0.0.1:4000")]
    Malformed,
    /// Login, query or fragment in it.
    #[error("an address has no user, password, query or fragment")]
    Extra,
    /// Plain http to another machine.
    #[error("http:// to {0} would send the token readable over the network")]
    Insecure(String),
}

impl Address {
    /// A path of the API below this address.
    pub(super) fn path(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text.trim()).map_err(|_| AddressError::Malformed)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(AddressError::Malformed)?.to_owned();
        let extra = !url.username().is_empty() || url.password().is_some();
        if extra || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Extra);
        }
        match url.scheme() {
            "https" => Ok(Self { url }),
            "http" if is_loopback(&url) => Ok(Self { url }),
            "http" => Err(AddressError::Insecure(host)),
            _ => Err(AddressError::Malformed),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_only_for_this_machine() {
        for good in [
            "http://127.0.0.1:4000",
            "http://127.9.9.9",
            "http://[::1]:4000/",
            "http://localhost:1",
            "https://gk.example.com/gk",
        ] {
            assert!(good.parse::<Address>().is_ok(), "{good}");
        }
        for bad in ["http://10.0.0.1:4000", "http://localhost.example.com", "http://127.0.0.1.example.com"] {
            assert!(matches!(bad.parse::<Address>(), Err(AddressError::Insecure(_))), "{bad}");
        }
        for bad in ["", "127.0.0.1:4000", "ftp://x", "http://", "nonsense"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Malformed), "{bad}");
        }
        assert_eq!("https://u:p@x".parse::<Address>(), Err(AddressError::Extra));
    }

    #[test]
    fn a_path_is_put_below_the_address() {
        let address: Address = "https://x.example/gk/".parse().expect("an address");
        assert_eq!(address.path("/v1/me").as_str(), "https://x.example/gk/v1/me");
        assert_eq!(address.to_string(), "https://x.example/gk");
    }
}
