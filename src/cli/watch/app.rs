//! The live view's state: what is shown, and what a key does. No terminal, no clock, no socket.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::Timestamp;
use crate::status::{self, EventLine, Glance, StatusReport};

/// A page of lines, for the first key before anything was drawn.
const PAGE: usize = 10;

/// What came of asking.
#[derive(Debug, Clone)]
pub(super) enum Update {
    /// The report, and recent events of the campaign whose story is open.
    Report(Box<StatusReport>, Vec<EventLine>),
    /// Nobody answers on the control socket any more.
    Gone,
    /// It could not be read.
    Failed(String),
}

/// What is to be done after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Go on.
    Go,
    /// Ask again now.
    Ask,
    /// Leave.
    Quit,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    /// All campaigns.
    List,
    /// One campaign's story.
    Story,
    /// The keys.
    Help,
}

/// The state.
#[derive(Debug)]
pub(super) struct App {
    /// The last report.
    pub(super) report: Option<StatusReport>,
    /// Recent events of the open story.
    pub(super) events: Vec<EventLine>,
    /// When the report came.
    pub(super) at: Option<Timestamp>,
    /// Since when the daemon is gone.
    pub(super) gone: Option<Timestamp>,
    /// Why it cannot be read.
    pub(super) failed: Option<String>,
    /// Only campaigns that hold this.
    pub(super) filter: String,
    /// The filter is being typed.
    pub(super) typing: bool,
    /// Only campaigns that need a person.
    pub(super) only_needs: bool,
    /// The chosen campaign's place among those that are shown.
    pub(super) chosen: usize,
    /// The first line of the list that is shown.
    pub(super) offset: usize,
    /// What is shown.
    pub(super) screen: Screen,
    /// Whose story is open.
    pub(super) story: Option<String>,
    /// The first line of the story that is shown.
    pub(super) scroll: usize,
    /// Lines of the story, and of the screen, as they were last drawn.
    pub(super) lines: (usize, usize),
}

impl App {
    /// With the story of one campaign open, where only that one is asked for.
    pub(super) fn new(names: &[String]) -> App {
        let story = match names {
            [only] => Some(only.clone()),
            _ => None,
        };
        App {
            report: None,
            events: Vec::new(),
            at: None,
            gone: None,
            failed: None,
            filter: String::new(),
            typing: false,
            only_needs: false,
            chosen: 0,
            offset: 0,
            screen: if story.is_some() {
                Screen::Story
            } else {
                Screen::List
            },
            story,
            scroll: 0,
            lines: (0, PAGE),
        }
    }

    /// Takes an answer in.
    pub(super) fn take(&mut self, update: Update, now: Timestamp) {
        match update {
            Update::Report(report, events) => {
                let name = self.chosen_name(now);
                // A report that the command read itself is as old as the state is.
                self.gone = if report.daemon.running {
                    None
                } else {
                    self.gone.or(Some(now))
                };
                self.failed = None;
                self.at = Some(now);
                self.report = Some(*report);
                self.events = events;
                // The same campaign stays chosen while others come and go.
                if let Some(name) = name
                    && let Some(at) = self.shown(now).iter().position(|g| g.name == name)
                {
                    self.chosen = at;
                }
            }
            Update::Gone => self.gone = self.gone.or(Some(now)),
            Update::Failed(why) => self.failed = Some(why),
        }
        self.clamp(now);
    }

    /// The campaigns that the filters let through.
    pub(super) fn shown(&self, now: Timestamp) -> Vec<Glance> {
        let Some(report) = &self.report else {
            return Vec::new();
        };
        status::glances(report, now)
            .into_iter()
            .filter(|glance| self.filter.is_empty() || glance.holds(&self.filter))
            .filter(|glance| !self.only_needs || glance.needs.is_some())
            .collect()
    }

    fn chosen_name(&self, now: Timestamp) -> Option<String> {
        self.shown(now)
            .get(self.chosen)
            .map(|glance| glance.name.clone())
    }

    fn clamp(&mut self, now: Timestamp) {
        let most = self.shown(now).len().saturating_sub(1);
        self.chosen = self.chosen.min(most);
        self.scroll = self
            .scroll
            .min(self.lines.0.saturating_sub(self.lines.1.min(self.lines.0)));
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyEvent, now: Timestamp) -> Then {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Then::Quit;
        }
        if self.typing {
            self.type_filter(key, control);
            self.chosen = 0;
            self.clamp(now);
            return Then::Go;
        }
        match (self.screen, key.code) {
            (Screen::Help, KeyCode::Char('q')) if self.story.is_none() => return Then::Quit,
            (Screen::Help, _) => {
                self.screen = if self.story.is_some() {
                    Screen::Story
                } else {
                    Screen::List
                };
                return Then::Go;
            }
            (_, KeyCode::Char('q')) => return Then::Quit,
            (_, KeyCode::Char('?' | 'h')) => self.screen = Screen::Help,
            (_, KeyCode::Char('r')) => return Then::Ask,
            (Screen::Story, KeyCode::Esc | KeyCode::Backspace | KeyCode::Left) => {
                self.story = None;
                self.screen = Screen::List;
            }
            (Screen::Story, code) => self.move_story(code, control),
            (Screen::List, KeyCode::Char('/')) => self.typing = true,
            (Screen::List, KeyCode::Char('n')) => self.only_needs = !self.only_needs,
            (Screen::List, KeyCode::Esc) => {
                self.filter.clear();
                self.only_needs = false;
            }
            (Screen::List, KeyCode::Enter | KeyCode::Right) => {
                if let Some(name) = self.chosen_name(now) {
                    self.story = Some(name);
                    self.events.clear();
                    self.scroll = 0;
                    self.screen = Screen::Story;
                    return Then::Ask;
                }
            }
            (Screen::List, code) => self.move_list(code, control, now),
        }
        self.clamp(now);
        Then::Go
    }

    fn type_filter(&mut self, key: KeyEvent, control: bool) {
        match key.code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.typing = false;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char('u') if control => self.filter.clear(),
            KeyCode::Char(c) if !control && self.filter.len() < 200 => self.filter.push(c),
            _ => {}
        }
    }

    fn move_list(&mut self, code: KeyCode, control: bool, now: Timestamp) {
        let last = self.shown(now).len().saturating_sub(1);
        let page = self.lines.1.max(1);
        self.chosen = match code {
            KeyCode::Down | KeyCode::Char('j') => self.chosen.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.chosen.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.chosen.saturating_add(page),
            KeyCode::Char('f') if control => self.chosen.saturating_add(page),
            KeyCode::PageUp => self.chosen.saturating_sub(page),
            KeyCode::Char('b') if control => self.chosen.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => last,
            _ => self.chosen,
        }
        .min(last);
    }

    fn move_story(&mut self, code: KeyCode, control: bool) {
        let page = self.lines.1.saturating_sub(1).max(1);
        self.scroll = match code {
            KeyCode::Down | KeyCode::Char('j') => self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll.saturating_add(page),
            KeyCode::Char('f') if control => self.scroll.saturating_add(page),
            KeyCode::PageUp => self.scroll.saturating_sub(page),
            KeyCode::Char('b') if control => self.scroll.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => usize::MAX,
            _ => self.scroll,
        };
    }
}
