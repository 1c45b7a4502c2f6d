//! The dashboards of `deploy/grafana/dashboards`, typed: what Grafana would not read or would show as nothing is refused here.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use serde_json::Value;

use crate::root;

/// One dashboard, of schema version 39.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct Dashboard {
    pub uid: String,
    pub title: String,
    pub description: String,
    pub tags: Vec<String>,
    pub schema_version: u32,
    pub version: u32,
    pub editable: bool,
    pub graph_tooltip: u8,
    pub refresh: String,
    pub time: BTreeMap<String, String>,
    pub timezone: String,
    pub templating: List<Variable>,
    pub links: Vec<Value>,
    pub annotations: List<Value>,
    pub panels: Vec<Panel>,
}

/// Grafana's way to write some lists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List<T> {
    /// What is in it.
    pub list: Vec<T>,
}

/// A choice at the top of a dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct Variable {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: VariableKind,
    pub datasource: Datasource,
    pub definition: String,
    pub query: BTreeMap<String, String>,
    pub refresh: u8,
    pub sort: u8,
    pub multi: bool,
    pub include_all: bool,
    pub all_value: String,
    pub current: Value,
}

/// Where the values of a variable come from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableKind {
    /// The datasource.
    Query,
}

/// A panel, or the heading above some.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct Panel {
    pub id: u32,
    #[serde(rename = "type")]
    pub kind: PanelKind,
    pub title: String,
    pub grid_pos: GridPosition,
    #[serde(default)]
    pub description: String,
    pub datasource: Option<Datasource>,
    #[serde(default)]
    pub targets: Vec<Target>,
    pub field_config: Option<FieldConfig>,
    pub options: Option<Value>,
    #[serde(default)]
    pub transformations: Vec<Value>,
    pub collapsed: Option<bool>,
    #[serde(default)]
    pub panels: Vec<Panel>,
}

/// The plugins that come with Grafana and that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub enum PanelKind {
    Row,
    Stat,
    Timeseries,
    Table,
    Heatmap,
    Piechart,
}

/// Columns and lines of the grid.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct GridPosition {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

/// Whom to ask.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct Datasource {
    #[serde(rename = "type")]
    pub kind: String,
    pub uid: String,
}

/// One query of a panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct Target {
    pub ref_id: String,
    pub datasource: Datasource,
    pub editor_mode: String,
    pub expr: String,
    pub legend_format: String,
    pub instant: bool,
    pub range: bool,
    pub format: String,
}

/// How values are shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct FieldConfig {
    pub defaults: Defaults,
    pub overrides: Vec<Value>,
}

/// How all values of a panel are shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub struct Defaults {
    pub unit: Unit,
    pub mappings: Vec<Value>,
    pub color: Value,
    pub thresholds: Value,
}

/// Grafana's ids of the units that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are Grafana's")]
pub enum Unit {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "cps")]
    CountsPerSecond,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "bytes")]
    Bytes,
    #[serde(rename = "Bps")]
    BytesPerSecond,
    /// 0 to 100.
    #[serde(rename = "percent")]
    Percent,
    /// 0 to 1.
    #[serde(rename = "percentunit")]
    Share,
}

/// Every dashboard, in the order of files. One that does not read as above fails, with its name.
#[must_use]
pub fn dashboards() -> Vec<Dashboard> {
    let folder = fs::read_dir(root().join("deploy/grafana/dashboards")).expect("the dashboards");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let read = |file| {
        let text = fs::read_to_string(file).expect("a dashboard");
        serde_json::from_str(&text)
    };
    files
        .iter()
        .map(|file| read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
        .collect()
}

impl Dashboard {
    /// What is asked for when it is opened, with "All" chosen everywhere: by which panel or variable, and the expression.
    #[must_use]
    pub fn queries(&self) -> Vec<(String, String)> {
        let of_panel = |panel: &Panel| {
            let asked = panel.targets.iter().map(|target| self.resolved(&target.expr));
            asked.map(|expr| (format!("{}: {}", self.uid, panel.title), expr)).collect::<Vec<_>>()
        };
        let of_variables = self
            .templating
            .list
            .iter()
            .map(|variable| (format!("{}: ${}", self.uid, variable.name), variable.expression()));
        self.panels.iter().flat_map(of_panel).chain(of_variables).collect()
    }

    /// As Grafana would ask. What is left with a dollar in it is a variable that does not exist.
    fn resolved(&self, expr: &str) -> String {
        let fixed = [("$__rate_interval", "1m"), ("$__interval", "1m"), ("$__range", "6h")];
        let text = fixed.iter().fold(expr.to_owned(), |text, (name, value)| text.replace(name, value));
        self.templating
            .list
            .iter()
            .fold(text, |text, variable| text.replace(&format!("${}", variable.name), &variable.all_value))
    }
}

impl Variable {
    /// `label_values(metric, label)` as an expression that has a result for each value.
    fn expression(&self) -> String {
        let query = &self.query["query"];
        let arguments = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) =
            arguments.and_then(|list| list.split_once(", ")).expect("label_values(metric, label)");
        format!("count by ({label}) ({metric}{{{label}!=\"\"}})")
    }
}
