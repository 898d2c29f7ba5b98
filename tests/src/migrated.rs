//! Databases with the generated SQL.

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_sql::Migration;

use crate::TestDatabase;

impl TestDatabase {
    /// [`new`](Self::new), and the migration of `config` applied.
    ///
    /// # Panics
    /// If there is no server, or the migration fails.
    pub async fn migrated(config: &PgmqNotifyConfig) -> Self {
        let database = Self::new().await;
        database.migrate(config).await;
        database
    }

    /// Applies the migration of `config`.
    ///
    /// # Panics
    /// If the configuration is invalid, or the migration fails.
    pub async fn migrate(&self, config: &PgmqNotifyConfig) {
        let migration = Migration::new(config).unwrap_or_else(|error| panic!("{error}"));
        if let Err(error) = self.run(migration.up()).await {
            panic!("the migration failed: {error:?}");
        }
    }
}
