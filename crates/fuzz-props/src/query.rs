//! Query parameters: each once, decoded once, and refused rather than overlooked.

use std::fmt::Write as _;

use gk_control_plane::http::query::{MAX_WAIT, Query};

use crate::shape::text;

/// Each parameter once, and none overlooked.
pub fn check(bytes: &[u8]) {
    let text = text(bytes);
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).count();
    if let Ok(mut query) = Query::parse(&text) {
        let mut taken = 0;
        for name in ["limit", "cursor"] {
            taken += usize::from(query.take::<String>(name).is_ok_and(|value| value.is_some()));
        }
        assert_eq!(query.finish().is_ok(), pairs == taken, "{text:?}: what nobody asked for is refused");
    }
    let encoded = text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02x}").expect("writing to a string cannot fail");
        encoded
    });
    let mut query = Query::parse(&format!("x={encoded}&wait={encoded}&limit={encoded}")).expect("is encoded");
    assert_eq!(query.take::<String>("x").expect("every text is one").as_deref(), Some(text.as_str()));
    if let Ok(wait) = query.wait() {
        assert!(wait <= MAX_WAIT, "{text:?}");
    }
    if let Ok(limit) = query.limit(1, 1000) {
        assert_eq!(text.trim_start_matches('0'), limit.to_string());
    }
}
