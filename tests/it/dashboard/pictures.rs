//! The pictures of the README, drawn from what the program puts on a screen: `SNAPSHOTS=overwrite` draws them anew.

use std::fmt::Write as _;
use std::path::Path;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use snapbox::{Data, assert_data_eq};

use super::reports::busy_view;

/// A character's width and a line's height, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 16.0;

/// Light enough on the dark ground that both themes of a page carry.
const GROUND: &str = "#1e1f26";
const TEXT: &str = "#dcdfe4";
const FONT: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

#[track_caller]
fn check(name: &str, drawn: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/img").join(name);
    assert_data_eq!(drawn, Data::read_from(&path, Some(snapbox::data::DataFormat::Text)).raw());
}

#[test]
fn the_picture_of_the_dashboard_is_up_to_date() {
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    busy_view().render(area, &mut buffer);
    check("dashboard.svg", terminal(&buffer));
}

#[test]
fn the_picture_of_the_card_is_up_to_date() {
    let report = busy_view().report.unwrap();
    let card = report.card.unwrap();
    let lines = agent_presence::cmd::show::card(&card, report.now);
    let mut lines = lines.lines().map(|line| line.trim_start_matches(['┌', '│', '└', ' ']));
    let mut drawn = open("A card in Discord", 560.0, 132.0);
    let mut put = |y: u32, size: u32, weight: u32, fill: &str, text: &str| {
        writeln!(
            drawn,
            r#"<text x="24" y="{y}" font-family="system-ui, sans-serif" font-size="{size}" font-weight="{weight}" fill="{fill}">{}</text>"#,
            escaped(text)
        )
        .unwrap();
    };
    put(28, 12, 600, "#9da3ae", "Playing");
    for (y, size, weight) in [(54, 16, 700), (78, 14, 400), (98, 14, 400), (118, 14, 400)] {
        put(y, size, weight, TEXT, lines.next().unwrap());
    }
    assert_eq!(lines.next(), None);
    check("card.svg", drawn + "</svg>\n");
}

/// What a terminal shows, with its colours.
fn terminal(buffer: &Buffer) -> String {
    let (width, height) = (f64::from(buffer.area.width), f64::from(buffer.area.height));
    let mut drawn = open("The dashboard", width * CELL.0 + 2.0 * MARGIN, height * CELL.1 + 2.0 * MARGIN);
    for (row, cells) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        let y = MARGIN + CELL.1 * (f64::from(u32::try_from(row).unwrap()) + 0.75);
        let mut column = 0;
        while let Some(first) = cells.get(column) {
            let run = cells[column..].iter().take_while(|cell| look(cell) == look(first)).count();
            let text: String = cells[column..column + run].iter().map(Cell::symbol).collect();
            if !text.trim().is_empty() {
                let x = MARGIN + CELL.0 * f64::from(u32::try_from(column).unwrap());
                let length = CELL.0 * f64::from(u32::try_from(run).unwrap());
                let (fill, weight) = look(first);
                writeln!(
                    drawn,
                    r#"<text x="{x:.1}" y="{y:.1}" textLength="{length:.1}" lengthAdjust="spacingAndGlyphs" xml:space="preserve" font-family="{FONT}" font-size="14" font-weight="{weight}" fill="{fill}">{}</text>"#,
                    escaped(&text)
                )
                .unwrap();
            }
            column += run;
        }
    }
    drawn + "</svg>\n"
}

/// The colour and the weight of a cell.
fn look(cell: &Cell) -> (&'static str, u16) {
    let weight = if cell.modifier.contains(Modifier::BOLD) { 700 } else { 400 };
    let colour = match cell.fg {
        Color::Green | Color::LightGreen => "#7bd88f",
        Color::Yellow | Color::LightYellow => "#fce566",
        Color::Red | Color::LightRed => "#fc618d",
        Color::Blue | Color::LightBlue | Color::Cyan | Color::LightCyan => "#5ad4e6",
        Color::Magenta | Color::LightMagenta => "#948ae3",
        _ if cell.modifier.contains(Modifier::DIM) => "#8b8f99",
        Color::DarkGray => "#8b8f99",
        _ => TEXT,
    };
    (colour, weight)
}

fn open(title: &str, width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"{GROUND}\"/>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
