//! A check on its way: whom it believes, what it knows from elsewhere, what it found first.

use gk_shared::audit::note::VerifierKey;
use gk_shared::audit::{Anchor, AuditEvent, AuditFinding, AuditRecord, Head, SealedHead, Trust, Verifier};

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
        Check { verifier, signed, finding: None, unbelieved, last_at: String::new(), clock_went_back: None }
    }
}

/// The links and the tree, the signature, and whether clocks ran backwards.
pub(super) struct Check {
    verifier: Verifier,
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
        let head = self.finding.map_or_else(|| self.verifier.finish(), Err).and_then(|head| match self.unbelieved {
            Some(finding) => Err(finding),
            None if head.size < least => Err(AuditFinding::Cut { size: head.size, known: least }),
            None => Ok(head),
        });
        Checked { head, signed: self.signed, clock_went_back: self.clock_went_back }
    }
}
