//! What campaigns collected: for other campaigns, and for the terminal.

use super::Core;
use crate::model::PersonId;
use crate::observed::{Handle, Status};

impl Core {
    /// Everybody in the audience of a campaign, those found first before the others.
    pub(super) fn collected(&self, name: &str) -> Vec<PersonId> {
        let line = match self.desired.campaigns.get(name) {
            Some(wanted) => Some(&wanted.lineage),
            None => self.observed.names.get(name),
        };
        let Some(campaign) = line.and_then(|line| self.observed.campaigns.get(line)) else {
            return Vec::new();
        };
        let mut numbers: Vec<u32> = campaign
            .recipients
            .iter()
            .filter(|(_, recipient)| !matches!(recipient.status, Status::Excluded(_)))
            .map(|(number, _)| *number)
            .collect();
        numbers.sort_unstable();
        numbers
            .into_iter()
            .filter_map(|number| self.observed.persons.id(Handle(number)))
            .collect()
    }
}
