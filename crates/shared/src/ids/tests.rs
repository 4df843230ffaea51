//! Ids: one text for one id, and never one kind for another.

use proptest::prelude::*;
use utoipa::PartialSchema as _;

use super::*;

const TEXT: &str = "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn session() -> SessionId {
    TEXT.parse().unwrap()
}

#[test]
fn an_id_reads_and_writes_the_known_text() {
    // The example of the ULID specification, checked against another implementation of base32.
    assert_eq!(session().uuid().as_u128(), 0x0156_3E3A_B5D3_D676_4C61_EFB9_9302_BD5B);
    assert_eq!(session().to_string(), TEXT);
    assert_eq!(format!("{:?}", session()), TEXT);
}

#[test]
fn the_least_and_the_greatest_id_have_a_text() {
    for (uuid, digits) in [(Uuid::nil(), "0".repeat(26)), (Uuid::max(), format!("7{}", "Z".repeat(25)))] {
        let id = JobId::from_uuid(uuid);
        assert_eq!(id.to_string(), format!("job_{digits}"));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

#[test]
fn an_id_made_from_time_and_randomness_is_a_version_7_uuid_that_sorts_by_time() {
    let early = EventId::from_parts(1_795_311_540_000, [0xff; 10]);
    let late = EventId::from_parts(1_795_311_540_001, [0; 10]);
    assert_eq!(early.uuid().get_version_num(), 7);
    assert!(early < late);
    assert!(early.to_string() < late.to_string());
}

#[test]
fn an_id_of_another_kind_is_refused_by_name() {
    let request = RequestId::from_uuid(Uuid::nil()).to_string();
    let error = request.parse::<SessionId>().unwrap_err();
    assert_eq!(error.to_string(), "expected a session id sess_..., got a request id");
    assert_eq!(error.code(), "invalid_id");
    let error = TEXT.parse::<AgentId>().unwrap_err();
    assert_eq!(error.to_string(), "expected an agent id agt_..., got a session id");
}

#[test]
fn a_misspelt_id_is_refused_with_what_is_wrong_in_it() {
    let rows = [
        ("", IdFault::Prefix),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Prefix),
        ("SESS_01ARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Prefix),
        (" sess_01ARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Prefix),
        ("sess_", IdFault::Length(0)),
        ("sess_01ARZ", IdFault::Length(5)),
        ("sess_01ARZ3NDEKTSV4RRFFQ69G5FA", IdFault::Length(25)),
        ("sess_01ARZ3NDEKTSV4RRFFQ69G5FAVV", IdFault::Length(27)),
        ("sess_01ARZ3NDEKTSV4RRFFQ69G5FAV\n", IdFault::Length(27)),
        ("sess_01arz3ndektsv4rrffq69g5fav", IdFault::LowerCase('a')),
        ("sess_O1ARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Character('O')),
        ("sess_0IARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Character('I')),
        ("sess_0LARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Character('L')),
        ("sess_0UARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::Character('U')),
        ("sess_0\u{440}ARZ3NDEKTSV4RRFFQ69G5FA", IdFault::Character('\u{440}')),
        ("sess_81ARZ3NDEKTSV4RRFFQ69G5FAV", IdFault::TooLarge),
        ("sess_ZZZZZZZZZZZZZZZZZZZZZZZZZZ", IdFault::TooLarge),
    ];
    for (text, wanted) in rows {
        match text.parse::<SessionId>() {
            Err(IdError::Malformed { fault, .. }) => assert_eq!(fault, wanted, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn the_line_end_of_a_pipe_is_taken_off_once() {
    for text in [TEXT.to_owned(), format!("{TEXT}\n"), format!("{TEXT}\r\n")] {
        assert_eq!(SessionId::parse_line(&text), Ok(session()));
    }
    for text in [format!("{TEXT}\n\n"), format!("\n{TEXT}"), format!("{TEXT} ")] {
        assert!(SessionId::parse_line(&text).is_err(), "{text:?}");
    }
}

#[test]
fn a_long_or_odd_value_is_shown_shortened_and_printable() {
    let error = format!("sess_\u{1b}[31m{}", "x".repeat(60_000)).parse::<SessionId>().unwrap_err();
    let message = error.to_string();
    assert!(message.len() < 250, "{message}");
    assert!(message.contains("<U+001B>"), "{message}");
}

#[test]
fn every_kind_has_its_own_prefix() {
    let prefixes: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.prefix()).collect();
    assert_eq!(prefixes.len(), KINDS.len());
    let nouns: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.noun()).collect();
    assert_eq!(nouns.len(), KINDS.len());
}

#[test]
fn the_role_of_a_session_leads_back_to_it() {
    let role = session().role_name();
    assert_eq!(role.as_str(), "gk_01arz3ndektsv4rrffq69g5fav");
    assert_eq!(role.session(), session());
}

#[test]
fn json_holds_an_id_as_its_text_and_a_fault_as_its_message() {
    let json = format!("\"{TEXT}\"");
    assert_eq!(serde_json::to_string(&session()).unwrap(), json);
    assert_eq!(serde_json::from_str::<SessionId>(&json).unwrap(), session());
    let error = serde_json::from_str::<RequestId>(&json).unwrap_err();
    assert!(error.to_string().starts_with("expected a request id req_..., got a session id"), "{error}");
    for json in ["null", "1", "[]", "{}", "\"\""] {
        assert!(serde_json::from_str::<SessionId>(json).is_err(), "{json}");
    }
}

#[test]
fn openapi_describes_an_id_by_its_pattern() {
    let schema = serde_json::to_value(SessionId::schema()).unwrap();
    assert_eq!(schema["type"], "string");
    assert_eq!(schema["pattern"], "^sess_[0-7][0-9A-HJKMNP-TV-Z]{25}$");
    assert_eq!(schema["minLength"], TEXT.len());
    assert_eq!(schema["maxLength"], TEXT.len());
    assert_eq!(<SessionId as utoipa::ToSchema>::name(), "SessionId");
}

proptest! {
    #[test]
    fn every_id_survives_text_json_and_role_name(bits: u128) {
        let id = SessionId::from_uuid(Uuid::from_u128(bits));
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(serde_json::from_value::<SessionId>(serde_json::to_value(id).unwrap()).unwrap(), id);
        prop_assert_eq!(id.role_name().as_str().parse(), Ok(id.role_name()));
        prop_assert_eq!(id.role_name().session(), id);
    }

    #[test]
    fn ids_sort_as_their_texts_do(one: u128, other: u128) {
        let (one, other) = (JobId::from_uuid(Uuid::from_u128(one)), JobId::from_uuid(Uuid::from_u128(other)));
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }

    #[test]
    fn any_text_is_refused_or_is_the_one_spelling(text in "\\PC*|sess_[0-9A-Z]{24,28}|sess_\\PC{0,30}") {
        if let Ok(id) = text.parse::<SessionId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
