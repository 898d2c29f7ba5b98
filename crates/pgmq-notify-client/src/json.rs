//! Serialised once, sent as `jsonb`.

use serde::Serialize;
use sqlx::Postgres;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::types::Type;

use crate::{ClientError, ErrorKind};

const JSONB: Oid = Oid(3802);
const JSONB_ARRAY: Oid = Oid(3807);

/// The only version of `jsonb` on the wire.
pub(crate) const JSONB_VERSION: u8 = 1;

/// JSON text on its way to the server.
#[derive(Clone, Debug)]
pub(crate) struct JsonText(Box<str>);

impl JsonText {
    /// `what` is a message, or its headers.
    pub(crate) fn new<M: Serialize + ?Sized>(what: &str, value: &M) -> Result<Self, ClientError> {
        match serde_json::to_string(value) {
            Ok(text) => Ok(Self(text.into())),
            Err(error) => Err(ClientError::new(
                ErrorKind::Serialize,
                format!("{what} does not serialise to JSON"),
            )
            .because(error)),
        }
    }

    /// `{}`
    pub(crate) fn empty_object() -> Self {
        Self("{}".into())
    }
}

impl Type<Postgres> for JsonText {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSONB)
    }
}

impl PgHasArrayType for JsonText {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSONB_ARRAY)
    }
}

impl Encode<'_, Postgres> for JsonText {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(JSONB_VERSION);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        self.0.len() + 1
    }
}
