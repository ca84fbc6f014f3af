//! The text format of metrics.

use std::fmt::{Display, Write};

/// Kind of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Labels in text form, without braces.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push(',');
            }
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            text.push_str(&format!("{name}=\"{value}\""));
        }
        Labels(text)
    }
}

/// A document of metrics.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Starts a metric.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP kong_{name} {help}\n# TYPE kong_{name} {kind}\n"));
    }

    /// A sample of the metric started last.
    pub(super) fn sample(&mut self, name: &str, labels: &Labels, value: impl Display) {
        match labels.0.is_empty() {
            true => self.line(format_args!("kong_{name} {value}\n")),
            false => self.line(format_args!("kong_{name}{{{}}} {value}\n", labels.0)),
        }
    }

    /// Samples of a histogram; `counts` has one more member than `bounds`.
    pub(super) fn histogram(&mut self, name: &str, labels: &Labels, bounds: &[u64], counts: &[u64], sum: u64) {
        let mut total = 0;
        let bounds = bounds.iter().map(u64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(counts) {
            total += count;
            self.line(format_args!(
                "kong_{name}_bucket{{{},le=\"{bound}\"}} {total}\n",
                labels.0
            ));
        }
        self.sample(&format!("{name}_count"), labels, total);
        self.sample(&format!("{name}_sum"), labels, sum);
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(text);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}
