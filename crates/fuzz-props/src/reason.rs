//! Reasons and tickets: one printable line, which can neither forge a line of a log nor steer a terminal.

use gk_shared::reason::{Reason, TicketRef};

use crate::shape::{assert_message, text};

/// The rule written a second time.
pub fn check(bytes: &[u8]) {
    let text = text(bytes);
    let trimmed = text.trim();
    let fits = (1..=1000).contains(&trimmed.chars().count()) && !trimmed.chars().any(steers);
    match text.parse::<Reason>() {
        Ok(reason) => {
            assert!(fits, "{text:?} was taken");
            assert_eq!(reason.as_str(), trimmed);
            assert_eq!(reason.as_str().lines().count(), 1);
            let json = serde_json::to_string(&reason).expect("a text");
            assert_eq!(serde_json::from_str::<Reason>(&json).expect("reads back"), reason);
        }
        Err(error) => {
            assert!(!fits, "{text:?} was refused: {error}");
            assert_message(&error.to_string());
        }
    }
    let ticket = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/#-".contains(&byte));
    match text.parse::<TicketRef>() {
        Ok(taken) => assert!(ticket && taken.as_str() == text, "{text:?} was taken"),
        Err(error) => {
            assert!(!ticket, "{text:?} was refused: {error}");
            assert_message(&error.to_string());
        }
    }
}

/// Ends a line, moves a cursor, or turns the direction of reading around; by number, as the standards list them.
fn steers(found: char) -> bool {
    matches!(u32::from(found), 0..=0x1f | 0x7f..=0x9f | 0x2028..=0x202e | 0x2066..=0x2069 | 0xfeff)
}
