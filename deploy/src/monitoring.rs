//! Alerts, runbooks and the dashboard, from `monitoring/monitoring.toml`.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

const SOURCE: &str = include_str!("../monitoring/monitoring.toml");

/// Where the links of alerts begin; the chart puts another address in its place.
const RUNBOOKS: &str = "docs/runbooks";

/// What the source says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitoring {
    /// Alerts, each with its runbook.
    #[serde(rename = "alert")]
    pub alerts: Vec<Alert>,
    /// The dashboard, in reading order.
    #[serde(rename = "panel")]
    pub panels: Vec<Panel>,
}

/// An alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name, and that of its runbook.
    pub name: String,
    /// `critical` wakes somebody, `warning` is looked at by day, `info` by nobody in particular.
    pub severity: Severity,
    /// How long the expression must hold.
    #[serde(rename = "for")]
    pub lasts: String,
    /// PromQL.
    pub expr: String,
    /// One line, a template of Prometheus.
    pub summary: String,
    /// The runbook: what it means,
    pub means: String,
    /// what to look at,
    pub look: Vec<String>,
    /// and what to do.
    pub act: Vec<String>,
}

/// How urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Now.
    Critical,
    /// Today.
    Warning,
    /// To be known.
    Info,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// A panel of the dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// Grafana's name of its kind.
    pub kind: String,
    /// Grafana's name of its unit.
    #[serde(default)]
    pub unit: Option<String>,
    /// Of 24.
    pub width: u32,
    /// What it draws.
    pub exprs: Vec<Query>,
    /// Behind its `i`.
    #[serde(default)]
    pub description: String,
}

/// A query of a panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// PromQL.
    pub expr: String,
    /// Template of its legend.
    #[serde(default)]
    pub legend: String,
}

impl Monitoring {
    /// What the source says.
    ///
    /// # Errors
    /// The source is wrong.
    pub fn read() -> Result<Self, toml::de::Error> {
        toml::from_str(SOURCE)
    }

    /// All files that are made, by path from the repository's root.
    #[must_use]
    pub fn files(&self) -> Vec<(String, String)> {
        let chart = "charts/sexton/files";
        let mut files = vec![
            (format!("{chart}/rules.yaml"), self.rules()),
            (format!("{chart}/dashboard.json"), self.dashboard()),
        ];
        let mut list = String::from(
            "# Runbooks\n\nOne for each alert, made from `deploy/monitoring/monitoring.toml` by \
             `make generate`, and [one for each cause](../causes.md) of a leak.\n\n\
             | alert | severity | what it means |\n|---|---|---|\n",
        );
        for alert in &self.alerts {
            let (name, severity) = (&alert.name, alert.severity.word());
            let means = one_line(&alert.means);
            let means = means.split(". ").next().unwrap_or_default();
            let means = means.split(": ").next().unwrap_or_default();
            let _ = writeln!(list, "| [{name}]({name}.md) | {severity} | {means} |");
            files.push((format!("{RUNBOOKS}/{}.md", alert.name), alert.runbook()));
        }
        files.push((format!("{RUNBOOKS}/README.md"), list));
        files
    }

    /// A rule file of Prometheus, which is also the spec of a `PrometheusRule`.
    fn rules(&self) -> String {
        let mut out = String::from(
            "# Made from deploy/monitoring/monitoring.toml by `make generate`; do not edit.\n\
             groups:\n  - name: sexton\n    rules:\n",
        );
        for alert in &self.alerts {
            // What JSON quotes, YAML reads.
            let text = |text: &str| json!(text).to_string();
            let _ = write!(
                out,
                "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          \
                 severity: {}\n        annotations:\n          summary: {}\n          \
                 description: {}\n          runbook_url: {}\n",
                alert.name,
                text(&one_line(&alert.expr)),
                alert.lasts,
                alert.severity.word(),
                text(&alert.summary),
                text(&one_line(&alert.means)),
                text(&format!("{RUNBOOKS}/{}.md", alert.name)),
            );
        }
        out
    }

    fn dashboard(&self) -> String {
        let (mut x, mut y, mut row) = (0, 0, 0);
        let mut panels = Vec::new();
        for (panel, id) in self.panels.iter().zip(1..) {
            let height = if panel.kind == "stat" { 4 } else { 8 };
            if x + panel.width > 24 {
                (x, y) = (0, y + row);
            }
            row = height;
            panels.push(panel.grafana(id, x, y, height));
            x += panel.width;
        }
        let variable = |name: &str, query: &str| {
            json!({
                "name": name, "label": name, "type": "query", "query": query,
                "datasource": datasource(), "refresh": 2, "sort": 1,
                "multi": true, "includeAll": true, "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            })
        };
        let dashboard = json!({
            "uid": "sexton",
            "title": "Sexton",
            "tags": ["sexton", "kubernetes"],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                variable("node", "label_values(sexton_build_info, node)"),
            ]},
            "panels": panels,
        });
        format!("{dashboard:#}\n")
    }
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Alert {
    fn runbook(&self) -> String {
        let mut page = format!(
            "# {}\n\nMade from `deploy/monitoring/monitoring.toml` by `make generate`; do not edit.\n\n\
             Severity: {}. Fires when this has held for {}:\n\n```promql\n{}\n```\n\n{}\n",
            self.name,
            self.severity.word(),
            if self.lasts == "0m" {
                "a moment"
            } else {
                &self.lasts
            },
            self.expr.trim(),
            self.means.trim(),
        );
        for (heading, steps) in [("Look", &self.look), ("Act", &self.act)] {
            let _ = write!(page, "\n## {heading}\n\n");
            for (step, number) in steps.iter().zip(1..) {
                let _ = writeln!(page, "{number}. {step}");
            }
        }
        page
    }
}

impl Panel {
    fn grafana(&self, id: u32, x: u32, y: u32, height: u32) -> Value {
        let targets: Vec<Value> = self
            .exprs
            .iter()
            .zip('A'..)
            .map(|(query, id)| {
                json!({
                    "refId": id, "datasource": datasource(),
                    "expr": query.expr, "legendFormat": query.legend,
                })
            })
            .collect();
        json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": height},
            "fieldConfig": {"defaults": {"unit": self.unit.as_deref().unwrap_or("short"), "min": 0}, "overrides": []},
            "targets": targets,
        })
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
