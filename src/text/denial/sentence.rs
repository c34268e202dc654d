//! A text as sentences of bare words.

use unicode_normalization::UnicodeNormalization;

use super::super::opt_out::is_invisible;
use super::words::is;

/// A word, lower case, and whether a comma or the like stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) comma: bool,
}

/// A sentence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) words: Vec<Word>,
    /// It ends with a question mark.
    pub(super) asks: bool,
}

impl Sentence {
    /// Whether there is such a word at this place.
    pub(super) fn is(&self, at: usize, of: &str) -> bool {
        self.words.get(at).is_some_and(|word| is(&word.text, of))
    }

    pub(super) fn has(&self, of: &str) -> bool {
        self.words.iter().any(|word| is(&word.text, of))
    }

    /// Whether such a word stands among these places.
    pub(super) fn has_in(&self, mut places: std::ops::Range<usize>, of: &str) -> bool {
        places.any(|at| self.is(at, of))
    }

    /// Whether a word stands at this place after a comma, or none does.
    pub(super) fn is_end(&self, at: usize) -> bool {
        self.words.get(at).is_none_or(|word| word.comma)
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    fn push(&mut self, word: &str, comma: bool) {
        self.words.push(Word {
            text: word.to_owned(),
            comma,
        });
    }

    /// The parts between commas, by their places.
    pub(super) fn clauses(&self) -> Vec<std::ops::Range<usize>> {
        let mut clauses = Vec::new();
        let mut from = 0;
        for at in 1..=self.len() {
            if self.is_end(at) {
                clauses.push(from..at);
                from = at;
            }
        }
        clauses
    }
}

/// Longer ones are read in parts, so that no text costs more than its length.
const LONGEST: usize = 80;

/// The sentences of a text.
pub(super) fn sentences(text: &str) -> Vec<Sentence> {
    let plain: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .nfkc()
        .flat_map(char::to_lowercase)
        .nfc()
        .map(|c| match c {
            // People write ё as е and mean the same word.
            'ё' => 'е',
            '’' | '‘' | '`' | '´' | 'ʼ' | 'ʹ' => '\'',
            other => other,
        })
        .collect();
    let mut all = Vec::new();
    let mut open = Sentence::default();
    let mut word = String::new();
    let mut comma = false;
    for c in plain.chars().chain(['\n']) {
        if c.is_alphanumeric()
            || unicode_normalization::char::is_combining_mark(c)
            || (c == '\'' && !word.is_empty())
        {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            add(&mut open, &std::mem::take(&mut word), comma);
            comma = false;
            if open.len() >= LONGEST {
                all.push(std::mem::take(&mut open));
            }
        }
        match c {
            '.' | '!' | '?' | '\n' | ';' => {
                comma = false;
                if !open.words.is_empty() {
                    open.asks = c == '?';
                    all.push(std::mem::take(&mut open));
                }
            }
            ',' | ':' | '(' | ')' => comma = true,
            _ => {}
        }
    }
    all
}

/// Adds a word. Short forms of English become the words that they stand for, those of French and Italian two.
fn add(sentence: &mut Sentence, word: &str, comma: bool) {
    let whole = word.trim_end_matches('\'');
    // `No one` is one word, and `im` is German too.
    if let Some(last) = sentence.words.last_mut().filter(|_| !comma) {
        if whole == "one" && last.text == "no" {
            last.text = "nobody".to_owned();
            return;
        }
        if matches!(&*last.text, "чат" | "chat")
            && (whole.starts_with("bot") || whole.starts_with("бот"))
        {
            last.text.push_str(whole);
            return;
        }
        // As much as `not`.
        if matches!((&*last.text, whole), ("anything", "but") | ("far", "from")) {
            last.text = "not".to_owned();
            return;
        }
        if last.text == "im" && is(whole, AFTER_I_AM) {
            last.text = "i".to_owned();
            sentence.push("am", false);
        }
    }
    for (at, part) in parts(whole).into_iter().enumerate() {
        sentence.push(&part, comma && at == 0);
    }
}

/// What follows `im` where it stands for `I am`.
const AFTER_I_AM: &str = "a an not no human real really just totally definitely";

fn parts(word: &str) -> Vec<String> {
    const IS: &str = "it that this there here who he she nobody";
    let two = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
    match word {
        "dont" => return two("do", "not"),
        "doesnt" => return two("does", "not"),
        "isnt" => return two("is", "not"),
        "arent" => return two("are", "not"),
        "wasnt" => return two("was", "not"),
        "aint" => return two("am", "not"),
        "cant" => return two("can", "not"),
        "youre" => return two("you", "are"),
        "thats" => return two("that", "is"),
        "theres" => return two("there", "is"),
        _ => {}
    }
    let Some((word, short)) = word.split_once('\'') else {
        return vec![word.to_owned()];
    };
    match short {
        "m" => two(word, "am"),
        "re" => two(word, "are"),
        "ve" => two(word, "have"),
        "ll" => two(word, "will"),
        "d" => two(word, "would"),
        "t" => match word {
            "ain" => two("am", "not"),
            "can" => two("can", "not"),
            "won" => two("will", "not"),
            _ => two(word.strip_suffix('n').unwrap_or(word), "not"),
        },
        "s" if is(word, IS) => two(word, "is"),
        "s" | "" => vec![word.to_owned()],
        _ if word.chars().count() <= 2 => two(word, short),
        _ => vec![format!("{word}{short}")],
    }
}
