//! Checks a log against itself and against what is known of it from elsewhere, without a database or a network.
//!
//! A [`Trust`] opens signed checkpoints; a [`Verifier`] reads the records one after another in constant memory and
//! compares chain and tree with every checkpoint that it was given.

use super::checkpoint::{Checkpoint, LogOrigin, SealedHead};
use super::epoch::KeyChain;
use super::note::{Disbelief, Note, VerifierKey};
use super::tree::Frontier;
use super::{AuditRecord, Hash, Head, leaf_hash, link_hash};

/// Declares the findings with the word that each is known by.
macro_rules! findings {
    ($($(#[$doc:meta])* $variant:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* } = $word:literal, $text:literal;)*) => {
        /// What a check found, at the first event where it shows.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum AuditFinding { $($(#[$doc])* #[error($text)] $variant { $($(#[$field_doc])* $field: $type),* },)* }

        impl AuditFinding {
            /// The stable word for its kind.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $word,)* }
            }
        }
    };
}

findings! {
    /// An event is missing, or stands elsewhere.
    OutOfOrder {
        /// Place where another was expected.
        seq: i64,
        /// What stood there.
        found: i64
    } = "out_of_order", "gap or re-ordering at seq {seq}: found {found}";
    /// The link does not continue the one before it.
    BrokenLink {
        /// First bad place.
        seq: i64
    } = "broken_link", "seq {seq} does not link to the event before it";
    /// The bytes are not those that were hashed.
    Altered {
        /// First bad place.
        seq: i64
    } = "altered", "seq {seq} was altered";
    /// A line or a hash cannot be read.
    Unreadable {
        /// First bad place.
        seq: i64
    } = "unreadable", "seq {seq} cannot be read";
    /// The log is shorter than a head seen before.
    Cut {
        /// Where it ends.
        size: i64,
        /// Where it was known to reach.
        known: i64
    } = "cut", "the log ends at {size}, but a head of {known} was seen: the tail was cut";
    /// The log does not contain a head seen before.
    Rewritten {
        /// Place of the head known from before.
        seq: i64
    } = "rewritten", "the log was rewritten at or before seq {seq}";
    /// Its own key signed two histories.
    Forked {
        /// Place up to which they differ.
        seq: i64
    } = "forked", "the log's key signed two histories that differ at or before seq {seq}";
    /// A signature is not the key's.
    BadSignature {
        /// Size of the log that was signed.
        seq: i64
    } = "bad_signature", "the signature at size {seq} is not the key's";
    /// Signed by a key that nothing vouches for, or that was retired.
    UnknownKey {
        /// Size of the log that was signed.
        seq: i64
    } = "unknown_key", "the key that signs at size {seq} is not one that is trusted for it";
    /// The checkpoint of another log.
    WrongOrigin {
        /// Whose it is.
        found: String,
        /// Whose was expected.
        known: String
    } = "wrong_origin", "this is the log {found}, expected was {known}";
    /// A log that was signed is not any more.
    Downgraded {
        /// Size that was signed before, as far as it is known.
        seq: i64
    } = "downgraded", "the log was signed up to seq {seq} before, and carries no signed checkpoint now";
    /// Nothing from elsewhere to check against, where that was asked for.
    NoAnchor {} = "no_anchor", "the log is consistent, but no head of it is known from elsewhere";
}

impl AuditFinding {
    /// The first bad place, where the finding has one.
    #[must_use]
    pub const fn seq(&self) -> Option<i64> {
        match self {
            Self::OutOfOrder { seq, .. }
            | Self::BrokenLink { seq }
            | Self::Altered { seq }
            | Self::Unreadable { seq }
            | Self::Rewritten { seq }
            | Self::Forked { seq }
            | Self::BadSignature { seq }
            | Self::UnknownKey { seq } => Some(*seq),
            Self::Cut { size, .. } => Some(*size + 1),
            Self::WrongOrigin { .. } | Self::Downgraded { .. } | Self::NoAnchor {} => None,
        }
    }

    pub(super) const fn of_disbelief(fault: Disbelief, seq: i64) -> Self {
        match fault {
            Disbelief::NotSigned => Self::UnknownKey { seq },
            Disbelief::BadSignature => Self::BadSignature { seq },
        }
    }
}

/// Whom a check believes: a pinned key, and the keys and the origin learnt from witnesses.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    pinned: Option<VerifierKey>,
    keys: Option<KeyChain>,
    /// Largest size that is known to have been signed.
    signed: Option<i64>,
}

/// A signed checkpoint that is believed, and the keys behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where the log stands.
    pub checkpoint: Checkpoint,
    /// All keys of the log.
    pub keys: KeyChain,
}

impl Trust {
    /// Believes this key, and those that it introduced.
    #[must_use]
    pub fn pin(key: VerifierKey) -> Self {
        Self { pinned: Some(key), ..Self::default() }
    }

    /// Whether anything is known about who signs.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.pinned.is_some() || self.keys.is_some()
    }

    /// The origin that is expected, if one is known.
    #[must_use]
    pub fn origin(&self) -> Option<&LogOrigin> {
        self.keys.as_ref().map(KeyChain::origin)
    }

    /// Opens what comes with a log, or its absence.
    ///
    /// # Errors
    /// It is not to be believed; or it is missing although the log was signed before.
    pub fn open_own(&self, sealed: Option<&SealedHead>) -> Result<Option<Opened>, AuditFinding> {
        match sealed {
            Some(sealed) => self.open(sealed).map(Some),
            None if self.is_known() => Err(AuditFinding::Downgraded { seq: self.signed.unwrap_or(0) }),
            None => Ok(None),
        }
    }

    /// Opens a signed checkpoint: its origin, its keys and its signature. Without any trust it has only to agree with
    /// itself, as when a witness sees a log for the first time.
    ///
    /// # Errors
    /// It cannot be read, or is not to be believed.
    pub fn open(&self, sealed: &SealedHead) -> Result<Opened, AuditFinding> {
        let unreadable = AuditFinding::BadSignature { seq: 0 };
        let note: Note = sealed.checkpoint.parse().map_err(|_| unreadable.clone())?;
        let checkpoint = Checkpoint::of_note(&note).map_err(|_| unreadable)?;
        let (seq, origin) = (checkpoint.head.size, &checkpoint.origin);
        if let Some(known) = self.origin().filter(|known| *known != origin) {
            return Err(AuditFinding::WrongOrigin { found: origin.to_string(), known: known.to_string() });
        }
        if !note.has_signatures() {
            return Err(AuditFinding::Downgraded { seq: self.signed.unwrap_or(0) });
        }
        let keys = KeyChain::follow(origin, &sealed.epochs)?;
        let pinned = |key: &VerifierKey| keys.epochs().iter().any(|epoch| epoch.key == *key);
        if let Some(key) = self.pinned.as_ref().filter(|key| !pinned(key)) {
            return Err(self.not_the_pinned(key, origin, seq));
        }
        if let Some(known) = &self.keys
            && !keys.extends(known)
            && !known.extends(&keys)
        {
            return Err(AuditFinding::UnknownKey { seq });
        }
        keys.check(&note, &checkpoint)?;
        Ok(Opened { checkpoint, keys })
    }

    fn not_the_pinned(&self, key: &VerifierKey, origin: &LogOrigin, seq: i64) -> AuditFinding {
        if key.name() == origin.as_str() {
            return AuditFinding::UnknownKey { seq };
        }
        AuditFinding::WrongOrigin { found: origin.to_string(), known: key.name().to_owned() }
    }

    /// Believes from now on what a witness saw.
    pub fn learn(&mut self, seen: &Opened) {
        self.signed = self.signed.max(Some(seen.checkpoint.head.size));
        if self.keys.as_ref().is_none_or(|known| seen.keys.extends(known)) {
            self.keys = Some(seen.keys.clone());
        }
    }
}

/// A place that a log is known to have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its size and the hash of its last link.
    pub head: Head,
    /// Root of its tree; none where only the chain was kept.
    pub root: Option<Hash>,
}

impl From<Head> for Anchor {
    fn from(head: Head) -> Self {
        Self { head, root: None }
    }
}

impl From<&Checkpoint> for Anchor {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self { head: checkpoint.head, root: Some(checkpoint.root) }
    }
}

/// Checks records one after another, in constant memory.
#[derive(Debug, Clone)]
pub struct Verifier {
    head: Head,
    tree: Frontier,
    /// Known from elsewhere.
    known: Vec<Anchor>,
    /// What the log says of itself, signed.
    own: Option<Anchor>,
    /// First place at which an anchor was contradicted, and whether the log contradicted itself.
    contradicted: Option<i64>,
    own_holds: bool,
}

impl Verifier {
    /// A check from the first event on, against a head known from elsewhere if there is one.
    #[must_use]
    pub fn from_start(known: Option<Head>) -> Self {
        Self::against(known.into_iter().map(Anchor::from).collect(), None)
    }

    /// A check from the first event on, against places known from elsewhere and the log's own signed checkpoint.
    #[must_use]
    pub fn against(known: Vec<Anchor>, own: Option<Anchor>) -> Self {
        let tree = Frontier::default();
        let mut made = Self { head: Head::empty(), tree, known, own, contradicted: None, own_holds: false };
        made.compare();
        made
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// The first thing that does not hold. What contradicts an anchor shows in [`Self::finish`].
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), AuditFinding> {
        self.next(record).map_err(|finding| match self.contradicted {
            // The earlier one counts.
            Some(seq) => AuditFinding::Rewritten { seq },
            None => finding,
        })?;
        self.compare();
        Ok(())
    }

    fn next(&mut self, record: &AuditRecord) -> Result<(), AuditFinding> {
        let seq = self.head.size + 1;
        if record.seq != seq {
            return Err(AuditFinding::OutOfOrder { seq, found: record.seq });
        }
        let read = |text: &str| Hash::from_hex(text).ok_or(AuditFinding::Unreadable { seq });
        if read(&record.prev_hash)? != self.head.hash {
            return Err(AuditFinding::BrokenLink { seq });
        }
        let leaf = leaf_hash(&record.event);
        let hash = link_hash(self.head.hash, seq, leaf);
        if read(&record.hash)? != hash {
            return Err(AuditFinding::Altered { seq });
        }
        self.head = Head { size: seq, hash };
        self.tree.push(leaf, |_| {});
        Ok(())
    }

    /// Holds the place that was reached against every anchor for it.
    fn compare(&mut self) {
        let (head, mut root) = (self.head, None);
        let mut holds = |anchor: &Anchor| {
            anchor.head.hash == head.hash
                && anchor.root.is_none_or(|wanted| wanted == *root.get_or_insert_with(|| self.tree.root()))
        };
        let mut here = self.known.iter().filter(|anchor| anchor.head.size == head.size);
        let known_holds = here.all(&mut holds);
        let own = self.own.filter(|own| own.head.size == head.size).map(|own| holds(&own));
        self.own_holds |= own == Some(true);
        if self.contradicted.is_none() && (!known_holds || own == Some(false)) {
            self.contradicted = Some(head.size);
        }
    }

    /// Ends the check.
    ///
    /// # Errors
    /// The log contradicts what is known of it, or stops before that.
    pub fn finish(self) -> Result<Head, AuditFinding> {
        let size = self.head.size;
        if let Some(seq) = self.contradicted {
            // With its own signature under the other history it is the key that lied.
            let forked = self.own_holds;
            return Err(if forked { AuditFinding::Forked { seq } } else { AuditFinding::Rewritten { seq } });
        }
        match self.known.iter().chain(&self.own).map(|anchor| anchor.head.size).max() {
            Some(known) if known > size => Err(AuditFinding::Cut { size, known }),
            Some(_) | None => Ok(self.head),
        }
    }
}

#[cfg(test)]
mod tests;
