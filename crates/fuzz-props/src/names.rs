//! Names and ids: what passes needs no quoting anywhere later, so the rules are written here a second time.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use gk_shared::ids::{ActorId, AgentId, EventId, JobId, RequestId, SessionId, TargetId, TenantId, TokenId};
use gk_shared::names::{ActorName, AgentName, GroupName, PackName, PackVersion, PgIdent, RoleName, TargetName};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::shape::{assert_message, is_number, text};

/// The rule written a second time.
pub fn check(bytes: &[u8]) {
    let text = text(bytes);
    let plain = is_plain(&text);
    one::<TargetName>(&text, plain);
    one::<ActorName>(&text, plain);
    one::<GroupName>(&text, plain);
    one::<AgentName>(&text, plain);
    one::<PackName>(&text, is_sql_word(&text, 31) && text.starts_with(|first: char| first.is_ascii_lowercase()));
    one::<PgIdent>(&text, is_sql_word(&text, 63) && !text.starts_with(|first: char| first.is_ascii_digit()));
    one::<PackVersion>(&text, is_version(&text));
    let minted = text.strip_prefix("gk_").is_some_and(|id| is_id(id, "0123456789abcdefghjkmnpqrstvwxyz"));
    one::<RoleName>(&text, minted);
    ids(&text);
    if let Ok(role) = text.parse::<RoleName>() {
        assert_eq!(role.session().role_name(), role, "role and session name each other");
    }
}

fn ids(text: &str) {
    let (prefix, id) = text.split_once('_').unwrap_or_default();
    let good = is_id(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    one::<SessionId>(text, good && prefix == "sess");
    one::<RequestId>(text, good && prefix == "req");
    one::<JobId>(text, good && prefix == "job");
    one::<AgentId>(text, good && prefix == "agt");
    one::<ActorId>(text, good && prefix == "act");
    one::<TokenId>(text, good && prefix == "tok");
    one::<TargetId>(text, good && prefix == "tgt");
    one::<TenantId>(text, good && prefix == "ten");
    one::<EventId>(text, good && prefix == "evt");
}

/// One spelling a name: what is taken prints as it was read, in text and in JSON.
fn one<T>(text: &str, wanted: bool)
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    match text.parse::<T>() {
        Ok(name) => {
            assert!(wanted, "{} took {text:?}", std::any::type_name::<T>());
            assert_eq!(name.to_string(), text);
            let json = serde_json::to_string(&name).expect("a text");
            assert_eq!(serde_json::from_str::<T>(&json).expect("reads back"), name);
        }
        Err(error) => {
            assert!(!wanted, "{} refused {text:?}: {error}", std::any::type_name::<T>());
            assert_message(&error.to_string());
        }
    }
}

fn is_plain(text: &str) -> bool {
    let inner = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-'));
    inner && (1..=63).contains(&text.len()) && !text.starts_with(['-', '_'])
}

fn is_sql_word(text: &str, most: usize) -> bool {
    let inner = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_'));
    inner && (1..=most).contains(&text.len())
}

fn is_version(text: &str) -> bool {
    let Some((engine, numbers)) = text.split_once('-') else { return false };
    let number = |part: &str| is_number(part) && part.parse::<u16>().is_ok() && (part == "0" || !part.starts_with('0'));
    let engine = (1..=16).contains(&engine.len()) && engine.bytes().all(|byte| byte.is_ascii_lowercase());
    engine && numbers.split('.').count() == 3 && numbers.split('.').all(number)
}

/// 128 bits in 26 digits of 5 bits: the first has only three of them.
fn is_id(digits: &str, alphabet: &str) -> bool {
    let known = digits.chars().all(|digit| alphabet.contains(digit));
    known && digits.len() == 26 && digits.starts_with(|first: char| ('0'..='7').contains(&first))
}
