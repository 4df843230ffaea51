//! What all our short text types share: how they travel as JSON, how OpenAPI describes them, and how an error
//! shows a value that somebody else typed.
//!
//! Always holds: a value shown in a message is short, printable ASCII, so it can neither flood a log nor
//! steer a terminal.

use std::fmt::Write as _;

/// How many characters of a value an error message repeats.
const SHOWN_CHARS: usize = 40;

/// What OpenAPI says about a text type.
pub(crate) struct TextSchema {
    pub(crate) pattern: &'static str,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) description: &'static str,
    pub(crate) example: &'static str,
}

impl TextSchema {
    /// The schema of a string under these rules.
    pub(crate) fn to_schema(&self) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let pattern = (!self.pattern.is_empty()).then_some(self.pattern);
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some(self.description))
            .pattern(pattern)
            .min_length(Some(self.min))
            .max_length(Some(self.max))
            .examples([self.example])
            .build()
            .into()
    }
}

/// `value` made safe for a message: cut to a few characters, anything unprintable written as `<U+0440>`.
pub(crate) fn shown(value: &str) -> String {
    let mut text = String::new();
    for (position, found) in value.chars().enumerate() {
        if position == SHOWN_CHARS {
            text.push_str("...");
            break;
        }
        if found.is_ascii_graphic() || found == ' ' {
            text.push(found);
        } else {
            write!(text, "<{}>", code_point(found)).expect("writing to a string cannot fail");
        }
    }
    text
}

/// A character as people look it up: `U+0440`.
pub(crate) fn code_point(found: char) -> String {
    format!("U+{:04X}", u32::from(found))
}

/// A character as a message names it: itself where it prints, and always its code point.
pub(crate) fn named(found: char) -> String {
    match found {
        ' ' => format!("a blank ({})", code_point(found)),
        found if found.is_ascii_graphic() => format!("`{found}` ({})", code_point(found)),
        found => code_point(found),
    }
}

/// Gives a type with `FromStr` and `Display` its JSON form, its `TryFrom<String>` and its OpenAPI schema.
macro_rules! text_impls {
    ($type:ident, $error:ty, $schema:expr) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<&str> for $type {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $schema.to_schema()
            }
        }

        impl utoipa::ToSchema for $type {}
    };
}

pub(crate) use text_impls;
