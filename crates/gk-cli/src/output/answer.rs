//! The answer of a command: as text, as one JSON object, or one field of that.

use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::CliError;

/// What a command has to say on stdout. It may hold a secret, so it has no `Debug` and its text is wiped.
#[must_use = "an answer is for printing"]
pub(crate) struct Answer {
    body: Value,
    text: Zeroizing<String>,
}

impl Answer {
    /// An answer that says the same as `text` and as JSON under `schema`.
    pub(crate) fn new(schema: &str, body: &impl Serialize, text: impl Into<String>) -> Self {
        Self { body: with_schema(schema, body), text: Zeroizing::new(text.into()) }
    }

    /// What goes to stdout.
    pub(crate) fn render(&self, json: bool, field: Option<&FieldPath>) -> Result<Zeroizing<String>, CliError> {
        let mut text = match field {
            Some(path) => path.find(&self.body)?,
            None if json => Zeroizing::new(self.body.to_string()),
            None => self.text.clone(),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }
}

/// `body` with the name of its schema in front. A body that is no object stands under `value`.
pub(crate) fn with_schema(schema: &str, body: &impl Serialize) -> Value {
    let mut object = Map::new();
    object.insert("schema".to_owned(), Value::from(schema));
    match serde_json::to_value(body).expect("answers have text keys and finite numbers only") {
        Value::Object(fields) => object.extend(fields),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            object.insert("value".to_owned(), other);
        }
    }
    Value::Object(object)
}

/// `a.b.0`: the way to one value in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath(Vec<String>);

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if parts.iter().any(String::is_empty) {
            return Err("a field is written like expiresAt or sessions.0.status".to_owned());
        }
        Ok(Self(parts))
    }
}

impl FieldPath {
    /// Whether the first step is one of these names.
    pub(super) fn check(&self, known: &[&str]) -> Result<(), CliError> {
        match self.0.first() {
            Some(first) if !known.contains(&first.as_str()) => {
                let fault = CliError::usage(format!("--field: the answer has no `{first}`"));
                Err(fault.why(format!("there is: {}", known.join(", "))))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The value at this path: text without quotes, anything else as JSON.
    fn find(&self, body: &Value) -> Result<Zeroizing<String>, CliError> {
        let mut at = body;
        for part in &self.0 {
            let inner = match at {
                Value::Object(fields) => fields.get(part),
                Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            at = inner.ok_or_else(|| missing(part, at))?;
        }
        Ok(Zeroizing::new(match at {
            Value::String(text) => text.clone(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => at.to_string(),
        }))
    }
}

fn missing(part: &str, at: &Value) -> CliError {
    let there = match at {
        Value::Object(fields) => fields.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        Value::Array(items) => format!("0 to {}", items.len().saturating_sub(1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => "nothing below it".to_owned(),
    };
    CliError::usage(format!("--field: the answer has no `{part}`")).why(format!("there is: {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(path: &str) -> Result<String, CliError> {
        let answer = Answer::new("gk.x.v1", &json!({"a": {"b": [1, "two"]}}), "text");
        answer.render(false, Some(&path.parse().expect("a path"))).map(|text| text.trim_end().to_owned())
    }

    #[test]
    fn a_field_is_printed_bare_and_a_wrong_one_names_what_there_is() {
        assert_eq!(field("a.b.1").expect("is there"), "two");
        assert_eq!(field("a.b").expect("is there"), r#"[1,"two"]"#);
        assert_eq!(field("schema").expect("is there"), "gk.x.v1");
        assert!(field("a.c").expect_err("is not there").message().contains("no `c`"));
        assert!("a..b".parse::<FieldPath>().is_err());
    }

    #[test]
    fn the_schema_stands_first_and_a_line_end_last() {
        let answer = Answer::new("gk.x.v1", &json!({"a": 1}), "text");
        assert_eq!(answer.render(true, None).expect("renders").as_str(), "{\"schema\":\"gk.x.v1\",\"a\":1}\n");
        assert_eq!(answer.render(false, None).expect("renders").as_str(), "text\n");
    }
}
