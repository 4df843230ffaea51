//! Names: what the rules let through is safe everywhere; what they refuse is refused with a useful sentence.

use proptest::prelude::*;
use utoipa::PartialSchema as _;

use super::*;

fn refusal<T: FromStr<Err = NameError>>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(_) => panic!("{text:?} was taken"),
        Err(error) => {
            assert_eq!(error.code(), "invalid_name");
            error.to_string()
        }
    }
}

#[test]
fn ordinary_names_are_taken() {
    for name in ["pg-local", "prod", "9lives", "A_b-C", "x", &"x".repeat(63)] {
        assert_eq!(name.parse::<TargetName>().unwrap().as_str(), name);
    }
    for name in ["app_read", "a", &"p".repeat(31)] {
        assert_eq!(name.parse::<PackName>().unwrap().to_string(), name);
    }
    // Well-formed, so it is the policy that refuses them: role_not_allowed, with an audit entry.
    for name in ["postgres", "pg_read_server_files", "gk_owner"] {
        assert!(name.parse::<PackName>().is_ok(), "{name}");
    }
}

#[test]
fn a_target_name_that_smuggles_something_in_is_refused() {
    let message = refusal::<TargetName>("prod; drop table x");
    assert_eq!(message, "target name `prod; drop table x` has `;` (U+003B): use only ASCII letters, digits, - and _");
    for text in [
        "a b sslmode=disable",
        "a=b",
        "a/b",
        "a.b",
        "a'b",
        "a\"b",
        "a\\b",
        "a\0b",
        "a\nb",
        "a%00b",
        "../x",
        "a:b",
        "a@b",
        " a",
        "a ",
    ] {
        let message = refusal::<TargetName>(text);
        assert!(message.contains("letters, digits, - and _"), "{text:?}: {message}");
    }
}

#[test]
fn a_look_alike_letter_is_named_by_its_code_point() {
    let message = refusal::<TargetName>("\u{440}rod");
    assert_eq!(message, "target name `<U+0440>rod` has U+0440: use only ASCII letters, digits, - and _");
}

#[test]
fn a_name_too_long_says_how_long_and_is_shortened() {
    let message = refusal::<TargetName>(&"x".repeat(300));
    assert!(message.contains("has 300 characters: at most 63 are allowed"), "{message}");
    assert!(message.contains("xxx...`"), "{message}");
    assert!(refusal::<TargetName>(&"x".repeat(60_000)).len() < 200);
    assert!(refusal::<TargetName>(&"\u{440}".repeat(60_000)).len() < 500);
    assert!(refusal::<PackName>(&"x".repeat(32)).contains("at most 31"));
}

#[test]
fn an_empty_name_and_a_wrong_start_are_refused() {
    assert_eq!(
        refusal::<TargetName>(""),
        "a target name needs at least one character: use ASCII letters, digits, - and _"
    );
    assert_eq!(refusal::<TargetName>("-rf"), "target name `-rf` must start with a letter or a digit");
    assert_eq!(refusal::<ActorName>("_x"), "actor name `_x` must start with a letter or a digit");
    assert_eq!(refusal::<PackName>("1x"), "role `1x` must start with a lower-case letter");
    assert!(refusal::<PackName>("App_read").contains("`A` (U+0041): use only lower-case"));
    assert_eq!(refusal::<PgIdent>("1x"), "SQL name `1x` must start with a lower-case letter or _");
}

#[test]
fn a_role_name_is_only_what_a_session_gives() {
    let good = "gk_01arz3ndektsv4rrffq69g5fav";
    let role: RoleName = good.parse().unwrap();
    assert_eq!(role.session().to_string(), "sess_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(role, RoleName::of(role.session()));
    for text in [
        "",
        "postgres",
        "gk_",
        "gk_owner",
        "gk_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "gk_81arz3ndektsv4rrffq69g5fav",
        "gk_01arz3ndektsv4rrffq69g5fa",
        "gk_01arz3ndektsv4rrffq69g5favv",
        "gk_o1arz3ndektsv4rrffq69g5fav",
        "gk_01arz3ndektsv4rrffq69g5fav\"",
        "GK_01arz3ndektsv4rrffq69g5fav",
        "gk_\u{17f}1arz3ndektsv4rrffq69g5fav",
    ] {
        assert!(refusal::<RoleName>(text).contains("is not written like"), "{text}");
    }
}

#[test]
fn pack_versions_sort_by_number_and_have_one_spelling() {
    let version = |text: &str| text.parse::<PackVersion>().unwrap();
    assert!(version("pg-1.9.0") < version("pg-1.10.0"));
    assert_eq!(version("pg-1.0.0").to_string(), "pg-1.0.0");
    assert_eq!((version("pg-1.2.3").engine(), version("pg-1.2.3").numbers()), ("pg", [1, 2, 3]));
    for text in [
        "",
        "pg",
        "pg-",
        "pg-1",
        "pg-1.0",
        "pg-1.0.0.0",
        "pg-01.0.0",
        "pg-+1.0.0",
        "pg-1.0.65536",
        "PG-1.0.0",
        "-1.0.0",
        "pg-1.0.0 ",
        "pg-1..0",
        "pg 1.0.0",
        "p\u{440}-1.0.0",
        "seventeen_letters-1.0.0",
    ] {
        assert!(refusal::<PackVersion>(text).contains("is not written like `pg-1.0.0`"), "{text}");
    }
}

#[test]
fn json_names_pass_the_same_rule() {
    let name: TargetName = serde_json::from_str("\"pg-local\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"pg-local\"");
    for json in ["\"a b\"", "\"\"", "null", "1", "[\"x\"]", "\"\\u0000\"", "\"\\u0440rod\""] {
        assert!(serde_json::from_str::<TargetName>(json).is_err(), "{json}");
    }
    let error = serde_json::from_str::<TargetName>("\"\\u0440rod\"").unwrap_err();
    assert!(error.to_string().contains("U+0440"), "{error}");
}

#[test]
fn openapi_knows_pattern_and_length() {
    let schema = serde_json::to_value(TargetName::schema()).unwrap();
    assert_eq!(schema["pattern"], "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$");
    assert_eq!((&schema["minLength"], &schema["maxLength"]), (&1.into(), &63.into()));
    assert_eq!(serde_json::to_value(PackName::schema()).unwrap()["maxLength"], 31);
}

#[test]
fn every_example_in_a_schema_passes_its_own_rule() {
    fn check<T: FromStr<Err = NameError> + utoipa::PartialSchema>() {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let example = schema["examples"][0].as_str().unwrap();
        assert!(example.parse::<T>().is_ok(), "{example}");
    }
    check::<TargetName>();
    check::<PackName>();
    check::<ActorName>();
    check::<GroupName>();
    check::<AgentName>();
    check::<PgIdent>();
    check::<RoleName>();
    check::<PackVersion>();
}

proptest! {
    #[test]
    fn what_is_taken_fits_the_published_pattern(text in "\\PC{0,70}|[A-Za-z0-9_-]{0,66}") {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        prop_assert_eq!(text.parse::<TargetName>().is_ok(), plain(&text) && starts && text.len() <= 63);
    }

    #[test]
    fn no_name_parser_panics_and_no_message_floods(text in any::<String>()) {
        for message in [
            text.parse::<TargetName>().err(),
            text.parse::<PackName>().err(),
            text.parse::<PgIdent>().err(),
            text.parse::<RoleName>().err(),
            text.parse::<PackVersion>().err(),
        ].into_iter().flatten().map(|error| error.to_string()) {
            prop_assert!(message.len() < 600, "{}", message);
            prop_assert!(message.chars().all(|found| found.is_ascii_graphic() || found == ' '), "{}", message);
        }
    }

    #[test]
    fn versions_survive_their_text(major: u16, minor: u16, patch: u16) {
        let text = format!("pg-{major}.{minor}.{patch}");
        prop_assert_eq!(text.parse::<PackVersion>().unwrap().to_string(), text);
    }
}
