//! What a service serves at `/metrics`: Prometheus' text format, read into samples that can be asked for.
//!
//! Only what our own services write: no timestamps, no exemplars. A line that is none of it is left out.

use std::collections::BTreeMap;

/// Lines read of one scrape; a collector with 200 streams serves some 3000.
const LINES_MAX: usize = 100_000;

/// One scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(BTreeMap<String, Vec<Sample>>);

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// By name.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The buckets of a histogram, those of several label sets added up: upper bound and how many are at or below it.
pub(crate) type Buckets = Vec<(f64, f64)>;

impl Metrics {
    /// Reads a scrape.
    pub(crate) fn parse(text: &str) -> Self {
        let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for line in text.lines().take(LINES_MAX).filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = parse_line(line) {
                samples.entry(name.to_owned()).or_default().push(sample);
            }
        }
        Self(samples)
    }

    /// The samples of a metric whose labels are at least these.
    pub(crate) fn of<'a>(
        &'a self,
        name: &str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let all = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let has = |sample: &Sample| {
            labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
        };
        all.iter().filter(move |sample| has(sample))
    }

    /// Their sum; `None` when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name, labels).map(|sample| sample.value).reduce(super::rates::add)
    }

    /// The largest of them; `None` when there is none.
    pub(crate) fn max(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name, labels).map(|sample| sample.value).reduce(f64::max)
    }

    /// The smallest of them; `None` when there is none.
    pub(crate) fn min(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name, labels).map(|sample| sample.value).reduce(f64::min)
    }

    /// The histograms of this name, added up.
    pub(crate) fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Buckets {
        let mut buckets: Buckets = Vec::new();
        for sample in self.of(&format!("{name}_bucket"), labels) {
            let Some(bound) = sample.labels.get("le").and_then(|le| le.parse::<f64>().ok()) else { continue };
            match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, count)) => *count = super::rates::add(*count, sample.value),
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        buckets
    }
}

/// `name{label="value",…} 12.5`
fn parse_line(line: &str) -> Option<(&str, Sample)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(end)?;
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = value.trim().parse().ok()?;
    Some((name, Sample { labels, value }))
}

/// What stands behind `{`, and what behind `}`. Quotes, backslashes and line ends are escaped in a value.
fn parse_labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        rest = quoted.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# HELP waited_seconds How long.\n# TYPE waited_seconds histogram\n\
        waited_seconds_bucket{kind=\"a\",le=\"0.1\"} 3\nwaited_seconds_bucket{kind=\"a\",le=\"+Inf\"} 4\n\
        waited_seconds_bucket{kind=\"b\",le=\"0.1\"} 1\nwaited_seconds_bucket{kind=\"b\",le=\"+Inf\"} 1\n\
        left_seconds{stream=\"A\"} +Inf\nleft_seconds{stream=\"B\"} 12.5\n\
        said_total{words=\"a, \\\"b\\\" {c}=\\\\\"} 7\nplain 2\nbroken{a=\"b\" 1\nnumberless x\n";

    #[test]
    fn samples_are_found_by_their_labels_and_histograms_are_added_up() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.sum("plain", &[]), Some(2.0));
        assert_eq!(metrics.sum("said_total", &[("words", "a, \"b\" {c}=\\")]), Some(7.0));
        assert_eq!(metrics.min("left_seconds", &[]), Some(12.5));
        assert_eq!(metrics.max("left_seconds", &[]), Some(f64::INFINITY));
        assert_eq!(metrics.max("left_seconds", &[("stream", "C")]), None);
        assert_eq!(metrics.histogram("waited_seconds", &[]), [(0.1, 4.0), (f64::INFINITY, 5.0)]);
        assert_eq!(metrics.histogram("waited_seconds", &[("kind", "b")]), [(0.1, 1.0), (f64::INFINITY, 1.0)]);
        for absent in ["broken", "numberless", "absent"] {
            assert_eq!(metrics.sum(absent, &[]), None);
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_read(text in "\\PC*") {
            Metrics::parse(&text);
            Metrics::parse(&format!("a{{{text}"));
        }

        #[test]
        fn any_label_comes_back(value in "\\PC*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let metrics = Metrics::parse(&format!("m{{l=\"{escaped}\"}} 1"));
            prop_assert_eq!(metrics.sum("m", &[("l", &value)]), Some(1.0));
        }
    }
}
