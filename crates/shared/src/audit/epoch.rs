//! The keys of a log, one after another: each new one is introduced by the one before it.
//!
//! ```text
//! gatekeeper/key-epoch v1
//! gatekeeper/01K9...                 origin
//! 2                                  number of the epoch
//! gatekeeper/01K9...+1a2b3c4d+AR...  its verifier key
//! 4711                               size of the log where it begins
//! ```
//! The note of an epoch is signed by the key before and by its own; the first one by its own alone. Always holds: a
//! [`KeyChain`] is whole and every signature in it was checked.

use super::checkpoint::{Checkpoint, LogOrigin};
use super::note::{Note, SigningKey, VerifierKey};
use super::verify::AuditFinding;

const TITLE: &str = "gatekeeper/key-epoch v1";
/// More keys than a log ever has: each is a signature to check.
const MAX_EPOCHS: usize = 1000;

/// The time of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Number, from 1.
    pub number: u32,
    /// The key.
    pub key: VerifierKey,
    /// Size of the log at which it begins to sign.
    pub starts: i64,
}

impl Epoch {
    fn note(&self, origin: &LogOrigin) -> Note {
        let body = format!("{TITLE}\n{origin}\n{}\n{}\n{}\n", self.number, self.key, self.starts);
        Note::unsigned(body).expect("it holds only clean lines")
    }

    fn of_note(note: &Note, origin: &LogOrigin) -> Result<Self, AuditFinding> {
        let lines: Vec<&str> = note.body().trim_end_matches('\n').split('\n').collect();
        let [title, of, number, key, starts] = lines[..] else { return Err(AuditFinding::UnknownKey { seq: 0 }) };
        if title == TITLE && of != origin.as_str() {
            return Err(AuditFinding::WrongOrigin { found: of.to_owned(), known: origin.to_string() });
        }
        let unknown = AuditFinding::UnknownKey { seq: 0 };
        let key = key.parse().map_err(|_| unknown.clone())?;
        let (Ok(number), Ok(starts)) = (number.parse(), starts.parse()) else { return Err(unknown) };
        let made = Self { number, key, starts };
        if made.note(origin).body() == note.body() && starts >= 0 { Ok(made) } else { Err(unknown) }
    }
}

/// The first epoch's note, signed by its own key.
#[must_use]
pub fn first_epoch(origin: &LogOrigin, key: &SigningKey, starts: i64) -> Note {
    let epoch = Epoch { number: 1, key: key.verifier(origin.as_str()), starts };
    epoch.note(origin).signed(origin.as_str(), key)
}

/// All epochs of a log up to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChain {
    origin: LogOrigin,
    epochs: Vec<Epoch>,
}

impl KeyChain {
    /// Reads the epochs' notes and checks that each follows from the one before.
    ///
    /// # Errors
    /// One is missing, of another log, or not signed as it has to be.
    pub fn follow(origin: &LogOrigin, notes: &[String]) -> Result<Self, AuditFinding> {
        if notes.len() > MAX_EPOCHS {
            return Err(AuditFinding::UnknownKey { seq: 0 });
        }
        let mut epochs: Vec<Epoch> = Vec::with_capacity(notes.len());
        for (number, text) in (1_u32..).zip(notes) {
            let note: Note = text.parse().map_err(|_| AuditFinding::UnknownKey { seq: 0 })?;
            let epoch = Epoch::of_note(&note, origin)?;
            let before = epochs.last();
            let least = before.map_or(0, |before| before.starts);
            if epoch.number != number || epoch.starts < least || epoch.key.name() != origin.as_str() {
                return Err(AuditFinding::UnknownKey { seq: epoch.starts });
            }
            for key in before.map(|before| &before.key).into_iter().chain([&epoch.key]) {
                note.check(key).map_err(|fault| AuditFinding::of_disbelief(fault, epoch.starts))?;
            }
            epochs.push(epoch);
        }
        Ok(Self { origin: origin.clone(), epochs })
    }

    /// Whose keys they are.
    #[must_use]
    pub fn origin(&self) -> &LogOrigin {
        &self.origin
    }

    /// The epochs, the first one first.
    #[must_use]
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The epoch of now, if there is one.
    #[must_use]
    pub fn newest(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// The note of the next epoch, which begins at `starts`; `None` if `old` is not the key of now.
    #[must_use]
    pub fn next(&self, old: &SigningKey, new: &SigningKey, starts: i64) -> Option<Note> {
        let (name, now) = (self.origin.as_str(), self.newest()?);
        if old.verifier(name) != now.key || starts < now.starts {
            return None;
        }
        let epoch = Epoch { number: now.number + 1, key: new.verifier(name), starts };
        Some(epoch.note(&self.origin).signed(name, old).signed(name, new))
    }

    /// Whether it is the same as `older` as far as that one goes.
    #[must_use]
    pub fn extends(&self, older: &Self) -> bool {
        self.origin == older.origin && self.epochs.starts_with(&older.epochs)
    }

    /// Checks that the key of its epoch signed this checkpoint, while that epoch lasted.
    ///
    /// # Errors
    /// It was signed by no key, by another, by a retired one, or not at all.
    pub fn check(&self, note: &Note, checkpoint: &Checkpoint) -> Result<(), AuditFinding> {
        let seq = checkpoint.head.size;
        let place = usize::try_from(checkpoint.epoch).expect("an epoch fits").checked_sub(1);
        let epoch = place.and_then(|place| self.epochs.get(place)).ok_or(AuditFinding::UnknownKey { seq })?;
        let ends = self.epochs.get(checkpoint.epoch as usize).map_or(i64::MAX, |next| next.starts);
        if seq < epoch.starts || seq > ends {
            return Err(AuditFinding::UnknownKey { seq });
        }
        note.check(&epoch.key).map_err(|fault| AuditFinding::of_disbelief(fault, seq))
    }
}

#[cfg(test)]
mod tests;
