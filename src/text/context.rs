//! What a template may know: the names of CONTRACT section 2, 'Template context'.

use std::collections::BTreeMap;

use crate::model::{Contact, Timestamp};
use crate::time::Zone;

/// The `campaign` of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignFacts {
    /// `campaign.name`.
    pub name: String,
    /// `campaign.title`; undefined where the spec has none.
    pub title: Option<String>,
    /// `campaign.labels.<label>`.
    pub labels: BTreeMap<String, String>,
    /// `campaign.run`, counted from 1.
    pub run: u64,
}

/// The `account` of a template: who sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountFacts<'a> {
    /// `account.name`: the name of its session file.
    pub name: &'a str,
    /// `account.first_name`, as Telegram shows it.
    pub first_name: Option<&'a str>,
    /// `account.username`, without the `@`.
    pub username: Option<&'a str>,
}

/// Everything that one text for one person is made from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Who gets the text.
    pub contact: &'a Contact,
    /// In whose name.
    pub campaign: &'a CampaignFacts,
    /// By which account; `None` where none is chosen yet, then `account.*` is undefined.
    pub account: Option<AccountFacts<'a>>,
    /// The time of sending.
    pub now: Timestamp,
    /// The schedule's zone, in which `now` is shown.
    pub zone: Zone,
    /// 0 is the first message, 1 the first follow-up.
    pub step: u32,
    /// The link of an `invite` campaign by `link`.
    pub invite_link: Option<&'a str>,
}
