//! Parameters of statements with their types, so that a statement is parsed and run in one round trip and without a
//! name.

use tokio_postgres::types::{ToSql, Type};

/// A parameter and its type.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// What a statement may take.
pub(super) trait Parameter: ToSql + Sync {
    /// Its type in PostgreSQL.
    const TYPE: Type;
}

impl Parameter for i64 {
    const TYPE: Type = Type::INT8;
}

impl Parameter for bool {
    const TYPE: Type = Type::BOOL;
}

impl Parameter for &str {
    const TYPE: Type = Type::TEXT;
}

impl Parameter for String {
    const TYPE: Type = Type::TEXT;
}

impl Parameter for &[u8] {
    const TYPE: Type = Type::BYTEA;
}

impl Parameter for Vec<i64> {
    const TYPE: Type = Type::INT8_ARRAY;
}

impl Parameter for Vec<&str> {
    const TYPE: Type = Type::TEXT_ARRAY;
}

impl Parameter for Vec<String> {
    const TYPE: Type = Type::TEXT_ARRAY;
}

impl Parameter for Vec<Option<&str>> {
    const TYPE: Type = Type::TEXT_ARRAY;
}

impl<T: Parameter> Parameter for Option<T> {
    const TYPE: Type = T::TYPE;
}

/// A parameter with its type.
pub(super) fn param<T: Parameter>(value: &T) -> Param<'_> {
    (value, T::TYPE)
}

/// The parameters of a statement, in their order.
macro_rules! params {
    ($($value:expr),* $(,)?) => { [$($crate::store::postgres::params::param(&$value)),*] };
}
pub(super) use params;
