//! What all properties share: how bytes become texts, and what a message to a person may look like.

/// Bytes as text; what is no UTF-8 becomes the sign for that, so that no input is wasted.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Messages repeat what others typed: short, and nothing in them that steers a terminal.
pub(crate) fn assert_message(message: &str) {
    assert!(!message.is_empty(), "an error says something");
    assert!(message.len() < 700, "{} bytes of message: {message}", message.len());
    assert!(message.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{message:?}");
}

/// Whether all is digits, and something is there.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes numbers off the front of an input; of an empty one they are all 0.
pub(crate) struct Dice<'a>(pub(crate) &'a [u8]);

impl Dice<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end
    }

    pub(crate) fn wide(&mut self) -> u64 {
        (0..8).fold(0, |value, _| value << 8 | u64::from(self.byte()))
    }
}
