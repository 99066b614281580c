//! Draws the results for the README: how close each server comes to plain TCP, and how that changes
//! with the number of connections.
//!
//! The picture has one column, so that it fits a phone, and other colours on a dark page. Each
//! series has a shape as well as a colour.

use std::fmt::Write;

use crate::conformance::Conformance;
use crate::goals::OURS;
use crate::peers::Peer;
use crate::results::{Measure, Results};
use crate::scenarios::{self, Kind, Scenario};

const LIMIT: &str = "raw";

/// Who is drawn: the last one is on top.
const SERIES: &[Series] = &[
    Series {
        peer: "uWebSockets",
        name: "uWebSockets, C++",
        light: "#bf3989",
        dark: "#f778ba",
        shape: CROSS,
    },
    Series {
        peer: "fastwebsockets",
        name: "fastwebsockets",
        light: "#1a7f37",
        dark: "#3fb950",
        shape: UP,
    },
    Series {
        peer: "tokio-tungstenite",
        name: "tokio-tungstenite",
        light: "#8250df",
        dark: "#bc8cff",
        shape: DIAMOND,
    },
    Series {
        peer: "tungstenite",
        name: "tungstenite",
        light: "#0969da",
        dark: "#58a6ff",
        shape: SQUARE,
    },
    Series { peer: OURS, name: OURS, light: "#cf3c00", dark: "#ff7b39", shape: DISC },
];

struct Series {
    peer: &'static str,
    name: &'static str,
    light: &'static str,
    dark: &'static str,
    /// A path around 0, 0.
    shape: &'static str,
}

const DISC: &str = "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0-14 0z";
const SQUARE: &str = "M-4.5-4.5h9v9h-9z";
const DIAMOND: &str = "M0-6.5L6.5 0L0 6.5L-6.5 0z";
const UP: &str = "M0-6L6 5H-6z";
const CROSS: &str = "M-5-3L-3-5L0-2L3-5L5-3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0z";

const WIDTH: f64 = 480.0;
const LEFT: f64 = 14.0;
const RIGHT: f64 = WIDTH - 14.0;
const LINE: f64 = 20.0;

pub fn svg(peers: &[&Peer], results: &Results, conformance: &Conformance) -> String {
    let series: Vec<&Series> =
        SERIES.iter().filter(|one| peers.iter().any(|peer| peer.name == one.peer)).collect();
    let mut chart = Chart { body: String::new(), y: 26.0 };
    chart.legend(&series, conformance);
    chart.shares(&series, results);
    chart.growth(&series, results);
    chart.whole()
}

struct Chart {
    body: String,
    /// Where the next thing begins.
    y: f64,
}

impl Chart {
    /// Everybody's mark and name, ours first. A star: fails checks of the coach.
    fn legend(&mut self, series: &[&Series], conformance: &Conformance) {
        const COLUMNS: [f64; 3] = [21.0, 162.0, 306.0];
        let mut any_fails = false;
        for (index, one) in series.iter().rev().enumerate() {
            let x = COLUMNS[index % COLUMNS.len()];
            let y = self.y + LINE * (index / COLUMNS.len()) as f64;
            self.mark(one, x, y - 5.0);
            let fails = conformance.get(one.peer).is_some_and(|found| found.failed > 0);
            let star = if fails { "*" } else { "" };
            self.text(x + 12.0, y, "", &format!("{}{star}", one.name));
            any_fails |= fails;
        }
        self.y += LINE * series.len().div_ceil(COLUMNS.len()) as f64;
        if any_fails {
            self.text(
                LEFT,
                self.y,
                "quiet",
                "* breaks rules of RFC 6455 that are a MUST, says the coach",
            );
            self.y += LINE;
        }
        self.y += 14.0;
    }

    /// A line for each scenario: how many messages, as a share of plain TCP's.
    fn shares(&mut self, series: &[&Series], results: &Results) {
        const ROW: f64 = 46.0;
        const LEAST: f64 = 0.01;
        const MOST: f64 = 3.0;
        let share = |scenario: &Scenario, peer: &str| {
            let ratio = results.ratio(scenario.name, Measure::Rate, peer, LIMIT)?;
            Some(ratio.value.clamp(LEAST, MOST))
        };
        let rows: Vec<&Scenario> = scenarios::ALL
            .iter()
            .filter(|scenario| !matches!(scenario.kind, Kind::Broadcast { .. }))
            .filter(|scenario| !scenario.is_called("n") && share(scenario, OURS).is_some())
            .collect();
        if rows.is_empty() {
            return;
        }

        self.text(LEFT, self.y, "strong", "Messages (or conversations) a second, of plain TCP's");
        self.y += LINE;
        let x = |share: f64| {
            LEFT + 8.0 + (RIGHT - LEFT - 16.0) * (share / LEAST).ln() / (MOST / LEAST).ln()
        };
        let bottom = self.y + 10.0 + ROW * rows.len() as f64;
        for (share, label) in [(0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %")] {
            let kind = if share == 1.0 { "limit" } else { "grid" };
            self.line(kind, [(x(share), self.y + 6.0), (x(share), bottom)]);
            let anchor = if share == LEAST { "quiet" } else { "quiet middle" };
            self.text(if share == LEAST { LEFT } else { x(share) }, self.y, anchor, label);
        }
        for scenario in rows {
            self.y += ROW;
            let middle = self.y - 4.0;
            self.text(LEFT, self.y - 17.0, "ground", scenario.title);
            self.text(LEFT, self.y - 17.0, "", scenario.title);
            self.line("grid", [(LEFT, middle), (RIGHT, middle)]);
            for one in series {
                if let Some(share) = share(scenario, one.peer) {
                    self.mark(one, x(share), middle);
                }
            }
        }
        self.y = bottom + 34.0;
    }

    /// A curve for each: how many messages, as connections grow.
    fn growth(&mut self, series: &[&Series], results: &Results) {
        const HEIGHT: f64 = 200.0;
        const AXIS: f64 = 44.0;
        let stops: Vec<_> = scenarios::of_growth()
            .filter(|(scenario, _)| results.median(scenario.name, OURS, Measure::Rate).is_some())
            .collect();
        let rates = |peer: &str| -> Vec<(usize, f64)> {
            let rate = |(stop, (scenario, _)): (usize, &(&Scenario, usize))| {
                Some((stop, results.median(scenario.name, peer, Measure::Rate)?.value))
            };
            stops.iter().enumerate().filter_map(rate).collect()
        };
        let all = series.iter().map(|one| one.peer).chain([LIMIT]);
        let most = all.flat_map(rates).map(|(_, rate)| rate).fold(0.0, f64::max);
        if stops.len() < 2 || most == 0.0 {
            return;
        }

        self.text(LEFT, self.y, "strong", "Messages a second, as connections grow");
        self.text(
            LEFT,
            self.y + LINE,
            "quiet",
            "One message of 32 B in flight on each. Dashed: plain TCP",
        );
        let top = self.y + LINE + 16.0;
        let bottom = top + HEIGHT;
        let x = |stop: usize| {
            LEFT + AXIS + (RIGHT - LEFT - AXIS - 18.0) * stop as f64 / (stops.len() - 1) as f64
        };
        let y = |rate: f64| bottom - HEIGHT * rate / most;
        let step = round_step(most / 3.0);
        let mut rate = 0.0;
        while rate <= most {
            self.line("grid", [(LEFT + AXIS - 8.0, y(rate)), (RIGHT, y(rate))]);
            self.text(LEFT + AXIS - 12.0, y(rate) + 5.0, "quiet end", &in_thousands(rate));
            rate += step;
        }
        for (stop, (_, connections)) in stops.iter().enumerate() {
            self.text(x(stop), bottom + LINE, "quiet middle", &connections.to_string());
        }
        let points = |peer: &str| -> Vec<(f64, f64)> {
            rates(peer).into_iter().map(|(stop, rate)| (x(stop), y(rate))).collect()
        };
        self.line("limit", points(LIMIT));
        for one in series {
            let points = points(one.peer);
            self.line(&format!("curve {}", one.peer), points.clone());
            for (x, y) in points {
                self.mark(one, x, y);
            }
        }
        self.y = bottom + LINE + 14.0;
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ = writeln!(self.body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#);
    }

    fn mark(&mut self, series: &Series, x: f64, y: f64) {
        let Series { peer, shape, .. } = series;
        let _ = writeln!(
            self.body,
            r#"<path class="mark {peer}" transform="translate({x:.1} {y:.1})" d="{shape}"/>"#
        );
    }

    fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points: Vec<String> =
            points.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(self.body, r#"<polyline class="{class}" points="{points}"/>"#);
    }

    fn whole(self) -> String {
        let height = self.y;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{:.0}" viewBox="0 0 {WIDTH} {height:.0}" role="img">
<title>Echo servers side by side</title>
<style>
text {{ font: 14px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif }}
polyline {{ fill: none; stroke-linejoin: round }}
.strong {{ font-weight: 600 }}
.middle {{ text-anchor: middle }}
.end {{ text-anchor: end }}
.limit {{ stroke-width: 1.5; stroke-dasharray: 5 4 }}
.curve {{ stroke-width: 2 }}
.ground {{ stroke-width: 5; stroke-linejoin: round }}
{}@media (prefers-color-scheme: dark) {{
{}}}
</style>
<rect class="page" width="{WIDTH}" height="{height:.0}"/>
{}</svg>
"#,
            height * 640.0 / WIDTH,
            colours("#ffffff", "#1f2328", "#59636e", "#d1d9e0", |one| one.light),
            colours("#0d1117", "#f0f6fc", "#9198a1", "#30363d", |one| one.dark),
            self.body
        )
    }
}

fn colours(page: &str, ink: &str, quiet: &str, grid: &str, of: fn(&Series) -> &str) -> String {
    let mut rules = format!(
        ".page {{ fill: {page} }}\ntext {{ fill: {ink} }}\n.quiet {{ fill: {quiet} }}\n\
         .grid {{ stroke: {grid} }}\n.limit {{ stroke: {quiet} }}\n.ground {{ stroke: {page} }}\n"
    );
    for one in SERIES {
        let (peer, colour) = (one.peer, of(one));
        let _ = writeln!(rules, ".mark.{peer} {{ fill: {colour}; stroke: {page} }}");
        let _ = writeln!(rules, ".curve.{peer} {{ stroke: {colour} }}");
    }
    rules
}

/// The next number above that begins with 1, 2 or 5 and goes on with zeros.
fn round_step(least: f64) -> f64 {
    let magnitude = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * magnitude >= least);
    factor.unwrap_or(10.0) * magnitude
}

fn in_thousands(rate: f64) -> String {
    if rate < 1000.0 { format!("{rate:.0}") } else { format!("{:.0} k", rate / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Found;
    use crate::peers;
    use crate::results::Sample;

    #[test]
    fn a_chart_has_a_mark_for_each_that_was_measured() {
        let mut results = Results::default();
        for scenario in ["d", "n1", "n4096"] {
            for (peer, rate) in [("raw", 1000.0), (OURS, 900.0), ("tungstenite", 30.0)] {
                results.add(scenario, peer, Some(Sample::from([(Measure::Rate, rate)])));
            }
        }
        let peers: Vec<_> =
            ["raw", OURS, "tungstenite"].into_iter().filter_map(peers::named).collect();
        let found = |failed| Found { version: "1".into(), failed, asked: 9 };
        let conformance =
            Conformance::from([(OURS.into(), found(0)), ("tungstenite".into(), found(2))]);
        let svg = svg(&peers, &results, &conformance);
        // Only who fails checks has a star.
        assert!(svg.contains(">tungstenite*<") && svg.contains(">ws101<"));
        // One in the legend, one for d, two for the numbers of connections.
        assert_eq!(svg.matches(r#"class="mark ws101""#).count(), 4);
        assert_eq!(svg.matches(r#"class="mark tungstenite""#).count(), 4);
        assert_eq!(svg.matches(r#"class="curve"#).count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn the_steps_of_a_scale_are_round() {
        for (least, step) in [(0.9, 1.0), (1.1, 2.0), (230.0, 500.0), (60_000.0, 100_000.0)] {
            assert_eq!(round_step(least), step);
        }
    }
}
