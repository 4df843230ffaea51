//! A ttl: read in the wrong unit it is access that lasts sixty times too long.

use gk_shared::ttl::{Ttl, humanize};

use crate::shape::{Dice, assert_message, is_number, text};

/// The same seconds as a second reader gives.
pub fn check(bytes: &[u8]) {
    let text = text(bytes);
    let wanted = reference(&text).filter(|secs| (5..=86_400).contains(secs));
    match text.parse::<Ttl>() {
        Ok(ttl) => {
            assert_eq!(Some(u128::from(ttl.as_secs())), wanted, "{text:?}");
            assert_eq!(ttl.to_string().parse(), Ok(ttl), "{text:?}");
            let json = serde_json::to_string(&ttl).expect("a number");
            assert_eq!(serde_json::from_str::<Ttl>(&json).expect("reads back"), ttl);
            assert_eq!(ttl.check_limit(Ttl::MAX, "this target"), Ok(()));
        }
        Err(error) => {
            assert_eq!(wanted, None, "{text:?} was refused: {error}");
            assert_message(&error.to_string());
        }
    }
    if let Ok(ttl) = serde_json::from_slice::<Ttl>(bytes) {
        assert!(Ttl::MIN <= ttl && ttl <= Ttl::MAX);
        assert_eq!(text.trim(), ttl.as_secs().to_string(), "JSON has one spelling of a whole number");
    }
    assert!((2..30).contains(&humanize(Dice(bytes).wide()).len()));
}

/// Seconds of `1h30m`, read another way: unit by unit instead of sign by sign.
fn reference(text: &str) -> Option<u128> {
    let (mut rest, mut sum) = (text, 0_u128);
    for (unit, secs) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((count, tail)) = rest.split_once(unit) {
            let count = is_number(count).then(|| count.parse::<u128>().unwrap_or(u128::MAX))?;
            sum = sum.saturating_add(count.saturating_mul(secs));
            rest = tail;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}
