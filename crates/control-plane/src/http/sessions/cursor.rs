//! Cursors of the list of sessions: where the next page begins, bound to who asked and for what.
//!
//! A cursor says nothing that its owner was not shown, and a list is filtered anew on every page; the check sum is
//! there so that a cursor that was cut, altered, or taken from another list or person is refused and not half understood.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gk_shared::ids::{ActorId, SessionId};
use sha2::{Digest as _, Sha256};

const SUM: usize = 12;

/// What a cursor is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// Who asked.
    pub actor: ActorId,
    /// What the list was narrowed to.
    pub filter: &'a str,
}

impl Binding<'_> {
    fn sum(&self, id: SessionId) -> Vec<u8> {
        let text = format!("sessions\n{}\n{}\n{id}", self.actor, self.filter);
        Sha256::digest(text.as_bytes())[..SUM].to_vec()
    }

    /// The cursor of the page after `id`.
    #[must_use]
    pub fn write(&self, id: SessionId) -> String {
        URL_SAFE_NO_PAD.encode([id.uuid().as_bytes().as_slice(), &self.sum(id)].concat())
    }

    /// Where the page begins, if the cursor belongs to this list and this person.
    #[must_use]
    pub fn read(&self, cursor: &str) -> Option<SessionId> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (id, sum) = bytes.split_at_checked(16)?;
        let id = SessionId::from_uuid(uuid::Uuid::from_slice(id).ok()?);
        (sum == self.sum(id)).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_is_cut_flipped_or_of_another_list_or_person_is_refused() {
        let id = SessionId::from_parts(7, [1; 10]);
        let dana = Binding { actor: ActorId::from_parts(1, [1; 10]), filter: "live" };
        let cursor = dana.write(id);
        assert_eq!(dana.read(&cursor), Some(id));
        assert_eq!(Binding { filter: "all", ..dana }.read(&cursor), None);
        assert_eq!(Binding { actor: ActorId::from_parts(1, [2; 10]), filter: "live" }.read(&cursor), None);
        for end in 0..cursor.len() {
            assert_eq!(dana.read(&cursor[..end]), None, "cut at {end}");
            let mut flipped = cursor.clone().into_bytes();
            flipped[end] ^= 1;
            let flipped = String::from_utf8_lossy(&flipped).into_owned();
            assert_eq!(dana.read(&flipped), None, "flipped at {end}");
        }
    }
}
