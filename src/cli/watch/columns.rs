//! The columns of the live list: what the screen has room for. A name is shortened before anything else is left out.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::status::Glance;

/// Narrower screens show no bars, and moments by how far they are away.
pub(super) const NARROW: u16 = 100;
/// Still narrower ones (a phone) show what each campaign is at, and how far.
pub(super) const PHONE: u16 = 60;
/// Columns between two columns.
pub(super) const BETWEEN: u16 = 2;
/// Columns of a bar that shows how far a campaign is.
const BAR: u64 = 10;
/// A name is still told from others by so much of it, and on a phone by so much.
const LEAST_NAME: usize = 16;
const LEAST_ON_A_PHONE: usize = 10;
/// On a phone a state is still known by so much of it.
const LEAST_STATE: usize = 13;
/// The first of several waits, with how many wait for it.
const LEAST_WAITS: usize = 20;

/// A column of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Name,
    Spec,
    State,
    /// A bar, and the words.
    Bar,
    Progress,
    /// In percent.
    Done,
    Waits,
    /// What the state does not say already.
    WaitsElse,
    Until,
    /// By how far it is away.
    Soon,
    /// The same without a word.
    Left,
}

/// What is told of each campaign; of less room, the later.
const LEVELS: &[&[Column]] = &[
    &[
        Column::Name,
        Column::Spec,
        Column::State,
        Column::Bar,
        Column::Waits,
        Column::Until,
    ],
    &[
        Column::Name,
        Column::State,
        Column::Progress,
        Column::WaitsElse,
        Column::Soon,
    ],
    &[
        Column::Name,
        Column::State,
        Column::Done,
        Column::WaitsElse,
        Column::Soon,
    ],
    &[Column::Name, Column::State, Column::Done, Column::Soon],
    &[Column::Name, Column::State, Column::Left],
    &[Column::Name, Column::State],
];

/// The columns for a screen of this width, each with its own.
pub(super) fn fitted(shown: &[Glance], room: u16) -> Vec<(Column, u16)> {
    let natural = |column: Column| {
        let cells = shown.iter().map(|glance| width(&column.text(glance)));
        let widest = cells.max().unwrap_or(0);
        // A column of nothing tells nothing.
        let empty = widest == 0 && column == Column::WaitsElse;
        (!empty).then(|| (column, widest.max(width(column.head()))))
    };
    let phone = room < PHONE;
    let levels = LEVELS.iter().skip(usize::from(room < NARROW));
    let mut fitted: Vec<(Column, usize)> = Vec::new();
    for level in levels {
        fitted = level.iter().copied().filter_map(natural).collect();
        let between = usize::from(BETWEEN) * fitted.len().saturating_sub(1);
        let taken = fitted.iter().map(|(_, width)| width).sum::<usize>() + between;
        let mut over = taken.saturating_sub(usize::from(room));
        for (column, width) in &mut fitted {
            let least = match column {
                Column::Name if phone => LEAST_ON_A_PHONE,
                Column::Name => LEAST_NAME,
                Column::State if phone => LEAST_STATE,
                Column::Waits | Column::WaitsElse => LEAST_WAITS,
                _ => continue,
            };
            let cut = over.min(width.saturating_sub(least));
            *width -= cut;
            over -= cut;
        }
        if over == 0 {
            break;
        }
    }
    fitted
        .into_iter()
        .map(|(column, width)| (column, u16::try_from(width).unwrap_or(u16::MAX)))
        .collect()
}

impl Column {
    pub(super) fn head(self) -> &'static str {
        match self {
            Column::Name => "CAMPAIGN",
            Column::Spec => "SPEC",
            Column::State => "STATE",
            Column::Done => "DONE",
            Column::Bar | Column::Progress => "PROGRESS",
            Column::Waits | Column::WaitsElse => "WAITS FOR",
            Column::Until | Column::Soon | Column::Left => "UNTIL",
        }
    }

    pub(super) fn text(self, glance: &Glance) -> String {
        match self {
            Column::Name => glance.name.clone(),
            Column::Spec => glance.sync.to_owned(),
            Column::State => glance.state.clone(),
            Column::Bar => format!("{}{}", bar(glance), glance.progress),
            Column::Progress => glance.progress.clone(),
            // As everywhere rounded down: 100 % is said of all only.
            Column::Done => match glance.included {
                0 => String::new(),
                all => format!("{} %", glance.settled.min(all) * 100 / all),
            },
            Column::WaitsElse if glance.waits == glance.state => String::new(),
            Column::Waits | Column::WaitsElse => glance.waits.clone(),
            Column::Until => glance.until.clone(),
            Column::Soon => glance.until_soon.clone(),
            Column::Left => glance.until_soon.trim_start_matches("done ").to_owned(),
        }
    }
}

fn bar(glance: &Glance) -> String {
    if glance.included == 0 {
        return String::new();
    }
    // Rounded down, so that only a campaign that is done has a full bar.
    let full = glance.settled.min(glance.included) * BAR / glance.included;
    let full = usize::try_from(full).unwrap_or(0);
    let rest = usize::try_from(BAR).unwrap_or(0).saturating_sub(full);
    format!("{}{} ", "█".repeat(full), "░".repeat(rest))
}

/// A text in so many columns. What is left out is left out of its middle: names that begin alike often end unlike.
pub(super) fn shortened(text: &str, room: u16) -> String {
    let room = usize::from(room);
    if width(text) <= room {
        return text.to_owned();
    }
    let whole = Span::raw(text);
    let letters: Vec<&str> = whole
        .styled_graphemes(Style::default())
        .map(|letter| letter.symbol)
        .collect();
    let left = room.saturating_sub(1);
    let end = fitting(letters.iter().rev().copied(), left / 3);
    let begin = fitting(letters.iter().copied(), left - width(&end.concat()));
    let end: String = end.into_iter().rev().collect();
    format!("{}…{end}", begin.concat())
}

/// As many of the letters as fit.
fn fitting<'a>(letters: impl Iterator<Item = &'a str>, room: usize) -> Vec<&'a str> {
    let mut taken = 0;
    letters
        .take_while(|letter| {
            taken += width(letter);
            taken <= room
        })
        .collect()
}

/// Columns of a terminal that a text takes.
fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_keeps_its_beginning_and_its_end() {
        for (text, room, expected) in [
            ("spring-launch", 13, "spring-launch"),
            ("spring-launch-of-2026-emea", 16, "spring-lau…-emea"),
            ("весенний-релиз-москва", 12, "весенний…ква"),
            // Wide letters take two columns, and are not halved.
            ("春のリリース東京", 10, "春のリ…京"),
            ("👩‍🚀👩‍🚀👩‍🚀👩‍🚀👩‍🚀", 7, "👩‍🚀👩‍🚀…👩‍🚀"),
            ("spring", 1, "…"),
            ("spring", 2, "s…"),
        ] {
            let short = shortened(text, room);
            assert_eq!(short, expected);
            assert!(width(&short) <= usize::from(room), "{short}");
        }
    }
}
