//! What can go wrong in the store, and the two questions callers ask of it.

/// A cause whose type is nobody's business: the ClickHouse client's errors travel as this.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An operation on ClickHouse that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The configuration cannot be used.
    #[error("invalid ClickHouse configuration: {0}")]
    Config(#[from] crate::InvalidField),
    /// No client for `https` could be built.
    #[error("failed to prepare TLS")]
    Tls(#[source] BoxError),
    /// The server did not do what was asked, or did not answer. After a failed insert nobody knows whether the rows
    /// are stored: ask [`crate::Store::stored_sequences`] before trying again.
    #[error("failed to {operation} at {url}")]
    Request {
        /// What was asked.
        operation: String,
        /// The server.
        url: String,
        /// The server's error code, where it answered with one.
        code: Option<u32>,
        /// Why it failed.
        source: BoxError,
    },
    /// Rows of several data types or days: such an insert would not be atomic. Nothing was sent.
    #[error("refused to insert into {table}: the rows are not all of one data type and one day")]
    MixedBatch {
        /// Table of the first row.
        table: &'static str,
    },
    /// The ledger of the cold tier has a hole, which no run of ours can make.
    #[error(
        "replication_log of {table} in epoch {epoch} is not contiguous: {holes} holes, the first before sequence {behind_hole}"
    )]
    LedgerBroken {
        /// The table.
        table: &'static str,
        /// The stream epoch.
        epoch: u32,
        /// How many.
        holes: u64,
        /// First sequence of the range behind the first one.
        behind_hole: u64,
    },
    /// The server is too old.
    #[error("ClickHouse at {url} is version {found}; at least {needed} is needed")]
    ServerVersion {
        /// The server.
        url: String,
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// The database was made by a newer release.
    #[error(
        "database {database} has schema version {found}, this release knows {known}: update this service first"
    )]
    SchemaNewer {
        /// The database.
        database: String,
        /// Highest version applied to it.
        found: u32,
        /// Highest version this release knows.
        known: u32,
    },
    /// The database is older than this release, and this service was told not to change it.
    #[error("database {database} lacks schema files {missing}: start once with `schema: apply`")]
    SchemaOlder {
        /// The database.
        database: String,
        /// Files not applied.
        missing: String,
    },
    /// Inserts would be answered before they are on the disk, and this service was told not to change that.
    #[error(
        "database {database} may lose acknowledged rows in a power cut ({}): set it to 1 for these tables, or accept it \
         with `clickhouse.fsync: false`",
        .lacking.join("; ")
    )]
    NotDurable {
        /// The database.
        database: String,
        /// One line a table: its setting.
        lacking: Vec<String>,
    },
    /// The tables are not as this release needs them.
    #[error("database {database} differs from the schema of this release: {}", .differences.join("; "))]
    SchemaDiffers {
        /// The database.
        database: String,
        /// One line a difference.
        differences: Vec<String>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anyone changing anything: no answer, or a server that is
    /// overloaded, starting or read-only for a while.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Request { code: None, .. } => true,
            Self::Request { code: Some(code), .. } => TRANSIENT.contains(code),
            Self::Config(_)
            | Self::Tls(_)
            | Self::MixedBatch { .. }
            | Self::LedgerBroken { .. }
            | Self::ServerVersion { .. }
            | Self::SchemaNewer { .. }
            | Self::SchemaOlder { .. }
            | Self::NotDurable { .. }
            | Self::SchemaDiffers { .. } => false,
        }
    }

    /// Whether the server refused the values themselves, so that the same rows will never be taken.
    #[must_use]
    pub fn is_refusal_of_data(&self) -> bool {
        matches!(self, Self::Request { code: Some(code), .. } if REFUSAL_OF_DATA.contains(code))
    }
}

/// Codes of a server in trouble: timeout, too many queries, memory, network, parts, read-only, shutdown, disk, keeper,
/// replicas too few or behind.
const TRANSIENT: &[u32] = &[
    3, 32, 159, 202, 209, 210, 225, 236, 241, 242, 243, 252, 285, 286, 289, 319, 372, 394, 425, 439, 473, 999,
];
/// Codes about values: cannot parse, incorrect data, type mismatch, out of bound, overflow, violated constraint.
const REFUSAL_OF_DATA: &[u32] = &[6, 27, 38, 41, 53, 69, 72, 117, 321, 407, 469];

/// The code in `Code: 60. DB::Exception: …`.
pub(crate) fn server_code(text: &str) -> Option<u32> {
    let digits = text.split_once("Code: ")?.1;
    digits.get(..digits.find(|character: char| !character.is_ascii_digit())?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> StoreError {
        StoreError::Request {
            operation: "insert".to_owned(),
            url: "http://h".to_owned(),
            code: server_code(text),
            source: text.into(),
        }
    }

    #[test]
    fn codes_decide_what_to_do() {
        let refused = request("bad response: Code: 469. DB::Exception: Constraint `c` is violated");
        assert!(refused.is_refusal_of_data() && !refused.is_transient());
        assert!(request("Code: 241. DB::Exception: Memory limit").is_transient());
        assert!(request("network error: connection refused").is_transient());
        let unknown_table = request("Code: 60. DB::Exception: Unknown table");
        assert!(!unknown_table.is_transient() && !unknown_table.is_refusal_of_data());
    }
}
