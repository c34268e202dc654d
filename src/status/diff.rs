//! What was expected beside what came, for people: `-` lines are the first text, `+` lines the second, and within a
//! changed line the words that differ stand out.

use std::fmt::Write as _;

use similar::{ChangeTag, DiffOp, TextDiff};

use super::plain::plain;

/// Unchanged lines shown around a change, as `git diff` does.
const CONTEXT: usize = 3;

/// ECMA-48: red or green; inverse for what differs within the line.
fn sgr(tag: ChangeTag, stands_out: bool) -> &'static str {
    match (tag, stands_out) {
        (ChangeTag::Delete, false) => "\u{1b}[31m",
        (ChangeTag::Delete, true) => "\u{1b}[31;7m",
        (ChangeTag::Insert, false) => "\u{1b}[32m",
        (ChangeTag::Insert, true) => "\u{1b}[32;7m",
        (ChangeTag::Equal, _) => "",
    }
}

/// The difference of two texts, one line each, without a line end at the last; empty where they are equal.
pub fn lines(before: &str, after: &str, colour: bool) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut out = Vec::new();
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            out.push("…".to_owned());
        }
        for op in group {
            one(&mut out, &diff, op, colour);
        }
    }
    out
}

fn one<'a>(out: &mut Vec<String>, diff: &'a TextDiff<'a, 'a, 'a, str>, op: &DiffOp, colour: bool) {
    for change in diff.iter_inline_changes(op) {
        let tag = change.tag();
        let sign = match tag {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let mut line = String::new();
        let painted = colour && tag != ChangeTag::Equal;
        if painted {
            let _ = write!(line, "{}{sign} ", sgr(tag, false));
        } else {
            let _ = write!(line, "{sign} ");
        }
        for (stands_out, text) in change.iter_strings_lossy() {
            let text = plain(text.trim_end_matches(['\n', '\r']));
            if painted && stands_out {
                let _ = write!(line, "{}{text}\u{1b}[0m{}", sgr(tag, true), sgr(tag, false));
            } else {
                line.push_str(&text);
            }
        }
        if painted {
            line.push_str("\u{1b}[0m");
        } else {
            line.truncate(line.trim_end().len());
        }
        out.push(line);
    }
}

/// The line of a text that is most like what was looked for.
pub fn nearest<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    let wanted = wanted.lines().next().unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            (
                strsim::sorensen_dice(&line.to_lowercase(), &wanted.to_lowercase()),
                line,
            )
        })
        // The first of equals: `max_by` would take the last.
        .fold(
            None,
            |best: Option<(f64, &str)>, (score, line)| match best {
                Some((most, _)) if most >= score => best,
                _ => Some((score, line)),
            },
        )
        .map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_stands_as_both_and_the_rest_as_it_is() {
        let lines = lines(
            "Hi Anna!\nDoors at 18.\nBye",
            "Hi Anna!\nDoors at 19.\nBye",
            false,
        );
        assert_eq!(
            lines,
            ["  Hi Anna!", "- Doors at 18.", "+ Doors at 19.", "  Bye"]
        );
    }

    #[test]
    fn words_that_differ_stand_out_in_colour() {
        let lines = lines("Doors at 18.", "Doors at 19.", true);
        assert_eq!(
            lines,
            [
                "\u{1b}[31m- Doors at \u{1b}[31;7m18.\u{1b}[0m\u{1b}[31m\u{1b}[0m",
                "\u{1b}[32m+ Doors at \u{1b}[32;7m19.\u{1b}[0m\u{1b}[32m\u{1b}[0m"
            ]
        );
    }

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(lines("a\nb", "a\nb", true), [""; 0]);
    }

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        assert!(!lines("a\u{1b}[2J", "b", false).concat().contains('\u{1b}'));
    }

    #[test]
    fn the_nearest_line_is_the_one_that_says_most_of_it() {
        let text = "Hi Anna!\n\nDoors open on Thursday.\nBye";
        assert_eq!(
            nearest(text, "Doors open on Friday."),
            Some("Doors open on Thursday.")
        );
        assert_eq!(nearest("", "x"), None);
    }
}
