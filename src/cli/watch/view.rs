//! The live view on a screen.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Table, TableState, Wrap};

use super::ansi;
use super::app::{App, Screen};
use super::columns::{self, Column, PHONE};
use crate::model::Timestamp;
use crate::status::{self, Glance, Look, Tone};
use crate::time::human_duration;

/// Lower screens show the campaigns, and what needs a person.
const SHORT: u16 = 14;
/// Narrower screens have no room for all keys in one line.
const ALL_KEYS: u16 = 72;
/// A heartbeat that is older is worth a colour: the loop goes round at least every second.
const STALE_MS: u64 = 10_000;
/// Lines of the list that are no campaign: what is above it, its head, and one below.
const HEADS: usize = 3;
/// Of what needs a person, and of what is suspended, so many; the rest is counted.
const MAX_NEEDS: usize = 6;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, colour: bool, now: Timestamp) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(app, colour, now, head), head);
    match app.screen {
        Screen::List => list(frame, body, app, colour, now),
        Screen::Story => story(frame, body, app, colour, now),
        Screen::Help => help(frame, body),
    }
    frame.render_widget(footer(app, foot), foot);
}

fn tone(tone: Tone, colour: bool) -> Style {
    if !colour {
        return match tone {
            Tone::Bad => Style::default().add_modifier(Modifier::BOLD),
            _ => Style::default(),
        };
    }
    match tone {
        Tone::Good => Style::default().fg(Color::Green),
        Tone::Warn => Style::default().fg(Color::Yellow),
        Tone::Bad => Style::default().fg(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Quiet => Style::default().fg(Color::DarkGray),
    }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    human_duration(i64::try_from(now.since(at).as_millis()).unwrap_or(i64::MAX))
}

fn headline(app: &App, colour: bool, now: Timestamp, area: Rect) -> Paragraph<'static> {
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let alarm = if colour {
        Style::default().fg(Color::White).bg(Color::Red)
    } else {
        Style::default().add_modifier(Modifier::REVERSED)
    };
    let Some(report) = &app.report else {
        let text = app
            .failed
            .clone()
            .map_or_else(|| "Looking…".to_owned(), |why| status::plain(&why));
        let style = if app.failed.is_some() {
            alarm
        } else {
            Style::default()
        };
        return Paragraph::new(Line::styled(text, style));
    };
    if let Some(since) = app.gone {
        let text = if area.width < PHONE {
            let since = ago(since, now);
            match report.daemon.running {
                true => format!(" The daemon is gone for {since}. "),
                false => " No daemon is running. ".to_owned(),
            }
        } else if report.daemon.running {
            format!(
                " The daemon is gone for {}: this is what it last said. `tidings run` starts one. ",
                ago(since, now)
            )
        } else {
            " No daemon is running: this is what the state holds. `tidings run` starts one. "
                .to_owned()
        };
        return Paragraph::new(Line::styled(text, alarm));
    }
    if let Some(why) = &app.failed {
        return Paragraph::new(Line::styled(format!(" {} ", status::plain(why)), alarm));
    }
    let daemon = &report.daemon;
    let beat = daemon.heartbeat_age_ms.unwrap_or(0);
    let beat_style = if beat > STALE_MS {
        tone(Tone::Warn, colour)
    } else {
        Style::default()
    };
    let pid = daemon
        .pid
        .map_or_else(String::new, |pid| format!(", pid {pid}"));
    let runs = match area.width {
        ..PHONE => "  ".to_owned(),
        _ => format!("  The daemon runs{pid}, "),
    };
    Paragraph::new(Line::from(vec![
        Span::styled("tidings", bold),
        Span::raw(runs),
        Span::styled(
            format!(
                "heartbeat {} ago",
                human_duration(i64::try_from(beat).unwrap_or(i64::MAX))
            ),
            beat_style,
        ),
    ]))
}

fn footer(app: &App, area: Rect) -> Paragraph<'static> {
    let dim = Style::default().add_modifier(Modifier::DIM);
    if app.typing {
        return Paragraph::new(Line::from(vec![
            Span::raw("/"),
            Span::raw(status::plain(&app.filter)),
            Span::styled(" ", Style::default().add_modifier(Modifier::REVERSED)),
            Span::styled("  enter: keep  esc: clear", dim),
        ]));
    }
    let keys = match app.screen {
        Screen::List if area.width < ALL_KEYS => "q quit  ? keys  ↑↓ enter / n",
        Screen::Story if area.width < ALL_KEYS => "q quit  ? keys  ↑↓ esc",
        Screen::List => "↑↓ move  enter story  / filter  n needs me  r refresh  ? keys  q quit",
        Screen::Story => "↑↓ scroll  esc back  r refresh  ? keys  q quit",
        Screen::Help => "any key: back",
    };
    let mut spans = Vec::new();
    if !app.filter.is_empty() {
        spans.push(Span::raw(format!("/{}  ", status::plain(&app.filter))));
    }
    if app.only_needs {
        spans.push(Span::raw("only what needs me  "));
    }
    spans.push(Span::styled(keys, dim));
    Paragraph::new(Line::from(spans))
}

fn list(frame: &mut Frame<'_>, area: Rect, app: &mut App, colour: bool, now: Timestamp) {
    let shown = app.shown(now);
    let room = usize::from(area.height);
    let look = Look {
        wide: false,
        width: Some(usize::from(area.width)),
        colour,
        now,
    };
    let held = held_lines(app, &look);
    let held_height = held.len().min(room / 4);
    let short = area.height < SHORT;
    let notes = note_lines(app, &look, short);
    let accounts = account_lines(app, &look);
    // The campaigns come first: nearly half of the screen is theirs, or as much as they take; what they leave goes to
    // what needs a person, and then to the accounts, for which a screen of a few lines has no room.
    let left = room.saturating_sub(held_height + shown.len() + HEADS);
    let least_accounts = match short {
        true => 0,
        false => accounts.len().min(room / 5),
    };
    let most_notes = left.saturating_sub(least_accounts).max(room / 3);
    let notes_height = notes.len().min(most_notes);
    let accounts_height = match short {
        true => 0,
        false => accounts
            .len()
            .min(left.saturating_sub(notes_height).max(least_accounts)),
    };
    let fit = |height: usize| Constraint::Length(u16::try_from(height).unwrap_or(u16::MAX));
    let [above, campaigns, wanted, below] = Layout::vertical([
        fit(held_height),
        Constraint::Min(3),
        fit(notes_height),
        fit(accounts_height),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(held), above);
    campaign_table(frame, campaigns, app, &shown, colour);
    beneath(
        frame,
        wanted,
        notes,
        "… more: `n` shows only what needs you",
    );
    beneath(
        frame,
        below,
        accounts,
        "… more of them: `tidings account list`",
    );
}

/// That everything is suspended, where it is.
fn held_lines(app: &App, look: &Look) -> Vec<Line<'static>> {
    let held = app
        .report
        .as_ref()
        .and_then(|report| status::suspended_line(report, look.now));
    let Some(held) = held else {
        return Vec::new();
    };
    let mut text = String::new();
    status::push_wrapped(&mut text, "", 0, &held, look);
    let style = tone(Tone::Warn, look.colour).add_modifier(Modifier::BOLD);
    text.lines()
        .map(|line| Line::styled(line.to_owned(), style))
        .collect()
}

/// What needs a person, what is suspended, and who waits for an answer; how many need one, where there is no room.
fn note_lines(app: &App, look: &Look, short: bool) -> Vec<Line<'static>> {
    app.report.as_ref().map_or_else(Vec::new, |report| {
        if short {
            let said = match status::needs_person_list(report).len() {
                0 => return Vec::new(),
                1 => "1 needs you: `n` shows it".to_owned(),
                many => format!("{many} need you: `n` shows them"),
            };
            return vec![Line::styled(said, tone(Tone::Warn, look.colour))];
        }
        ansi::lines(&status::notes(report, look, MAX_NEEDS, ": `n` shows them"))
    })
}

/// As many of the lines as there is room for, and what shows the others.
fn beneath(frame: &mut Frame<'_>, area: Rect, mut lines: Vec<Line<'static>>, more: &'static str) {
    let room = usize::from(area.height);
    if lines.len() > room && room > 1 {
        lines.truncate(room - 1);
        // A paragraph that ends here needs no line after it.
        if lines.last().is_some_and(|line| line.width() == 0) {
            lines.pop();
        }
        lines.push(Line::raw(more));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn campaign_table(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &mut App,
    shown: &[Glance],
    colour: bool,
) {
    app.lines.1 = usize::from(area.height.saturating_sub(2)).max(1);
    if shown.is_empty() {
        let text = match &app.report {
            None => "",
            Some(report) if report.campaigns.is_empty() => {
                "No campaigns. `tidings init` makes an example."
            }
            Some(_) if app.only_needs && app.filter.is_empty() => {
                "Nothing needs you. `n` shows all."
            }
            Some(_) => "No campaign is like that. esc shows all.",
        };
        let at = Rect {
            y: area.y.saturating_add(1),
            height: area.height.saturating_sub(1),
            ..area
        };
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), at);
        return;
    }
    let columns = columns::fitted(shown, area.width);
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let rows = shown.iter().map(|glance| {
        Row::new(columns.iter().map(|(column, width)| {
            let style = match column {
                Column::Spec => tone(glance.sync_tone, colour),
                Column::State => tone(glance.state_tone, colour),
                _ => Style::default(),
            };
            Cell::new(Span::styled(
                columns::shortened(&column.text(glance), *width),
                style,
            ))
        }))
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(*width));
    let table = Table::new(rows, widths)
        .header(Row::new(columns.iter().map(|(column, _)| column.head())).style(bold))
        .column_spacing(columns::BETWEEN)
        .row_highlight_style(Style::default().add_modifier(Modifier::REVERSED));
    let at = Rect {
        y: area.y.saturating_add(1),
        height: area.height.saturating_sub(1),
        ..area
    };
    let mut state = TableState::default()
        .with_offset(app.offset)
        .with_selected(Some(app.chosen));
    frame.render_stateful_widget(table, at, &mut state);
    app.offset = state.offset();
    let below = shown.len().saturating_sub(app.offset + app.lines.1);
    if below > 0 && area.height > 4 {
        let text = format!("{below} more ↓ ");
        let line = Rect {
            y: area.y,
            height: 1,
            ..area
        };
        frame.render_widget(
            Paragraph::new(text)
                .alignment(Alignment::Right)
                .style(Style::default().add_modifier(Modifier::DIM)),
            line,
        );
    }
}

/// The accounts in as many lines as it takes.
fn account_lines(app: &App, look: &Look) -> Vec<Line<'static>> {
    let Some(report) = app.report.as_ref().filter(|r| !r.accounts.is_empty()) else {
        return Vec::new();
    };
    let mut lines = vec![Line::raw("")];
    lines.extend(ansi::lines(&status::accounts_table(&report.accounts, look)));
    lines
}

fn story(frame: &mut Frame<'_>, area: Rect, app: &mut App, colour: bool, now: Timestamp) {
    let (Some(report), Some(name)) = (&app.report, &app.story) else {
        return;
    };
    let look = Look {
        wide: false,
        width: Some(usize::from(area.width)),
        colour,
        now,
    };
    let lines = match report.clone().only(std::slice::from_ref(name)) {
        Ok(one) => {
            let text = status::detail(&one, &app.events, &look);
            // The first paragraph is about the daemon, which the headline shows.
            ansi::lines(text.find("\n\n").map_or("", |end| &text[end + 1..]))
        }
        Err(_) => vec![
            Line::raw(""),
            Line::raw(format!("`{name}` is not among the campaigns any more.")),
        ],
    };
    app.lines = (lines.len(), usize::from(area.height));
    app.scroll = app
        .scroll
        .min(lines.len().saturating_sub(usize::from(area.height)));
    let top = u16::try_from(app.scroll).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(lines).scroll((top, 0)), area);
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let keys = [
        ("↑ ↓ j k", "up and down"),
        ("PgUp PgDn space", "a page"),
        ("g G Home End", "to the first, to the last"),
        ("enter →", "the whole story of a campaign"),
        ("esc ←", "back; in the list: no filter"),
        ("/", "only campaigns that hold a text"),
        ("n", "only campaigns that need me"),
        ("r", "ask again now; it asks by itself every second"),
        ("q Ctrl-C", "leave"),
    ];
    let lines: Vec<Line<'_>> = keys
        .iter()
        .map(|(key, what)| Line::raw(format!("{key:<18}{what}")))
        .collect();
    let block = Block::default().borders(Borders::ALL).title(" Keys ");
    let height = u16::try_from(keys.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let width = 70.min(area.width);
    let at = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, at);
    frame.render_widget(Paragraph::new(lines).block(block), at);
}
