use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Screen, Then, Update};
use super::view;
use crate::model::Timestamp;
use crate::status::StatusReport;

/// Tuesday, 2026-12-01 12:00 UTC.
const NOON: Timestamp = Timestamp(1_796_126_400_000);

/// A campaign as the report writes it.
fn campaign(name: &str, state: &str, ready: &str, sent: u64, pending: u64) -> serde_json::Value {
    let condition = |kind: &str, status: &str, reason: &str| {
        serde_json::json!({"type": kind, "status": status, "reason": reason, "message": "Because.",
            "last_transition_time": "2026-12-01T11:00:00.000Z"})
    };
    serde_json::json!({
        "name": name, "title": "Весенний релиз 春 👩‍🚀", "kind": "mailing", "file": format!("campaigns/{name}.yaml"),
        "run": 1, "generation": 1, "observed_generation": 1, "digest": "d", "commit": null, "sync": "current",
        "timezone": "Europe/Berlin", "accounts": ["sales-1"],
        "conditions": [condition("Ready", ready, state), condition("SpecValid", "True", "Valid")],
        "audience": {"found": sent + pending, "included": sent + pending, "excluded": {}, "sources": []},
        "progress": {"pending": pending, "in_flight": 0, "sent": sent, "failed": 0, "skipped": 0, "uncertain": 0,
            "replied": 0, "opted_out": 0},
        "outcomes": {"sent": sent}, "steps": [], "templates": [{"name": "short", "sent": sent, "replied": 1}],
        "waiting": [{"reason": "OutsideWindow", "count": pending, "until": "2026-12-01T17:00:00.000Z"}],
        "next_action_at": "2026-12-01T17:00:00.000Z", "finish_estimate": null
    })
}

fn report(campaigns: Vec<serde_json::Value>) -> Box<StatusReport> {
    Box::new(
        serde_json::from_value(serde_json::json!({
            "format_version": "1.0", "generated_at": "2026-12-01T12:00:00.000Z",
            "daemon": {"running": true, "pid": 4711, "version": "0.1.0", "heartbeat_age_ms": 120},
            "campaigns": campaigns,
            "accounts": [{"name": "продажи", "state": "ready", "until": null, "sent_today": 3, "allowance_today": 40,
                "message": ""}]
        }))
        .unwrap(),
    )
}

fn many(count: usize) -> Box<StatusReport> {
    report(
        (0..count)
            .map(|n| campaign(&format!("campaign-{n:02}"), "OutsideWindow", "True", 3, 7))
            .collect(),
    )
}

fn app(report: Box<StatusReport>) -> App {
    let mut app = App::new(&[]);
    app.take(Update::Report(report, Vec::new()), NOON);
    app
}

fn screen(app: &mut App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| view::draw(frame, app, false, NOON))
        .unwrap();
    terminal
        .backend()
        .to_string()
        .lines()
        .map(|line| line.trim_matches('"').trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn press(app: &mut App, code: KeyCode) -> Then {
    app.key(KeyEvent::new(code, KeyModifiers::NONE), NOON)
}

fn write(app: &mut App, text: &str) {
    for c in text.chars() {
        press(app, KeyCode::Char(c));
    }
}

#[test]
fn the_list_shows_every_campaign_what_needs_a_person_and_the_accounts() {
    let mut app = app(report(vec![
        campaign("evening-thanks", "OutsideWindow", "True", 1, 2),
        campaign("spring-launch", "AwaitingApproval", "False", 0, 446),
    ]));
    let text = screen(&mut app, 110, 16);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].contains("The daemon runs, pid 4711, heartbeat 120ms ago"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("CAMPAIGN        SPEC     STATE"),
        "{text}"
    );
    assert!(
        lines[3].starts_with("evening-thanks  current  OutsideWindow"),
        "{text}"
    );
    assert!(lines[3].contains("███░░░░░░░ 1 of 3 (33 %)"), "{text}");
    assert!(
        lines[4].starts_with("spring-launch   current  AwaitingApproval"),
        "{text}"
    );
    assert!(
        text.contains("Needs you:\n  spring-launch  AwaitingApproval: Because."),
        "{text}"
    );
    assert!(text.contains("продажи  ready  3 of 40"), "{text}");
    assert!(lines[15].contains("enter story"), "{text}");
}

#[test]
fn a_narrower_screen_leaves_out_what_is_told_twice_and_cuts_nothing_that_it_shows() {
    let mut app = app(report(vec![campaign(
        "evening-thanks",
        "Sending",
        "True",
        1,
        2,
    )]));
    let half = screen(&mut app, 80, 12);
    let lines: Vec<&str> = half.lines().collect();
    assert_eq!(
        lines[2], "CAMPAIGN        STATE    PROGRESS       WAITS FOR      UNTIL",
        "{half}"
    );
    assert_eq!(
        lines[3], "evening-thanks  Sending  1 of 3 (33 %)  OutsideWindow  in 5 hours",
        "{half}"
    );
    let phone = screen(&mut app, 44, 12);
    let lines: Vec<&str> = phone.lines().collect();
    assert_eq!(lines[0], "tidings  heartbeat 120ms ago", "{phone}");
    assert_eq!(
        lines[3], "evening-thanks  Sending  33 %  in 5 hours",
        "{phone}"
    );
    assert!(phone.contains("q quit"), "{phone}");
    press(&mut app, KeyCode::Enter);
    let story = screen(&mut app, 44, 40);
    assert!(
        story.contains("Ready  True, Sending, for 1h 00m,"),
        "{story}"
    );
}

#[test]
fn names_are_shortened_before_what_is_waited_for_and_until_when_are_lost() {
    let named = |name: &str, state: &str| campaign(name, state, "True", 1, 2);
    let mut app = app(report(vec![
        named(
            "a-rather-long-name-of-a-campaign-that-goes-on-and-on-in-emea",
            "Sending",
        ),
        named(
            "a-rather-long-name-of-a-campaign-that-goes-on-and-on-in-apac",
            "Sending",
        ),
        named(
            "весенний-релиз-для-всех-кто-купил-春のリリース-👩‍🚀👩‍🚀-москва",
            "AudienceNotCollected",
        ),
        named("short", "OutsideWindow"),
    ]));
    for (width, height) in [(120, 20), (80, 20), (80, 8), (60, 20), (40, 20), (40, 60)] {
        let text = screen(&mut app, width, height);
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.contains('…') || line.starts_with("short "))
            .collect();
        assert!(rows.len() >= 3, "{text}");
        for row in &rows {
            assert!(row.contains("in 5 hours"), "{width}: {text}");
        }
        // Which of the two that begin alike it is can be told.
        assert!(text.contains("emea") || width < 60, "{width}: {text}");
    }
    let text = screen(&mut app, 80, 12);
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(
        rows[2..4],
        [
            "CAMPAIGN          STATE                 PROGRESS       WAITS FOR      UNTIL",
            "a-rather-l…-emea  Sending               1 of 3 (33 %)  OutsideWindow  in 5 hours",
        ],
        "{text}"
    );
}

#[test]
fn a_phone_shows_when_all_is_done_without_the_word() {
    let mut busy = campaign("busy", "Sending", "True", 1, 2);
    busy["waiting"] = serde_json::json!([{"reason": "Delay", "count": 2, "until": null}]);
    busy["finish_estimate"] = serde_json::json!("2026-12-01T12:12:00.000Z");
    let other = campaign("other", "OutsideWindow", "True", 1, 2);
    let mut app = app(report(vec![busy, other]));
    for (width, words) in [
        (80, "done in 12 minutes"),
        (40, "Sending        in 12 minutes"),
    ] {
        let text = screen(&mut app, width, 14);
        assert!(
            text.contains(words) && text.contains("in 5 hours"),
            "{text}"
        );
    }
}

#[test]
fn what_is_suspended_and_who_waits_for_an_answer_is_said() {
    let mut value = serde_json::to_value(many(2)).unwrap();
    value["conversations"] = serde_json::json!({"drafts": 2, "needs_human": 1});
    value["campaigns"][1]["suspended"] = serde_json::json!({"reason": "опечатка", "by": "anna", "since": "2026-12-01T11:00:00.000Z"});
    let mut app = app(serde_json::from_value(value.clone()).unwrap());
    let text = screen(&mut app, 100, 24);
    assert!(
        text.contains(
            "Suspended:\n  campaign-01  since 11:00:00 UTC (1 hour ago) by anna: опечатка."
        ),
        "{text}"
    );
    assert!(
        text.contains("Conversations:\n  1 person needs a human"),
        "{text}"
    );
    value["suspended"] = serde_json::json!({"reason": "incident 42", "by": "tom", "since": "2026-12-01T11:58:00.000Z"});
    app.take(
        Update::Report(serde_json::from_value(value).unwrap(), Vec::new()),
        NOON,
    );
    for (width, height) in [(100, 24), (40, 30)] {
        let text = screen(&mut app, width, height);
        let second = text.lines().nth(1).unwrap();
        assert!(
            second.starts_with("All campaigns are suspended since"),
            "{text}"
        );
        assert!(
            text.replace('\n', " ")
                .contains("`tidings resume --all` lets them go on."),
            "{text}"
        );
        assert!(text.contains("campaign-00"), "{text}");
    }
}

#[test]
fn who_got_the_first_message_waits_for_the_later_ones() {
    let mut done = campaign("thanks", "Succeeded", "True", 3, 0);
    done["waiting"] = serde_json::json!([]);
    done["steps"] =
        serde_json::json!([{"step": 1, "after": "3d", "pending": 2, "sent": 0, "skipped": 1}]);
    let text = screen(&mut app(report(vec![done])), 80, 12);
    assert!(
        text.contains("thanks    Succeeded  3 of 3 (100 %)  2 follow-ups  in 5 hours"),
        "{text}"
    );
}

#[test]
fn a_long_list_scrolls_with_the_chosen_one_and_a_small_screen_still_shows_it() {
    let mut app = app(many(40));
    let first = screen(&mut app, 100, 12);
    assert!(
        first.contains("campaign-00") && !first.contains("campaign-39"),
        "{first}"
    );
    assert!(first.contains("more ↓"), "{first}");
    press(&mut app, KeyCode::End);
    let last = screen(&mut app, 100, 12);
    assert!(
        last.contains("campaign-39") && !last.contains("campaign-00"),
        "{last}"
    );
    // The terminal became small.
    let small = screen(&mut app, 80, 5);
    assert!(small.contains("campaign-39"), "{small}");
    for (width, height) in [(1, 1), (3, 2), (10, 3), (300, 100)] {
        screen(&mut app, width, height);
    }
    press(&mut app, KeyCode::Home);
    press(&mut app, KeyCode::PageDown);
    press(&mut app, KeyCode::Up);
    assert!(app.chosen > 0);
}

#[test]
fn a_filter_leaves_those_that_hold_it_and_esc_shows_all() {
    let mut app = app(many(40));
    press(&mut app, KeyCode::Char('/'));
    write(&mut app, "GN-3");
    let text = screen(&mut app, 100, 30);
    assert!(
        text.contains("campaign-30") && !text.contains("campaign-29"),
        "{text}"
    );
    assert!(text.contains("/GN-3"), "{text}");
    // What is typed is no command.
    write(&mut app, "q");
    assert!(screen(&mut app, 100, 20).contains("No campaign is like that"));
    press(&mut app, KeyCode::Backspace);
    press(&mut app, KeyCode::Enter);
    assert_eq!(app.shown(NOON).len(), 10);
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.shown(NOON).len(), 40);
}

#[test]
fn what_needs_a_person_leaves_the_campaigns_half_of_the_screen() {
    let mut app = app(report(
        (0..20)
            .map(|n| campaign(&format!("campaign-{n:02}"), "Stalled", "False", 0, 446))
            .collect(),
    ));
    for (height, least) in [(50, 20), (30, 10), (24, 7), (10, 4), (6, 1)] {
        let text = screen(&mut app, 80, height);
        let campaigns = text.lines().filter(|line| line.starts_with("campaign-"));
        assert!(campaigns.count() >= least, "{height}:\n{text}");
        let said = if height < 14 {
            "20 need you: `n` shows them"
        } else {
            "Needs you:"
        };
        assert!(text.contains(said), "{height}:\n{text}");
    }
}

#[test]
fn only_those_that_need_a_person() {
    let mut app = app(report(vec![
        campaign("fine", "Sending", "True", 1, 2),
        campaign("stuck", "AwaitingApproval", "False", 0, 446),
    ]));
    press(&mut app, KeyCode::Char('n'));
    assert_eq!(app.shown(NOON).len(), 1);
    let text = screen(&mut app, 100, 12);
    assert!(
        text.contains("stuck") && text.contains("only what needs me"),
        "{text}"
    );
}

#[test]
fn enter_opens_a_story_which_scrolls_and_esc_leads_back() {
    let mut app = app(many(3));
    press(&mut app, KeyCode::Down);
    assert_eq!(press(&mut app, KeyCode::Enter), Then::Ask);
    assert_eq!(
        (app.screen, app.story.as_deref()),
        (Screen::Story, Some("campaign-01"))
    );
    let top = screen(&mut app, 90, 12);
    assert!(top.contains("campaign-01  Весенний релиз"), "{top}");
    press(&mut app, KeyCode::End);
    let bottom = screen(&mut app, 90, 12);
    assert!(!bottom.contains("Весенний релиз"), "{bottom}");
    assert!(bottom.contains("OutsideWindow"), "{bottom}");
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.screen, Screen::List);
    assert_eq!(app.chosen, 1);
}

#[test]
fn a_daemon_that_is_gone_is_said_and_its_last_words_stay() {
    let mut app = app(many(2));
    app.take(Update::Gone, NOON);
    let text = screen(&mut app, 100, 10);
    assert!(text.contains("The daemon is gone"), "{text}");
    assert!(text.contains("campaign-01"), "{text}");
    app.take(Update::Report(many(2), Vec::new()), NOON);
    assert!(screen(&mut app, 100, 10).contains("The daemon runs, pid 4711"));
    app.take(Update::Failed("the daemon did not answer".to_owned()), NOON);
    assert!(screen(&mut app, 100, 10).contains("did not answer"));
}

#[test]
fn the_chosen_campaign_stays_chosen_while_others_come_and_go() {
    let mut app = app(many(3));
    press(&mut app, KeyCode::End);
    let mut more = vec![campaign("aaa", "Sending", "True", 0, 1)];
    more.extend((0..3).map(|n| campaign(&format!("campaign-{n:02}"), "Sending", "True", 3, 7)));
    app.take(Update::Report(report(more), Vec::new()), NOON);
    assert_eq!(app.shown(NOON)[app.chosen].name, "campaign-02");
    app.take(Update::Report(many(1), Vec::new()), NOON);
    assert_eq!(app.chosen, 0);
}

#[test]
fn keys_are_listed_and_q_and_ctrl_c_leave() {
    let mut app = app(many(1));
    press(&mut app, KeyCode::Char('?'));
    assert!(screen(&mut app, 80, 20).contains("leave"));
    press(&mut app, KeyCode::Char('x'));
    assert_eq!(app.screen, Screen::List);
    assert_eq!(press(&mut app, KeyCode::Char('q')), Then::Quit);
    press(&mut app, KeyCode::Char('/'));
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.key(ctrl_c, NOON), Then::Quit);
}
