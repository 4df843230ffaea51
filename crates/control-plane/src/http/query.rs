//! Query parameters, read as strictly as bodies: each known, each at most once, none guessed at.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use gk_shared::problem::ErrorCode;

use super::problem::ApiError;

/// The longest that a caller may ask to wait for.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// The parameters of a request that nobody has asked for yet.
#[derive(Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

fn invalid(name: &str, what: impl Display) -> ApiError {
    let code = match name {
        "limit" => ErrorCode::InvalidLimit,
        "cursor" => ErrorCode::InvalidCursor,
        _ => ErrorCode::InvalidQuery,
    };
    let name: String = name.chars().take(40).map(|found| if found.is_control() { '?' } else { found }).collect();
    ApiError::new(code, format!("`{name}`: {what}"))
}

impl Query {
    /// Reads what stands after the `?`.
    ///
    /// # Errors
    /// A parameter that is given twice, or that is not percent-encoded UTF-8.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut pairs = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(name).zip(decode(value));
            let (name, value) = decoded.ok_or_else(|| invalid("query", "is not percent-encoded UTF-8"))?;
            if pairs.contains_key(&name) {
                return Err(invalid(&name, "is given twice"));
            }
            pairs.insert(name, value);
        }
        Ok(Self(pairs))
    }

    /// Takes the parameter `name` as a `T`.
    ///
    /// # Errors
    /// It is no `T`.
    pub fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let value = self.0.remove(name).map(|value| value.parse::<T>());
        value.transpose().map_err(|error| invalid(name, error))
    }

    /// Takes a parameter that says yes or no.
    ///
    /// # Errors
    /// It says something else.
    pub fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.0.remove(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(name, "expected true or false")),
        }
    }

    /// Takes the page size: a whole number from 1 to `most`.
    ///
    /// # Errors
    /// It is no such number.
    pub fn limit(&mut self, default: u16, most: u16) -> Result<u16, ApiError> {
        let Some(text) = self.0.remove("limit") else { return Ok(default) };
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| plain && (1..=most).contains(limit));
        limit.ok_or_else(|| invalid("limit", format!("expected a whole number from 1 to {most}")))
    }

    /// Takes how long to wait, such as `10s`; absent: not at all.
    ///
    /// # Errors
    /// It is no time, or more than [`MAX_WAIT`].
    pub fn wait(&mut self) -> Result<Duration, ApiError> {
        let Some(text) = self.0.remove("wait") else { return Ok(Duration::ZERO) };
        let wait = crate::config::duration(&text).filter(|wait| *wait <= MAX_WAIT);
        wait.ok_or_else(|| invalid("wait", "expected a time such as 500ms or 10s, at most 30s"))
    }

    /// Takes a time such as `2m`.
    ///
    /// # Errors
    /// It is no time.
    pub fn time(&mut self, name: &str) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        let time = crate::config::duration(&text).filter(|time| *time <= Duration::from_secs(86_400));
        time.map(Some).ok_or_else(|| invalid(name, "expected a time such as 30s or 2m, at most 24h"))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A parameter that nobody asked for.
    pub fn finish(self) -> Result<(), ApiError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(name, "is not known here").with_code(ErrorCode::InvalidQuery)),
        }
    }
}

/// Percent-decodes once; a plus stands for a blank.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn a_page_size_is_a_plain_number_within_bounds_given_once() {
        assert_eq!(query("").limit(50, 200), Ok(50));
        assert_eq!(query("limit=200").limit(50, 200), Ok(200));
        for bad in ["0", "-1", "1e9", "abc", "201", "+5", "", "99999999999", "1.0"] {
            assert_eq!(query(&format!("limit={bad}")).limit(50, 200).unwrap_err().code(), "invalid_limit", "{bad}");
        }
        assert_eq!(Query::parse("limit=1&limit=1").unwrap_err().code(), "invalid_limit");
    }

    #[test]
    fn a_parameter_that_is_unknown_or_badly_encoded_is_refused() {
        assert_eq!(query("tenant=other").finish().unwrap_err().code(), "invalid_query");
        for bad in ["a=%ff", "a=%2", "a=%zz"] {
            assert_eq!(Query::parse(bad).unwrap_err().code(), "invalid_query", "{bad}");
        }
        assert_eq!(query("a=x%2Fy+z").take::<String>("a"), Ok(Some("x/y z".to_owned())));
    }

    #[test]
    fn a_wait_is_bounded() {
        assert_eq!(query("wait=10s").wait(), Ok(Duration::from_secs(10)));
        for bad in ["31s", "10", "-1s", "forever"] {
            assert_eq!(query(&format!("wait={bad}")).wait().unwrap_err().code(), "invalid_query", "{bad}");
        }
    }
}
