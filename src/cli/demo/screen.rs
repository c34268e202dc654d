//! Lines for whoever looks on, and on a terminal a bar below them.

use std::io::IsTerminal as _;

use console::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::{Failure, output};

/// Where the demo prints.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    colour: bool,
}

impl Screen {
    pub(super) fn new() -> Screen {
        // A bar redraws lines: only where both streams are the terminal it draws on.
        let live = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let bar = live.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
            if let Ok(style) =
                ProgressStyle::with_template("  {bar:32} {pos} of {len} settled · {msg}")
            {
                bar.set_style(style);
            }
            bar
        });
        Screen {
            bar,
            colour: output::colour(),
        }
    }

    /// A line.
    pub(super) fn line(&self, line: &str) -> Result<(), Failure> {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::line(line)),
            None => output::line(line),
        }
    }

    /// A heading.
    pub(super) fn heading(&self, text: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&self.styled(text, Style::new().bold()))
    }

    /// A line that is worth a second look.
    pub(super) fn notable(&self, at: &str, text: &str) -> Result<(), Failure> {
        self.line(&format!(
            "{at}  {}",
            self.styled(text, Style::new().yellow())
        ))
    }

    /// How far it is, where there is a bar.
    pub(super) fn progress(&self, settled: u64, of: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(settled);
            bar.set_message(message.to_owned());
        }
    }

    /// No bar any more.
    pub(super) fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn styled(&self, text: &str, style: Style) -> String {
        style.force_styling(self.colour).apply_to(text).to_string()
    }
}
