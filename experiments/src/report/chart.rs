//! Grouped bars on a logarithmic scale, as SVG: drawn by plotters, which needs no fonts for it.
//!
//! Colours are those of Okabe and Ito (2008), told apart by colour-blind readers as well; grey, the first, is
//! for the baseline.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

const SIZE: (u32, u32) = (1_160, 640);
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x99, 0x99, 0x99),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xcc, 0x79, 0xa7),
];
const ALONE: usize = 3;
const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// Side by side up to so many groups, else one below the other.
const GROUPS_BESIDE: usize = 4;
const LETTER_WIDTH: i32 = 7;
const LINE_HEIGHT: i32 = 13;

/// A whole picture.
pub(crate) struct Figure {
    /// Above everything.
    pub(crate) title: String,
    /// Lines below everything.
    pub(crate) caption: Vec<String>,
    /// The panels; all have the same series.
    pub(crate) panels: Vec<Panel>,
}

/// One pair of axes.
pub(crate) struct Panel {
    /// What the bars are, with their unit.
    pub(crate) title: String,
    /// How the axis writes a power of ten.
    pub(crate) scale: fn(f64) -> String,
    /// Below the bars; `=` breaks the line.
    pub(crate) groups: Vec<String>,
    /// The bars of each colour.
    pub(crate) series: Vec<Series>,
}

/// The bars of one colour, one a group.
pub(crate) struct Series {
    /// In the legend.
    pub(crate) label: String,
    /// Height and what is written above it; `None` where nothing was measured.
    pub(crate) bars: Vec<Option<(f64, String)>>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// The figure's SVG text.
pub(crate) fn draw(figure: &Figure) -> Result<String> {
    let mut svg = String::new();
    draw_into(figure, &mut svg).map_err(|cause| Error::failed("cannot draw the plot", cause))?;
    Ok(svg)
}

fn draw_into<'a>(figure: &Figure, svg: &'a mut String) -> Result<(), Failure<'a>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw_text(&figure.title, &text(19).pos(Pos::new(HPos::Left, VPos::Top)), (24, 16))?;
    let below_legend = legend(&root, figure, 48)?;
    let caption_top = SIZE.1 as i32 - 12 - figure.caption.len() as i32 * 17;
    for (line, words) in figure.caption.iter().enumerate() {
        let at = (24, caption_top + line as i32 * 17);
        root.draw_text(words, &text(12).pos(Pos::new(HPos::Left, VPos::Top)), at)?;
    }
    let body = root.margin(below_legend as u32, SIZE.1 - caption_top as u32 + 6, 12, 12);
    let groups = figure.panels.iter().map(|panel| panel.groups.len()).max().unwrap_or(0);
    let count = figure.panels.len().max(1);
    let cells =
        if groups <= GROUPS_BESIDE { body.split_evenly((1, count)) } else { body.split_evenly((count, 1)) };
    for (panel, cell) in figure.panels.iter().zip(&cells) {
        draw_panel(&root, cell, panel)?;
    }
    root.present()
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_text_style(&SIZE).color(&INK)
}

/// The colour of a series; one that stands alone is no baseline.
fn colour(panel: &Panel, position: usize) -> RGBColor {
    let alone = if panel.series.len() == 1 { ALONE } else { 0 };
    PALETTE[(position + alone) % PALETTE.len()]
}

/// Swatches with their labels, on as many lines as they need. Returns where the panels may begin.
fn legend<'a>(root: &Area<'a>, figure: &Figure, top: i32) -> Result<i32, Failure<'a>> {
    let (mut left, mut line) = (24, top);
    let Some(panel) = figure.panels.first() else { return Ok(top) };
    for (position, series) in panel.series.iter().enumerate() {
        let width = 34 + series.label.chars().count() as i32 * LETTER_WIDTH;
        if left + width > SIZE.0 as i32 - 24 && left > 24 {
            (left, line) = (24, line + 20);
        }
        root.draw(&Rectangle::new([(left, line), (left + 13, line + 13)], colour(panel, position).filled()))?;
        let style = text(13).pos(Pos::new(HPos::Left, VPos::Top));
        root.draw_text(&series.label, &style, (left + 19, line))?;
        left += width;
    }
    Ok(line + 28)
}

fn draw_panel<'a>(root: &Area<'a>, cell: &Area<'a>, panel: &Panel) -> Result<(), Failure<'a>> {
    let Some((low, high)) = bounds(panel) else { return Ok(()) };
    let mut chart = ChartBuilder::on(cell)
        .margin(6)
        .caption(&panel.title, text(14))
        .x_label_area_size(36)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..panel.groups.len() as f64, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .y_label_style(text(12))
        .y_label_formatter(&|value| (panel.scale)(*value))
        .draw()?;
    let width = 0.84 / panel.series.len().max(1) as f64;
    for (position, series) in panel.series.iter().enumerate() {
        for (group, bar) in series.bars.iter().enumerate() {
            let Some((value, note)) = bar.as_ref().filter(|(value, _)| *value > 0.0) else { continue };
            let left = group as f64 + 0.08 + position as f64 * width;
            let bar = [(left + width * 0.04, low), (left + width * 0.96, *value)];
            chart.draw_series([Rectangle::new(bar, colour(panel, position).filled())])?;
            let (x, y) = chart.plotting_area().map_coordinate(&(left + width / 2.0, *value));
            let lines: Vec<_> = note.lines().collect();
            for (line, words) in lines.iter().rev().enumerate() {
                let style = text(11).pos(Pos::new(HPos::Center, VPos::Bottom));
                root.draw_text(words, &style, (x, y - 3 - line as i32 * LINE_HEIGHT))?;
            }
        }
    }
    for (group, label) in panel.groups.iter().enumerate() {
        let (x, y) = chart.plotting_area().map_coordinate(&(group as f64 + 0.5, low));
        for (line, words) in label.splitn(2, '=').enumerate() {
            let style = text(12).pos(Pos::new(HPos::Center, VPos::Top));
            root.draw_text(words, &style, (x, y + 6 + line as i32 * (LINE_HEIGHT + 1)))?;
        }
    }
    Ok(())
}

/// From the power of ten below the smallest bar to some room for notes above the largest.
fn bounds(panel: &Panel) -> Option<(f64, f64)> {
    let values = || panel.series.iter().flat_map(|series| &series.bars).flatten().map(|(value, _)| *value);
    let low = values().filter(|value| *value > 0.0).reduce(f64::min)?;
    let high = values().reduce(f64::max)?;
    let floor = 10_f64.powf((low / 1.5).log10().floor());
    Some((floor, high * (high / floor).powf(0.16).max(1.6)))
}

/// `500`, `20k`, `1M`.
pub(crate) fn count_scale(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}

/// `500 us`, `20 ms`, `1 s`, of microseconds.
pub(crate) fn time_scale(micros: f64) -> String {
    match micros {
        v if v >= 1e6 => format!("{} s", v / 1e6),
        v if v >= 1e3 => format!("{} ms", v / 1e3),
        v => format!("{v} us"),
    }
}
