//! The closed lists of the report. `docs/reasons.md` is generated from here.

use serde::{Deserialize, Serialize};

/// A closed list: the name that the report shows, what it means, and what a person can do.
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal : $means:literal => $remedy:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(#[doc = $means] #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All of them, in the order of the promise.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name that the report shows.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $($name::$variant => $means),+ }
            }

            /// What a person can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $($name::$variant => $remedy),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

closed_list! {
    /// Why a found person is not in the audience, in the order in which it is asked: the first that holds counts.
    Exclusion {
        OwnAccount = "own_account": "He is one of the workspace's own accounts." => "Nothing: one's own accounts are never written to.",
        Suppressed = "suppressed": "He is on the suppression list, or blocked one of the accounts." => "`tidings optout list` shows why; `tidings optout remove` takes him off it.",
        OptedOut = "opted_out": "He asked to hear no more." => "Nothing: an opt-out holds for every campaign and account.",
        Bot = "bot": "He is a bot, and `filters.bots` is `drop`." => "Set `filters.bots: keep` where bots are meant.",
        Deleted = "deleted": "His account was deleted, and `filters.deleted` is `drop`." => "Nothing: a deleted account reads nothing.",
        Admin = "admin": "He is an admin of the place he was found in, and `filters.admins` is `drop`." => "Set `filters.admins: keep` to write to admins.",
        NoUsername = "no_username": "He has no username, and `filters.username` is `required`." => "Set `filters.username: any`.",
        NotPremium = "not_premium": "He has no Telegram Premium, and `filters.premium` is `only`." => "Set `filters.premium: any`.",
        Premium = "premium": "He has Telegram Premium, and `filters.premium` is `never`." => "Set `filters.premium: any`.",
        LastSeen = "last_seen": "He was not seen within `filters.last_seen`, or hides when he was." => "Widen `filters.last_seen`, or set `last_seen_unknown: keep`.",
        Contacted = "contacted": "A campaign of `filters.not_contacted` wrote to him." => "Shorten `not_contacted.within`.",
        NotIn = "not_in": "Not every source of `filters.in` found him, or `limits.only_to` of tidings.yaml does not name him." => "Look at the sources of `filters.in` and at `limits.only_to`.",
        Excluded = "excluded": "A source of `filters.exclude` found him." => "Look at the sources of `filters.exclude`.",
        Where = "where": "`filters.where` is false for him." => "`tidings render NAME --contact @name` shows what is known of him.",
        OverLimit = "over_limit": "The audience is larger than `filters.limit` or the plan's `max_audience`." => "Raise the limit, or narrow the sources.",
    }
}

closed_list! {
    /// How a step ended for a person. All but `sent` and `uncertain` say that nothing was delivered.
    Outcome {
        Sent = "sent": "Telegram accepted the message (for `invite` by `add`: he was added)." => "Nothing.",
        PrivacyRestricted = "privacy_restricted": "His privacy settings do not let this account write to or add him." => "Nothing: he is not tried again.",
        Blocked = "blocked": "He blocked the account, or the account blocked him." => "Nothing: he is suppressed everywhere.",
        Deactivated = "deactivated": "His Telegram account is deleted or banned." => "Nothing.",
        NotFound = "not_found": "Nobody has this username or phone." => "Correct the list or file that names him.",
        Unreachable = "unreachable": "No account of the campaign has met him, so none can address him." => "Name him by @username, or add a group that he and an account share to the sources.",
        NotMutual = "not_mutual": "Telegram lets only mutual contacts add him." => "Use `method: link`.",
        PremiumRequired = "premium_required": "He accepts messages from strangers with Telegram Premium only." => "Nothing: he is not tried again.",
        PaymentRequired = "payment_required": "He charges Stars for a message from a stranger." => "Nothing is ever paid automatically.",
        TooManyChats = "too_many_chats": "He is in as many groups and channels as Telegram allows." => "Nothing.",
        AlreadyMember = "already_member": "He was a member of the target already." => "Nothing.",
        AccountLost = "account_lost": "The account that wrote to him first is gone, or is none of the campaign's any more, and only it may follow up; or the one that tried him (Telegram refused it or slowed it down, or it was taken out before it was known whether his message had left), and no other may." => "A fresh session file in `sessions/`, or its name in `accounts:`, brings the account back; then `tidings retry NAME --outcome account_lost`.",
        OptedOut = "opted_out": "He asked to hear no more before this step." => "Nothing.",
        TemplateError = "template_error": "The text could not be made for him: the template prints something that he lacks." => "Give it a `default` in the template, then `tidings retry NAME --outcome template_error`.",
        TooLong = "too_long": "The text made for him is longer than Telegram takes." => "Shorten the template, then `tidings retry NAME --outcome too_long`.",
        Failed = "failed": "Telegram refused in words that Tidings does not know; `explain` quotes them." => "Look at `tidings events NAME`, then `tidings retry NAME --outcome failed`.",
        Uncertain = "uncertain": "Whether Telegram delivered it could not be found out within 24 hours." => "Look into the dialog, then `tidings resolve NAME PERSON --as sent|retry`.",
    }
}

closed_list! {
    /// What pending people wait for.
    Waiting {
        NotStarted = "NotStarted": "The campaign's `schedule.start` or next firing is yet to come." => "Wait, or change the schedule.",
        OutsideWindow = "OutsideWindow": "No window of `schedule.windows` is open." => "Wait, or change the windows.",
        Delay = "Delay": "The delay between two messages of an account, or people before them in its queue." => "Nothing: this is the pace that `delays` asks for.",
        AccountCap = "AccountCap": "The accounts have sent what they may in this hour, day or run." => "Wait, add accounts, or raise the caps. With no moment shown it is the cap of a run (`per_run`), and no run follows: raise it, or set `schedule.cron`.",
        CampaignCap = "CampaignCap": "The campaign has sent what it may today (`delays.per_campaign`)." => "Wait, or raise the cap.",
        PersonGap = "PersonGap": "`limits.per_person`: another campaign wrote to them lately." => "Wait.",
        FloodWait = "FloodWait": "Telegram told the account to wait." => "Wait; slow down where it happens often.",
        AccountLimited = "AccountLimited": "Telegram limited the account (PEER_FLOOD): no first contacts for now." => "Wait; ask @SpamBot; write to people who know you.",
        AccountUnavailable = "AccountUnavailable": "No account that can reach them is ready." => "`tidings account list` says what each one needs.",
        AudienceNotCollected = "AudienceNotCollected": "A source names the audience of a campaign that has collected none yet." => "Wait for that campaign.",
        LookingUp = "LookingUp": "The sources, or who a username belongs to, are being looked up." => "Wait.",
        AwaitingApproval = "AwaitingApproval": "The run has more first contacts than `limits.approve_over`." => "`tidings approve NAME`.",
        Canary = "Canary": "The canary was sent; the rest waits." => "Look at the results, then `tidings approve NAME`.",
        OwnerPlan = "OwnerPlan": "The owner's plan allows no more running campaigns." => "Wait for another campaign of the owner to end.",
        Cooldown = "Cooldown": "The owner's plan asks for a pause between two runs." => "Wait.",
        Paused = "Paused": "The spec says `paused: true`, or a guardrail paused the campaign." => "Set `paused: false`, or look at the guardrail and `tidings resume NAME`.",
        Suspended = "Suspended": "An operator suspended the campaign." => "`tidings resume NAME`.",
        Held = "Held": "The campaign is held: its spec is invalid, retired or past its end, or something must be decided first. Whom a `collect` found waits so for ever, since it writes to nobody itself." => "The condition `Ready` says what.",
    }
}

closed_list! {
    /// The types of conditions; every campaign shows all of them.
    ConditionType {
        Ready = "Ready": "True: the campaign goes on by itself. False: a person must act." => "The reason and message say what to do.",
        SpecValid = "SpecValid": "Whether the file on disk is valid." => "`tidings validate` shows each error with its place.",
        Paused = "Paused": "Whether the spec, an operator or a guardrail paused it." => "`tidings resume NAME`, or `paused: false`.",
        Throttled = "Throttled": "Whether Telegram or a limit slows it down now." => "Wait.",
        Stalled = "Stalled": "Whether it stopped because something failed that a retry does not mend." => "Mend the cause, then `tidings resume NAME`.",
        Succeeded = "Succeeded": "Whether everybody of the run is settled and nothing is left to do." => "Nothing.",
    }
}

closed_list! {
    /// What an account can do now.
    AccountState {
        Ready = "ready": "Connected and authorized." => "Nothing.",
        FloodWait = "flood_wait": "Telegram told it to wait." => "Wait.",
        Limited = "limited": "PEER_FLOOD: no first contacts for now." => "Wait; ask @SpamBot.",
        Unauthorized = "unauthorized": "Telegram no longer knows its authorization key." => "`tidings account login NAME --phone …` logs it in again.",
        Banned = "banned": "Telegram deactivated the account." => "Write to Telegram's support; other accounts never take over its refused people.",
        Frozen = "frozen": "Telegram froze the account." => "Appeal in the Telegram app.",
        Unreachable = "unreachable": "Telegram does not answer." => "Check the network; it is tried again by itself.",
        NotConfigured = "not_configured": "TG_API_ID or TG_API_HASH is not set; or its session file is encrypted and the passphrase (TIDINGS_PASSPHRASE_FILE) is missing or wrong." => "Get both at https://my.telegram.org/apps and put them into `.env`.",
        Missing = "missing": "There is no session file for it." => "`tidings account login NAME --phone …`, or put its session file into sessions/.",
    }
}

impl Outcome {
    /// Whether a second chance may be given to whoever ended so: nothing was delivered, and nobody said no.
    ///
    /// # Errors
    /// Why not, in words that follow 'not retried: '.
    pub fn may_retry(self) -> Result<(), &'static str> {
        match self {
            Outcome::Failed
            | Outcome::TemplateError
            | Outcome::TooLong
            | Outcome::NotFound
            | Outcome::Unreachable
            | Outcome::AccountLost => Ok(()),
            Outcome::Sent => Err("they have got the message, and nobody gets it twice"),
            Outcome::Uncertain => Err(
                "they may have got the message: look into each dialog, then `tidings resolve NAME PERSON --as sent|retry`",
            ),
            Outcome::OptedOut => Err("they asked to hear no more"),
            Outcome::Blocked => Err("they blocked the account, which is for good"),
            Outcome::AlreadyMember => Err("they are members already"),
            Outcome::PrivacyRestricted
            | Outcome::Deactivated
            | Outcome::NotMutual
            | Outcome::PremiumRequired
            | Outcome::PaymentRequired
            | Outcome::TooManyChats => {
                Err("Telegram or the person refused, which is for good in this line of campaigns")
            }
        }
    }
}
