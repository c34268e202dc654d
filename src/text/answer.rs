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

/// The hosts that a text links to, lower case, and more than clients find: what looks like a host is one here, since
/// an answer with a link that is not allowed only waits for an operator.
pub fn linked_hosts(text: &str) -> Vec<String> {
    let between = |c: char| c.is_whitespace() || "()<>[]{}\"'«»“”,;|*`".contains(c);
    // Fullwidth and ideographic full stops part the labels of a host too (RFC 3490, section 3.1).
    let text = text.replace(['。', '．', '｡'], ".");
    text.split(between).filter_map(host_of).collect()
}

fn host_of(token: &str) -> Option<String> {
    let (scheme, rest) = match token.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, token),
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let trimmed = authority.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '@');
    // Telegram makes a link of every name of a person, group or channel.
    if !scheme && let Some(name) = trimmed.strip_prefix('@') {
        let name: String = name
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        return (name.len() >= 4).then(|| format!("@{}", name.to_ascii_lowercase()));
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    // What stands after a colon is a port, or what a word like `site:` leads to.
    let host = match host.split_once(':') {
        Some((host, port)) if port.is_empty() || port.chars().all(|c| c.is_ascii_digit()) => host,
        Some((_, rest)) => rest,
        None => host,
    };
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
    let named =
        top.chars().count() > 1 && top.chars().all(char::is_alphabetic) || top.starts_with("xn--");
    (whole && (named || host.parse::<std::net::Ipv4Addr>().is_ok())).then_some(host)
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

/// Words for what answers, each by its beginning.
const MACHINES: &[&str] = &[
    "bot",
    "bots",
    "chatbot",
    "robot",
    "machine",
    "ai",
    "artificial",
    "automated",
    "program",
    "programm",
    "software",
    "computer",
    "algorithm",
    "gpt",
    "chatgpt",
    "бот",
    "бота",
    "ботом",
    "чатбот",
    "робот",
    "робота",
    "роботом",
    "машина",
    "машины",
    "программа",
    "программы",
    "ии",
    "нейросеть",
    "нейросети",
    "автоответчик",
    "компьютер",
    "алгоритм",
];
/// And for what it is not.
const HUMANS: &[&str] = &[
    "human",
    "person",
    "man",
    "woman",
    "people",
    "человек",
    "человеком",
    "люди",
    "живой",
    "живая",
    "настоящий",
    "настоящая",
    "реальный",
    "реальная",
    "девушка",
    "женщина",
    "мужчина",
    "парень",
];
/// Words that deny what follows.
const NOTS: &[&str] = &[
    "not",
    "no",
    "isnt",
    "arent",
    "aint",
    "never",
    "neither",
    "nor",
    "не",
    "нет",
    "ни",
    "никакой",
    "никакая",
];
/// Of them those that deny a word of the same sentence, and are no answer to a question.
const NOT_A: &[&str] = &["not", "isnt", "aint", "never", "не"];
/// Words by which somebody speaks of himself.
const SELVES: &[&str] = &["i", "im", "am", "я", "это"];
/// So many words may stand between the two.
const BETWEEN: usize = 4;

/// Whether an answer says that it is no machine, or a human: by its words, and rather once too often, since it only
/// waits for an operator then.
pub fn denies_machine(text: &str) -> bool {
    // Apostrophes part no words here, so that `I'm` is one.
    text.split(['.', '!', '?', '\n', ';']).any(|sentence| {
        let said = bare(sentence);
        let words: Vec<&str> = said.split(' ').collect();
        let near = |from: usize, of: &[&str]| {
            words
                .iter()
                .skip(from + 1)
                .take(BETWEEN)
                .any(|word| of.contains(word))
        };
        let denied = |at: usize| {
            let from = at.saturating_sub(BETWEEN);
            words
                .get(from..at)
                .is_some_and(|before| before.iter().any(|word| NOT_A.contains(word)))
        };
        words.iter().enumerate().any(|(at, word)| {
            let no_machine = NOTS.contains(word) && near(at, MACHINES);
            let human = HUMANS.contains(word)
                && !denied(at)
                && words
                    .get(at.saturating_sub(BETWEEN)..at)
                    .is_some_and(|before| before.iter().any(|word| SELVES.contains(word)));
            no_machine || human
        })
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
            ("see evil.museum", vec!["evil.museum"]),
            (
                "http:evil.net and site:evil.com",
                vec!["evil.net", "evil.com"],
            ),
            ("go evil。com, or to 1.2.3.4/x", vec!["evil.com", "1.2.3.4"]),
            ("write to @Evil_guy!", vec!["@evil_guy"]),
            ("e.g. this, i.e. that; 3.14 and 1.5", vec![]),
            ("The end.Then more", vec!["end.then"]),
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
        for text in [
            "No, I'm a human.",
            "I am NOT a bot!",
            "Я живой человек",
            "I'm a person, not a bot!",
            "Yes, I am actually a human.",
            "I'm definitely not a bot",
            "I am not an artificial intelligence.",
            "I'm a real woman",
            "Nope, no bot here, just Mia :)",
            "Я живая, не бот и не программа.",
            "I'm no robot",
            "I am NOT a chatbot",
            "I’m human.",
            "Нет, я человек",
        ] {
            assert!(denies_machine(text), "{text}");
        }
        for text in [
            "I'm not a human, I am an automated assistant.",
            "I am an automated assistant, not a human.",
            "A human will answer.",
            "I am a bot",
            "Я не человек, я автоматический помощник.",
            "It costs ten euros a person.",
        ] {
            assert!(!denies_machine(text), "{text}");
        }
    }
}
