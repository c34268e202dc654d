//! What is asked of a text in a conversation: whether it says a word, where it links to, whether it denies being a
//! machine.

use super::opt_out::bare;

/// The first of these words or phrases that a message says: whole words, any case, punctuation aside.
pub fn said_word<'a, S: AsRef<str>>(message: &str, words: &'a [S]) -> Option<&'a str> {
    let said = format!(" {} ", bare(message));
    words.iter().map(AsRef::as_ref).find(|word| {
        let word = bare(word);
        !word.is_empty() && said.contains(&format!(" {word} "))
    })
}

/// Top-level domains that clients turn into links without `https://`. Others are links where a path follows.
const TOP: &[&str] = &[
    "com",
    "net",
    "org",
    "info",
    "biz",
    "io",
    "me",
    "ru",
    "su",
    "ua",
    "by",
    "kz",
    "de",
    "fr",
    "it",
    "es",
    "nl",
    "pl",
    "uk",
    "eu",
    "us",
    "ca",
    "au",
    "in",
    "cn",
    "jp",
    "br",
    "tr",
    "ch",
    "at",
    "se",
    "no",
    "fi",
    "dk",
    "cz",
    "gr",
    "pt",
    "ro",
    "hu",
    "il",
    "ir",
    "kr",
    "tv",
    "cc",
    "co",
    "ai",
    "dev",
    "app",
    "xyz",
    "online",
    "site",
    "shop",
    "store",
    "club",
    "top",
    "link",
    "click",
    "pro",
    "tech",
    "space",
    "fun",
    "live",
    "news",
    "edu",
    "gov",
    "one",
    "page",
    "cloud",
    "world",
    "today",
    "agency",
    "рф",
    "рус",
    "москва",
    "укр",
    "бел",
];

/// The hosts that a text links to, lower case, as clients find links.
pub fn linked_hosts(text: &str) -> Vec<String> {
    let between = |c: char| c.is_whitespace() || "()<>[]{}\"'«»“”,;|*`".contains(c);
    text.split(between).filter_map(host_of).collect()
}

fn host_of(token: &str) -> Option<String> {
    let (scheme, rest) = match token.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, token),
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let path = end < rest.len() && rest.as_bytes().get(end) == Some(&b'/');
    let authority = rest.get(..end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    // A port, unless nothing of a host is left before it.
    let host = host.split(':').next().unwrap_or(host);
    let host = host
        .trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase();
    if host.is_empty() {
        return None;
    }
    if scheme {
        return Some(host);
    }
    let labels: Vec<&str> = host.split('.').collect();
    let whole = labels.len() > 1
        && labels
            .iter()
            .all(|l| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-'));
    let top = labels.last().copied().unwrap_or_default();
    let named = TOP.contains(&top) || host.starts_with("www.");
    let with_path = path && top.chars().count() > 1 && top.chars().all(char::is_alphabetic);
    (whole && (named || with_path)).then_some(host)
}

/// A host that a text links to and that none of `allowed` covers; their subdomains are allowed with them.
pub fn forbidden_host<S: AsRef<str>>(text: &str, allowed: &[S]) -> Option<String> {
    linked_hosts(text).into_iter().find(|host| {
        !allowed.iter().any(|fine| {
            let fine = fine.as_ref().to_lowercase();
            *host == fine || host.ends_with(&format!(".{fine}"))
        })
    })
}

/// Phrases by which a machine says that it is none.
const DENIALS: &[&str] = &[
    "i am human",
    "im human",
    "i am a human",
    "im a human",
    "i am a real person",
    "im a real person",
    "i am a real human",
    "im a real human",
    "i am not a bot",
    "im not a bot",
    "i am not a robot",
    "im not a robot",
    "i am not an ai",
    "im not an ai",
    "i am not a machine",
    "im not a machine",
    "я не бот",
    "я не робот",
    "я живой человек",
    "я человек",
    "я реальный человек",
    "я настоящий человек",
];

/// Whether an answer says that it is no machine.
pub fn denies_machine(text: &str) -> bool {
    said_word(text, DENIALS).is_some()
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

    #[test]
    fn links_are_found_as_clients_find_them() {
        for (text, expected) in [
            ("see https://Example.com/x.", vec!["example.com"]),
            (
                "see (http://a.example.com:8080/x?y=1)",
                vec!["a.example.com"],
            ),
            (
                "example.com, or www.other.museum",
                vec!["example.com", "www.other.museum"],
            ),
            ("t.me/somebody", vec!["t.me"]),
            ("https://example.com@evil.net/x", vec!["evil.net"]),
            ("сайт пример.рф", vec!["пример.рф"]),
            ("tg://resolve?domain=x", vec!["resolve"]),
            ("mail a@b.org", vec!["b.org"]),
            ("e.g. this, i.e. that; 3.14 and 1.5", vec![]),
            ("The end.Then more", vec![]),
            ("and/or", vec![]),
        ] {
            assert_eq!(linked_hosts(text), expected, "{text}");
        }
        assert_eq!(
            forbidden_host("https://shop.example.com/a", &["example.com"]),
            None
        );
        assert_eq!(
            forbidden_host("https://notexample.com", &["example.com"]),
            Some("notexample.com".to_owned())
        );
    }

    #[test]
    fn a_denial_is_noticed() {
        for text in ["No, I'm a human.", "I am NOT a bot!", "Я живой человек"] {
            assert!(denies_machine(text), "{text}");
        }
        for text in [
            "I'm not a human, I am an automated assistant.",
            "A human will answer.",
            "I am a bot",
        ] {
            assert!(!denies_machine(text), "{text}");
        }
    }
}
