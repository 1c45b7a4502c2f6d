//! The tables of both tiers: numbered files of SQL, applied in order and never edited after a release.
//!
//! The nine message tables and the views on them are the same in both tiers; the hot tier adds `stream_epochs`, the cold
//! one `replication_log` and `release_log`. What the files add up to is written down in `columns.tsv`, which the start-up
//! check compares with the server and a test compares with what the files really make.

mod check;
pub(crate) mod columns;
mod durability;
mod migrate;
mod placement;

use serde::{Deserialize, Serialize};

pub use columns::{Column, columns};
pub use migrate::Migrated;
pub use placement::Placement;

/// Which of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Written by hot-storage, days.
    Hot,
    /// Written by cold-storage, for ever.
    Cold,
}

/// What a service may do about the schema when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// Apply what is missing, then check.
    #[default]
    Apply,
    /// Only check.
    Check,
}

/// One numbered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its number: the schema version it leads to.
    pub version: u32,
    /// `0001_trades`
    pub name: &'static str,
    template: &'static str,
}

impl File {
    /// The statements for one database, each of which can be repeated. A line `;` ends all but the last.
    #[must_use]
    pub fn statements(&self, database: &str, placement: Placement<'_>) -> Vec<String> {
        let text = self.template.replace("{database}", &format!("`{database}`"));
        // The engine last: its own {database} is for the server.
        let text =
            text.replace("{on_cluster}", &placement.on_cluster()).replace("{engine}", placement.engine);
        text.split("\n;\n").map(|statement| format!("{}\n", statement.trim_end())).collect()
    }
}

macro_rules! file {
    ($version:literal, $folder:literal, $name:literal) => {
        File {
            version: $version,
            name: $name,
            template: include_str!(concat!("../../schema/", $folder, "/", $name, ".sql")),
        }
    };
}

/// The table of versions itself, made before anything else.
const SCHEMA_VERSION: File = file!(0, "both", "0000_schema_version");

const HOT: &[File] = &[
    file!(1, "both", "0001_trades"),
    file!(2, "both", "0002_orderbooks"),
    file!(3, "both", "0003_funding_rates"),
    file!(4, "both", "0004_open_interests"),
    file!(5, "both", "0005_liquidations"),
    file!(6, "both", "0006_lsr_top_positions"),
    file!(7, "both", "0007_lsr_all_accounts"),
    file!(8, "both", "0008_volatility_indices"),
    file!(9, "both", "0009_gaps"),
    file!(10, "hot", "0010_stream_epochs"),
    file!(11, "both", "0011_trade_sequence"),
    file!(12, "both", "0012_views"),
    file!(13, "hot", "0013_stream_losses"),
];

const COLD: &[File] = &[
    file!(1, "both", "0001_trades"),
    file!(2, "both", "0002_orderbooks"),
    file!(3, "both", "0003_funding_rates"),
    file!(4, "both", "0004_open_interests"),
    file!(5, "both", "0005_liquidations"),
    file!(6, "both", "0006_lsr_top_positions"),
    file!(7, "both", "0007_lsr_all_accounts"),
    file!(8, "both", "0008_volatility_indices"),
    file!(9, "both", "0009_gaps"),
    file!(10, "cold", "0010_replication_log"),
    file!(11, "both", "0011_trade_sequence"),
    file!(12, "both", "0012_views"),
    file!(13, "cold", "0013_release_log"),
];

impl Tier {
    /// `hot` or `cold`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cold => "cold",
        }
    }

    /// The tier's numbered files, in order.
    #[must_use]
    pub const fn files(self) -> &'static [File] {
        match self {
            Self::Hot => HOT,
            Self::Cold => COLD,
        }
    }
}

/// Every statement that makes a tier's database, in order: for operators who apply it themselves, and for documentation.
#[must_use]
pub fn statements(tier: Tier, database: &str, placement: Placement<'_>) -> Vec<String> {
    let make = format!("{}\n", make_database(database, placement));
    let files = std::iter::once(&SCHEMA_VERSION).chain(tier.files());
    std::iter::once(make).chain(files.flat_map(|file| file.statements(database, placement))).collect()
}

pub(crate) fn make_database(database: &str, placement: Placement<'_>) -> String {
    format!("CREATE DATABASE IF NOT EXISTS `{database}`{}", placement.on_cluster())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_without_a_hole_and_keep_no_placeholder() {
        for tier in [Tier::Hot, Tier::Cold] {
            for (file, version) in tier.files().iter().zip(1..) {
                assert_eq!(file.version, version);
                assert!(file.name.starts_with(&format!("{version:04}_")), "{}", file.name);
            }
            for statement in statements(tier, "somewhere", Placement::SINGLE) {
                assert!(!statement.contains([';', '?']), "{statement}");
                // What is left are parameters of views: {at:DateTime64(6, 'UTC')}.
                let holders = statement.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
                assert!(holders.into_iter().all(|inside| inside.contains(':')), "{statement}");
                assert!(statement.contains("`somewhere`"), "{statement}");
            }
        }
    }
}
