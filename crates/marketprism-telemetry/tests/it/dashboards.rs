//! Grafana's dashboards: each is one that it reads. That no panel is empty says `contract.rs`.

use std::collections::BTreeSet;

use marketprism_telemetry::dashboards::{Dashboard, Datasource, GridPosition, PanelKind, dashboards};
use marketprism_telemetry::root;

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

#[test]
fn each_dashboard_is_one_that_grafana_reads() {
    let source =
        std::fs::read_to_string(root().join("deploy/grafana/provisioning/datasources/prometheus.yaml"));
    let source = source.unwrap();
    let provisioned = Datasource {
        kind: "prometheus".to_owned(),
        uid: source.split("uid: ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned(),
    };
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let uid = &dashboard.uid;
        assert!(uids.insert(uid.clone()), "{uid} is there twice");
        assert!(root().join(format!("deploy/grafana/dashboards/{uid}.json")).is_file(), "{uid}: its file");
        assert_eq!(dashboard.schema_version, 39, "{uid}");
        assert!(!dashboard.title.is_empty() && !dashboard.description.is_empty(), "{uid}");
        for variable in &dashboard.templating.list {
            assert_eq!(variable.datasource, provisioned, "{uid}: ${}", variable.name);
        }
        for panel in &dashboard.panels {
            let name = format!("{uid}: {}", panel.title);
            assert!(!panel.title.is_empty(), "{name}: panel {} has no title", panel.id);
            assert_eq!(panel.targets.is_empty(), panel.kind == PanelKind::Row, "{name}: queries");
            let names: BTreeSet<_> = panel.targets.iter().map(|target| &target.ref_id).collect();
            assert_eq!(names.len(), panel.targets.len(), "{name}: two queries have one name");
            let sources = panel.targets.iter().map(|target| &target.datasource).chain(&panel.datasource);
            sources.for_each(|source| assert_eq!(source, &provisioned, "{name}"));
        }
        fits_the_grid(&dashboard);
        for (asker, expr) in dashboard.queries() {
            assert!(!expr.contains('$'), "{asker}: no such variable: {expr}");
        }
    }
    assert_eq!(uids.len(), 5, "{uids:?}");
}

fn fits_the_grid(dashboard: &Dashboard) {
    let overlaps = |one: GridPosition, other: GridPosition| {
        let beside = one.x + one.w <= other.x || other.x + other.w <= one.x;
        let below = one.y + one.h <= other.y || other.y + other.h <= one.y;
        !beside && !below
    };
    for (at, panel) in dashboard.panels.iter().enumerate() {
        let name = format!("{}: {}", dashboard.uid, panel.title);
        assert!(panel.grid_pos.w > 0 && panel.grid_pos.h > 0, "{name} has no area");
        assert!(panel.grid_pos.x + panel.grid_pos.w <= COLUMNS, "{name} is outside of the grid");
        for other in dashboard.panels.iter().skip(at + 1) {
            assert_ne!(panel.id, other.id, "{name} and {} have one id", other.title);
            assert!(!overlaps(panel.grid_pos, other.grid_pos), "{name} overlaps {}", other.title);
        }
    }
}
