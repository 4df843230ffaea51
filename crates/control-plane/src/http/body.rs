//! Request bodies: one JSON object, read strictly, with errors that name the field.
//!
//! Always holds: nothing is inflated, nothing is converted (no number from a string, no rounding, no array for an
//! object), an unknown or repeated field is refused, and no message repeats a value that a caller sent.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderMap, header};
use garde::Validate;
use gk_shared::problem::ErrorCode;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::problem::ApiError;
use crate::plane::Plane;

/// Most bytes that a body has.
pub const MAX_BODY: usize = 64 * 1024;
/// Most bytes of an observation, which lists every role of a target: 10,000 of them fit.
pub const MAX_OBSERVATION: usize = 4 * 1024 * 1024;

/// What can be read from a body: a type whose limits stand beside it.
pub trait Input: DeserializeOwned + Validate<Context = ()> {}
impl<T: DeserializeOwned + Validate<Context = ()>> Input for T {}

/// A body that must be there.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

/// A body that may be as large as an observation.
#[derive(Debug)]
pub struct LargeBody<T>(pub T);

impl<S, T: Input> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    Plane: FromRef<S>,
{
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        read_object(&read_bytes(request, MAX_BODY, body_time(state)).await?).map(Self)
    }
}

impl<S, T: Input> FromRequest<S> for LargeBody<T>
where
    S: Send + Sync,
    Plane: FromRef<S>,
{
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        read_object(&read_bytes(request, MAX_OBSERVATION, body_time(state)).await?).map(Self)
    }
}

impl<S, T: Input + Default> FromRequest<S> for OptionalBody<T>
where
    S: Send + Sync,
    Plane: FromRef<S>,
{
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_encoding(request.headers())?;
        let declared = check_type(request.headers());
        let bytes = read_bytes(request, MAX_BODY, body_time(state)).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        declared?;
        read_object(&bytes).map(Self)
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::new(ErrorCode::EncodingNotSupported, "the request has a Content-Encoding"));
    }
    Ok(())
}

/// `application/json`, which is UTF-8 by definition; a charset may repeat that and say nothing else.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    check_encoding(headers)?;
    let bad = |detail: &str| Err(ApiError::new(ErrorCode::UnsupportedMediaType, detail));
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return bad("the request needs one Content-Type, application/json");
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let (media, parameters) = text.split_once(';').unwrap_or((&text, ""));
    let parameter = parameters.trim().replace('"', "");
    if media.trim() != "application/json" {
        return bad("the body is declared as something other than application/json");
    }
    if !matches!(parameter.as_str(), "" | "charset=utf-8" | "charset=utf8") {
        return bad("the body is declared as something other than UTF-8");
    }
    Ok(())
}

fn body_time<S>(state: &S) -> Duration
where
    Plane: FromRef<S>,
{
    Plane::from_ref(state).limits.body
}

async fn read_bytes(request: Request, max: usize, time: Duration) -> Result<Bytes, ApiError> {
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_large = || ApiError::new(ErrorCode::BodyTooLarge, format!("the body is larger than {max} bytes"));
    if declared.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(time, axum::body::to_bytes(request.into_body(), max));
    let Ok(read) = read.await else {
        return Err(ApiError::new(ErrorCode::RequestTimeout, "the body took too long to arrive"));
    };
    read.map_err(|error| {
        let of_size = std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
        if of_size { too_large() } else { bad_json(1, 1, "the body broke off") }
    })
}

fn bad_json(line: usize, column: usize, what: &str) -> ApiError {
    ApiError::new(ErrorCode::BadJson, format!("line {line}, column {column}: {what}"))
}

/// Where `bytes[at]` stands, for people.
fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

/// Reads one JSON object as a `T`.
///
/// # Errors
/// What is wrong with it, with the place or the field, and never with the value.
pub fn read_object<T: Input>(bytes: &[u8]) -> Result<T, ApiError> {
    if let Err(error) = str::from_utf8(bytes) {
        let (line, column) = place(bytes, error.valid_up_to());
        return Err(bad_json(line, column, "the body is not UTF-8"));
    }
    // A struct may be read from an array, and a BOM is no JSON, so the first character decides.
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    if bytes.get(start) != Some(&b'{') {
        let (line, column) = place(bytes, start);
        return Err(bad_json(line, column, "expected an object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    reader.end().map_err(|error| explain("", &error))?;
    value.validate().map_err(|report| beyond_limits(&report))?;
    Ok(value)
}

/// The first field that is beyond the limits that stand beside its type.
fn beyond_limits(report: &garde::Report) -> ApiError {
    let Some((path, error)) = report.iter().next() else { return ApiError::new(ErrorCode::InvalidRequest, "") };
    let field = camel_case(&path.to_string());
    let code = match field.as_str() {
        "ttlSeconds" | "ttlMinutes" => ErrorCode::InvalidTtl,
        // The lists of an observation: what does not fit goes into another one.
        "roles" | "dropped" => ErrorCode::BodyTooLarge,
        _ => ErrorCode::InvalidRequest,
    };
    ApiError::new(code, format!("`{}`: {}", clean(&field), shorten(&error.to_string(), 200)))
}

/// The name of a field as it is written in JSON.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &head.to_uppercase() + tail
    })
}

/// Turns the reader's words into one of our codes.
fn explain(path: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => explain_data(path, &text),
        // The one fault of form that is about a value: a number beyond all numbers.
        serde_json::error::Category::Syntax if text.starts_with("number out of range") => {
            let code = if is_ttl(path) { ErrorCode::InvalidTtl } else { ErrorCode::InvalidType };
            ApiError::new(code, format!("line {line}, column {column}: the number is out of range"))
        }
        serde_json::error::Category::Eof => bad_json(line, column, "the object ends too soon"),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            bad_json(line, column, what)
        }
    }
}

fn is_ttl(path: &str) -> bool {
    matches!(last(path), "ttlSeconds" | "ttlMinutes")
}

/// The field's own name, without the list place after it.
fn last(path: &str) -> &str {
    let name = path.rsplit('.').find(|part| !part.is_empty()).unwrap_or_default();
    name.split('[').next().unwrap_or_default()
}

fn explain_data(path: &str, text: &str) -> ApiError {
    let text = text.rsplit_once(" at line ").map_or(text, |(what, _)| what);
    let quoted = |text: &str| text.split('`').nth(1).map_or_else(String::new, clean);
    if let Some(rest) = text.strip_prefix("unknown field ") {
        let (field, known) = rest.split_once(", ").unwrap_or((rest, ""));
        let known = known.replace('`', "").replace("expected one of ", "").replace("expected ", "");
        let hint = format!("Remove the field. Known here: {}.", shorten(&known, 300));
        return ApiError::new(ErrorCode::UnknownField, format!("unknown field `{}`", quoted(field))).hint(hint);
    }
    if text.starts_with("duplicate field ") {
        return ApiError::new(ErrorCode::InvalidRequest, format!("the field `{}` is given twice", quoted(text)));
    }
    if text.starts_with("missing field ") {
        return ApiError::new(ErrorCode::InvalidType, format!("the field `{}` is missing", quoted(text)));
    }
    for start in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = text.strip_prefix(start) {
            let code = if is_ttl(path) { ErrorCode::InvalidTtl } else { ErrorCode::InvalidType };
            let (found, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, "another type"));
            return ApiError::new(
                code,
                format!("`{}` must be {}, got {}", clean(path), shorten(expected, 100), kind(found)),
            );
        }
    }
    // What our own types say of a value; they shorten it themselves.
    ApiError::new(code_of(path), format!("`{}`: {}", clean(path), shorten(text, 300)))
}

/// The code for a text that its type refused.
fn code_of(path: &str) -> ErrorCode {
    match last(path) {
        "target" | "role" | "actor" | "name" | "targets" | "groups" | "exceptTargets" => ErrorCode::InvalidName,
        "sessionId" | "dropped" => ErrorCode::InvalidId,
        "ttlSeconds" | "ttlMinutes" => ErrorCode::InvalidTtl,
        _ => ErrorCode::InvalidRequest,
    }
}

/// What was found, without its value: `string "..."` becomes `a string`.
fn kind(found: &str) -> &'static str {
    let word = found.split([' ', '`', '"']).next().unwrap_or_default();
    match word {
        "string" => "a string",
        "integer" => "a number out of range",
        "floating" => "a number that is not a whole one",
        "boolean" => "a boolean",
        "null" | "unit" => "null",
        "sequence" => "a list",
        "map" => "an object",
        _ => "something else",
    }
}

fn clean(text: &str) -> String {
    shorten(text, 60)
}

fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).map(|found| if found.is_control() { '?' } else { found }).collect();
    if text.chars().nth(most).is_some() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::wire::session::CreateSession;

    fn refused(body: &[u8]) -> (String, String) {
        let error = read_object::<CreateSession>(body).unwrap_err();
        (error.code().to_owned(), error.detail().to_owned())
    }

    #[test]
    fn what_is_no_object_is_bad_json_with_its_place() {
        for body in ["", "null", "[]", "\"x\"", "1", "  \n 7", "\u{feff}{}"] {
            let (code, detail) = refused(body.as_bytes());
            assert_eq!(code, "bad_json", "{body:?}");
            assert!(detail.contains("expected an object"), "{detail}");
        }
        assert!(refused(b"  \n 7").1.starts_with("line 2, column 2"));
        let (code, detail) = refused(b"{\n \"target\": }");
        assert_eq!((code.as_str(), detail.starts_with("line 2, column")), ("bad_json", true), "{detail}");
        assert_eq!(refused(b"{\"target\": \"\xff\"}").1, "line 1, column 13: the body is not UTF-8");
        assert_eq!(refused(b"{\"target\":\"\\ud800\"}").0, "bad_json");
        assert_eq!(refused(b"{\"target\":\"a\x00\"}").0, "bad_json");
        assert_eq!(refused(br#"{"target":"a","role":"b"} x"#).0, "bad_json");
    }

    #[test]
    fn a_field_that_is_unknown_missing_repeated_or_of_another_type_is_named() {
        for (body, code, says) in [
            (r#"{"approved":true}"#, "unknown_field", "`approved`"),
            (r#"{"target":"a"}"#, "invalid_type", "`role` is missing"),
            (r#"{"target":"a","target":"b"}"#, "invalid_request", "`target` is given twice"),
            (r#"{"target":7}"#, "invalid_type", "`target` must be a string, got a number"),
            (r#"{"target":"a b sslmode=disable"}"#, "invalid_name", "letters, digits"),
            (r#"{"target":"a\u0000"}"#, "invalid_name", "U+0000"),
        ] {
            let (found, detail) = refused(body.as_bytes());
            assert_eq!(found, code, "{body}: {detail}");
            assert!(detail.contains(says), "{detail}");
        }
    }

    #[test]
    fn no_number_is_made_from_anything_but_a_whole_number() {
        for value in [r#""15""#, "15.0", "1e1", "15.5", "true", "-1", "9007199254740993", "1e400", "[]", "{}"] {
            let body = format!(r#"{{"target":"a","role":"b","ttlMinutes":{value}}}"#);
            assert_eq!(refused(body.as_bytes()).0, "invalid_ttl", "{value}");
        }
    }

    #[test]
    fn a_value_is_never_repeated_whole() {
        let long = "s3cret".repeat(10_000);
        for body in [
            format!(r#"{{"target":"{long}"}}"#),
            format!(r#"{{"target":"a","role":"b","ttlSeconds":"{long}"}}"#),
            format!(r#"{{"{long}":1}}"#),
        ] {
            assert!(refused(body.as_bytes()).1.len() < 400);
        }
    }
}
