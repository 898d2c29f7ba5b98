//! Lines over numbers of senders, as SVG that can be read on a white page and on a dark one.

use plotters::{
    coord::{Shift, ranged1d::SegmentValue},
    prelude::*,
};

use super::Failure;

const WIDTH: u32 = 860;
const PANEL: u32 = 330;
const LEGEND_ROW: u32 = 26;
const LEGEND_COLUMNS: usize = 2;
const FONT: &str = "sans-serif";

/// As far from white as from a dark page. The background is the page's.
const TEXT: RGBColor = RGBColor(122, 122, 122);

/// The colour and mark of a line; no two have the same of both, for those who see few colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ink {
    color: RGBColor,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Disc,
    Ring,
    Triangle,
    Cross,
    Square,
    Frame,
}

impl Ink {
    pub(crate) const GREY: Self = Self::new(TEXT, Mark::Ring);
    pub(crate) const PURPLE: Self = Self::new(RGBColor(168, 104, 190), Mark::Cross);
    pub(crate) const VERMILION: Self = Self::new(RGBColor(213, 94, 0), Mark::Triangle);
    pub(crate) const OCHRE: Self = Self::new(RGBColor(166, 122, 10), Mark::Frame);
    pub(crate) const BLUE: Self = Self::new(RGBColor(30, 120, 200), Mark::Square);
    pub(crate) const GREEN: Self = Self::new(RGBColor(0, 145, 105), Mark::Disc);

    const fn new(color: RGBColor, mark: Mark) -> Self {
        Self { color, mark }
    }

    fn draw(self, area: &Area<'_>, at: (i32, i32)) -> Result<(), Failure> {
        let (color, thick) = (self.color, self.color.stroke_width(2));
        let square = [(at.0 - 4, at.1 - 4), (at.0 + 4, at.1 + 4)];
        match self.mark {
            Mark::Disc => area.draw(&Circle::new(at, 5, color.filled()))?,
            Mark::Ring => area.draw(&Circle::new(at, 5, thick))?,
            Mark::Triangle => area.draw(&TriangleMarker::new(at, 6, color.filled()))?,
            Mark::Cross => area.draw(&Cross::new(at, 4, thick))?,
            Mark::Square => area.draw(&Rectangle::new(square, color.filled()))?,
            Mark::Frame => area.draw(&Rectangle::new(square, thick))?,
        }
        Ok(())
    }
}

/// Measured in pixels.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A value for each number of senders.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) values: Vec<f64>,
}

/// What belongs to one scale.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

/// Panels side by side, with the same lines in each.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What is counted.
    pub(crate) unit: String,
    pub(crate) senders: Vec<usize>,
    /// At least one.
    pub(crate) panels: Vec<Panel>,
}

impl Chart {
    pub(crate) fn svg(&self) -> Result<String, Failure> {
        let names = &self.panels.first().ok_or("nothing to draw")?.lines;
        let rows = u32::try_from(names.len().div_ceil(LEGEND_COLUMNS))?;
        let mut svg = String::new();
        {
            let size = (WIDTH, PANEL + rows * LEGEND_ROW + LEGEND_ROW / 2);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let (panels, legend) = root.split_vertically(PANEL);
            let places = panels.split_evenly((1, self.panels.len()));
            for (panel, place) in self.panels.iter().zip(&places) {
                self.draw_panel(panel, place, &root)?;
            }
            draw_legend(names, &legend)?;
            root.present()?;
        }
        Ok(svg)
    }

    fn draw_panel(&self, panel: &Panel, place: &Area<'_>, whole: &Area<'_>) -> Result<(), Failure> {
        let highest = panel
            .lines
            .iter()
            .flat_map(|line| &line.values)
            .fold(0.0_f64, |highest, value| highest.max(*value));
        let last = i32::try_from(self.senders.len())? - 1;
        let text = |size: u32| (FONT, size).into_font().color(&TEXT);
        let mut chart = ChartBuilder::on(place)
            .caption(&panel.title, text(17))
            .margin(8)
            .x_label_area_size(46)
            .y_label_area_size(64)
            .build_cartesian_2d((0..last).into_segmented(), 0.0..highest * 1.05)?;
        let senders = |at: &SegmentValue<i32>| match at {
            SegmentValue::Exact(at) | SegmentValue::CenterOf(at) => usize::try_from(*at)
                .ok()
                .and_then(|at| self.senders.get(at))
                .map_or_else(String::new, usize::to_string),
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(TEXT.mix(0.35))
            .axis_style(TEXT)
            .label_style(text(15))
            .axis_desc_style(text(15))
            .x_labels(self.senders.len())
            .x_label_formatter(&senders)
            .x_desc("senders")
            .y_labels(6)
            .y_label_formatter(&|rate| thousands(*rate))
            .y_desc(&self.unit)
            .draw()?;
        for line in &panel.lines {
            let points: Vec<_> = (0..=last)
                .map(SegmentValue::CenterOf)
                .zip(line.values.iter().copied())
                .collect();
            chart.draw_series(LineSeries::new(
                points.clone(),
                line.ink.color.stroke_width(2),
            ))?;
            for point in &points {
                line.ink.draw(whole, chart.backend_coord(point))?;
            }
        }
        Ok(())
    }
}

fn thousands(rate: f64) -> String {
    if rate >= 1000.0 {
        format!("{}k", rate / 1000.0)
    } else {
        rate.to_string()
    }
}

fn draw_legend(lines: &[Line], place: &Area<'_>) -> Result<(), Failure> {
    let rows = lines.len().div_ceil(LEGEND_COLUMNS);
    let width = i32::try_from(WIDTH / u32::try_from(LEGEND_COLUMNS)?)?;
    for (number, line) in lines.iter().enumerate() {
        let (column, row) = (i32::try_from(number / rows)?, i32::try_from(number % rows)?);
        let row_height = i32::try_from(LEGEND_ROW)?;
        let (x, y) = (
            72 + column * (width - 30),
            row_height / 2 + row * row_height,
        );
        place.draw(&PathElement::new(
            [(x, y), (x + 36, y)],
            line.ink.color.stroke_width(2),
        ))?;
        line.ink.draw(place, (x + 18, y))?;
        let style = (FONT, 16).into_font().color(&TEXT);
        place.draw(&Text::new(line.name.clone(), (x + 48, y - 6), style))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pages of GitHub.
    const WHITE: RGBColor = RGBColor(255, 255, 255);
    const DARK: RGBColor = RGBColor(13, 17, 23);

    /// By the Web Content Accessibility Guidelines.
    fn contrast(one: RGBColor, other: RGBColor) -> f64 {
        let luminance = |RGBColor(red, green, blue)| {
            let linear = |value: u8| match f64::from(value) / 255.0 {
                value if value <= 0.040_45 => value / 12.92,
                value => ((value + 0.055) / 1.055).powf(2.4),
            };
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue) + 0.05
        };
        let (one, other) = (luminance(one), luminance(other));
        one.max(other) / one.min(other)
    }

    const INKS: [Ink; 6] = [
        Ink::GREY,
        Ink::PURPLE,
        Ink::VERMILION,
        Ink::OCHRE,
        Ink::BLUE,
        Ink::GREEN,
    ];

    #[test]
    fn text_and_lines_are_seen_on_white_and_on_dark_pages() {
        for page in [WHITE, DARK] {
            // No colour has more than 4.35 to both.
            assert!(contrast(TEXT, page) > 4.2, "{}", contrast(TEXT, page));
            for ink in INKS {
                let contrast = contrast(ink.color, page);
                assert!(contrast > 3.0, "{ink:?}: {contrast}");
            }
        }
    }

    #[test]
    fn lines_differ_without_their_colours() {
        for (place, ink) in INKS.iter().enumerate() {
            let alike = INKS.iter().rposition(|other| other.mark == ink.mark);
            assert_eq!(alike, Some(place));
        }
    }

    #[test]
    fn a_chart_names_everything_and_has_no_background() {
        let line = |name: &str, ink| Line {
            name: name.to_owned(),
            ink,
            values: vec![1000.0, 4000.0, 9000.0],
        };
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            lines: vec![line("bare & quick", Ink::GREY), line("ours", Ink::GREEN)],
        };
        let chart = Chart {
            unit: "messages a second".to_owned(),
            senders: vec![1, 8, 32],
            panels: vec![panel("a quick disk"), panel("a slow disk")],
        };
        let svg = chart.svg().unwrap();
        let lines: Vec<&str> = svg.lines().map(str::trim).collect();
        for (text, times) in [
            ("messages a second", 2),
            ("senders", 2),
            ("a quick disk", 1),
            ("a slow disk", 1),
            ("bare &amp; quick", 1),
            ("ours", 1),
            ("1", 2),
            ("8", 2),
            ("32", 2),
            ("8k", 2),
        ] {
            let found = lines.iter().filter(|line| **line == text).count();
            assert_eq!(found, times, "{text}\n{svg}");
        }
        assert!(!svg.contains(r##"fill="#FFFFFF""##), "{svg}");
        assert!(!svg.contains(r##"fill="#000000""##), "{svg}");
    }
}
