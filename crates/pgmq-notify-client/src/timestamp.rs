//! `timestamp with time zone` as a `SystemTime`, without a calendar crate.

use std::time::{Duration, SystemTime};

use sqlx::Postgres;
use sqlx::decode::Decode;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::types::Type;

use crate::ClientError;

/// PostgreSQL counts from the beginning of 2000 in UTC.
const EPOCH: Duration = Duration::from_hours(262_968);
const TIMESTAMPTZ: Oid = Oid(1184);

/// The bounds of PostgreSQL's type: 4714-11-24 BC, and before 294277-01-01.
const EARLIEST: i64 = -211_813_488_000_000_000;
const AFTER_LATEST: i64 = 9_223_371_331_200_000_000;

/// A point in time as microseconds since 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(i64);

impl Timestamp {
    /// Microseconds are cut off downwards.
    pub(crate) fn new(time: SystemTime) -> Result<Self, ClientError> {
        micros_since_epoch(time)
            .filter(|micros| (EARLIEST..AFTER_LATEST).contains(micros))
            .map(Self)
            .ok_or_else(|| {
                ClientError::invalid(format!("{time:?} is beyond PostgreSQL's timestamps"))
            })
    }

    /// `infinity` becomes the farthest point that there is room for.
    pub(crate) fn time(self) -> Option<SystemTime> {
        let epoch = SystemTime::UNIX_EPOCH.checked_add(EPOCH)?;
        let distance = Duration::from_micros(self.0.unsigned_abs());
        if self.0 < 0 {
            epoch.checked_sub(distance)
        } else {
            epoch.checked_add(distance)
        }
    }
}

fn micros_since_epoch(time: SystemTime) -> Option<i64> {
    let epoch = SystemTime::UNIX_EPOCH.checked_add(EPOCH)?;
    match time.duration_since(epoch) {
        Ok(after) => i64::try_from(after.as_micros()).ok(),
        Err(before) => {
            let micros = before.duration().as_nanos().div_ceil(1000);
            i64::try_from(micros).ok().map(|micros| -micros)
        }
    }
}

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.0, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a timestamp came as text".into());
        }
        Ok(Self(i64::from_be_bytes(value.as_bytes()?.try_into()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_before_and_after_the_epoch_come_back_to_the_microsecond() {
        for micros in [0, 1, -1, 1_500_000, -946_684_800_000_000, EARLIEST] {
            let time = Timestamp(micros).time().unwrap();
            assert_eq!(Timestamp::new(time).unwrap(), Timestamp(micros));
        }
        let between = SystemTime::UNIX_EPOCH + EPOCH - Duration::from_nanos(1);
        assert_eq!(Timestamp::new(between).unwrap(), Timestamp(-1));
    }

    #[test]
    fn what_postgresql_would_take_for_infinity_is_refused() {
        let infinity = Timestamp(i64::MAX).time().unwrap();
        assert!(Timestamp::new(infinity).is_err());
        assert!(Timestamp::new(Timestamp(AFTER_LATEST).time().unwrap()).is_err());
        assert!(Timestamp::new(Timestamp(EARLIEST - 1).time().unwrap()).is_err());
    }
}
