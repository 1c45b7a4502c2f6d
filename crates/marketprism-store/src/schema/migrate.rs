//! Brings a database to the version of this release, or refuses it. Every step can be repeated.

use clickhouse::Row;
use serde::Serialize;

use super::{File, SCHEMA_VERSION, SchemaMode, Tier, make_database};
use crate::client::Store;
use crate::error::StoreError;
use crate::insert::now_micros;

/// What [`Store::migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The version the database has now.
    pub version: u32,
    /// Names of the files applied by this call.
    pub applied: Vec<&'static str>,
}

#[derive(Debug, Row, Serialize)]
struct VersionRow<'a> {
    version: u32,
    name: &'a str,
    applied_at: i64,
}

impl Store {
    /// Applies the schema files that the database lacks, where `mode` allows it, and checks the result: for the service whose
    /// tier it is.
    ///
    /// # Errors
    /// [`StoreError::SchemaNewer`], [`StoreError::SchemaOlder`], [`StoreError::SchemaDiffers`],
    /// [`StoreError::NotDurable`]: nothing that exists was changed. [`StoreError::Request`] when the server does not do it.
    pub async fn migrate(&self, tier: Tier, mode: SchemaMode) -> Result<Migrated, StoreError> {
        let migrated = self.bring_up(tier, mode).await?;
        self.make_durable(tier, mode).await?;
        Ok(migrated)
    }

    /// Checks the schema of a tier that is another service's. How durable its inserts are is the business of that one.
    ///
    /// # Errors
    /// As [`Store::migrate`], but for durability.
    pub async fn find(&self, tier: Tier) -> Result<Migrated, StoreError> {
        self.bring_up(tier, SchemaMode::Check).await
    }

    async fn bring_up(&self, tier: Tier, mode: SchemaMode) -> Result<Migrated, StoreError> {
        let database = &self.config.database;
        let mut seen = self.versions_applied().await?;
        let known = tier.files().last().map_or(0, |file| file.version);
        if let Some(found) = seen.iter().copied().max().filter(|found| *found > known) {
            return Err(StoreError::SchemaNewer { database: database.clone(), found, known });
        }
        let lacking: Vec<&File> = tier.files().iter().filter(|file| !seen.contains(&file.version)).collect();
        if mode == SchemaMode::Check && !lacking.is_empty() {
            let missing = lacking.iter().map(|file| file.name).collect::<Vec<_>>().join(", ");
            return Err(StoreError::SchemaOlder { database: database.clone(), missing });
        }
        if !lacking.is_empty() {
            let make = make_database(database, self.config.placement());
            self.ask("create the database", self.server.query_raw(&make).execute()).await?;
            for statement in SCHEMA_VERSION.statements(database, self.config.placement()) {
                self.execute("create schema_version", &statement).await?;
            }
        }
        for file in &lacking {
            self.apply(file).await?;
            seen.push(file.version);
        }
        self.check_schema(tier).await?;
        Ok(Migrated { version: known, applied: lacking.iter().map(|file| file.name).collect() })
    }

    /// Empty where there is no database or no table of versions yet.
    async fn versions_applied(&self) -> Result<Vec<u32>, StoreError> {
        let exists = self
            .server
            .query("SELECT count() FROM system.tables WHERE database = ? AND name = 'schema_version'")
            .bind(&self.config.database)
            .fetch_one::<u64>();
        if self.ask("look for schema_version", exists).await? == 0 {
            return Ok(Vec::new());
        }
        let versions = self.client.query("SELECT DISTINCT version FROM schema_version").fetch_all::<u32>();
        self.ask("read schema_version", versions).await
    }

    async fn apply(&self, file: &File) -> Result<(), StoreError> {
        let operation = format!("apply schema file {}", file.name);
        for statement in file.statements(&self.config.database, self.config.placement()) {
            self.execute(&operation, &statement).await?;
        }
        let row = VersionRow { version: file.version, name: file.name, applied_at: now_micros() };
        let written = async {
            let mut insert = self.inserter.insert::<VersionRow<'_>>("schema_version").await?;
            insert.write(&row).await?;
            insert.end().await
        };
        self.ask(&operation, written).await?;
        tracing::info!(database = self.config.database, file = file.name, "schema file applied");
        Ok(())
    }
}
