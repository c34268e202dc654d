//! What an operator asks for about people, results and the state as a whole.

use super::*;
use crate::control::operator::Acted;
use crate::model::OperatorCommand;

impl Engine {
    /// Does it. What is in hand answers to it at once.
    pub(super) async fn operate(&mut self, command: OperatorCommand) -> Result<Reply, RunError> {
        if matches!(command, OperatorCommand::Restore { .. }) {
            // Sends that are under way belong to the state that goes: their outcomes are waited for.
            self.call_off();
            if !self.core.runtime.executing.is_empty() {
                return Ok(Reply::Document {
                    body: serde_json::json!({
                        "format_version": crate::status::FORMAT_VERSION,
                        "busy": true,
                        "message": "Sends are under way; ask again in a moment.",
                    }),
                });
            }
        }
        if let OperatorCommand::SendTest { name, to, by } = command {
            return self.send_test(&name, &to, by).await;
        }
        let restores = matches!(command, OperatorCommand::Restore { .. });
        let Acted { reply, appended } = operator::act(&mut self.core, command)?;
        if let Some(appended) = appended {
            self.call_off();
            appended.durable().await.map_err(CoreError::from)?;
        }
        if restores && matches!(reply, Reply::Document { .. }) {
            self.restored = true;
        }
        Ok(reply)
    }

    /// After a restore: accounts that are connected read their dialogs.
    pub(super) fn read_gaps(&mut self) {
        let Some(restored) = &self.core.observed.restored else {
            return;
        };
        let now = self.core.clock.now();
        for name in &restored.unread {
            let ready = matches!(self.core.runtime.links.get(name), Some(Link::Ready { .. }));
            if !ready {
                self.gaps.remove(name);
                continue;
            }
            let soon = self.gaps.get(name).is_none_or(|again| *again <= now);
            if soon && let Some(task) = self.tasks.get(name) {
                // Until it has reported.
                self.gaps.insert(name.clone(), Timestamp::MAX);
                task.order(Order::ReadSince {
                    since: restored.since,
                });
            }
        }
    }

    /// An account's dialogs since a restore's gap.
    pub(super) fn read_since(
        &mut self,
        name: &AccountName,
        result: Result<Vec<crate::telegram::WrittenSince>, CallError>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        /// A reading that failed is begun anew after so long.
        const AGAIN: Duration = Duration::from_secs(30);
        match result {
            Ok(dialogs) => {
                self.gaps.remove(name);
                let wrote_to = dialogs
                    .iter()
                    .filter(|dialog| dialog.messages.iter().any(|message| message.out))
                    .map(|dialog| dialog.person)
                    .collect();
                for dialog in dialogs {
                    for message in dialog.messages.into_iter().rev().filter(|m| !m.out) {
                        let incoming = crate::telegram::Incoming {
                            person: dialog.person,
                            message_id: message.id,
                            date: message.date,
                            text: message.text,
                            contact: None,
                            state: None,
                            out: false,
                            heard: crate::telegram::Heard::Written,
                        };
                        self.received(name, Received::Message(Box::new(incoming)), events)?;
                    }
                }
                events.push(Event::DialogsRead {
                    account: name.clone(),
                    wrote_to,
                });
            }
            Err(error) => {
                tracing::warn!(account = %name, %error, "its dialogs since the backup cannot be read; tried again");
                self.gaps
                    .insert(name.clone(), self.core.clock.now() + AGAIN);
                match &error {
                    CallError::InDoubt { .. } | CallError::NotSent { .. } => {
                        self.link_lost(name, error.to_string());
                    }
                    CallError::Rpc(fault) => {
                        if let Reaction::LoseAccount(state) = react(fault) {
                            events.push(outcome::lost(name, state, &fault.message));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
