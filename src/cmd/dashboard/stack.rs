//! Stacks sections in the rows of the window: how many rows each gets, and which are left out.

use ratatui::text::Line;

use super::paint::{Paint, Role};
use super::text::Builder;

/// A part of the screen.
#[derive(Debug)]
pub(super) struct Section {
    /// The title, for the line above it.
    pub(super) title: String,
    /// The names of its columns.
    pub(super) head: Option<Line<'static>>,
    /// The rows of its content.
    pub(super) body: Vec<Line<'static>>,
    /// Which rows are shown if not all fit.
    pub(super) visible: Visible,
    /// How many rows of the body it gets before another section gets more than its own minimum.
    pub(super) minimum: usize,
    /// Sections of a lower rank get rows first.
    pub(super) rank: u8,
}

/// Which rows of a body are shown if not all fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visible {
    /// The first ones.
    First,
    /// The last ones.
    Last,
    /// Whole items from this one on, of this many rows each.
    From { item: usize, rows: usize },
}

/// The lines of `sections` in at most `height` rows, and the first item of the section that is scrolled.
pub(super) fn stack(
    sections: Vec<Section>,
    width: usize,
    height: usize,
    paint: Paint,
    titled: bool,
) -> (Vec<Line<'static>>, usize) {
    let granted = share(&sections, height, titled);
    let (mut lines, mut first) = (Vec::new(), 0);
    for (section, rows) in sections.into_iter().zip(granted) {
        if rows == 0 {
            continue;
        }
        let total = section.body.len();
        let (from, title) = match section.visible {
            Visible::First => (0, section.title),
            Visible::Last => (total.saturating_sub(rows), section.title),
            Visible::From { item, rows: each } => {
                let (fit, count) = (rows / each, total / each);
                first = item.min(count.saturating_sub(fit));
                let title = if fit < count {
                    format!("{} ({}–{} of {count})", section.title, first + 1, first + fit)
                } else {
                    format!("{} ({count})", section.title)
                };
                (first * each, if count == 0 { section.title } else { title })
            }
        };
        if titled {
            lines.push(rule(&title, width, paint));
        }
        lines.extend(section.head.filter(|_| titled));
        lines.extend(section.body.into_iter().skip(from).take(rows));
    }
    (lines, first)
}

/// How many rows of its body each section gets.
fn share(sections: &[Section], height: usize, titled: bool) -> Vec<usize> {
    let mut left = height;
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|index| sections.get(*index).map(|section| section.rank));
    let mut granted = vec![0; sections.len()];
    let mut grant = |left: &mut usize, index: usize, upto: &dyn Fn(&Section) -> usize| {
        let (Some(section), Some(rows)) = (sections.get(index), granted.get_mut(index)) else { return };
        let above = if titled && *rows == 0 { 1 + usize::from(section.head.is_some()) } else { 0 };
        let each = if let Visible::From { rows, .. } = section.visible { rows } else { 1 };
        let room = left.saturating_sub(above);
        let more = upto(section).min(section.body.len()).saturating_sub(*rows).min(room);
        let more = more - more % each;
        if more > 0 {
            *rows += more;
            *left -= above + more;
        }
    };
    for index in &order {
        grant(&mut left, *index, &|section| section.minimum);
    }
    for index in &order {
        grant(&mut left, *index, &|section| section.body.len());
    }
    granted
}

/// `── Title ─────`
fn rule(title: &str, width: usize, paint: Paint) -> Line<'static> {
    let line =
        Builder::new(width, paint).add("── ", Role::Quiet).add(title, Role::Strong).add(" ", Role::Plain);
    let rest = line.room();
    line.add("─".repeat(rest), Role::Quiet).line()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(rank: u8, minimum: usize, rows: usize) -> Section {
        let body = (0..rows).map(|row| Line::from(row.to_string())).collect();
        Section { title: "T".to_owned(), head: None, body, visible: Visible::First, minimum, rank }
    }

    #[test]
    fn each_section_gets_its_minimum_before_one_gets_more() {
        let sections = [section(2, 1, 9), section(1, 2, 9), section(3, 1, 9)];
        assert_eq!(share(&sections, 27, false), [9, 9, 9]);
        assert_eq!(share(&sections, 12, false), [2, 9, 1]);
        assert_eq!(share(&sections, 4, false), [1, 2, 1]);
        assert_eq!(share(&sections, 2, false), [0, 2, 0]);
        assert_eq!(share(&sections, 0, false), [0, 0, 0]);
    }

    #[test]
    fn titles_take_rows_too() {
        let sections = [section(1, 1, 2), section(2, 1, 2)];
        assert_eq!(share(&sections, 6, true), [2, 2]);
        assert_eq!(share(&sections, 4, true), [1, 1]);
        assert_eq!(share(&sections, 3, true), [2, 0]);
        assert_eq!(share(&sections, 1, true), [0, 0]);
    }

    #[test]
    fn items_are_never_split_and_scrolling_ends_at_the_last_one() {
        let paint = Paint(false);
        let scrolled = |item, height| {
            let visible = Visible::From { item, rows: 2 };
            let (lines, first) =
                stack(vec![Section { visible, ..section(1, 2, 8) }], 20, height, paint, false);
            (lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), first)
        };
        assert_eq!(scrolled(0, 5), ("0 1 2 3".to_owned(), 0));
        assert_eq!(scrolled(1, 5), ("2 3 4 5".to_owned(), 1));
        assert_eq!(scrolled(9, 5), ("4 5 6 7".to_owned(), 2));
    }
}
