//! Reading rows: a value that does not fit is an error naming entity and column, never a panic.

use std::error::Error;
use std::str::FromStr;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::StoreError;

/// A row of a named entity.
pub(super) struct Reader<'r> {
    row: &'r Row,
    entity: &'static str,
}

impl<'r> Reader<'r> {
    pub(super) const fn new(row: &'r Row, entity: &'static str) -> Self {
        Self { row, entity }
    }

    /// A value of a type that the driver knows.
    pub(super) fn get<T: FromSql<'r>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.bad(column, error))
    }

    /// A text that is one of our words or names.
    pub(super) fn parse<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        self.get::<&str>(column)?.parse().map_err(|error| self.bad(column, error))
    }

    /// The same, where there may be none.
    pub(super) fn parse_opt<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        let text: Option<&str> = self.get(column)?;
        text.map(str::parse).transpose().map_err(|error| self.bad(column, error))
    }

    /// A list of texts that are our words or names.
    pub(super) fn parse_all<T>(&self, column: &'static str) -> Result<Vec<T>, StoreError>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        let texts: Vec<&str> = self.get(column)?;
        texts.into_iter().map(str::parse).collect::<Result<_, _>>().map_err(|error| self.bad(column, error))
    }

    /// An id, by the constructor of its kind.
    pub(super) fn id<T>(&self, column: &'static str, kind: fn(Uuid) -> T) -> Result<T, StoreError> {
        self.get(column).map(kind)
    }

    /// A number that has to fit a narrower type.
    pub(super) fn narrow<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: TryFrom<i32, Error: Error + Send + Sync + 'static>,
    {
        T::try_from(self.get::<i32>(column)?).map_err(|error| self.bad(column, error))
    }

    /// The error for this column.
    pub(super) fn bad(&self, column: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::BadRow { entity: self.entity, column, source: source.into() }
    }
}
