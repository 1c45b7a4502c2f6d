//! Whether an insert that was answered survives a power cut: two settings of each table. They are made so where we may
//! change the schema, and demanded where we may not.

use super::{SchemaMode, Tier, columns};
use crate::client::Store;
use crate::error::StoreError;

/// The files of an insert, and the folder they are in, are on the disk before it is answered.
const SETTINGS: [&str; 2] = ["fsync_after_insert", "fsync_part_directory"];

impl Store {
    /// Makes inserts durable, or not, as configured; only what differs is changed.
    ///
    /// # Errors
    /// [`StoreError::NotDurable`] where nothing may be changed and more is lacking than the configuration accepts.
    pub(super) async fn make_durable(&self, tier: Tier, mode: SchemaMode) -> Result<(), StoreError> {
        let lacking = self.tables_not_as_configured(tier).await?;
        match mode {
            SchemaMode::Apply => {
                for (table, _) in lacking {
                    self.set_durability(table).await?;
                }
            }
            // More than is asked for does no harm.
            SchemaMode::Check if self.config.fsync && !lacking.is_empty() => {
                let database = self.config.database.clone();
                let lacking =
                    lacking.iter().map(|(table, setting)| format!("{table}: {setting} = 0")).collect();
                return Err(StoreError::NotDurable { database, lacking });
            }
            SchemaMode::Check => {}
        }
        Ok(())
    }

    async fn set_durability(&self, table: &str) -> Result<(), StoreError> {
        let on = u8::from(self.config.fsync);
        let [file, folder] = SETTINGS;
        let change = format!(
            "ALTER TABLE `{table}`{} MODIFY SETTING {file} = {on}, {folder} = {on}",
            self.config.placement().on_cluster()
        );
        self.execute(&format!("set fsync of {table}"), &change).await
    }

    /// Tables of ours, and the first of their settings that is not as configured: their own, or else the server's.
    async fn tables_not_as_configured(
        &self,
        tier: Tier,
    ) -> Result<Vec<(&'static str, &'static str)>, StoreError> {
        let question = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()";
        let tables = self.client.query_raw(question).fetch_all::<(String, String)>();
        let tables = self.ask("read the settings of the tables", tables).await?;
        let question = "SELECT name, value FROM system.merge_tree_settings WHERE startsWith(name, 'fsync_')";
        let defaults = self.client.query_raw(question).fetch_all::<(String, String)>();
        let defaults = self.ask("read the server's settings of tables", defaults).await?;
        let is_on = |engine: &str, setting: &str| match engine.split_once(&format!("{setting} = ")) {
            Some((_, value)) => value.starts_with('1'),
            None => defaults.iter().any(|(name, value)| name == setting && value == "1"),
        };
        let differing = |table: &'static str| {
            let (_, engine) = tables.iter().find(|(name, _)| name == table)?;
            let setting = SETTINGS.into_iter().find(|setting| is_on(engine, setting) != self.config.fsync)?;
            Some((table, setting))
        };
        Ok(columns(tier).iter().filter(|one| one.is_table()).filter_map(|one| differing(one.table)).collect())
    }
}
