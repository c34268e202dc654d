//! `consent`: why these people may be written to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes;
use super::diagnostic::{Findings, Pointer};
use super::sources::Source;

/// Why the people of a source may be written to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Members of a place where one of the campaign's accounts is creator or admin.
    Members,
    /// Customers of one's own.
    Customers,
    /// People who subscribed.
    Subscribers,
    /// The accounts' own address books.
    Contacts,
    /// People who wrote to one of the accounts first.
    Inbound,
    /// Any source; the operator answers for it. Recorded in the audit, few first contacts a day, and a first message
    /// that says how to opt out.
    Attested,
}

/// Why these people may be written to, and where that can be read up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The basis of every source that does not carry its own.
    #[schemars(example = &"members")]
    pub basis: Basis,
    /// What an auditor should know: where the rules stand, since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Members of our own community, rules pinned 2026-01-10", length(max = 2000))]
    pub note: Option<String>,
}

impl Basis {
    /// The value of `basis`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Customers => "customers",
            Self::Subscribers => "subscribers",
            Self::Contacts => "contacts",
            Self::Inbound => "inbound",
            Self::Attested => "attested",
        }
    }

    /// Whether it admits a source, as far as the spec alone can tell (CONTRACT section 2, 'Consent'). That one of the
    /// accounts is admin of a place is seen only on Telegram. An audience brings the basis under which it was collected.
    pub fn admits(self, source: &Source) -> bool {
        match source {
            Source::Audience { .. } => true,
            Source::Members { .. } | Source::Authors { .. } | Source::Commenters { .. } => {
                matches!(self, Self::Members | Self::Attested)
            }
            Source::Dialogs { .. } => {
                matches!(
                    self,
                    Self::Inbound | Self::Customers | Self::Subscribers | Self::Attested
                )
            }
            Source::Contacts { .. } => {
                matches!(
                    self,
                    Self::Contacts | Self::Customers | Self::Subscribers | Self::Attested
                )
            }
            Source::File { .. } | Source::List { .. } => {
                matches!(self, Self::Customers | Self::Subscribers | Self::Attested)
            }
        }
    }

    /// The sources that it admits, for a message.
    fn admitted(self) -> &'static str {
        match self {
            Self::Members => {
                "`members`, `authors` and `commenters` (of places where one of the accounts is admin)"
            }
            Self::Contacts => "`contacts`",
            Self::Inbound => "`dialogs`",
            Self::Customers | Self::Subscribers => "`file`, `list`, `dialogs` and `contacts`",
            Self::Attested => "any source",
        }
    }

    /// The bases that admit a source, for a message.
    fn that_admit(source: &Source) -> &'static str {
        match source {
            Source::Members { .. } | Source::Authors { .. } | Source::Commenters { .. } => {
                "`members` or `attested`"
            }
            Source::Dialogs { .. } => "`inbound`, `customers`, `subscribers` or `attested`",
            Source::Contacts { .. } => "`contacts`, `customers`, `subscribers` or `attested`",
            Source::File { .. } | Source::List { .. } => "`customers`, `subscribers` or `attested`",
            Source::Audience { .. } => "any basis",
        }
    }
}

impl std::fmt::Display for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Holds every source against its basis: its own, or the campaign's.
pub(super) fn check_sources(
    consent: Option<&Consent>,
    sources: &[Source],
    at: &Pointer,
    out: &mut Findings,
) {
    for (index, source) in sources.iter().enumerate() {
        let place = at.index(index);
        let Some(basis) = source.basis().or(consent.map(|c| c.basis)) else {
            continue;
        };
        if !basis.admits(source) {
            let place = if source.basis().is_some() {
                place.key("basis")
            } else {
                place.key("type")
            };
            out.error(
                &place,
                codes::CONSENT_MISMATCH,
                format!("the basis `{basis}` does not admit a source of type `{}`", source.type_name()),
            )
            .detail(format!(
                "`{basis}` admits {}; this source needs `basis:` {}. Say why these people may be written to, or take the source out.",
                basis.admitted(),
                Basis::that_admit(source),
            ));
        }
    }
}

/// Who is added to a group is told nothing first, so `attested`, which asks for a word on how to opt out, admits nobody.
pub(super) fn check_add(
    consent: Option<&Consent>,
    sources: &[Source],
    at: &Pointer,
    out: &mut Findings,
) {
    const WHY: &str = "the basis `attested` admits nobody who is added without a message";
    const WHAT: &str = "It needs a first message that says how to opt out, and an invite by `add` sends none. Set \
                        `method: link`, whose message can say it, or name another basis.";
    let attested = |basis: Option<Basis>| basis == Some(Basis::Attested);
    for (index, source) in sources.iter().enumerate() {
        if attested(source.basis()) {
            out.error(&at.index(index).key("basis"), codes::CONSENT_MISMATCH, WHY)
                .detail(WHAT);
        }
    }
    // An `audience` inherits its basis, which is known only together with that campaign.
    let by_default = sources
        .iter()
        .any(|source| source.basis().is_none() && !matches!(source, Source::Audience { .. }));
    if by_default && attested(consent.map(|consent| consent.basis)) {
        let place = Pointer::root().key("consent").key("basis");
        out.error(&place, codes::CONSENT_MISMATCH, WHY).detail(WHAT);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;
    use super::*;

    #[test]
    fn a_source_needs_a_basis_that_admits_it() {
        // The table of CONTRACT section 2, 'Consent': for each type of source the bases that admit it.
        use Basis::{Attested, Contacts, Customers, Inbound, Members, Subscribers};
        for (source, admitting) in [
            ("{type: members, peer: \"@g1\"}", &[Members, Attested][..]),
            ("{type: authors, peer: \"@g1\"}", &[Members, Attested][..]),
            (
                "{type: commenters, peer: \"@g1\"}",
                &[Members, Attested][..],
            ),
            (
                "{type: contacts}",
                &[Contacts, Customers, Subscribers, Attested][..],
            ),
            (
                "{type: dialogs}",
                &[Inbound, Customers, Subscribers, Attested][..],
            ),
            (
                "{type: file, path: people.csv}",
                &[Customers, Subscribers, Attested][..],
            ),
            (
                "{type: list, peers: [\"@alice\"]}",
                &[Customers, Subscribers, Attested][..],
            ),
            (
                "{type: audience, campaign: gather}",
                &[Members, Contacts, Inbound, Customers, Subscribers, Attested][..],
            ),
        ] {
            let source: Source = serde_yaml::from_str(source).unwrap();
            for basis in [Members, Contacts, Inbound, Customers, Subscribers, Attested] {
                assert_eq!(
                    basis.admits(&source),
                    admitting.contains(&basis),
                    "{basis} {}",
                    source.type_name()
                );
            }
        }
    }

    #[test]
    fn consent_is_checked_by_source() {
        table(&[
            (
                "the default basis",
                "consent: {basis: subscribers, note: signed up in May}",
                &[],
            ),
            ("no consent", "-consent", &["missing-key: version"]),
            (
                "an unknown basis",
                "consent: {basis: customer}",
                &["unknown-value: customer"],
            ),
            (
                "an unknown key",
                "consent: {basis: customers, nots: x}",
                &["unknown-key: nots"],
            ),
            (
                "the default does not admit the source",
                "consent: {basis: members}",
                &["consent-mismatch: list"],
            ),
            (
                "the source's own basis wins",
                "consent: {basis: members}\nsources: [{type: list, peers: [\"@alice\"], basis: customers}]",
                &[],
            ),
            (
                "the source's own basis does not admit it",
                "sources:\n  - {type: members, peer: \"@g1\", basis: contacts}\n  - {type: contacts}",
                &["consent-mismatch: contacts"],
            ),
            (
                "attested without a word on how to opt out",
                "consent: {basis: attested}",
                &["opt-out-missing: Hi"],
            ),
            (
                "attested for an invite by add",
                "kind: invite\nmethod: add\ntarget: \"@our_group\"\n-templates\nconsent: {basis: attested}",
                &["consent-mismatch: attested"],
            ),
            (
                "attested for one source of an invite by add",
                "kind: invite\nmethod: add\ntarget: \"@our_group\"\n-templates\nsources: [{type: contacts, basis: contacts}, {type: list, peers: [\"@alice\"], basis: attested}]",
                &["consent-mismatch: attested"],
            ),
            (
                "attested for an invite by link that says how to opt out",
                "kind: invite\ntarget: \"@our_group\"\ntemplates: [{name: t, text: \"{{ invite_link }} Write STOP to hear no more.\"}]\nconsent: {basis: attested}",
                &[],
            ),
            (
                "attested with a word in the text",
                "consent: {basis: attested}\ntemplates: [{name: t, text: \"Hi! Write STOP to hear no more.\"}]",
                &[],
            ),
        ]);
        super::super::testing::table_with(
            "opt_out: {notice: \"Reply 'stop'.\"}",
            &[("attested with a notice", "consent: {basis: attested}", &[])],
        );
    }
}
