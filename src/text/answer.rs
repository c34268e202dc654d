//! Whether a message says a word.

use super::opt_out::bare;

/// The first of these words or phrases that a message says: whole words, any case, punctuation aside.
pub fn said_word<'a, S: AsRef<str>>(message: &str, words: &'a [S]) -> Option<&'a str> {
    let said = format!(" {} ", bare(message));
    words.iter().map(AsRef::as_ref).find(|word| {
        let word = bare(word);
        !word.is_empty() && said.contains(&format!(" {word} "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_said_whole_and_in_any_case() {
        let words = ["human", "price list"];
        for (text, expected) in [
            ("I want a HUMAN!", Some("human")),
            ("human", Some("human")),
            ("send me the price-list, please", Some("price list")),
            ("inhumane", None),
            ("a humanist", None),
            ("price of the list", None),
            ("", None),
        ] {
            assert_eq!(said_word(text, &words), expected, "{text}");
        }
        assert_eq!(
            said_word("Позовите ЧЕЛОВЕКА", &["человека"]),
            Some("человека")
        );
    }
}
