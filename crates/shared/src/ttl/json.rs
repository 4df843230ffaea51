//! A ttl in JSON is a whole number of seconds; in a settings file it is text, see [`text`].

use std::fmt;

use serde::de::{self, Visitor};

use super::Ttl;

impl serde::Serialize for Ttl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Ttl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u32(SecondsVisitor)
    }
}

/// Takes whole numbers only: `15.0`, `1e1` and `"15"` are refused, not converted.
struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Ttl;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("whole seconds from 5 to 86400")
    }

    fn visit_u64<E: de::Error>(self, secs: u64) -> Result<Ttl, E> {
        Ttl::from_wide(secs, || format!("{secs}s")).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, secs: i64) -> Result<Ttl, E> {
        // Below zero is too short, too.
        self.visit_u64(u64::try_from(secs).unwrap_or(0))
    }
}

impl utoipa::PartialSchema for Ttl {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .description(Some("How long the session lives, in whole seconds."))
            .minimum(Some(Self::MIN.0))
            .maximum(Some(Self::MAX.0))
            .examples([900])
            .build()
            .into()
    }
}

impl utoipa::ToSchema for Ttl {}

/// For settings that people write: `#[serde(with = "gk_shared::ttl::text")]` reads and writes `"15m"`.
pub mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use super::Ttl;

    /// Writes `15m`.
    pub fn serialize<S: Serializer>(ttl: &Ttl, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(ttl)
    }

    /// Reads `15m`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ttl, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
