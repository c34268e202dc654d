//! What really happened, by the other side's own book: the ledger of the loopback Telegram.

use std::collections::{BTreeMap, BTreeSet};

use crate::sandbox::Entry;

/// A wait that Telegram asked an account for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flood {
    pub account: String,
    /// The seconds that it asked for.
    pub asked: i64,
    /// The seconds after which the account's next message left; `None`: none left after it.
    pub silent: Option<i64>,
}

impl Flood {
    /// Whether the account came back no sooner than it was told.
    pub(super) fn is_kept(&self) -> bool {
        self.silent.is_none_or(|silent| silent >= self.asked)
    }
}

/// What the ledger says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Messages of campaigns that took effect.
    pub messages: usize,
    /// People who got them.
    pub people: usize,
    /// Who got more than one.
    pub twice: Vec<String>,
    /// Who asked to hear no more.
    pub opted_out: usize,
    /// Confirmations of that.
    pub confirmed: usize,
    /// Messages to people who had opted out, their one confirmation apart.
    pub after_opt_out: usize,
    /// Messages to bots, deleted accounts, or anybody else who is no person.
    pub to_nobody: usize,
    /// Waits that Telegram asked for.
    pub floods: Vec<Flood>,
    /// Answers: messages to people who had written since the last one.
    pub answers: usize,
    /// Who wrote, asked for no human, and has no answer.
    pub unanswered: Vec<String>,
    /// People who asked for a human.
    pub handoffs: usize,
}

impl Judgement {
    /// Everything that is not as it must be, in words; empty: all is well.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut list = Vec::new();
        if self.messages == 0 {
            list.push("no message arrived".to_owned());
        }
        if !self.twice.is_empty() {
            list.push(format!(
                "{} got more than one message",
                self.twice.join(", ")
            ));
        }
        if self.after_opt_out > 0 {
            list.push(format!(
                "{} messages went to people who had opted out",
                self.after_opt_out
            ));
        }
        if self.confirmed != self.opted_out {
            list.push(format!(
                "{} opted out, {} confirmations arrived",
                self.opted_out, self.confirmed
            ));
        }
        if self.to_nobody > 0 {
            list.push(format!(
                "{} messages went to bots or deleted accounts",
                self.to_nobody
            ));
        }
        if !self.unanswered.is_empty() {
            list.push(format!("{} got no answer", self.unanswered.join(", ")));
        }
        for flood in self.floods.iter().filter(|flood| !flood.is_kept()) {
            list.push(format!(
                "{} was told to wait {} s and did not",
                flood.account, flood.asked
            ));
        }
        list
    }
}

/// Whether the entry is a message that took effect, and not a repeat of one.
pub(super) fn is_message(entry: &Entry) -> bool {
    entry.kind == "rpc" && is_send(entry) && entry.effect && entry.first == Some(true)
}

fn is_send(entry: &Entry) -> bool {
    entry.method == "messages.sendMessage" || entry.method == "messages.sendMedia"
}

/// The seconds of a `FLOOD_WAIT_n` that this entry was answered with.
pub(super) fn flood_seconds(entry: &Entry) -> Option<i64> {
    entry
        .error
        .as_deref()?
        .strip_prefix("FLOOD_WAIT_")?
        .parse()
        .ok()
}

/// Reads the book. `confirmation` is the text that confirms an opt-out, `is_opt_out` says whether a message is one,
/// `is_handoff` whether it asks for a human (who then has no answer), `is_person` whether a peer (`user:…`) is somebody who may be written to.
pub(super) fn judge(
    entries: &[Entry],
    confirmation: &str,
    is_opt_out: impl Fn(&str) -> bool,
    is_handoff: impl Fn(&str) -> bool,
    is_person: impl Fn(&str) -> bool,
) -> Judgement {
    let mut found = Judgement::default();
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: BTreeSet<String> = BTreeSet::new();
    let mut confirmed: BTreeSet<String> = BTreeSet::new();
    let mut asking: BTreeSet<String> = BTreeSet::new();
    let mut handed: BTreeSet<String> = BTreeSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let peer = entry.peer.clone().unwrap_or_default();
        let opts_out = entry.text.as_deref().is_some_and(&is_opt_out);
        if entry.kind == "person" && entry.method == "edit" && !opts_out {
            // What he corrects is no new question.
            continue;
        }
        if entry.kind == "person" && matches!(&*entry.method, "write" | "edit") {
            if opts_out {
                asking.remove(&peer);
                out.insert(peer);
            } else if entry.text.as_deref().is_some_and(&is_handoff) {
                asking.remove(&peer);
                handed.insert(peer);
            } else if !handed.contains(&peer) && !out.contains(&peer) {
                asking.insert(peer);
            }
            continue;
        }
        if is_send(entry)
            && let Some(asked) = flood_seconds(entry)
        {
            let next = entries
                .iter()
                .skip(at + 1)
                .find(|e| is_message(e) && e.account == entry.account);
            found.floods.push(Flood {
                account: entry.account.clone().unwrap_or_default(),
                asked,
                silent: next.map(|next| (next.at - entry.at) / 1000),
            });
        }
        if !is_message(entry) {
            continue;
        }
        if !is_person(&peer) {
            found.to_nobody += 1;
        }
        if out.contains(&peer) {
            let confirms = entry.text.as_deref() == Some(confirmation) && confirmed.insert(peer);
            found.after_opt_out += usize::from(!confirms);
            continue;
        }
        // Who wrote back may be answered, once for each time.
        if got.contains_key(&peer) && asking.remove(&peer) {
            found.answers += 1;
            continue;
        }
        found.messages += 1;
        *got.entry(peer).or_default() += 1;
    }
    found.people = got.len();
    found.twice = got
        .into_iter()
        .filter(|(_, n)| *n > 1)
        .map(|(peer, _)| peer)
        .collect();
    found.unanswered = asking.into_iter().collect();
    found.handoffs = handed.len();
    found.opted_out = out.len();
    found.confirmed = confirmed.len();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYE: &str = "You won't hear from us again.";

    fn message(at: i64, to: i64, text: &str) -> Entry {
        Entry {
            at,
            kind: "rpc".into(),
            method: "messages.sendMessage".into(),
            account: Some("sales-1".into()),
            peer: Some(format!("user:{to}")),
            text: Some(text.into()),
            effect: true,
            first: Some(true),
            ..Entry::default()
        }
    }

    fn says(at: i64, who: i64, text: &str) -> Entry {
        Entry {
            at,
            kind: "person".into(),
            method: "write".into(),
            peer: Some(format!("user:{who}")),
            text: Some(text.into()),
            effect: true,
            ..Entry::default()
        }
    }

    fn judged(entries: &[Entry]) -> Judgement {
        judge(
            entries,
            BYE,
            |text| text == "stop",
            |text| text == "human",
            |peer| peer != "user:99",
        )
    }

    #[test]
    fn one_message_for_each_person_is_as_it_must_be() {
        let found = judged(&[message(1, 1, "Hi"), message(2, 2, "Hi")]);
        assert_eq!((found.messages, found.people), (2, 2));
        assert!(found.complaints().is_empty(), "{:?}", found.complaints());
    }

    #[test]
    fn whoever_writes_is_answered_once_and_whoever_asks_for_a_human_is_not() {
        let mut book = vec![
            message(1, 1, "Hi"),
            message(2, 2, "Hi"),
            says(3, 1, "When?"),
            says(4, 2, "human"),
        ];
        let silent = judged(&book);
        assert_eq!(silent.unanswered, ["user:1"]);
        assert_eq!(silent.complaints().len(), 1);
        book.push(message(5, 1, "At seven."));
        let found = judged(&book);
        assert_eq!((found.answers, found.handoffs, found.messages), (1, 1, 2));
        assert!(found.complaints().is_empty(), "{:?}", found.complaints());
        book.push(message(6, 1, "At seven."));
        assert_eq!(judged(&book).twice, ["user:1"], "an answer too many");
        book.pop();
        book.push(message(6, 2, "At seven."));
        assert_eq!(judged(&book).twice, ["user:2"], "a human was asked for");
    }

    #[test]
    fn a_second_message_to_one_person_is_seen() {
        let found = judged(&[message(1, 1, "Hi"), message(2, 1, "Hi")]);
        assert_eq!(found.twice, ["user:1"]);
        assert_eq!(found.complaints().len(), 1);
    }

    #[test]
    fn a_repeat_that_telegram_recognised_is_no_second_message() {
        let repeat = Entry {
            first: Some(false),
            ..message(2, 1, "Hi")
        };
        assert!(
            judged(&[message(1, 1, "Hi"), repeat])
                .complaints()
                .is_empty()
        );
    }

    #[test]
    fn who_opted_out_gets_one_confirmation_and_nothing_else() {
        let mut book = vec![message(1, 1, "Hi"), says(2, 1, "stop"), message(3, 1, BYE)];
        assert!(judged(&book).complaints().is_empty());
        book.push(message(4, 1, BYE));
        assert_eq!(
            judged(&book).after_opt_out,
            1,
            "a second confirmation is one message too many"
        );
        book.pop();
        book.push(message(4, 1, "One more thing"));
        assert_eq!(judged(&book).after_opt_out, 1);
        assert_eq!(
            judged(&[message(1, 1, "Hi"), says(2, 1, "stop")])
                .complaints()
                .len(),
            1,
            "unconfirmed"
        );
    }

    #[test]
    fn a_message_before_the_wait_is_over_is_seen() {
        let flood = Entry {
            effect: false,
            first: None,
            error: Some("FLOOD_WAIT_240".into()),
            ..message(10_000, 1, "Hi")
        };
        let early = judged(&[flood.clone(), message(200_000, 1, "Hi")]);
        assert_eq!(
            early.floods,
            [Flood {
                account: "sales-1".into(),
                asked: 240,
                silent: Some(190)
            }]
        );
        assert_eq!(early.complaints().len(), 1);
        assert!(
            judged(&[flood, message(260_000, 1, "Hi")])
                .complaints()
                .is_empty()
        );
    }

    #[test]
    fn messages_to_bots_and_silence_are_seen() {
        assert_eq!(judged(&[message(1, 99, "Hi")]).to_nobody, 1);
        assert_eq!(judged(&[]).complaints().len(), 1);
    }
}
