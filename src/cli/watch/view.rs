//! The live view on a screen.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Table, TableState, Wrap};

use super::ansi;
use super::app::{App, Screen};
use crate::model::Timestamp;
use crate::status::{self, Glance, Look, Tone};
use crate::time::human_duration;

/// Narrower screens show no bars, and moments by how far they are away.
const NARROW: u16 = 100;
/// Still narrower ones (a phone) show what each campaign is at, and how far.
const PHONE: u16 = 60;
/// Lower screens show the campaigns, and what needs a person.
const SHORT: u16 = 14;
/// Columns of a bar that shows how far a campaign is.
const BAR: u64 = 10;
/// A heartbeat that is older is worth a colour: the loop goes round at least every second.
const STALE_MS: u64 = 10_000;
/// Who needs a person, at most so many; the rest is counted.
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
        Screen::List if area.width < PHONE => "q quit  ? keys  ↑↓ enter / n",
        Screen::Story if area.width < PHONE => "q quit  ? keys  ↑↓ esc",
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

fn list(frame: &mut Frame<'_>, area: Rect, app: &mut App, colour: bool, now: Timestamp) {
    let shown = app.shown(now);
    let needs = needs(app);
    let accounts = account_lines(app, area.width, colour, now);
    // A reason that is cut off at the edge would hide what to do.
    let columns = usize::from(area.width).max(1);
    let needs_height = if needs.is_empty() {
        0
    } else {
        let lines: usize = needs
            .iter()
            .take(MAX_NEEDS)
            .map(|(who, why)| (width(who) + width(why) + 4).div_ceil(columns))
            .sum();
        let more = usize::from(needs.len() > MAX_NEEDS);
        // On a screen of a few lines the campaigns come first; `n` shows the rest.
        let most = usize::from(area.height) / if area.height < SHORT { 3 } else { 2 };
        (lines + more + 1).min(most)
    };
    // A screen of a few lines is the campaigns'.
    let accounts_height = if accounts.is_empty() || area.height < SHORT {
        0
    } else {
        // A third, or all that the campaigns leave.
        let height = usize::from(area.height);
        let left = height.saturating_sub(needs_height + shown.len() + 3);
        accounts.len().min(left.max(height / 3))
    };
    let fit = |height: usize| Constraint::Length(u16::try_from(height).unwrap_or(u16::MAX));
    let [campaigns, wanted, below] =
        Layout::vertical([Constraint::Min(3), fit(needs_height), fit(accounts_height)]).areas(area);
    campaign_table(frame, campaigns, app, &shown, colour);
    if needs_height > 0 {
        needs_panel(frame, wanted, &needs, colour);
    }
    if accounts_height > 0 {
        account_table(frame, below, accounts);
    }
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
    let columns = columns(area.width);
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let rows = shown.iter().map(|glance| {
        Row::new(
            columns
                .iter()
                .map(|column| Cell::new(Line::from(column.spans(glance, area.width, colour)))),
        )
    });
    // What is on the left is what one looks for first: the right is cut where there is no room.
    let widths = columns.iter().map(|column| {
        let of = |glance: &Glance| Line::from(column.spans(glance, area.width, colour)).width();
        let widest = shown.iter().map(of).max().unwrap_or(0);
        let widest = u16::try_from(widest.max(column.head(area.width).len())).unwrap_or(u16::MAX);
        match column {
            Column::Until => Constraint::Fill(1),
            Column::Waits => Constraint::Max(widest),
            _ => Constraint::Length(widest),
        }
    });
    let table = Table::new(rows, widths.collect::<Vec<_>>())
        .header(Row::new(columns.iter().map(|column| column.head(area.width))).style(bold))
        .column_spacing(2)
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

/// A column of the list.
#[derive(Debug, Clone, Copy)]
enum Column {
    Name,
    Spec,
    State,
    Progress,
    Waits,
    Until,
}

/// Those that a screen of this width has room for.
fn columns(width: u16) -> Vec<Column> {
    match width {
        ..PHONE => vec![Column::Name, Column::State, Column::Progress],
        PHONE..NARROW => vec![
            Column::Name,
            Column::State,
            Column::Progress,
            Column::Waits,
            Column::Until,
        ],
        _ => vec![
            Column::Name,
            Column::Spec,
            Column::State,
            Column::Progress,
            Column::Waits,
            Column::Until,
        ],
    }
}

impl Column {
    fn head(self, width: u16) -> &'static str {
        match self {
            Column::Name => "CAMPAIGN",
            Column::Spec => "SPEC",
            Column::State => "STATE",
            Column::Progress if width < PHONE => "DONE",
            Column::Progress => "PROGRESS",
            Column::Waits => "WAITS FOR",
            Column::Until => "UNTIL",
        }
    }

    fn spans(self, glance: &Glance, width: u16, colour: bool) -> Vec<Span<'static>> {
        let narrow = width < NARROW;
        match self {
            Column::Name => vec![Span::raw(glance.name.clone())],
            Column::Spec => vec![Span::styled(glance.sync, tone(glance.sync_tone, colour))],
            Column::State => vec![Span::styled(
                glance.state.clone(),
                tone(glance.state_tone, colour),
            )],
            // As everywhere rounded down: 100 % is said of all only.
            Column::Progress if width < PHONE => match glance.included {
                0 => Vec::new(),
                all => vec![Span::raw(format!("{} %", glance.settled * 100 / all))],
            },
            Column::Progress if narrow => vec![Span::raw(glance.progress.clone())],
            Column::Progress => vec![Span::raw(bar(glance)), Span::raw(glance.progress.clone())],
            // The state says it already.
            Column::Waits if narrow && glance.waits == glance.state => Vec::new(),
            Column::Waits => vec![Span::raw(glance.waits.clone())],
            Column::Until if narrow => vec![Span::raw(glance.until_soon.clone())],
            Column::Until => vec![Span::raw(glance.until.clone())],
        }
    }
}

/// Columns of a terminal that a text takes.
fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

fn needs(app: &App) -> Vec<(String, String)> {
    app.report
        .as_ref()
        .map(status::needs_person_list)
        .unwrap_or_default()
}

fn needs_panel(frame: &mut Frame<'_>, area: Rect, needs: &[(String, String)], colour: bool) {
    let mut lines = vec![Line::styled("Needs you:", tone(Tone::Warn, colour))];
    for (who, why) in needs.iter().take(MAX_NEEDS) {
        lines.push(Line::from(vec![
            Span::styled(
                format!("  {who}  "),
                Style::default().add_modifier(Modifier::BOLD),
            ),
            Span::raw(why.clone()),
        ]));
    }
    if needs.len() > MAX_NEEDS {
        lines.push(Line::raw(format!(
            "  … and {} more: `n` shows them.",
            needs.len() - MAX_NEEDS
        )));
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

/// The accounts in as many lines as it takes.
fn account_lines(app: &App, width: u16, colour: bool, now: Timestamp) -> Vec<Line<'static>> {
    let Some(report) = app.report.as_ref().filter(|r| !r.accounts.is_empty()) else {
        return Vec::new();
    };
    let look = Look {
        wide: false,
        width: Some(usize::from(width)),
        colour,
        now,
    };
    let mut lines = vec![Line::raw("")];
    lines.extend(ansi::lines(&status::accounts_table(
        &report.accounts,
        &look,
    )));
    lines
}

fn account_table(frame: &mut Frame<'_>, area: Rect, mut lines: Vec<Line<'static>>) {
    let room = usize::from(area.height);
    if lines.len() > room && room > 1 {
        lines.truncate(room - 1);
        lines.push(Line::raw("… more of them: `tidings account list`"));
    }
    frame.render_widget(Paragraph::new(lines), area);
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
            // The first line is about the daemon, which the headline shows.
            ansi::lines(text.split_once('\n').map_or("", |(_, rest)| rest))
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
