//! A check on its way: whom it believes, what it knows from elsewhere, what it found first.

use std::collections::HashMap;

use gk_shared::audit::note::VerifierKey;
use gk_shared::audit::{Anchor, AuditEvent, AuditFinding, AuditRecord, Hash, Head, SealedHead, Trust, Verifier};

use crate::commands::audit::witness::Seen;

/// What is known of a log before it is read.
pub(super) struct Known {
    trust: Trust,
    anchors: Vec<Anchor>,
}

impl Known {
    /// What a pinned key and witnesses know.
    ///
    /// # Errors
    /// A witness that is not to be believed, or that contradicts another.
    pub(super) fn of(key: Option<VerifierKey>, seen: &[Seen]) -> Result<Self, AuditFinding> {
        let trust = key.map_or_else(Trust::default, Trust::pin);
        let mut known = Self { trust, anchors: Vec::new() };
        for seen in seen {
            if let Some(sealed) = seen.sealed() {
                let opened = known.trust.open(&sealed)?;
                known.trust.learn(&opened);
                known.anchors.push(Anchor::from(&opened.checkpoint));
            }
            known.anchors.extend(seen.head().map(Anchor::from));
        }
        Ok(known)
    }

    /// Whether there is anything from elsewhere to hold the log against.
    pub(super) fn is_anchored(&self) -> bool {
        self.trust.is_known() || !self.anchors.is_empty()
    }

    /// Begins the check of a log that says this of itself.
    pub(super) fn check(self, said: Option<SealedHead>) -> Check {
        let (own, unbelieved) = match self.trust.open_own(said.as_ref()) {
            Ok(own) => (own, None),
            Err(finding) => (None, Some(finding)),
        };
        let own = own.map(|own| Anchor::from(&own.checkpoint));
        let signed = said.filter(|_| own.is_some());
        let verifier = Verifier::against(self.anchors, own);
        let marks = Marks::default();
        Check { verifier, marks, signed, finding: None, unbelieved, last_at: String::new(), clock_went_back: None }
    }

    /// The same for a log with checkpoints anywhere in it, as a sink gets it: the last is what it says of itself, and
    /// it has to have been so at each one before.
    pub(super) fn check_all(mut self, said: impl Iterator<Item = SealedHead>) -> Check {
        let (mut marks, mut unbelieved, mut last) = (Marks::default(), None, None);
        for sealed in said {
            let before: Option<SealedHead> = last.replace(sealed);
            match before.map(|before| self.trust.open(&before)) {
                Some(Ok(opened)) => {
                    self.trust.learn(&opened);
                    marks.add(opened.checkpoint.head);
                }
                Some(Err(finding)) => unbelieved = unbelieved.or(Some(finding)),
                None => {}
            }
        }
        let check = self.check(last);
        Check { marks, unbelieved: unbelieved.or(check.unbelieved), ..check }
    }
}

/// Places that the log itself was signed at, before the last.
#[derive(Default)]
struct Marks {
    hashes: HashMap<i64, Hash>,
    furthest: i64,
    /// The first one at which the log is another.
    contradicted: Option<i64>,
}

impl Marks {
    fn add(&mut self, head: Head) {
        self.furthest = self.furthest.max(head.size);
        // Two of one size that differ cannot both hold.
        if self.hashes.insert(head.size, head.hash).is_some_and(|known| known != head.hash) {
            self.contradict(head.size);
        }
    }

    fn compare(&mut self, record: &AuditRecord) {
        let Some(wanted) = self.hashes.get(&record.seq) else { return };
        if wanted.to_string() != record.hash {
            self.contradict(record.seq);
        }
    }

    fn contradict(&mut self, seq: i64) {
        self.contradicted = Some(self.contradicted.map_or(seq, |known| known.min(seq)));
    }

    /// What is found, with what the records and all other places say.
    fn judge(&self, found: Result<Head, AuditFinding>) -> Result<Head, AuditFinding> {
        let earlier = |seq: i64| self.contradicted.map_or(seq, |known| known.min(seq));
        match (found, self.contradicted) {
            (Ok(head), None) if head.size < self.furthest => {
                Err(AuditFinding::Cut { size: head.size, known: self.furthest })
            }
            (found, None) => found,
            // Its last signature holds, and so did this one.
            (Ok(_), Some(seq)) => Err(AuditFinding::Forked { seq }),
            (Err(AuditFinding::Forked { seq }), Some(_)) => Err(AuditFinding::Forked { seq: earlier(seq) }),
            (Err(finding), Some(seq)) => {
                Err(AuditFinding::Rewritten { seq: finding.seq().map_or(seq, |other| other.min(seq)) })
            }
        }
    }
}

/// The links and the tree, the signature, and whether clocks ran backwards.
pub(super) struct Check {
    verifier: Verifier,
    marks: Marks,
    /// What the log said of itself, if that is believed.
    signed: Option<SealedHead>,
    finding: Option<AuditFinding>,
    /// What is wrong with the signature. What is wrong with the records names a place, and comes first.
    unbelieved: Option<AuditFinding>,
    last_at: String,
    clock_went_back: Option<i64>,
}

/// What came of it.
pub(super) struct Checked {
    /// Where the log ends, or what was found first.
    pub(super) head: Result<Head, AuditFinding>,
    /// What the log said of itself, if that is believed.
    pub(super) signed: Option<SealedHead>,
    /// The first place at which a clock had gone back.
    pub(super) clock_went_back: Option<i64>,
}

impl Check {
    /// Takes the next record; after the first finding there is nothing more to learn.
    pub(super) fn take(&mut self, record: &AuditRecord) {
        if self.finding.is_some() {
            return;
        }
        if let Err(finding) = self.verifier.take(record) {
            self.finding = Some(finding);
            return;
        }
        self.marks.compare(record);
        if let Ok(event) = serde_json::from_str::<AuditEvent>(&record.event) {
            if event.at < self.last_at && self.clock_went_back.is_none() {
                self.clock_went_back = Some(record.seq);
            }
            self.last_at = event.at;
        }
    }

    /// The record at this place cannot be read.
    pub(super) fn unreadable(&mut self, seq: i64) {
        self.finding.get_or_insert(AuditFinding::Unreadable { seq });
    }

    /// Ends it. The log has to reach `least`.
    pub(super) fn finish(self, least: i64) -> Checked {
        let found = self.finding.map_or_else(|| self.verifier.finish(), Err);
        let head = self.marks.judge(found).and_then(|head| match self.unbelieved {
            Some(finding) => Err(finding),
            None if head.size < least => Err(AuditFinding::Cut { size: head.size, known: least }),
            None => Ok(head),
        });
        Checked { head, signed: self.signed, clock_went_back: self.clock_went_back }
    }
}
