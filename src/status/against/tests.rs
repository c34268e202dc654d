use serde_json::json;

use super::*;

fn reach(named: u64, looked_up: &[&str], at_most: u64) -> Reach {
    Reach {
        named,
        looked_up: looked_up.iter().map(|label| (*label).to_owned()).collect(),
        at_most,
        messages_each: 1,
        accounts: vec!["sales-1".to_owned()],
        per_day: 40,
    }
}

#[test]
fn a_reach_is_known_as_far_as_files_tell() {
    assert_eq!(
        reach(100, &[], 100_000).words(),
        "up to 100 people; 1 account, at most 40 a day, in 3 days at least"
    );
    assert_eq!(reach(100, &[], 50).people(), 50);
    let members = reach(3, &["members of @our_group"], 5000);
    assert_eq!(members.people(), 5000);
    assert_eq!(
        members.words(),
        "3 people by name, and members of @our_group; up to 5000 in all; 1 account, at most 40 a day"
    );
}

#[test]
fn markdown_notifies_nobody_and_stays_a_page() {
    let evil = "@everybody | </details> ``` <img src=x>";
    let change = CampaignChange {
        name: "spring".to_owned(),
        renamed_from: None,
        file: "campaigns/spring.yaml".to_owned(),
        kind: "mailing".to_owned(),
        change: Compared::Changed,
        paused: false,
        fields: vec![FieldChange {
            path: "title".to_owned(),
            before: None,
            after: Some(json!(evil)),
        }],
        texts: vec![TextChange {
            step: 0,
            template: evil.to_owned(),
            before: Some("a\n```\n".to_owned()),
            after: Some(format!("{evil}\n````\n")),
        }],
        files: Vec::new(),
        people: None,
        asks_approval: true,
        reach_before: None,
        reach: Some(reach(3, &["members of @our_group"], 5000)),
        errors: vec![evil.to_owned()],
        warnings: Vec::new(),
    };
    let version = GitVersion {
        name: "main".to_owned(),
        commit: "0123456789abcdef".to_owned(),
    };
    let document = AgainstDocument::new(version, Vec::new(), vec![change], 0, Vec::new());
    let text = markdown(&document);
    assert!(text.contains("`@our_group`"), "{text}");
    // Outside of code nothing of the files is left: no mention, no tag.
    let mut fence: Option<String> = None;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if line.trim() == open => fence = None,
            None if ticks.len() >= 3 && line.ends_with("diff") => fence = Some(ticks),
            None => {
                let mut outside = String::new();
                let mut rest = line;
                // Inline code is between runs of as many backticks.
                while let Some(at) = rest.find('`') {
                    outside.push_str(&rest[..at]);
                    let run: String = rest[at..].chars().take_while(|c| *c == '`').collect();
                    let inner = &rest[at + run.len()..];
                    let end = inner.find(&run).expect("code is closed");
                    rest = &inner[end + run.len()..];
                }
                outside.push_str(rest);
                assert!(
                    !outside.contains('@') && !outside.contains("<img"),
                    "{line}"
                );
            }
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "{text}");
}

#[test]
fn a_comment_is_never_longer_than_a_comment_may_be() {
    let change = |n: usize| TextChange {
        step: 0,
        template: format!("t{n}"),
        before: None,
        after: Some("длинный текст\n".repeat(500)),
    };
    let version = GitVersion {
        name: "main".to_owned(),
        commit: "0123456789abcdef".to_owned(),
    };
    let campaign = CampaignChange {
        name: "spring".to_owned(),
        renamed_from: None,
        file: "campaigns/spring.yaml".to_owned(),
        kind: "mailing".to_owned(),
        change: Compared::Added,
        paused: false,
        fields: Vec::new(),
        texts: (0..50).map(change).collect(),
        files: Vec::new(),
        people: None,
        asks_approval: false,
        reach_before: None,
        reach: None,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let text = markdown(&AgainstDocument::new(
        version,
        Vec::new(),
        vec![campaign],
        0,
        Vec::new(),
    ));
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(text.ends_with("see `tidings plan --against`.\n"), "{text}");
}
