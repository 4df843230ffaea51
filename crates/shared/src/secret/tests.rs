//! Secrets: they stay inside, and those we make are as random as they should be.

use proptest::prelude::*;
use utoipa::PartialSchema as _;

use super::*;

const CANARY: &str = "canary-3f9a";

/// Random enough for a test, the same on every run.
fn seeded(mut state: u64) -> impl FnMut(&mut [u8]) {
    move |bytes| {
        for byte in bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
    }
}

#[test]
fn no_secret_shows_in_a_debug_print() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only printed")]
    struct Login {
        password: Password,
        dsn: Option<SecretDsn>,
        text: SecretText,
        file: FileSecret,
        token: BearerToken,
    }
    let token = BearerToken::generate([7; 32]);
    let login = Login {
        password: CANARY.into(),
        dsn: Some(CANARY.into()),
        text: CANARY.into(),
        file: read_secret_file(CANARY.as_bytes()).unwrap(),
        token: token.clone(),
    };
    for print in [format!("{login:?}"), format!("{login:#?}")] {
        assert!(!print.contains("canary") && !print.contains(token.expose()), "{print}");
        assert_eq!(print.matches("[REDACTED]").count(), 5, "{print}");
    }
}

#[test]
fn a_password_is_32_letters_and_digits() {
    let password = Password::generate(&mut seeded(1));
    assert_eq!(password.expose().len(), Password::LENGTH);
    assert!(password.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(password, Password::generate(&mut seeded(2)));
}

#[test]
fn no_letter_is_likelier_than_another() {
    let mut letters = std::collections::BTreeMap::<char, u32>::new();
    for found in (0..=255).filter_map(Password::letter) {
        *letters.entry(found).or_default() += 1;
    }
    assert_eq!(letters.len(), 62);
    assert!(letters.values().all(|&times| times == 4), "{letters:?}");
}

#[test]
fn bytes_that_would_bias_a_password_are_thrown_away() {
    // Only every 40th byte is usable, so one fill does not do.
    let mut place = 0_u32;
    let mut fills = 0;
    let password = Password::generate(&mut |bytes| {
        fills += 1;
        for byte in bytes {
            place += 1;
            *byte = if place.is_multiple_of(40) { 0 } else { 255 };
        }
    });
    assert_eq!(password.expose(), "A".repeat(32));
    assert_eq!(fills, 20);
}

#[test]
#[should_panic(expected = "the random source repeats itself")]
fn a_broken_random_source_is_no_endless_loop() {
    let _ = Password::generate(&mut |bytes| bytes.fill(255));
}

#[test]
fn a_token_is_the_prefix_and_base64url_of_its_bytes() {
    let token = BearerToken::generate([0; 32]);
    assert_eq!(token.expose(), format!("gk_tok_{}", "A".repeat(43)));
    let token = BearerToken::generate([0xff; 32]);
    assert_eq!(token.expose(), format!("gk_tok_{}8", "_".repeat(42)));
    assert_eq!(BearerToken::parse(token.expose()), Ok(token));
}

#[test]
fn what_is_no_token_is_refused_without_being_repeated() {
    let good = BearerToken::generate([9; 32]);
    let good = good.expose();
    assert_eq!(BearerToken::parse(""), Err(TokenError::Empty));
    for text in [
        "canary".to_owned(),
        "gk_tok_".to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        format!("{good}\n"),
        format!(" {good}"),
        good.to_uppercase(),
        good.replacen("gk_tok_", "gk_tokx", 1),
        format!("gk_tok_{}", "+".repeat(43)),
        format!("gk_tok_{}\0", "A".repeat(42)),
        format!("gk_tok_{}\u{440}", "A".repeat(41)),
        "x".repeat(1_000_000),
    ] {
        let error = BearerToken::parse(&text).unwrap_err();
        assert_eq!((error, error.code()), (TokenError::Shape, "token_invalid"));
        assert!(!error.to_string().contains("canary"));
    }
}

#[test]
fn the_hash_of_a_token_is_sha_256_of_its_text() {
    let hash = BearerToken::generate([0; 32]).hash();
    // printf 'gk_tok_AAA…A' | sha256sum
    assert_eq!(hash.to_hex(), HASH_OF_ZERO_TOKEN);
    assert_eq!(TokenHash::from_bytes(*hash.as_bytes()), hash);
    assert_ne!(BearerToken::generate([1; 32]).hash(), hash);
    assert_eq!(format!("{hash:?}"), format!("TokenHash({}...)", &HASH_OF_ZERO_TOKEN[..8]));
}

const HASH_OF_ZERO_TOKEN: &str = "86e2d7294e7543d6fc58493a28ce916c44f2c87e489a274f2f415affd6106eea";

#[test]
fn a_secret_file_gives_its_one_line() {
    for bytes in [&b"s3cret"[..], b"s3cret\n", b"s3cret\r\n"] {
        assert_eq!(read_secret_file(bytes).unwrap().expose(), "s3cret");
    }
    assert_eq!(read_secret_file(" p\u{e4}ss word ".as_bytes()).unwrap().expose(), " p\u{e4}ss word ");
    let file = read_secret_file(b"s3cret").unwrap();
    assert_eq!(Password::from(file.clone()), Password::from("s3cret"));
    assert_eq!(SecretDsn::from(file), SecretDsn::from("s3cret"));
}

#[test]
fn a_bad_secret_file_is_refused_without_its_content() {
    let large = vec![b'x'; MAX_SECRET_FILE + 1];
    for (bytes, wanted) in [
        (&b""[..], SecretFileError::Empty),
        (b"\n", SecretFileError::Empty),
        (b"\r\n", SecretFileError::Empty),
        (b"canary\n\n", SecretFileError::Lines),
        (b"canary\ncanary\n", SecretFileError::Lines),
        (b"canary\0", SecretFileError::Binary),
        (b"canary\x1b[2J", SecretFileError::Binary),
        (b"canary\xff", SecretFileError::Binary),
        (b"\x7fELF\x02\x01", SecretFileError::Binary),
        (&large, SecretFileError::TooLarge),
    ] {
        let error = read_secret_file(bytes).unwrap_err();
        assert_eq!((error, error.code()), (wanted, "bad_token_file"));
        assert!(!error.to_string().contains("canary"));
    }
    assert!(read_secret_file(&large[1..]).is_ok());
}

#[test]
fn the_one_type_for_handing_over_is_plain_in_json_and_a_password_in_openapi() {
    let text = SecretText::from(SecretDsn::from(CANARY));
    let json = serde_json::to_string(&text).unwrap();
    assert_eq!(json, format!("\"{CANARY}\""));
    assert_eq!(serde_json::from_str::<SecretText>(&json).unwrap(), text);
    let schema = serde_json::to_value(SecretText::schema()).unwrap();
    assert_eq!((&schema["type"], &schema["format"]), (&"string".into(), &"password".into()));
}

#[test]
fn secrets_are_equal_when_their_texts_are() {
    assert_eq!(Password::from("a"), Password::new("a".to_owned()));
    assert_ne!(Password::from("a"), Password::from("b"));
    assert_ne!(Password::from("a"), Password::from("ab"));
    assert_ne!(Password::from(""), Password::from("a"));
}

proptest! {
    #[test]
    fn every_token_made_is_read_back(bytes: [u8; 32]) {
        let token = BearerToken::generate(bytes);
        prop_assert_eq!(BearerToken::parse(token.expose()).unwrap().hash(), token.hash());
    }

    #[test]
    fn any_file_is_one_line_or_refused(bytes: Vec<u8>) {
        if let Ok(secret) = read_secret_file(&bytes) {
            prop_assert!(!secret.expose().is_empty() && !secret.expose().chars().any(char::is_control));
        }
    }

    #[test]
    fn the_token_parser_never_panics(text in "\\PC*|gk_tok_\\PC{40,46}") {
        let _ = BearerToken::parse(&text);
    }

    #[test]
    fn every_seed_gives_a_whole_password(seed: u64) {
        let password = Password::generate(&mut seeded(seed));
        prop_assert_eq!(password.expose().len(), 32);
        prop_assert!(password.expose().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
