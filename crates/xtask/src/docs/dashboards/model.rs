//! What a dashboard consists of, and its JSON as Grafana 11 reads it (schema version 39).

use serde_json::{Value, json};

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// A dashboard.
pub(super) struct Dashboard {
    /// Part of every link to it.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) variables: Vec<Variable>,
    pub(super) rows: Vec<Row>,
}

/// A choice at the top; all values at first.
pub(super) struct Variable {
    /// Also the label's name.
    pub(super) name: &'static str,
    /// The metric whose label values are offered.
    pub(super) metric: &'static str,
}

/// A heading and what stands below it.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// One panel.
pub(super) struct Panel {
    kind: Kind,
    title: String,
    description: &'static str,
    unit: &'static str,
    size: (u32, u32),
    queries: Vec<(String, String)>,
    /// Colours from a value on, and the one below all of them.
    thresholds: (&'static str, Vec<(&'static str, f64)>),
    /// What values mean in words.
    words: &'static [(&'static str, &'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Stat,
    TimeSeries,
    Table,
    Heatmap,
    Pie,
}

/// 0 and 1 of a thing that runs or does not.
const UP_OR_DOWN: &[(&str, &str, &str)] = &[("0", "down", "red"), ("1", "up", "green")];

impl Panel {
    fn new(kind: Kind, title: &str, size: (u32, u32), unit: &'static str) -> Self {
        let thresholds = ("green", Vec::new());
        Self {
            kind,
            title: title.to_owned(),
            description: "",
            unit,
            size,
            queries: Vec::new(),
            thresholds,
            words: &[],
        }
    }

    /// One number.
    pub(super) fn stat(title: &str, unit: &'static str, query: &str) -> Self {
        Self::new(Kind::Stat, title, (4, 4), unit).query(query, "")
    }

    /// One thing that is up or down.
    pub(super) fn up(title: &str, query: &str) -> Self {
        Self { words: UP_OR_DOWN, ..Self::stat(title, "none", query) }.colours("red", &[("green", 1.0)])
    }

    /// Lines over time.
    pub(super) fn lines(title: &str, unit: &'static str, query: &str, legend: &str) -> Self {
        Self::new(Kind::TimeSeries, title, (8, 8), unit).query(query, legend)
    }

    /// The newest values, a row a series.
    pub(super) fn table(title: &str, unit: &'static str, query: &str) -> Self {
        Self::new(Kind::Table, title, (6, 10), unit).query(query, "")
    }

    /// How often values of a histogram's buckets were seen.
    pub(super) fn heatmap(title: &str, query: &str) -> Self {
        Self::new(Kind::Heatmap, title, (12, 8), "s").query(query, "{{le}}")
    }

    /// Shares.
    pub(super) fn pie(title: &str, query: &str, legend: &str) -> Self {
        Self::new(Kind::Pie, title, (6, 8), "none").query(query, legend)
    }

    pub(super) fn query(mut self, query: &str, legend: &str) -> Self {
        self.queries.push((query.to_owned(), legend.to_owned()));
        self
    }

    /// `below` all of the others, each of which holds from its value on.
    pub(super) fn colours(mut self, below: &'static str, from: &[(&'static str, f64)]) -> Self {
        self.thresholds = (below, from.to_vec());
        self
    }

    pub(super) fn wide(mut self, columns: u32) -> Self {
        self.size.0 = columns;
        self
    }

    /// What the figure means, where its title does not say it all.
    pub(super) fn says(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    fn json(&self, id: u32, x: u32, y: u32) -> Value {
        let is_table = matches!(self.kind, Kind::Table);
        let targets: Vec<Value> = self
            .queries
            .iter()
            .zip('A'..)
            .map(|((query, legend), name)| {
                json!({
                    "refId": name.to_string(),
                    "datasource": datasource(),
                    "editorMode": "code",
                    "expr": query,
                    "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                    "instant": is_table,
                    "range": !is_table,
                    "format": match self.kind { Kind::Table => "table", Kind::Heatmap => "heatmap", _ => "time_series" },
                })
            })
            .collect();
        let (below, from) = &self.thresholds;
        let mut steps = vec![json!({"color": below, "value": null})];
        steps.extend(from.iter().map(|(colour, value)| json!({"color": colour, "value": value})));
        let words: serde_json::Map<String, Value> = self
            .words
            .iter()
            .map(|(value, text, colour)| ((*value).to_owned(), json!({"text": text, "color": colour})))
            .collect();
        let mappings =
            if words.is_empty() { json!([]) } else { json!([{"type": "value", "options": words}]) };
        json!({
            "id": id,
            "type": self.kind.plugin(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.size.0, "h": self.size.1},
            "targets": targets,
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "mappings": mappings,
                    "color": {"mode": if self.kind == Kind::Stat { "thresholds" } else { "palette-classic" }},
                    "thresholds": {"mode": "absolute", "steps": steps},
                },
                "overrides": [],
            },
            "options": self.kind.options(),
            "transformations": if is_table { table_columns() } else { json!([]) },
        })
    }
}

impl Kind {
    const fn plugin(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::TimeSeries => "timeseries",
            Self::Table => "table",
            Self::Heatmap => "heatmap",
            Self::Pie => "piechart",
        }
    }

    fn options(self) -> Value {
        let newest = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
        match self {
            Self::Stat => {
                json!({"reduceOptions": newest, "colorMode": "value", "graphMode": "area", "textMode": "auto"})
            }
            Self::TimeSeries => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Self::Table => {
                json!({"showHeader": true, "cellHeight": "sm", "sortBy": [{"displayName": "Value", "desc": true}]})
            }
            Self::Heatmap => {
                json!({"calculate": false, "yAxis": {"unit": "s"}, "color": {"mode": "scheme", "scheme": "Oranges"}})
            }
            Self::Pie => {
                json!({"reduceOptions": newest, "pieType": "donut", "legend": {"displayMode": "list", "placement": "right", "showLegend": true}})
            }
        }
    }
}

impl Dashboard {
    pub(super) fn json(&self) -> Value {
        let variables: Vec<Value> = self.variables.iter().map(Variable::json).collect();
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["marketprism"],
            "schemaVersion": 39,
            "version": 1,
            "editable": false,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "utc",
            "templating": {"list": variables},
            "links": [{
                "type": "dashboards", "tags": ["marketprism"], "title": "MarketPrism", "asDropdown": true,
                "includeVars": true, "keepTime": true,
            }],
            "annotations": {"list": []},
            "panels": self.panels(),
        })
    }

    /// Panels side by side as long as there is room, rows below each other.
    fn panels(&self) -> Vec<Value> {
        let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
        for row in &self.rows {
            id += 1;
            panels.push(json!({
                "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            }));
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in &row.panels {
                if x + panel.size.0 > COLUMNS {
                    (x, y, height) = (0, y + height, 0);
                }
                id += 1;
                panels.push(panel.json(id, x, y));
                x += panel.size.0;
                height = height.max(panel.size.1);
            }
            y += height;
        }
        panels
    }
}

impl Variable {
    fn json(&self) -> Value {
        let query = format!("label_values({}, {})", self.metric, self.name);
        json!({
            "name": self.name,
            "label": self.name.replace('_', " "),
            "type": "query",
            "datasource": datasource(),
            "definition": query,
            "query": {"query": query, "refId": self.name},
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        })
    }
}

/// The one of `provisioning/datasources`.
fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "marketprism-prometheus"})
}

/// A table's columns are the labels; the time of asking says nothing.
fn table_columns() -> Value {
    json!([{"id": "organize", "options": {"excludeByName": {"Time": true}}}])
}
