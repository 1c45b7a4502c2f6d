//! What the front must know of data formats: which can be streamed in pieces, which are taken in, how they are labelled.

/// The format of a result when nobody names one, as in the server.
pub(crate) const DEFAULT: &str = "TabSeparated";

/// How the pieces of a streamed result fit together. The engine formats each piece as a document of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Streaming {
    /// Rows only: pieces are simply joined.
    Rows,
    /// Each piece repeats the header, which is cut from the second on.
    Header,
    /// A document with an end (JSON, Parquet, …), or a header whose end cannot be told (raw TSV): made in one piece.
    Whole,
}

/// How a result in this format can be sent.
pub(crate) fn streaming(format: &str) -> Streaming {
    let format = short(format);
    match format {
        "RowBinary"
        | "Native"
        | "TSV"
        | "TSVRaw"
        | "CSV"
        | "LineAsString"
        | "RawBLOB"
        | "JSONEachRow"
        | "JSONStringsEachRow"
        | "JSONCompactEachRow"
        | "JSONCompactStringsEachRow" => Streaming::Rows,
        "RowBinaryWithNames"
        | "RowBinaryWithNamesAndTypes"
        | "TSVWithNames"
        | "TSVWithNamesAndTypes"
        | "CSVWithNames"
        | "CSVWithNamesAndTypes"
        | "JSONCompactEachRowWithNames"
        | "JSONCompactEachRowWithNamesAndTypes"
        | "JSONCompactStringsEachRowWithNames"
        | "JSONCompactStringsEachRowWithNamesAndTypes" => Streaming::Header,
        _ => Streaming::Whole,
    }
}

/// Whether insert data in this format is taken. Only formats whose damaged input is known to end in an error are: a
/// corrupted Parquet file sends this engine into a loop that nothing can cancel.
pub(crate) fn is_input(format: &str) -> bool {
    let format = short(format);
    format == "Values"
        || format == "Native"
        || format == "LineAsString"
        || ["RowBinary", "TSV", "CSV", "JSON"].iter().any(|family| format.starts_with(family))
}

/// The `Content-Type` of a result.
pub(crate) fn content_type(format: &str) -> &'static str {
    let format = short(format);
    match format {
        "Native" | "Parquet" | "Arrow" | "ArrowStream" | "ORC" => "application/octet-stream",
        "CSVWithNames" | "CSVWithNamesAndTypes" => "text/csv; charset=UTF-8; header=present",
        "CSV" => "text/csv; charset=UTF-8; header=absent",
        "JSON" | "JSONCompact" | "JSONStrings" | "JSONCompactStrings" | "JSONColumns"
        | "JSONObjectEachRow" => "application/json; charset=UTF-8",
        _ if format.starts_with("RowBinary") => "application/octet-stream",
        _ if format.starts_with("TSV") => "text/tab-separated-values; charset=UTF-8",
        _ if format.starts_with("JSON") => "application/x-ndjson; charset=UTF-8",
        _ => "text/plain; charset=UTF-8",
    }
}

/// One name for formats that have two.
fn short(format: &str) -> &str {
    match format {
        "TabSeparated" => "TSV",
        "TabSeparatedRaw" | "Raw" => "TSVRaw",
        "TabSeparatedWithNames" => "TSVWithNames",
        "TabSeparatedWithNamesAndTypes" => "TSVWithNamesAndTypes",
        "TabSeparatedRawWithNames" | "RawWithNames" => "TSVRawWithNames",
        "TabSeparatedRawWithNamesAndTypes" | "RawWithNamesAndTypes" => "TSVRawWithNamesAndTypes",
        "JSONLines" | "NDJSON" => "JSONEachRow",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parquet_is_neither_taken_in_nor_streamed() {
        for format in ["Parquet", "Arrow", "ORC", "Avro", "CapnProto", "nonsense"] {
            assert!(!is_input(format), "{format}");
            assert_eq!(streaming(format), Streaming::Whole, "{format}");
        }
    }

    #[test]
    fn both_names_of_a_format_mean_the_same() {
        assert_eq!(streaming("TabSeparatedWithNames"), streaming("TSVWithNames"));
        assert_eq!(content_type("TabSeparated"), content_type("TSV"));
        assert!(is_input("TabSeparatedRaw"));
    }
}
