//! `run --once` does not end while somebody's answer is on its way: whoever was written to may have answered at once, and
//! Telegram tells of it a moment after the send. So before the end each account asks once more what came in.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::AccountName;

/// How long the end waits for what Telegram tells: a difference takes one call, and a silent server is no reason to stay.
const MOST: Duration = Duration::from_secs(5);

/// Whether what came in after the last message was asked for.
#[derive(Debug, Default)]
pub(super) struct LastWord {
    /// Something was sent after the last question.
    spoken: bool,
    /// Since when these are asked.
    asked: Option<(Instant, BTreeSet<AccountName>)>,
}

impl LastWord {
    /// A message left: an answer may follow.
    pub(super) fn spoken(&mut self) {
        self.spoken = true;
    }

    /// All that came in to this account was told.
    pub(super) fn caught_up(&mut self, name: &AccountName) {
        if let Some((_, left)) = &mut self.asked {
            left.remove(name);
        }
    }

    /// Whether the end must wait; `ask` is called for those who are to be asked now.
    pub(super) fn keeps(
        &mut self,
        accounts: impl Iterator<Item = AccountName>,
        mut ask: impl FnMut(&AccountName),
    ) -> bool {
        if let Some((since, left)) = &self.asked
            && (left.is_empty() || since.elapsed() >= MOST)
        {
            self.asked = None;
        } else if self.asked.is_some() {
            return true;
        }
        if !std::mem::take(&mut self.spoken) {
            return false;
        }
        let accounts: BTreeSet<AccountName> = accounts.collect();
        accounts.iter().for_each(&mut ask);
        self.asked = Some((Instant::now(), accounts));
        true
    }

    /// Whether somebody was asked and has not answered: he is looked at again soon.
    pub(super) fn waits(&self) -> bool {
        self.asked.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(word: &mut LastWord, asked: &mut Vec<String>) -> bool {
        word.keeps(["a", "b"].map(AccountName::from).into_iter(), |name| {
            asked.push(name.to_string());
        })
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_message_every_account_is_asked_once_before_the_end() {
        let (mut word, mut asked) = (LastWord::default(), Vec::new());
        assert!(!keeps(&mut word, &mut asked), "nothing was said");
        word.spoken();
        assert!(keeps(&mut word, &mut asked));
        word.caught_up(&AccountName::from("a"));
        assert!(keeps(&mut word, &mut asked), "b has not answered");
        word.caught_up(&AccountName::from("b"));
        assert!(!keeps(&mut word, &mut asked));
        assert_eq!(asked, ["a", "b"]);
        word.spoken();
        assert!(keeps(&mut word, &mut asked), "said again, asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_does_not_keep_it_for_long() {
        let (mut word, mut asked) = (LastWord::default(), Vec::new());
        word.spoken();
        assert!(keeps(&mut word, &mut asked));
        tokio::time::advance(MOST).await;
        assert!(!keeps(&mut word, &mut asked));
    }
}
