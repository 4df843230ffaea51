//! Ttl: every accepted spelling means what it says, every other one is refused with what to write instead.

use proptest::prelude::*;
use utoipa::PartialSchema as _;

use super::*;

fn secs(text: &str) -> u32 {
    text.parse::<Ttl>().unwrap_or_else(|error| panic!("{text}: {error}")).as_secs()
}

fn refusal(text: &str) -> String {
    let error = text.parse::<Ttl>().expect_err(text);
    assert_eq!(error.code(), "invalid_ttl");
    error.to_string()
}

#[test]
fn the_accepted_forms_mean_what_they_say() {
    for (text, wanted) in [
        ("5s", 5),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h30m15s", 5415),
        ("1h5s", 3605),
        ("240m", 14_400),
        ("015m", 900),
        ("0h15m", 900),
        ("1440m", 86_400),
        ("24h", 86_400),
        ("86400s", 86_400),
    ] {
        assert_eq!(secs(text), wanted, "{text}");
    }
}

#[test]
fn too_short_and_too_long_name_the_bound() {
    for text in ["0", "00", "0s", "0m", "0h", "0h0m0s", "1s", "4s"] {
        assert_eq!(refusal(text), "ttl must be at least 5s", "{text}");
    }
    for text in [
        "25h",
        "1441m",
        "86401s",
        "24h1s",
        "99999999999999999999h",
        "18446744073709551615h",
        "18446744073709551616s",
        "18446744073709551615h18446744073709551615m",
        "99999999999999999999",
        // These would wrap around to 3584s, 44s and 59s.
        "5124095576030432h",
        "307445734561825861m",
        "1m18446744073709551615s",
    ] {
        assert!(refusal(text).contains("too large: a ttl is at most 24h"), "{text}");
    }
    assert_eq!(refusal("99999999999999999999h"), "`99999999999999999999h` is too large: a ttl is at most 24h");
    assert!(refusal(&"9".repeat(100_000)).len() < 200);
    assert!(refusal(&format!("{}h", "9".repeat(100_000))).len() < 200);
}

#[test]
fn a_fraction_is_answered_with_whole_units() {
    for (text, instead) in [
        ("1.5h", "use whole units: 90m"),
        ("1.5m", "use whole units: 90s"),
        ("0.25h", "use whole units: 15m"),
        ("1.0h", "use whole units: 60m"),
        ("15.0m", "use whole units: 15m"),
        ("7.0s", "use whole units: 7s"),
        ("1.001h", "use whole units: for example 15m"),
        ("0.01s", "use whole units: for example 15m"),
        ("99.5h", "use whole units: for example 15m"),
        ("1.99999999999999999999999999h", "use whole units: for example 15m"),
        ("99999999999999999999.5h", "use whole units: for example 15m"),
    ] {
        assert!(refusal(text).ends_with(instead), "{text}: {}", refusal(text));
    }
}

#[test]
fn every_other_spelling_gets_the_accepted_forms() {
    for text in [
        "1e3s",
        "0x10m",
        "+15m",
        "-15m",
        "15M",
        "15S",
        "2H",
        "15min",
        "15 m",
        " 15m",
        "15m ",
        "15m\n",
        "15ms",
        "1d",
        "m",
        "h30m",
        "30m1h",
        "5m5m",
        "1h30",
        "1m1h",
        "1,5h",
        ".5h",
        "1.h",
        "1.5.5h",
        "1h1.5m",
        "infinity",
        "null",
        "\u{661}\u{665}m",
        "\u{2cb}",
        "15\u{2cb}",
        "\u{2cb}m",
        "1.5\u{2cb}",
        "\0",
    ] {
        assert!(
            refusal(text).ends_with("write whole units, largest first, such as 90s, 15m, 2h or 1h30m"),
            "{text:?}: {}",
            refusal(text)
        );
    }
}

#[test]
fn nothing_and_a_number_alone_are_refused() {
    assert_eq!(refusal(""), "a ttl needs a value, such as 15m");
    assert_eq!(refusal("15"), "`15` has no unit: write 15s, 15m or 15h");
}

#[test]
fn the_limit_is_inclusive_and_named_in_the_unit_that_was_used() {
    let limit: Ttl = "240m".parse().unwrap();
    let over = |text: &str| text.parse::<Ttl>().unwrap().check_limit(limit, "this target");
    assert_eq!(over("240m"), Ok(()));
    assert_eq!(over("4h"), Ok(()));
    let message = |text: &str| over(text).unwrap_err().to_string();
    assert_eq!(message("241m"), "241m is above the limit of 240m for this target");
    assert_eq!(message("5h"), "5h is above the limit of 4h for this target");
    assert_eq!(message("14401s"), "14401s is above the limit of 14400s for this target");
    assert_eq!(over("241m").unwrap_err().code(), "invalid_ttl");
}

#[test]
fn numbers_of_seconds_and_minutes_pass_the_same_bounds() {
    assert_eq!(Ttl::from_secs(900), Ttl::from_minutes(15));
    assert_eq!(Ttl::from_secs(4), Err(TtlError::TooShort));
    assert_eq!(Ttl::from_minutes(0), Err(TtlError::TooShort));
    assert_eq!(Ttl::from_minutes(1440), Ok(Ttl::MAX));
    for error in [Ttl::from_secs(86_401), Ttl::from_minutes(1441), Ttl::from_minutes(u32::MAX)] {
        assert!(matches!(error, Err(TtlError::TooLarge { .. })), "{error:?}");
    }
    assert_eq!(Ttl::MIN.as_duration(), std::time::Duration::from_secs(5));
}

#[test]
fn a_ttl_is_written_as_short_as_can_be() {
    for (secs, text) in [(5, "5s"), (60, "1m"), (90, "1m30s"), (900, "15m"), (5400, "1h30m"), (3605, "1h5s")] {
        assert_eq!(Ttl::from_secs(secs).unwrap().to_string(), text);
    }
}

#[test]
fn a_span_is_told_in_its_two_largest_units() {
    for (secs, text) in [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (900, "15m"),
        (3600, "1h"),
        (5459, "1h30m"),
        (86_400, "1d"),
        (273_600, "3d4h"),
        (u64::MAX, "213503982334601d7h"),
    ] {
        assert_eq!(humanize(secs), text);
    }
}

#[test]
fn json_takes_whole_seconds_and_coerces_nothing() {
    assert_eq!(serde_json::from_str::<Ttl>("900").unwrap(), Ttl::from_secs(900).unwrap());
    assert_eq!(serde_json::to_string(&Ttl::MAX).unwrap(), "86400");
    for (json, wanted) in [
        ("\"15\"", "invalid type: string"),
        ("15.0", "invalid type: floating point"),
        ("1e1", "invalid type: floating point"),
        ("15.5", "invalid type: floating point"),
        ("true", "invalid type: boolean"),
        ("null", "invalid type: null"),
        ("[15]", "invalid type: sequence"),
        ("-1", "ttl must be at least 5s"),
        ("0", "ttl must be at least 5s"),
        ("86401", "too large"),
        ("9007199254740993", "too large"),
        ("18446744073709551615", "too large"),
        ("99999999999999999999", "invalid type: floating point"),
        ("1e400", "number out of range"),
    ] {
        let message = serde_json::from_str::<Ttl>(json).unwrap_err().to_string();
        assert!(message.contains(wanted), "{json}: {message}");
    }
}

#[test]
fn settings_hold_a_ttl_as_text() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Settings {
        #[serde(with = "crate::ttl::text")]
        max_ttl: Ttl,
    }
    let settings: Settings = serde_json::from_str(r#"{"max_ttl":"90m"}"#).unwrap();
    assert_eq!(serde_json::to_string(&settings).unwrap(), r#"{"max_ttl":"1h30m"}"#);
    assert!(serde_json::from_str::<Settings>(r#"{"max_ttl":90}"#).is_err());
    let error = serde_json::from_str::<Settings>(r#"{"max_ttl":"15"}"#).err().unwrap();
    assert!(error.to_string().contains("has no unit"), "{error}");
}

#[test]
fn openapi_knows_the_bounds() {
    let schema = serde_json::to_value(Ttl::schema()).unwrap();
    assert_eq!(
        (&schema["type"], &schema["minimum"], &schema["maximum"]),
        (&"integer".into(), &5.into(), &86_400.into())
    );
}

proptest! {
    #[test]
    fn every_ttl_survives_text_and_json(secs in 5_u32..=86_400) {
        let ttl = Ttl::from_secs(secs).unwrap();
        prop_assert_eq!(ttl.to_string().parse(), Ok(ttl));
        prop_assert_eq!(serde_json::from_value::<Ttl>(serde_json::to_value(ttl).unwrap()).unwrap(), ttl);
    }

    #[test]
    fn the_sum_of_the_parts_is_right(hours in 0_u64..200, minutes in 0_u64..2000, seconds in 0_u64..100_000) {
        let sum = hours * 3600 + minutes * 60 + seconds;
        let parsed = format!("{hours}h{minutes}m{seconds}s").parse::<Ttl>();
        prop_assert_eq!(parsed.ok().map(|ttl| u64::from(ttl.as_secs())), (5..=86_400).contains(&sum).then_some(sum));
    }

    #[test]
    fn the_parser_never_panics_and_never_floods(text in "\\PC*|[0-9.hmse+x\u{2cb} -]{0,40}") {
        if let Err(error) = text.parse::<Ttl>() {
            prop_assert!(error.to_string().len() < 600);
        }
    }

    #[test]
    fn what_a_fraction_is_answered_with_is_accepted(whole in 0_u32..30, tenths in 0_u32..1000) {
        let text = format!("{whole}.{tenths:03}h");
        let error = text.parse::<Ttl>().unwrap_err();
        let TtlError::Fraction { instead, .. } = error else { panic!("{text}: {error}") };
        let exact = u64::from(whole * 1000 + tenths) * 3600;
        match instead.parse::<Ttl>() {
            Ok(ttl) => prop_assert_eq!(u64::from(ttl.as_secs()) * 1000, exact),
            Err(_) => prop_assert!(exact % 1000 != 0 || !(5..=86_400).contains(&(exact / 1000)), "{}", text),
        }
    }
}
