//! The root of a campaign's spec.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::AccountSelector;
use super::ai_role::AiRole;
use super::check::{CheckContext, TemplateNames};
use super::codes;
use super::consent::Consent;
use super::delays::Delays;
use super::diagnostic::{Findings, Pointer, quote};
use super::filters::Filters;
use super::follow_ups::FollowUp;
use super::guardrails::Guardrails;
use super::invite::InviteMethod;
use super::peer::Peer;
use super::ramp::Ramp;
use super::schedule::Schedule;
use super::sources::Source;
use super::templates::{TemplateRules, TemplateSpec};
use super::tests_element::SpecTest;
use super::{audience_file, consent, follow_ups, sources, templates, tests_element};

/// What a campaign does.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Sends messages.
    #[default]
    Mailing,
    /// Leads people into a group or channel.
    Invite,
    /// Lets a new account's allowance grow step by step.
    Warmup,
    /// Only gathers an audience.
    Collect,
}

impl Kind {
    /// The value of `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mailing => "mailing",
            Self::Invite => "invite",
            Self::Warmup => "warmup",
            Self::Collect => "collect",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which keys one kind requires and refuses.
pub(super) struct KindKeys {
    /// The kind.
    pub(super) kind: Kind,
    /// Keys that it cannot do without, beyond those of every spec.
    pub(super) required: &'static [&'static str],
    /// Keys that mean nothing to it.
    pub(super) refused: &'static [&'static str],
}

/// The table of CONTRACT section 2, 'Other kinds'. What depends on more than the kind (`templates` of an invite by
/// link) is checked beside it.
pub(super) const KEYS_BY_KIND: [KindKeys; 4] = [
    KindKeys {
        kind: Kind::Mailing,
        required: &["consent", "sources", "templates"],
        refused: &["target", "method", "ramp", "join"],
    },
    KindKeys {
        kind: Kind::Invite,
        required: &["consent", "sources", "target"],
        refused: &["ramp", "join"],
    },
    KindKeys {
        kind: Kind::Warmup,
        required: &["ramp"],
        refused: &[
            "consent",
            "sources",
            "filters",
            "templates",
            "follow_ups",
            "guardrails",
            "canary",
            "ai_role",
            "tests",
            "target",
            "method",
        ],
    },
    KindKeys {
        kind: Kind::Collect,
        required: &["consent", "sources"],
        refused: &[
            "templates",
            "follow_ups",
            "delays",
            "guardrails",
            "canary",
            "ai_role",
            "target",
            "method",
            "ramp",
            "join",
        ],
    },
];

/// One Telegram campaign of Tidings: who is written to, what, when, how slowly, in whose name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Where one of these is missing the schema says so; serde lets it pass, so that the other checks still run.
#[schemars(title = "Tidings campaign", extend("required" = ["version", "name", "kind", "accounts"]))]
pub struct CampaignSpec {
    /// The version of this format; 1.
    #[serde(default)]
    #[schemars(example = 1, extend("const" = 1))]
    pub version: u32,
    /// The campaign's name; equals the file's name without its extension, unique over all folders.
    #[serde(default)]
    #[schemars(example = &"spring-launch", regex(pattern = r"^[a-z0-9-]{1,63}$"))]
    pub name: String,
    /// A title for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Spring launch", length(max = 200))]
    pub title: Option<String>,
    /// What the campaign does.
    #[serde(default)]
    #[schemars(example = &"mailing")]
    pub kind: Kind,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Tell our members about the spring release", length(max = 2000))]
    pub description: Option<String>,
    /// Whose it is: an entry of tidings.yaml's `owners`. Required once that list exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"growth", length(min = 1, max = 63))]
    pub owner: Option<String>,
    /// Labels of one's own; `campaign.labels.*` in templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"product": "pro"}))]
    pub labels: BTreeMap<String, String>,
    /// True: nothing leaves in the campaign's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = false, extend("default" = false))]
    pub paused: Option<bool>,
    /// The name that this campaign had before: one lineage with it, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"winter-launch", regex(pattern = r"^[a-z0-9-]{1,63}$"))]
    pub renamed_from: Option<String>,
    /// Why these people may be written to. Required for `mailing`, `invite` and `collect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"basis": "members", "note": "Members of our own community"}))]
    pub consent: Option<Consent>,
    /// In whose name: account names, or the labels that tidings.yaml gives them.
    #[serde(default)]
    #[schemars(example = &["sales-1", "sales-2"], example = serde_json::json!({"labels": {"team": "sales"}}))]
    pub accounts: AccountSelector,
    /// Where the people come from; the union. Required for `mailing`, `invite` and `collect`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"type": "members", "peer": "@rust_meetup"}]), length(max = 100))]
    pub sources: Vec<Source>,
    /// Who of them is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"username": "required", "last_seen": "14d"}))]
    pub filters: Option<Filters>,
    /// The first message, in one or several variants. Required for `mailing`, and for `invite` by `link`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"name": "short", "text": "Hi {{ contact.first_name | default('there') }}!"}]))]
    #[schemars(length(max = 50))]
    pub templates: Vec<TemplateSpec>,
    /// Later messages to the same people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"after": "3d", "templates": [{"name": "nudge", "text": "Did you have a look?"}]}]))]
    #[schemars(length(max = 20))]
    pub follow_ups: Vec<FollowUp>,
    /// How slowly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"between_messages": "30s..90s", "per_account": {"per_day": 40}}))]
    pub delays: Option<Delays>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"timezone": "Europe/Berlin", "windows": ["mon-fri 10:00-19:00"]}))]
    pub schedule: Option<Schedule>,
    /// When the campaign pauses itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"after": 20, "max_block_rate": "5%"}))]
    pub guardrails: Option<Guardrails>,
    /// Send to this many, then wait for `tidings approve NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 20)]
    pub canary: Option<u32>,
    /// Answers to people of this campaign who write back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"prompt": "You are Mia, who helps customers of our shop.", "mode": "draft"}))]
    pub ai_role: Option<AiRole>,
    /// What the author expects, run by `tidings test` with no network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"name": "greets", "contact": {"first_name": "Anna"}, "expect": {"text_contains": ["Anna"]}}]))]
    #[schemars(length(max = 500))]
    pub tests: Vec<SpecTest>,
    /// The group or channel that an `invite` leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"@our_group")]
    pub target: Option<Peer>,
    /// How an `invite` gets people there: `link` (default) sends `templates` with `{{ invite_link }}`, `add` adds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"link", extend("default" = "link"))]
    pub method: Option<InviteMethod>,
    /// How the allowance of a `warmup`'s accounts grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"start": 5, "step": 5, "every": "1d", "max": 40}))]
    pub ramp: Option<Ramp>,
    /// The operator's own places that a `warmup`'s accounts join, at the pace of `delays`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["@our_channel", "@our_group"], length(max = 500))]
    pub join: Vec<Peer>,
}

/// The longest name of a campaign: it is a label in metrics, and a DNS label has 63 too (RFC 1035, section 2.3.4).
pub const MAX_NAME: usize = 63;

/// Whether a text can name a campaign.
pub fn is_campaign_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl CampaignSpec {
    /// True: nothing leaves in the campaign's name.
    pub fn is_paused(&self) -> bool {
        self.paused == Some(true)
    }

    /// How an invite gets people into its target.
    pub fn method(&self) -> InviteMethod {
        self.method.unwrap_or_default()
    }

    /// The basis of a source: its own, or the campaign's. `None` only in an invalid spec.
    pub fn basis_of(&self, source: &Source) -> Option<super::Basis> {
        source.basis().or(self.consent.as_ref().map(|c| c.basis))
    }

    /// Whether the top-level key is there and not empty.
    fn has(&self, key: &str) -> bool {
        match key {
            "consent" => self.consent.is_some(),
            "sources" => !self.sources.is_empty(),
            "filters" => self.filters.is_some(),
            "templates" => !self.templates.is_empty(),
            "follow_ups" => !self.follow_ups.is_empty(),
            "delays" => self.delays.is_some(),
            "guardrails" => self.guardrails.is_some(),
            "canary" => self.canary.is_some(),
            "ai_role" => self.ai_role.is_some(),
            "tests" => !self.tests.is_empty(),
            "target" => self.target.is_some(),
            "method" => self.method.is_some(),
            "ramp" => self.ramp.is_some(),
            "join" => !self.join.is_empty(),
            _ => false,
        }
    }

    /// Checks the whole spec: every element, and what they say of one another.
    pub fn check(&self, cx: &CheckContext<'_>, out: &mut Findings) {
        let root = Pointer::root();
        self.check_names(cx, out);
        self.check_kind(out);
        super::engine::check_owner(self, cx, out);
        self.accounts.check(&root.key("accounts"), cx, out);

        let at = root.key("sources");
        sources::check(&self.sources, &at, &self.name, cx, out);
        consent::check_sources(self.consent.as_ref(), &self.sources, &at, out);
        if self.kind == Kind::Invite && self.method() == InviteMethod::Add {
            consent::check_add(self.consent.as_ref(), &self.sources, &at, out);
        }

        let names = self.template_names(cx);
        if let Some(filters) = &self.filters {
            filters.check(&root.key("filters"), &self.name, &names, cx, out);
            self.check_audience_limit(filters.limit, cx, out);
        }
        let keywords = self.words_to_opt_out(cx);
        let rules = TemplateRules {
            names: &names,
            invite: self.kind == Kind::Invite && self.method() == InviteMethod::Link,
            first: true,
            must_hold_one_of: &keywords,
        };
        templates::check(&self.templates, &root.key("templates"), rules, cx, out);
        follow_ups::check(&self.follow_ups, &root.key("follow_ups"), rules, cx, out);
        if let Some(delays) = &self.delays {
            delays.check(&root.key("delays"), cx, out);
            let several = self.schedule.as_ref().is_some_and(|s| s.cron.is_some());
            if let Some(per_run) = delays.per_account.and_then(|caps| caps.per_run)
                && !several
            {
                let at = root.key("delays").key("per_account").key("per_run");
                out.warning(
                    &at,
                    codes::SINGLE_RUN,
                    format!("without `cron` an account never sends more than these {per_run}"),
                )
                .detail(
                    "Without `cron` there is one run: whoever is left when its cap is reached gets nothing. Add \
                     `schedule.cron`, or cap the day with `per_day`.",
                );
            }
        }
        if let Some(schedule) = &self.schedule {
            schedule.check(&root.key("schedule"), out);
        }
        if let Some(guardrails) = &self.guardrails {
            guardrails.check(&root.key("guardrails"), out);
        }
        if let Some(ai_role) = &self.ai_role {
            ai_role.check(&root.key("ai_role"), &names, cx, out);
        }
        let steps: Vec<Vec<&str>> = std::iter::once(&self.templates)
            .chain(self.follow_ups.iter().map(|step| &step.templates))
            .map(|templates| templates.iter().map(|t| t.name.as_str()).collect())
            .collect();
        tests_element::check(&self.tests, &steps, &root.key("tests"), out);
        if let Some(ramp) = &self.ramp {
            ramp.check(&root.key("ramp"), cx, out);
        }
        for (at, peer) in self
            .target
            .iter()
            .map(|peer| (root.key("target"), peer))
            .chain(
                self.join
                    .iter()
                    .enumerate()
                    .map(|(i, peer)| (root.key("join").index(i), peer)),
            )
        {
            if !peer.can_be_place() {
                out.error(&at, codes::NOT_A_PLACE, format!("{peer} is a phone, and so a person"))
                    .detail("A group or channel is expected: \"@name\", a t.me link, or its id as {id: 123}.");
            }
        }
    }

    fn check_names(&self, cx: &CheckContext<'_>, out: &mut Findings) {
        let at = Pointer::root().key("name");
        let stem = super::files::stem(cx.file);
        if !is_campaign_name(&self.name) {
            out.error(
                &at,
                codes::INVALID_NAME,
                format!("{} cannot name a campaign", quote(&self.name)),
            )
            .detail("1 to 63 small Latin letters, digits and hyphens are expected.");
        }
        if self.name != stem {
            let finding = out.error(
                &at,
                codes::NAME_MISMATCH,
                format!(
                    "the name {} differs from the file's name {}",
                    quote(&self.name),
                    quote(stem)
                ),
            );
            finding.detail(format!(
                "They must be equal: rename the file to {}.yaml, or change the name.",
                self.name
            ));
            if is_campaign_name(stem) {
                finding.suggestion(stem);
            }
        }
        if let Some(before) = &self.renamed_from {
            let at = Pointer::root().key("renamed_from");
            if *before == self.name {
                out.error(
                    &at,
                    codes::RENAMED_FROM,
                    "the campaign is renamed from itself",
                )
                .detail("The name that it had before is expected, or take the key out.");
            } else if !is_campaign_name(before) {
                out.error(
                    &at,
                    codes::INVALID_NAME,
                    format!("{} cannot name a campaign", quote(before)),
                )
                .detail("1 to 63 small Latin letters, digits and hyphens are expected.");
            }
        }
        for (key, value) in &self.labels {
            let fine = !key.is_empty()
                && key.len() <= 63
                && value.len() <= 256
                && !value.chars().any(char::is_control);
            if !fine {
                out.error(&Pointer::root().key("labels").key(key), codes::INVALID_NAME, "this label is too long or not of one line")
                    .detail("A key of at most 63 bytes and a value of one line and at most 256 bytes are expected.");
            }
        }
    }

    fn check_kind(&self, out: &mut Findings) {
        let root = Pointer::root();
        // Of a kind that is not said nobody knows what it needs; everything else is checked all the same.
        if out.knows(&root.key("kind")) {
            return;
        }
        let kind = self.kind;
        let by_link = kind == Kind::Invite && self.method() == InviteMethod::Link;
        for keys in KEYS_BY_KIND.iter().filter(|keys| keys.kind == kind) {
            let templates = by_link.then_some("templates");
            for key in keys.required.iter().copied().chain(templates) {
                if !self.has(key) {
                    out.error(
                        &root.key(key),
                        codes::MISSING_KEY,
                        format!("a campaign of kind `{kind}` needs `{key}`"),
                    )
                    .detail(what_it_is(key));
                }
            }
            for key in keys.refused.iter().copied() {
                if self.has(key) {
                    let kinds: Vec<&str> = KEYS_BY_KIND
                        .iter()
                        .filter(|other| !other.refused.contains(&key))
                        .map(|other| other.kind.as_str())
                        .collect();
                    out.error(
                        &root.key(key),
                        codes::NOT_FOR_KIND,
                        format!("`{key}` means nothing to a campaign of kind `{kind}`"),
                    )
                    .at_key()
                    .detail(format!(
                        "It belongs to: {}. Take it out, or change the kind.",
                        kinds.join(", ")
                    ));
                }
            }
        }
        if kind == Kind::Invite && !by_link && self.has("templates") {
            out.error(
                &root.key("templates"),
                codes::NOT_FOR_KIND,
                "an invite by `add` sends no message",
            )
            .at_key()
            .detail("Take the templates out, or set `method: link`.");
        }
        if kind == Kind::Invite && !by_link {
            for key in ["follow_ups", "ai_role", "tests"] {
                if self.has(key) {
                    out.error(
                        &root.key(key),
                        codes::NOT_FOR_KIND,
                        format!("an invite by `add` sends no message: `{key}` means nothing to it"),
                    )
                    .at_key()
                    .detail("Take it out, or set `method: link`.");
                }
            }
        }
        if let Some(delays) = &self.delays
            && delays.between_invites.is_some()
            && kind != Kind::Invite
        {
            out.error(
                &root.key("delays").key("between_invites"),
                codes::NOT_FOR_KIND,
                format!("`between_invites` means nothing to a campaign of kind `{kind}`"),
            )
            .at_key()
            .detail("It belongs to campaigns of kind `invite`; the pause between messages is `between_messages`.");
        }
    }

    /// What the templates of this campaign may name.
    pub(crate) fn template_names(&self, cx: &CheckContext<'_>) -> TemplateNames {
        TemplateNames {
            columns: audience_file::field_columns(&self.sources, cx),
            labels: Some(self.labels.keys().cloned().collect()),
        }
    }

    fn check_audience_limit(&self, limit: Option<u32>, cx: &CheckContext<'_>, out: &mut Findings) {
        let Some(limit) = limit else { return };
        let at = Pointer::root().key("filters").key("limit");
        let settings = cx.engine.limits.as_ref();
        let max = settings
            .and_then(|l| l.max_audience)
            .unwrap_or(super::engine::DEFAULT_MAX_AUDIENCE);
        let plan = super::engine::plan_of(self.owner.as_deref(), cx.engine)
            .and_then(|(name, plan)| Some((name, plan.max_audience?)));
        let found = if limit > max {
            Some((max, "`limits.max_audience`".to_owned()))
        } else {
            plan.filter(|(_, max)| limit > *max)
                .map(|(name, max)| (max, format!("the plan {}", quote(name))))
        };
        if let Some((max, which)) = found {
            out.error(
                &at,
                codes::LIMIT_EXCEEDED,
                format!("an audience of {limit} is more than {which} allows"),
            )
            .detail(format!(
                "tidings.yaml allows {max}. Lower the number, or raise the limit."
            ))
            .suggestion(max.to_string());
        }
    }

    /// The words of which one must stand in each first message: on the basis `attested` the person is told how to opt
    /// out, by the text or by the notice of tidings.yaml.
    fn words_to_opt_out(&self, cx: &CheckContext<'_>) -> Vec<String> {
        let attested = self
            .sources
            .iter()
            .any(|source| self.basis_of(source) == Some(super::Basis::Attested));
        let opt_out = cx.engine.opt_out.as_ref();
        if !attested
            || cx.engine.unknown
            || opt_out.is_some_and(|o| o.notice.as_deref().is_some_and(|n| !n.trim().is_empty()))
        {
            return Vec::new();
        }
        match opt_out.and_then(|o| o.keywords.clone()) {
            Some(keywords) => keywords,
            None => super::engine::DEFAULT_OPT_OUT_KEYWORDS
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

/// What a required key holds, for whoever left it out.
fn what_it_is(key: &str) -> &'static str {
    match key {
        "consent" => "Say why these people may be written to, as in `consent: {basis: members}`.",
        "sources" => {
            "Say where the people come from, as in `sources: [{type: members, peer: \"@name\"}]`."
        }
        "templates" => "Say what is sent, as in `templates: [{name: short, text: \"Hi!\"}]`.",
        "target" => "Say which group or channel people are led to, as in `target: \"@our_group\"`.",
        "ramp" => {
            "Say how the allowance grows, as in `ramp: {start: 5, step: 5, every: 1d, max: 40}`."
        }
        _ => "Add it.",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{table, table_with};

    #[test]
    fn a_campaign_is_checked_as_a_whole() {
        table(&[
            ("the smallest", "", &[]),
            (
                "everything that has no element of its own",
                "title: Весенний релиз\ndescription: x\nlabels: {product: pro}\npaused: true\nrenamed_from: before\nx-mine: {a: 1}",
                &[],
            ),
            (
                "another name than the file's",
                "name: b",
                &["name-mismatch: b"],
            ),
            ("a name with capitals", "name: A", &["bad-value: A"]),
            ("no name", "-name", &["missing-key: version"]),
            ("no version", "-version", &["missing-key: name"]),
            ("a later version", "version: 2", &["unknown-value: 2"]),
            ("no kind", "-kind", &["missing-key: version"]),
            ("an unknown kind", "kind: mail", &["unknown-value: mail"]),
            (
                "a misspelt key is one mistake",
                "-templates\ntemplats: [{name: t, text: Hi}]",
                &["unknown-key: templats"],
            ),
            (
                "renamed from itself",
                "renamed_from: a",
                &["renamed-from: a"],
            ),
            (
                "a key of a warmup",
                "ramp: {start: 5, step: 5, every: 1d, max: 40}",
                &["not-for-kind: ramp"],
            ),
            (
                "a key of an invite",
                "target: \"@our_group\"",
                &["not-for-kind: target"],
            ),
            (
                "an owner where there are none",
                "owner: growth",
                &["unknown-owner: growth"],
            ),
            (
                "a key without a value",
                "filters:",
                &["wrong-type: filters"],
            ),
        ]);
    }

    #[test]
    fn every_kind_has_its_keys() {
        table(&[
            (
                "an invite by link",
                "kind: invite\ntarget: \"@our_group\"\ntemplates: [{name: t, text: \"{{ invite_link }}\"}]\ndelays: {between_invites: 5s..20s, per_account: {per_day: 30}}",
                &[],
            ),
            (
                "an invite without a link in its text",
                "kind: invite\ntarget: \"@our_group\"",
                &["warning invite-link: Hi"],
            ),
            (
                "an invite without texts",
                "kind: invite\ntarget: \"@our_group\"\n-templates",
                &["missing-key: version"],
            ),
            (
                "an invite by add",
                "kind: invite\nmethod: add\ntarget: \"@our_group\"\n-templates",
                &[],
            ),
            (
                "an invite by add that says something",
                "kind: invite\nmethod: add\ntarget: \"@our_group\"",
                &["not-for-kind: templates"],
            ),
            (
                "an invite to nowhere",
                "kind: invite\nmethod: add\n-templates",
                &["missing-key: version"],
            ),
            ("a collect", "kind: collect\n-templates", &[]),
            (
                "a collect that says something",
                "kind: collect",
                &["not-for-kind: templates"],
            ),
            (
                "a collect without sources",
                "kind: collect\n-templates\n-sources",
                &["missing-key: version"],
            ),
        ]);
    }

    #[test]
    fn an_owner_has_folders_and_accounts() {
        let settings = "plans: {paid: {max_audience: 10}}\nowners:\n  growth: {plan: paid, accounts: [second], paths: [\"campaigns/*.yaml\"]}\n  other: {paths: [\"campaigns/other/**\"]}\n";
        table_with(
            settings,
            &[
                ("his own", "owner: growth\naccounts: [second]", &[]),
                ("no owner", "", &["owner-required: version"]),
                (
                    "a misspelt owner",
                    "owner: grwth",
                    &["unknown-owner: grwth"],
                ),
                (
                    "another's account",
                    "owner: growth\naccounts: [second, main]",
                    &["beyond-owner: main"],
                ),
                ("another's folder", "owner: other", &["beyond-owner: other"]),
                (
                    "beyond his plan",
                    "owner: growth\naccounts: [second]\nfilters: {limit: 11}",
                    &["limit-exceeded: 11"],
                ),
            ],
        );
    }
}
