//! Numbers as Prometheus reads them (text format 0.0.4), gathered from all that has some to tell.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Weak};

use super::latency::{BOUNDS, Latencies};
use crate::lock::Mutex;

/// Something that has numbers to tell.
pub trait Samples: Send + Sync {
    /// Adds them.
    fn samples(&self, into: &mut Exposition);

    /// What is told on after this is gone, so that no counter ever goes back: its counters, without its gauges.
    fn remains(&self) -> Option<Arc<dyn Samples>> {
        None
    }
}

/// Samples by the name of their metric. What has the same name and the same labels is added up: Prometheus wants each
/// once. Never put a key, a value or a credential into a label.
#[derive(Clone, Default)]
pub struct Exposition {
    /// In the order in which they first came.
    metrics: Vec<Metric>,
}

#[derive(Clone)]
struct Metric {
    name: &'static str,
    help: &'static str,
    nature: Nature,
    /// By their labels, as they are written.
    samples: BTreeMap<String, Sample>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Clone)]
enum Sample {
    Number(u64),
    Times(Latencies),
}

/// The names of labels and their values.
type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    /// A number that only grows; its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, count: u64) {
        self.number((name, help, Nature::Counter), labels, |before| before.wrapping_add(count));
    }

    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, number: u64) {
        self.number((name, help, Nature::Gauge), labels, |before| before.saturating_add(number));
    }

    /// 1 or 0; 1 where it holds for any that have the same labels.
    pub fn flag(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, holds: bool) {
        self.number((name, help, Nature::Gauge), labels, |before| before.max(u64::from(holds)));
    }

    /// A histogram of times; its name ends in `_seconds`.
    pub fn times(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, times: &Latencies) {
        let place = self.place((name, help, Nature::Histogram), labels);
        match place {
            Sample::Times(before) => before.add(times),
            Sample::Number(_) => *place = Sample::Times(times.clone()),
        }
    }

    fn number(&mut self, metric: (&'static str, &'static str, Nature), labels: Labels<'_>, now: impl Fn(u64) -> u64) {
        if let Sample::Number(number) = self.place(metric, labels) {
            *number = now(*number);
        }
    }

    fn place(&mut self, (name, help, nature): (&'static str, &'static str, Nature), labels: Labels<'_>) -> &mut Sample {
        let known = self.metrics.iter().position(|metric| metric.name == name);
        let known = known.unwrap_or_else(|| {
            self.metrics.push(Metric { name, help, nature, samples: BTreeMap::new() });
            self.metrics.len() - 1
        });
        #[allow(clippy::indexing_slicing, reason = "it was found, or has just been added")]
        self.metrics[known].samples.entry(written(labels)).or_insert(Sample::Number(0))
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for metric in &self.metrics {
            metric.write(&mut text);
        }
        text
    }
}

impl Metric {
    fn write(&self, text: &mut String) {
        let kind = match self.nature {
            Nature::Counter => "counter",
            Nature::Gauge => "gauge",
            Nature::Histogram => "histogram",
        };
        let name = self.name;
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", self.help); // into memory, as all here
        for (labels, sample) in &self.samples {
            match sample {
                Sample::Number(number) => line(text, name, "", labels, "", *number),
                Sample::Times(times) => histogram(text, name, labels, times),
            }
        }
    }
}

fn histogram(text: &mut String, name: &str, labels: &str, times: &Latencies) {
    for power in BOUNDS {
        line(text, name, "_bucket", labels, &seconds(1 << power), times.within(power));
    }
    line(text, name, "_bucket", labels, "+Inf", times.count());
    let all = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(text, "{name}_sum{all} {}", seconds(times.sum()));
    line(text, name, "_count", labels, "", times.count());
}

fn line(text: &mut String, name: &str, end: &str, labels: &str, bound: &str, number: u64) {
    let _ = write!(text, "{name}{end}");
    let comma = if labels.is_empty() || bound.is_empty() { "" } else { "," };
    let _ = match (labels, bound) {
        ("", "") => write!(text, ""),
        (_, "") => write!(text, "{{{labels}}}"),
        _ => write!(text, "{{{labels}{comma}le=\"{bound}\"}}"),
    };
    let _ = writeln!(text, " {number}");
}

/// Nanoseconds as seconds, exactly.
fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn written(labels: Labels<'_>) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text
}

/// All that has numbers to tell in a context: what is there, and what was.
#[derive(Default)]
pub struct Sources {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sources: Vec<Source>,
    /// At so many it is looked for those that are gone.
    sweep_at: usize,
    /// What those have left.
    gone: Exposition,
}

struct Source {
    alive: Weak<dyn Samples>,
    remains: Option<Arc<dyn Samples>>,
}

impl Sources {
    /// Adds one; it may go at any time.
    pub fn add(&self, source: &Arc<dyn Samples>) {
        let source = Source { alive: Arc::downgrade(source), remains: source.remains() };
        let mut inner = self.inner.lock();
        if inner.sources.len() >= inner.sweep_at {
            inner.sweep(|source| source.alive.strong_count() > 0);
            inner.sweep_at = 2 * inner.sources.len() + 16; // so that each is looked at about twice, however many come
        }
        inner.sources.push(source);
    }

    /// All their numbers, added up.
    pub fn expose(&self) -> Exposition {
        let mut alive = Vec::new();
        let mut told = {
            let mut inner = self.inner.lock();
            inner.sweep(|source| source.alive.upgrade().map(|source| alive.push(source)).is_some());
            inner.gone.clone()
        };
        for source in alive {
            source.samples(&mut told);
        }
        told
    }
}

impl Inner {
    fn sweep(&mut self, mut is_alive: impl FnMut(&Source) -> bool) {
        let Self { sources, gone, .. } = self;
        sources.retain(|source| {
            let stays = is_alive(source);
            if let (false, Some(remains)) = (stays, &source.remains) {
                remains.samples(gone);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_wants_it() {
        let mut made = Exposition::default();
        made.counter("a_total", "What is counted.", &[("alias", "x")], 1);
        made.gauge("b", "What goes up and down.", &[], 7);
        made.counter("a_total", "What is counted.", &[("alias", "x")], 2);
        made.counter("a_total", "What is counted.", &[("alias", "a \"b\"\\c\nd é"), ("kind", "k")], 3);
        made.flag("c", "Whether.", &[("server", "s")], true);
        made.flag("c", "Whether.", &[("server", "s")], false);
        made.flag("c", "Whether.", &[("server", "t")], false);
        assert_eq!(
            made.text(),
            "# HELP a_total What is counted.\n# TYPE a_total counter\n\
             a_total{alias=\"a \\\"b\\\"\\\\c\\nd é\",kind=\"k\"} 3\na_total{alias=\"x\"} 3\n\
             # HELP b What goes up and down.\n# TYPE b gauge\nb 7\n\
             # HELP c Whether.\n# TYPE c gauge\nc{server=\"s\"} 1\nc{server=\"t\"} 0\n"
        );
    }

    #[test]
    fn seconds_are_exact() {
        for (ns, text) in [(0, "0"), (256, "0.000000256"), (1_000_000_000, "1"), (20_500_000_000, "20.5")] {
            assert_eq!(seconds(ns), text);
        }
        assert_eq!(seconds(10), "0.00000001");
    }

    struct Counted(u64);

    impl Samples for Counted {
        fn samples(&self, into: &mut Exposition) {
            into.counter("n_total", "How many.", &[], self.0);
        }
    }

    struct Living(Arc<Counted>);

    impl Samples for Living {
        fn samples(&self, into: &mut Exposition) {
            self.0.samples(into);
            into.gauge("living", "How many there are.", &[], 1);
        }

        fn remains(&self) -> Option<Arc<dyn Samples>> {
            Some(self.0.clone())
        }
    }

    #[test]
    fn counters_of_what_is_gone_are_kept() {
        let sources = Sources::default();
        let kept: Arc<dyn Samples> = Arc::new(Living(Arc::new(Counted(1000))));
        sources.add(&kept);
        for _ in 0..100 {
            let short: Arc<dyn Samples> = Arc::new(Living(Arc::new(Counted(1))));
            sources.add(&short);
        }
        assert!(sources.inner.lock().sources.len() < 40, "what is gone is let go of");
        for _ in 0..2 {
            let text = sources.expose().text();
            assert!(text.contains("\nn_total 1100\n") && text.contains("\nliving 1\n"), "{text}");
        }
        drop(kept);
        let text = sources.expose().text();
        assert!(text.contains("\nn_total 1100\n") && !text.contains("living"), "{text}");
    }
}
