//! The rules of `deploy/prometheus/rules` and their tests, as they are written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use yaml_rust2::{Yaml, YamlLoader};

use crate::root;

/// One alert or recorded series.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The file it is in.
    pub file: PathBuf,
    /// The alert's name, or that of the recorded series.
    pub name: String,
    /// Whether it is an alert.
    pub is_alert: bool,
    /// `PromQL`.
    pub expr: String,
    /// For how long it must hold, and the longest time that it looks back: so long after a fault it fires.
    pub due: Duration,
    /// Labels it adds.
    pub labels: BTreeMap<String, String>,
    /// Texts and links.
    pub annotations: BTreeMap<String, String>,
}

/// How many alerts of a name a test expects to fire at some time, in the order of time.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The alert.
    pub alert: String,
    /// Seen as silent (0) or firing.
    pub firing: Vec<i64>,
}

/// Every rule.
#[must_use]
pub fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for file in files("rules") {
        for group in list(&parse(&file)["groups"]) {
            rules.extend(list(&group["rules"]).iter().map(|rule| read(&file, rule)));
        }
    }
    rules
}

fn read(file: &Path, rule: &Yaml) -> Rule {
    let is_alert = !rule["alert"].is_badvalue();
    let name = if is_alert { &rule["alert"] } else { &rule["record"] };
    let expr = text(&rule["expr"]);
    let windows = expr.split('[').skip(1).filter_map(|rest| duration(rest.split(']').next()?));
    let due = windows.max().unwrap_or_default() + duration(&text(&rule["for"])).unwrap_or_default();
    Rule {
        file: file.to_owned(),
        name: text(name),
        is_alert,
        expr,
        due,
        labels: texts(&rule["labels"]),
        annotations: texts(&rule["annotations"]),
    }
}

/// What the tests of `deploy/prometheus/tests` expect, case by case.
#[must_use]
pub fn expectations() -> Vec<Expected> {
    let mut expectations = Vec::new();
    for file in files("tests") {
        for case in list(&parse(&file)["tests"]) {
            let Some(name) = case["name"].as_str() else { continue };
            let samples = list(&case["promql_expr_test"]);
            let firing = samples.iter().filter(|sample| text(&sample["expr"]).contains("ALERTS{"));
            let firing = firing.map(|sample| sample["exp_samples"][0]["value"].as_i64().expect("a count"));
            let alert = name.split(' ').next().expect("a name").to_owned();
            expectations.push(Expected { alert, firing: firing.collect() });
        }
    }
    expectations
}

/// The files of a folder of `deploy/prometheus`.
#[must_use]
pub fn files(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("deploy/prometheus").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    files
}

fn parse(file: &Path) -> Yaml {
    let source = fs::read_to_string(file).expect("the file");
    let documents = YamlLoader::load_from_str(&source);
    documents.unwrap_or_else(|error| panic!("{}: {error}", file.display())).remove(0)
}

fn list(yaml: &Yaml) -> Vec<Yaml> {
    yaml.as_vec().cloned().unwrap_or_default()
}

fn text(yaml: &Yaml) -> String {
    yaml.as_str().unwrap_or_default().to_owned()
}

/// `90s`, `5m` or `6h`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = [("s", 1), ("m", 60), ("h", 3600)].into_iter().find(|(name, _)| *name == unit)?.1;
    Some(Duration::from_secs(number.parse::<u64>().ok()? * seconds))
}

fn texts(yaml: &Yaml) -> BTreeMap<String, String> {
    let pairs = yaml.as_hash().into_iter().flatten();
    pairs.map(|(key, value)| (text(key), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_due_after_its_window_and_its_wait() {
        let due = |name: &str| rules().into_iter().find(|rule| rule.name == name).unwrap().due.as_secs();
        assert_eq!((due("CollectorTargetDown"), due("CollectorNoDataIngestion")), (30, 8 * 60));
    }
}
