//! Cursors: only what this control plane wrote, for this list and this person, leads anywhere.

use gk_control_plane::http::sessions::cursor::Binding;
use gk_shared::ids::{ActorId, SessionId};

use crate::shape::{Dice, text};

/// A cursor leads nowhere but where it was made for.
pub fn check(bytes: &[u8]) {
    let mine = Binding { actor: ActorId::from_parts(1, [1; 10]), filter: "live" };
    let text = text(bytes);
    if let Some(id) = mine.read(&text) {
        assert_eq!(mine.write(id), text, "a cursor has one spelling");
    }
    let mut dice = Dice(bytes);
    let id = SessionId::from_parts(dice.wide() >> 16, [dice.byte(); 10]);
    let cursor = mine.write(id);
    assert_eq!(mine.read(&cursor), Some(id));
    assert_eq!(Binding { actor: ActorId::from_parts(1, [2; 10]), filter: "live" }.read(&cursor), None);
    assert_eq!(Binding { filter: "all", ..mine }.read(&cursor), None);
    let mut altered = cursor.clone().into_bytes();
    let at = dice.below(altered.len());
    altered[at] = dice.byte();
    let altered = String::from_utf8_lossy(&altered).into_owned();
    assert_eq!(mine.read(&altered).is_some(), altered == cursor, "{altered:?}");
}
