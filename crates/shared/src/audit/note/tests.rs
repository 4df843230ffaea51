//! Notes against the published example of the format, and against everybody who would forge one.

use proptest::prelude::*;
use rand::SeedableRng as _;

use super::*;

/// The example of the format's first implementation: key, text and signature.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PUBLISHED: &str = "If you think cryptography is the answer to your problem,\n\
     then you don't know what your problem is.\n\
     \n\
     \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut rand::rngs::StdRng::seed_from_u64(seed))
}

fn text() -> Note {
    Note::unsigned("gatekeeper/x\n7\n".to_owned()).expect("is clean")
}

#[test]
fn the_published_example_verifies_and_prints_as_it_was() {
    let key: VerifierKey = PETER.parse().expect("is a key");
    assert_eq!(key.to_string(), PETER);
    let note: Note = PUBLISHED.parse().expect("is a note");
    assert_eq!(note.to_string(), PUBLISHED);
    assert_eq!(note.check(&key), Ok(()));
    let altered: Note = PUBLISHED.replace("answer", "Answer").parse().expect("is a note");
    assert_eq!(altered.check(&key), Err(Disbelief::BadSignature));
}

/// RFC 8032, 7.1, test 1.
#[test]
fn a_seed_gives_the_published_public_key() {
    let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed = crate::audit::Hash::from_hex(hex).expect("is hex").0;
    let public = SigningKey::from_seed(Zeroizing::new(seed)).verifier("a").public;
    assert_eq!(crate::seal::hex(&public), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

#[test]
fn a_note_is_believed_with_the_signature_of_the_key_asked_for_and_no_other() {
    let (mine, other) = (key(1), key(2));
    let note = text().signed("log", &mine).signed("witness", &other);
    let read: Note = note.to_string().parse().expect("reads back");
    assert_eq!(read, note);
    assert_eq!(read.check(&mine.verifier("log")), Ok(()));
    assert_eq!(read.check(&other.verifier("witness")), Ok(()));
    assert_eq!(read.check(&other.verifier("log")), Err(Disbelief::NotSigned));
    assert_eq!(text().check(&mine.verifier("log")), Err(Disbelief::NotSigned));
    // The other's signature, under a line that claims to be mine.
    let id = BASE64.encode([&mine.verifier("log").id()[..], &[7; 64]].concat());
    let forged: Note = format!("{}\n{DASH}log {id}\n", text()).parse().expect("is a note");
    assert_eq!(forged.check(&mine.verifier("log")), Err(Disbelief::BadSignature));
}

#[test]
fn a_key_of_another_algorithm_or_with_another_hash_is_refused() {
    let good = key(1).verifier("log");
    let mut bytes = good.tagged();
    bytes[0] = 2;
    let other = format!("log+00000000+{}", BASE64.encode(bytes));
    assert_eq!(other.parse::<VerifierKey>(), Err(NoteError::Algorithm));
    let good = good.to_string();
    for bad in ["", "log", "log+1", &good.replace("log+", "lag+"), &good.replace("log+", "+"), &format!("{good}AA")] {
        assert_eq!(bad.parse::<VerifierKey>(), Err(NoteError::MalformedKey), "{bad}");
    }
}

#[test]
fn a_signing_key_reads_back_from_its_file_and_never_shows_in_a_debug_print() {
    let made = key(3);
    let text = made.to_text();
    let read = SigningKey::from_text(text.expose()).expect("reads back");
    assert_eq!(read.verifier("log"), made.verifier("log"));
    assert_eq!(format!("{made:?} {text:?}"), "[REDACTED] [REDACTED]");
    for bad in ["", "gk-audit-key-v1:", "gk-audit-key-v1:AAAA", "gk-audit-key-v2:AAAA", "hello"] {
        assert!(SigningKey::from_text(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_note_is_refused() {
    for bad in ["", "\n", "no line end", "a\n\nb\n", "a\n\n\u{2014} x\n", "a\n\n\u{2014} x AAAA\n", "tab\t\n", "cr\r\n"]
    {
        assert_eq!(bad.parse::<Note>(), Err(NoteError::Malformed), "{bad:?}");
    }
    assert!("x".repeat(MAX_NOTE).parse::<Note>().is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,40}(\n|\n\n|\u{2014} |[+ ]|[A-Za-z0-9=/]){0,40}") {
        if let Ok(note) = text.parse::<Note>() {
            prop_assert_eq!(note.to_string(), text.clone());
            let _ = crate::audit::Checkpoint::of_note(&note);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn a_note_with_any_byte_changed_is_not_believed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let key = key(1);
        let good = text().signed("log", &key).to_string().into_bytes();
        let mut bad = good.clone();
        bad[at.index(good.len())] = to;
        let read = String::from_utf8(bad.clone()).ok().and_then(|text| text.parse::<Note>().ok());
        let believed = read.is_some_and(|note| note.check(&key.verifier("log")).is_ok());
        prop_assert_eq!(believed, bad == good);
    }
}
