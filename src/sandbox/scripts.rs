//! How people answer by themselves.

use super::spec::{Choice, ScriptSpec};
use super::world::{Deed, World};

impl World {
    /// A person has received a message of an account: his script decides what he does.
    pub(super) fn received(&mut self, user: usize, account: usize, text: &str, now: i64) {
        let Some(person) = self.users.get(user) else {
            return;
        };
        if person.account.is_some() || person.deleted {
            return;
        }
        let id = person.id;
        let account_name = self.accounts.get(account).map_or("", |a| a.name.as_str());
        let mut found = None;
        for (number, script) in self.scripts.iter().enumerate() {
            if script
                .account
                .as_deref()
                .is_some_and(|name| name != account_name)
                || script
                    .contains
                    .as_deref()
                    .is_some_and(|word| !text.to_lowercase().contains(&word.to_lowercase()))
                || !self.has_script(user, number, script)
            {
                continue;
            }
            found = Some((number, script.clone()));
            break;
        }
        let Some((number, script)) = found else {
            return;
        };
        let turn = {
            let turn = self.script_turns.entry((user, number)).or_default();
            *turn += 1;
            *turn - 1
        };
        let range = script.delay.unwrap_or_default();
        let chance = self.chance(&[b"delay", &id.to_le_bytes(), &(turn as u64).to_le_bytes()]);
        let width = (range.to.ms() - range.from.ms()) as f64;
        let wait = ((range.from.ms() as f64 + width * chance) / self.speed.max(0.001)) as i64;
        let replies = script.reply.as_ref().map_or(&[][..], |r| r.list());
        let reply = match (replies.get(turn), script.repeat, replies.len()) {
            (Some(text), _, _) => Some(text),
            (None, true, n) if n > 0 => replies.get(turn % n),
            _ => None,
        };
        if let Some(text) = reply {
            self.later(
                now + wait,
                Deed::Write {
                    user,
                    account,
                    text: text.clone(),
                },
            );
        }
        if let Some(text) = script.edit.filter(|_| turn + 1 == replies.len()) {
            let at = now + 2 * wait + 1;
            self.later(
                at,
                Deed::Edit {
                    user,
                    account,
                    text,
                },
            );
        }
        if script.block && turn + 1 >= replies.len() {
            self.later(now + wait, Deed::Block { user, account });
        }
    }

    fn has_script(&self, user: usize, number: usize, script: &ScriptSpec) -> bool {
        let Some(id) = self.users.get(user).map(|u| u.id) else {
            return false;
        };
        let draw =
            |w: &World| w.chance(&[b"script", &(number as u64).to_le_bytes(), &id.to_le_bytes()]);
        match &script.people {
            None => true,
            Some(Choice::List(list)) => list.iter().any(|r| self.find_user(r) == Some(user)),
            // A count is a share of the people: exact numbers would need a list.
            Some(Choice::Count(count)) => {
                draw(self) * self.users.len().max(1) as f64 <= *count as f64
            }
            Some(choice) => choice.share().is_some_and(|share| draw(self) < share),
        }
    }
}
