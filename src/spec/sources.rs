//! `sources`: where the people come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::campaign::Kind;
use super::check::{CheckContext, check_file, duration_within};
use super::codes;
use super::consent::Basis;
use super::diagnostic::{Findings, Pointer, quote};
use super::duration::{Duration, MAX_DURATION};
use super::peer::Peer;
use crate::people::file::{Columns, MAX_FILE};

// Required keys have a serde default: where one is missing the schema says so, and the other checks still run.
/// One place where people are found. The sources of a campaign are united: one person is one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// The participants of a group or channel.
    #[schemars(extend("required" = ["type", "peer"]))]
    Members {
        /// The group or channel.
        #[schemars(example = &"@rust_meetup")]
        #[serde(default)]
        peer: Peer,
        /// At most so many people of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1), example = 5000)]
        limit: Option<u32>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"members")]
        basis: Option<Basis>,
    },
    /// Who wrote in a group lately.
    #[schemars(extend("required" = ["type", "peer"]))]
    Authors {
        /// The group.
        #[schemars(example = &"@rust_meetup")]
        #[serde(default)]
        peer: Peer,
        /// How far back the messages are read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"30d")]
        within: Option<Duration>,
        /// At most so many people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1), example = 5000)]
        limit: Option<u32>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"members")]
        basis: Option<Basis>,
    },
    /// Who commented under a channel's last posts.
    #[schemars(extend("required" = ["type", "peer"]))]
    Commenters {
        /// The channel; it needs a discussion group.
        #[schemars(example = &"@our_channel")]
        #[serde(default)]
        peer: Peer,
        /// So many of the last posts are read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 10_000), example = 50)]
        posts: Option<u32>,
        /// At most so many people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1), example = 5000)]
        limit: Option<u32>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"members")]
        basis: Option<Basis>,
    },
    /// Who has written to one of the accounts.
    Dialogs {
        /// Whose last message is at most so old.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"90d")]
        within: Option<Duration>,
        /// At most so many people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1), example = 5000)]
        limit: Option<u32>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"inbound")]
        basis: Option<Basis>,
    },
    /// The accounts' own address books.
    Contacts {
        /// At most so many people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1), example = 5000)]
        limit: Option<u32>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"contacts")]
        basis: Option<Basis>,
    },
    /// A CSV file with a header, or a TXT file with a peer a line.
    #[schemars(extend("required" = ["type", "path"]))]
    File {
        /// Relative to the spec's own folder.
        #[schemars(example = &"audiences/customers.csv", length(min = 1, max = 1024))]
        #[serde(default)]
        path: String,
        /// Which column means what: `id`, `username`, `phone`, `first_name` or `last_name` to the header as it stands
        /// in the file. A first or last name of the file is what templates say, before the one that Telegram shows.
        #[serde(default, skip_serializing_if = "Columns::is_empty")]
        #[schemars(schema_with = "columns_schema")]
        columns: Columns,
        /// At most so many people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1), example = 5000)]
        limit: Option<u32>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"customers")]
        basis: Option<Basis>,
    },
    /// People named in the spec itself.
    #[schemars(extend("required" = ["type", "peers"]))]
    List {
        /// Who.
        #[schemars(example = serde_json::json!(["@alice", "https://t.me/bob", "+15550100", {"id": 123456789}]))]
        #[schemars(length(min = 1))]
        #[serde(default)]
        peers: Vec<Peer>,
        /// Why they may be written to; `consent.basis` where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"customers")]
        basis: Option<Basis>,
    },
    /// What another campaign collected; waits until it has.
    #[schemars(extend("required" = ["type", "campaign"]))]
    Audience {
        /// The name of a campaign of kind `collect`.
        #[schemars(example = &"spring-collect", length(min = 1, max = 63))]
        #[serde(default)]
        campaign: String,
        /// Inherited from that campaign; may be repeated here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(example = &"members")]
        basis: Option<Basis>,
    },
}

fn columns_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let column = |what: &str, example: &str| {
        serde_json::json!({
            "type": "string",
            "description": format!("The header of the column that holds {what}."),
            "examples": [example],
            "minLength": 1,
            "maxLength": 200
        })
    };
    schemars::json_schema!({
        "type": "object",
        "description": "Which column means what: `id`, `username`, `phone`, `first_name` or `last_name` to the header as it stands in the file. A first or last name of the file is what templates say, before the one that Telegram shows.",
        "examples": [{"phone": "Телефон"}],
        "properties": {
            "id": column("Telegram's own number", "Telegram ID"),
            "username": column("the public name, with or without `@`", "Ник"),
            "phone": column("the phone in international form", "Телефон"),
            "first_name": column("the first name", "Имя"),
            "last_name": column("the last name", "Фамилия"),
        },
        "additionalProperties": false
    })
}

impl Source {
    /// The value of `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Members { .. } => "members",
            Self::Authors { .. } => "authors",
            Self::Commenters { .. } => "commenters",
            Self::Dialogs { .. } => "dialogs",
            Self::Contacts { .. } => "contacts",
            Self::File { .. } => "file",
            Self::List { .. } => "list",
            Self::Audience { .. } => "audience",
        }
    }

    /// The source's own basis, if it carries one.
    pub fn basis(&self) -> Option<Basis> {
        match self {
            Self::Members { basis, .. }
            | Self::Authors { basis, .. }
            | Self::Commenters { basis, .. }
            | Self::Dialogs { basis, .. }
            | Self::Contacts { basis, .. }
            | Self::File { basis, .. }
            | Self::List { basis, .. }
            | Self::Audience { basis, .. } => *basis,
        }
    }

    /// The group or channel that is read, if the source has one.
    pub fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Members { peer, .. }
            | Self::Authors { peer, .. }
            | Self::Commenters { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// At most so many people of it.
    pub fn limit(&self) -> Option<u32> {
        match self {
            Self::Members { limit, .. }
            | Self::Authors { limit, .. }
            | Self::Commenters { limit, .. }
            | Self::Dialogs { limit, .. }
            | Self::Contacts { limit, .. }
            | Self::File { limit, .. } => *limit,
            Self::List { .. } | Self::Audience { .. } => None,
        }
    }
}

/// How far back a source reads at least: less finds nobody.
const MIN_WITHIN: Duration = Duration::from_secs(1);

/// The most people that a spec may name itself; longer lists belong into a file.
const MAX_LIST: usize = 10_000;

/// Checks a list of sources: the campaign's own, or those of a filter.
pub(super) fn check(
    sources: &[Source],
    at: &Pointer,
    own_name: &str,
    cx: &CheckContext<'_>,
    out: &mut Findings,
) {
    for (index, source) in sources.iter().enumerate() {
        let place = at.index(index);
        source.check(&place, own_name, cx, out);
        if sources[..index].contains(source) {
            out.warning(&place, codes::DUPLICATE_ITEM, "this source stands twice")
                .detail("Sources are united, so that the second one changes nothing and can go.");
        }
    }
}

impl Source {
    /// Checks one source.
    fn check(&self, at: &Pointer, own_name: &str, cx: &CheckContext<'_>, out: &mut Findings) {
        if let Some(peer) = self.peer()
            && !peer.can_be_place()
        {
            out.error(
                &at.key("peer"),
                codes::NOT_A_PLACE,
                format!("{peer} is a phone, and so a person"),
            )
            .detail(
                "A group or channel is expected: \"@name\", a t.me link, or its id as {id: 123}.",
            );
        }
        match self {
            Self::Authors {
                within: Some(within),
                ..
            }
            | Self::Dialogs {
                within: Some(within),
                ..
            } => {
                duration_within(*within, MIN_WITHIN, MAX_DURATION, &at.key("within"), out);
            }
            Self::File { path, columns, .. } => {
                let place = at.key("path");
                let known = [".csv", ".txt", ".tsv"]
                    .iter()
                    .any(|end| path.to_lowercase().ends_with(end));
                if !known {
                    out.error(
                        &place,
                        codes::BAD_PATH,
                        format!("{} is neither a .csv nor a .txt file", quote(path)),
                    )
                    .detail(
                        "A CSV file with a header, or a TXT file with a peer a line, is expected.",
                    );
                }
                if let Some(full) = check_file(path, MAX_FILE, &place, cx, out)
                    && known
                {
                    super::audience_file::check(&full, columns, at, cx, out);
                }
            }
            Self::List { peers, .. } => {
                let place = at.key("peers");
                if peers.len() > MAX_LIST {
                    out.error(&place, codes::TOO_MANY, format!("the list names {} people", peers.len()))
                        .detail(format!("At most {MAX_LIST} fit a spec. Put them into a CSV or TXT file and name it as a source of type `file`."));
                }
                let mut seen = std::collections::BTreeSet::new();
                for (index, peer) in peers.iter().enumerate() {
                    if !peer.can_be_person() {
                        out.error(&place.index(index), codes::NOT_A_PERSON, format!("{peer} cannot be a person"))
                            .detail("A list names people. The members of a group are a source of type `members`.");
                    } else if !seen.insert(peer.key()) {
                        out.warning(&place.index(index), codes::DUPLICATE_ITEM, format!("{peer} stands twice"))
                            .detail("One person is one recipient: the second one changes nothing and can go.");
                    }
                }
            }
            Self::Audience { campaign, basis } => {
                let place = at.key("campaign");
                if campaign == own_name {
                    out.error(
                        &place,
                        codes::NOT_A_COLLECT,
                        "the campaign names its own audience",
                    )
                    .detail("The name of a campaign of kind `collect` is expected.");
                } else if cx.campaign_exists(campaign, &place, out)
                    && let Some(Some(kind)) = cx.campaigns.and_then(|known| known.get(campaign))
                    && *kind != Kind::Collect
                {
                    out.error(&place, codes::NOT_A_COLLECT, format!("the campaign {} is of kind `{kind}`", quote(campaign)))
                        .detail("The name of a campaign of kind `collect` is expected: only those gather audiences.");
                }
                if basis.is_some() {
                    out.warning(&at.key("basis"), codes::BASIS_IGNORED, "an audience brings its own basis")
                        .detail("It is the one under which that campaign collected; this one changes nothing and can go.");
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn sources_are_checked_one_by_one() {
        table(&[
            (
                "a CSV file",
                "sources: [{type: file, path: people.csv}]",
                &[],
            ),
            (
                "a CSV file with columns",
                "sources: [{type: file, path: people.csv, columns: {phone: Телефон}}]",
                &[],
            ),
            (
                "a TXT file",
                "sources: [{type: file, path: ./people.txt}]",
                &[],
            ),
            (
                "every way to name a person",
                "sources: [{type: list, peers: [\"@alice\", \"https://t.me/bob\", \"+15550100\", {id: 123456789}, \"id:5\"]}]",
                &[],
            ),
            (
                "members with consent of their own",
                "sources: [{type: members, peer: \"@g1\", basis: members, limit: 5}]",
                &[],
            ),
            (
                "an audience",
                "sources: [{type: audience, campaign: gather}]",
                &[],
            ),
            ("no sources", "sources: []", &["missing-key: []"]),
            (
                "no type",
                "sources: [{peer: \"@g1\"}]",
                &["missing-key: peer"],
            ),
            (
                "an unknown type",
                "sources: [{type: member, peer: \"@g1\"}]",
                &["unknown-value: member"],
            ),
            (
                "a key of another type",
                "sources: [{type: contacts, peer: \"@g1\", basis: customers}]",
                &["unknown-key: peer"],
            ),
            (
                "a limit of nothing",
                "sources: [{type: contacts, limit: 0}]",
                &["out-of-range: 0"],
            ),
            (
                "a file that is not there",
                "sources: [{type: file, path: peple.csv}]",
                &["missing-file: peple.csv"],
            ),
            (
                "a file outside",
                "sources: [{type: file, path: ../../etc/x.csv}]",
                &["leaves-workspace: ../../etc/x.csv"],
            ),
            (
                "an absolute path",
                "sources: [{type: file, path: /etc/x.csv}]",
                &["leaves-workspace: /etc/x.csv"],
            ),
            (
                "a spreadsheet",
                "sources: [{type: file, path: people.xlsx}]",
                &["bad-path: people.xlsx"],
            ),
            (
                "a file that names nobody",
                "sources: [{type: file, path: nobody.csv}]",
                &["bad-header: nobody.csv"],
            ),
            (
                "a column that is not there",
                "sources: [{type: file, path: people.csv, columns: {phone: Телефн}}]",
                &["bad-header: Телефн"],
            ),
            (
                "an unknown column",
                "sources: [{type: file, path: people.csv, columns: {fone: Телефон}}]",
                &["unknown-key: fone"],
            ),
            (
                "a bad row",
                "sources: [{type: file, path: broken.csv}]",
                &["warning bad-row: campaigns/broken.csv:3:1"],
            ),
            (
                "rows that are short",
                "sources: [{type: file, path: short.csv, columns: {phone: Телефон}}]",
                &[],
            ),
            (
                "a table in a TXT file",
                "sources: [{type: file, path: people.txt, columns: {phone: Телефон}}]",
                &["warning no-effect: columns"],
            ),
            (
                "a workbook that is called a table",
                "sources: [{type: file, path: workbook.csv}]",
                &["invalid-encoding: workbook.csv"],
            ),
            (
                "a table without people",
                "sources: [{type: file, path: empty.csv}]",
                &["warning bad-row: empty.csv"],
            ),
            (
                "a bare number",
                "sources: [{type: list, peers: [15550100]}]",
                &["wrong-type: 15550100"],
            ),
            (
                "a phone without quotes",
                "sources: [{type: list, peers: [+15550100]}]",
                &["wrong-type: +15550100"],
            ),
            (
                "a bare number in quotes",
                "sources: [{type: list, peers: [\"15550100\"]}]",
                &["bad-value: \"15550100\""],
            ),
            (
                "a name without its sign",
                "sources: [{type: list, peers: [alice]}]",
                &["bad-value: alice"],
            ),
            (
                "a place in a list",
                "sources: [{type: list, peers: [\"https://t.me/+AbCdEfGhIj\"]}]",
                &["not-a-person: \"https://t.me/+AbCdEfGhIj\""],
            ),
            (
                "a person twice",
                "sources: [{type: list, peers: [\"@alice\", \"@Alice\"]}]",
                &["warning duplicate-item: \"@Alice\""],
            ),
            (
                "members of a phone",
                "sources: [{type: members, peer: \"+15550100\", basis: members}]",
                &["not-a-place: \"+15550100\""],
            ),
            (
                "no time at all",
                "sources: [{type: dialogs, within: 0s}]",
                &["out-of-range: 0s"],
            ),
            (
                "an audience of nobody",
                "sources: [{type: audience, campaign: gathr}]",
                &["unknown-campaign: gathr"],
            ),
            (
                "an audience of a mailing",
                "sources: [{type: audience, campaign: winter}]",
                &["not-a-collect: winter"],
            ),
            (
                "its own audience",
                "sources: [{type: audience, campaign: a}]",
                &["not-a-collect: a"],
            ),
            (
                "a source twice",
                "sources: [{type: contacts}, {type: contacts}]",
                &["warning duplicate-item: {type: contacts}"],
            ),
        ]);
    }
}
