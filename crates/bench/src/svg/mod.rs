//! Charts as SVG: lines with points over two axes, readable on light and dark pages alike, without any program to draw.

mod ticks;

use std::fmt::Write as _;

use crate::report::{Chart, Series};
use ticks::{Span, label};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Where the lines are drawn, from the picture's edges.
const LEFT: f64 = 68.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 56.0;
/// Told apart by people who see few colours, too (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DASHES: [&str; 6] = ["", "7 3", "2 3", "9 3 2 3", "", "7 3"];
/// Width of a letter in the legend, generously.
const LETTER: f64 = 6.8;

/// The chart as the text of an SVG file.
pub(crate) fn draw(chart: &Chart) -> String {
    let values = |place: usize| chart.series.iter().flat_map(move |s| s.points.iter().map(move |point| point[place]));
    let x = Span::over(values(0), chart.x.scale, (LEFT, WIDTH - RIGHT));
    let y = Span::over(values(1), chart.y.scale, (HEIGHT - BOTTOM, TOP));
    let mut out = Drawing::default();
    out.put(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#24292f\">"
    ));
    out.put(format_args!("<title>{}</title>", escaped(&chart.title)));
    out.put(format_args!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"#ffffff\"/>"));
    out.text((LEFT, 26.0), "font-size=\"15\" font-weight=\"600\"", &chart.title);
    axes(&mut out, chart, (&x, &y));
    legend(&mut out, &chart.series);
    for (n, series) in chart.series.iter().enumerate() {
        line(&mut out, n, series, (&x, &y));
    }
    out.put(format_args!("</svg>"));
    out.0
}

#[derive(Default)]
struct Drawing(String);

impl Drawing {
    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{element}").expect("a String takes every write");
    }

    fn text(&mut self, (x, y): (f64, f64), style: &str, text: &str) {
        self.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{}</text>", escaped(text)));
    }
}

fn axes(out: &mut Drawing, chart: &Chart, (x, y): (&Span, &Span)) {
    let (right, foot) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for &tick in &y.ticks {
        let at = y.at(tick);
        out.put(format_args!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#d8dee4\"/>"));
        out.text((LEFT - 8.0, at + 4.0), "text-anchor=\"end\"", &label(tick));
    }
    for &tick in &x.ticks {
        let at = x.at(tick);
        out.put(format_args!("<path d=\"M{at:.1} {foot}v5\" stroke=\"#57606a\"/>"));
        out.text((at, foot + 19.0), "text-anchor=\"middle\"", &label(tick));
    }
    out.put(format_args!("<path d=\"M{LEFT} {TOP}V{foot}H{right}\" fill=\"none\" stroke=\"#57606a\"/>"));
    out.text(((LEFT + right) / 2.0, HEIGHT - 14.0), "text-anchor=\"middle\"", &chart.x.label);
    let middle = (TOP + foot) / 2.0;
    let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.1})\"");
    out.text((18.0, middle), &turned, &chart.y.label);
}

fn legend(out: &mut Drawing, series: &[Series]) {
    let mut x = LEFT;
    for (n, series) in series.iter().enumerate() {
        let (colour, dash) = (COLOURS[n % COLOURS.len()], DASHES[n % DASHES.len()]);
        out.put(format_args!(
            "<path d=\"M{x:.1} 50h24\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-dasharray=\"{dash}\"/>"
        ));
        out.text((x + 30.0, 54.0), "", &series.name);
        x += 52.0 + LETTER * crate::stats::count(series.name.chars().count());
    }
}

fn line(out: &mut Drawing, n: usize, series: &Series, (x, y): (&Span, &Span)) {
    let (colour, dash) = (COLOURS[n % COLOURS.len()], DASHES[n % DASHES.len()]);
    let places: Vec<(f64, f64)> = series.points.iter().map(|point| (x.at(point[0]), y.at(point[1]))).collect();
    let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    out.put(format_args!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-linejoin=\"round\" \
         stroke-dasharray=\"{dash}\"/>",
        path.join(" ")
    ));
    for (point, (x, y)) in series.points.iter().zip(places) {
        let [across, up] = point;
        out.put(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}: {}, {up:.2}</title></circle>",
            escaped(&series.name),
            label(*across)
        ));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Axis;

    fn chart(points: Vec<[f64; 2]>) -> Chart {
        Chart {
            file: "x".to_owned(),
            title: "Ours & <theirs>".to_owned(),
            x: Axis::doubling("clients"),
            y: Axis::linear("mints/s"),
            series: vec![Series { name: "raw".to_owned(), points }],
        }
    }

    #[test]
    fn a_chart_names_its_axes_and_lines_and_escapes_what_it_is_given() {
        let svg = draw(&chart(vec![[1.0, 100.0], [8.0, 189.0]]));
        for part in ["clients", "mints/s", ">raw<", "Ours &amp; &lt;theirs&gt;", "<polyline points=\"68.0,"] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn nothing_measured_and_a_single_point_draw_without_nonsense() {
        for points in [vec![], vec![[4.0, 0.0]], vec![[1.0, 7.0]]] {
            let svg = draw(&chart(points));
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
