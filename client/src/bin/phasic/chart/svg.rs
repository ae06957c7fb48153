//! Charts as SVG: panels one below the other, each with axes, round ticks, curves and a legend.

use std::fmt::Write as _;

use super::axis::Axis;
use super::{Curve, Panel, Shape};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 52.0;
/// What the names of curves take beside the axes, if there are any.
const LEGEND: f64 = 190.0;
/// Letters of a name that fit there.
const LETTERS: usize = 22;
/// Curves named in a legend; there is no room for more.
const NAMED: usize = 14;
/// Okabe and Ito's colours, which people tell apart whatever colours they see.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
/// Once colours are used up, lines are broken in these ways.
const DASHES: [&str; 4] = ["", "6 3", "2 3", "8 3 2 3"];

/// A whole SVG document. `title` is read to those who cannot see it.
pub(crate) fn svg(title: &str, panels: &[Panel]) -> String {
    let height = HEIGHT * panels.len() as f64;
    let named = panels.iter().flat_map(|panel| &panel.curves).any(|curve| !curve.name.is_empty());
    let width = if named { WIDTH + LEGEND } else { WIDTH };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"13\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escaped(title)
    );
    for (panel, at) in panels.iter().zip(0..) {
        let _ = writeln!(out, "<g transform=\"translate(0 {})\">", HEIGHT * f64::from(at));
        draw(&mut out, panel);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// From numbers to places in a panel.
struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    fn of(panel: &Panel) -> Self {
        let points = || panel.curves.iter().flat_map(Curve::finite);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (value.min(low), value.max(high))
            })
        };
        let (x_low, x_high) = range(&mut points().map(|point| point.0));
        let (y_low, y_high) = range(&mut points().map(|point| point.1));
        // Densities and probabilities are read against 0.
        Self { x: Axis::new(x_low, x_high, 8, false), y: Axis::new(y_low.min(0.0), y_high, 5, true) }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (1.0 - self.y.place(value)) * (HEIGHT - TOP - BOTTOM)
    }
}

fn draw(out: &mut String, panel: &Panel) {
    let frame = Frame::of(panel);
    let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for &tick in &frame.y.ticks {
        let (y, label) = (frame.y(tick), frame.y.label(tick));
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0,
            y + 4.5
        );
    }
    for &tick in &frame.x.ticks {
        let (x, label) = (frame.x(tick), frame.x.label(tick));
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{floor}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#444444\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            floor + 5.0,
            floor + 20.0
        );
    }
    let middle = f64::midpoint(TOP, floor);
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {TOP}V{floor}H{right}\" fill=\"none\" stroke=\"#444444\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(18 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 10.0,
        escaped(&panel.x_label),
        escaped(&panel.y_label)
    );
    for (place, curve) in panel.curves.iter().enumerate() {
        trace(out, &frame, panel.shape, curve, place);
    }
    legend(out, &panel.curves);
}

fn stroke(place: usize) -> String {
    let dashes = DASHES[place / COLOURS.len() % DASHES.len()];
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    format!("stroke=\"{}\" stroke-width=\"2\"{dashes}", COLOURS[place % COLOURS.len()])
}

/// One curve as a path.
fn trace(out: &mut String, frame: &Frame, shape: Shape, curve: &Curve, place: usize) {
    let (mut path, mut dots) = (String::new(), String::new());
    let mut pen_down = false;
    for &(x, y) in &curve.points {
        if !(x.is_finite() && y.is_finite()) {
            pen_down = false;
            continue;
        }
        let (x, y) = (frame.x(x), frame.y(y));
        let _ = match (shape, pen_down) {
            (Shape::Stems, _) => write!(path, "M{x:.2} {:.2}V{y:.2}", frame.y(0.0)),
            (_, false) => write!(path, "M{x:.2} {y:.2}"),
            (Shape::Steps, true) => write!(path, "H{x:.2}V{y:.2}"),
            (Shape::Line, true) => write!(path, "L{x:.2} {y:.2}"),
        };
        if shape == Shape::Stems {
            let _ =
                write!(dots, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"3\" fill=\"{}\"/>", COLOURS[place % 7]);
        }
        pen_down = true;
    }
    let _ =
        writeln!(out, "<path d=\"{path}\" fill=\"none\" {} stroke-linejoin=\"round\"/>{dots}", stroke(place));
}

/// The names of curves, to the right of them.
fn legend(out: &mut String, curves: &[Curve]) {
    let named = curves.iter().enumerate().filter(|(_, curve)| !curve.name.is_empty());
    for (line, (place, curve)) in named.take(NAMED).enumerate() {
        let y = TOP + 12.0 + 18.0 * line as f64;
        let _ = writeln!(
            out,
            "<path d=\"M{WIDTH} {}h24\" {}/><text x=\"{}\" y=\"{y}\">{}</text>",
            y - 4.0,
            stroke(place),
            WIDTH + 32.0,
            escaped(&shortened(&curve.name))
        );
    }
    if let Some(more) = curves.len().checked_sub(NAMED).filter(|&more| more > 0) {
        let (x, y) = (WIDTH + 32.0, TOP + 12.0 + 18.0 * NAMED as f64);
        let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\">and {more} more</text>");
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(shape: Shape, curves: &[&[f64]]) -> Panel {
        let curve = |(at, y): (usize, &&[f64])| {
            let x: Vec<f64> = (0_u32..).take(y.len()).map(f64::from).collect();
            Curve::new(format!("θ = {at}"), &x, y)
        };
        let curves = curves.iter().enumerate().map(curve).collect();
        Panel { x_label: "t".to_owned(), y_label: "a < b & c".to_owned(), shape, curves }
    }

    #[test]
    fn panels_have_axes_ticks_curves_and_names() {
        let drawn = svg("two", &[panel(Shape::Line, &[&[0.0, 1.0, 0.5], &[1.0, 0.5, 0.25]])]);
        for part in [
            "<title>two</title>",
            "a &lt; b &amp; c",
            "M76.00 288.00L386.00 20.00L696.00 154.00",
            ">0.8</text>",
            ">θ = 1</text>",
            "#d55e00",
        ] {
            assert!(drawn.contains(part), "{part} is not in {drawn}");
        }
    }

    #[test]
    fn steps_and_stems_are_drawn_as_such_and_gaps_are_left() {
        assert!(svg("", &[panel(Shape::Steps, &[&[0.0, 1.0]])]).contains("M76.00 288.00H696.00V20.00"));
        assert!(svg("", &[panel(Shape::Stems, &[&[0.0, 1.0]])]).contains("M696.00 288.00V20.00"));
        let gap = svg("", &[panel(Shape::Line, &[&[1.0, f64::NAN, 1.0]])]);
        assert!(gap.contains("\"M76.00 20.00M696.00 20.00\""), "{gap}");
        assert!(!gap.contains("NaN"), "{gap}");
    }

    #[test]
    fn many_curves_stay_apart_and_the_legend_stays_short() {
        let curves: Vec<&[f64]> = vec![&[0.0, 1.0]; 30];
        let drawn = svg("", &[panel(Shape::Line, &curves)]);
        assert!(drawn.contains("and 16 more") && !drawn.contains(">θ = 14</text>"));
        let strokes: std::collections::BTreeSet<String> = (0..28).map(stroke).collect();
        assert_eq!(strokes.len(), 28);
        assert_eq!(shortened("θ = 0.1, 0.2, 0.3, 0.4, 0.5"), "θ = 0.1, 0.2, 0.3, 0.…");
    }
}
