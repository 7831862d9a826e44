//! The two text formats: Prometheus 0.0.4 and OpenMetrics 1.0.

use std::fmt::Write;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What `curl` is given, and what every scraper reads.
    Prometheus,
    /// For who asks for it.
    OpenMetrics,
}

impl Form {
    /// The one that an `Accept` header asks for.
    pub fn asked_for(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; its samples end in `_total`.
    Counter,
    /// Buckets, a sum and a count.
    Histogram,
}

/// Families of samples, one after the other.
pub struct Text {
    form: Form,
    out: String,
    name: &'static str,
}

impl Text {
    /// An empty one.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            out: String::with_capacity(16 << 10),
            name: "",
        }
    }

    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.name = name;
        let kind_name = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        // OpenMetrics names the family, Prometheus the sample.
        let total = match (self.form, kind) {
            (Form::Prometheus, Kind::Counter) => "_total",
            _ => "",
        };
        let _ = writeln!(self.out, "# HELP {name}{total} {help}");
        let _ = writeln!(self.out, "# TYPE {name}{total} {kind_name}");
    }

    /// One sample of the family.
    pub fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.out, "{}{suffix}", self.name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.out, "{}{label}=\"", if i == 0 { '{' } else { ',' });
            for c in text.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// The whole.
    pub fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}
