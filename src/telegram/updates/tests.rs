use super::*;
use grammers_tl_types::Serializable;

fn state(pts: i32) -> UpdatesState {
    UpdatesState {
        pts,
        qts: 0,
        date: 1000,
        seq: 1,
    }
}

fn inbox(pts: i32) -> Inbox {
    Inbox::new("sales-1".into(), Some(state(pts)))
}

fn user(id: i64) -> enums::User {
    let mut bytes = vec![1u8, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(id.to_le_bytes());
    bytes.extend(5i64.to_le_bytes());
    let user = types::User::from_bytes(&bytes).expect("a user with an id and a hash");
    assert_eq!(user.access_hash, Some(5));
    user.into()
}

fn message(id: i32, from: i64, out: bool) -> enums::Message {
    let mut bytes = Vec::new();
    (u32::from(out) << 1).serialize(&mut bytes);
    0u32.serialize(&mut bytes);
    id.serialize(&mut bytes);
    enums::Peer::User(types::PeerUser { user_id: from }).serialize(&mut bytes);
    1000i32.serialize(&mut bytes);
    format!("text {id}").serialize(&mut bytes);
    types::Message::from_bytes(&bytes)
        .expect("a message")
        .into()
}

fn new(id: i32, pts: i32) -> enums::Update {
    types::UpdateNewMessage {
        message: message(id, 7, false),
        pts,
        pts_count: 1,
    }
    .into()
}

fn batch(updates: Vec<enums::Update>) -> UpdatesLike {
    let updates = types::Updates {
        updates,
        users: vec![user(7)],
        chats: vec![],
        date: 1001,
        seq: 0,
    };
    UpdatesLike::Updates(enums::Updates::Updates(updates))
}

fn short(id: i32, from: i64, pts: i32) -> UpdatesLike {
    UpdatesLike::Updates(enums::Updates::UpdateShortMessage(
        types::UpdateShortMessage {
            out: false,
            mentioned: false,
            media_unread: false,
            silent: false,
            id,
            user_id: from,
            message: format!("text {id}"),
            pts,
            pts_count: 1,
            date: 1001,
            fwd_from: None,
            via_bot_id: None,
            reply_to: None,
            entities: None,
            ttl_period: None,
        },
    ))
}

fn difference(messages: Vec<enums::Message>, pts: i32) -> enums::updates::Difference {
    types::updates::Difference {
        new_messages: messages,
        new_encrypted_messages: vec![],
        other_updates: vec![],
        chats: vec![],
        users: vec![user(7), user(8)],
        state: types::updates::State {
            pts,
            qts: 0,
            date: 1002,
            seq: 1,
            unread_count: 0,
        }
        .into(),
    }
    .into()
}

fn ids(taken: &Taken) -> Vec<i32> {
    taken
        .messages
        .iter()
        .map(|message| message.message_id)
        .collect()
}

fn pts(inbox: &Inbox) -> i32 {
    inbox.state.map_or(0, |state| state.pts)
}

#[test]
fn a_message_in_its_order_is_told_with_the_state_after_it() {
    let mut inbox = inbox(10);
    let taken = inbox.take(&batch(vec![new(1, 11)]), Timestamp(0));
    assert_eq!((ids(&taken), taken.gap), (vec![1], false));
    let message = &taken.messages[0];
    assert_eq!(message.state.map(|state| state.pts), Some(11));
    assert_eq!(
        (message.person, message.text.as_str()),
        (PersonId(7), "text 1")
    );
    let contact = message.contact.as_ref().expect("who it is");
    assert_eq!(contact.hashes.get("sales-1"), Some(&5));
}

#[test]
fn a_message_is_told_once_however_often_it_comes() {
    let mut inbox = inbox(10);
    let first = inbox.take(&batch(vec![new(1, 11)]), Timestamp(0));
    let again = inbox.take(&batch(vec![new(1, 11)]), Timestamp(0));
    let mut asked = Taken::default();
    inbox.take_difference(
        difference(vec![message(1, 7, false)], 11),
        Timestamp(0),
        &mut asked,
    );
    assert_eq!(
        (ids(&first), ids(&again), ids(&asked)),
        (vec![1], vec![], vec![])
    );
}

#[test]
fn a_gap_is_asked_about_from_before_it() {
    let mut inbox = inbox(10);
    let taken = inbox.take(&batch(vec![new(3, 13)]), Timestamp(0));
    assert_eq!((ids(&taken), taken.gap, pts(&inbox)), (vec![3], true, 10));
    assert_eq!(taken.messages[0].state.map(|state| state.pts), Some(10));
    let mut asked = Taken::default();
    let missed = vec![
        message(1, 7, false),
        message(2, 8, false),
        message(3, 7, false),
    ];
    assert!(!inbox.take_difference(difference(missed, 13), Timestamp(0), &mut asked));
    assert_eq!((ids(&asked), pts(&inbox)), (vec![1, 2], 13));
}

#[test]
fn until_the_last_message_of_a_difference_a_restart_asks_for_all_of_it() {
    let mut inbox = inbox(10);
    let mut asked = Taken::default();
    let missed = vec![message(1, 7, false), message(2, 8, false)];
    inbox.take_difference(difference(missed, 12), Timestamp(0), &mut asked);
    let states: Vec<_> = asked
        .messages
        .iter()
        .map(|m| m.state.map(|state| state.pts))
        .collect();
    assert_eq!(states, [Some(10), Some(10)]);
}

#[test]
fn own_messages_move_the_count_and_are_told_as_such() {
    let mut inbox = inbox(10);
    let update = types::UpdateShortSentMessage {
        out: true,
        id: 1,
        pts: 11,
        pts_count: 1,
        date: 1001,
        media: None,
        entities: None,
        ttl_period: None,
    };
    let taken = inbox.take(
        &UpdatesLike::Updates(enums::Updates::UpdateShortSentMessage(update)),
        Timestamp(0),
    );
    assert_eq!((ids(&taken), taken.gap, pts(&inbox)), (vec![], false, 11));
    let mut taken = Taken::default();
    let own = Came::Own { pts: 13, count: 2 };
    inbox.hear(&own, Timestamp(0), &mut taken);
    assert_eq!((ids(&taken), taken.gap, pts(&inbox)), (vec![], false, 13));
    let own = types::UpdateNewMessage {
        message: message(2, 7, true),
        pts: 14,
        pts_count: 1,
    };
    let taken = inbox.take(&batch(vec![own.into()]), Timestamp(0));
    assert_eq!((ids(&taken), taken.gap, pts(&inbox)), (vec![2], false, 14));
    assert!(
        taken.messages[0].out,
        "another client of the account wrote it"
    );
}

#[test]
fn a_stranger_named_by_id_only_is_asked_about() {
    let mut inbox = inbox(10);
    let taken = inbox.take(&short(1, 7, 11), Timestamp(0));
    assert_eq!((ids(&taken), taken.gap, pts(&inbox)), (vec![], true, 10));
    let mut asked = Taken::default();
    inbox.take_difference(
        difference(vec![message(1, 7, false)], 11),
        Timestamp(0),
        &mut asked,
    );
    assert!(asked.messages[0].contact.is_some());
    inbox.release(&mut asked);
    assert_eq!(ids(&asked), [1]);
    let known = inbox.take(&short(2, 7, 12), Timestamp(0));
    assert_eq!((ids(&known), known.gap, pts(&inbox)), (vec![2], false, 12));
}

#[test]
fn a_stranger_is_told_without_a_name_where_nobody_answers() {
    let mut inbox = inbox(10);
    let mut taken = inbox.take(&short(1, 7, 11), Timestamp(0));
    inbox.release(&mut taken);
    assert_eq!(ids(&taken), [1]);
    assert!(taken.messages[0].contact.is_none());
}

#[test]
fn a_server_without_states_still_tells_live_messages() {
    for from in [None, Some(UpdatesState::default())] {
        let mut inbox = Inbox::new("sales-1".into(), from);
        for (id, pts) in [(1, 11), (2, 11), (3, 5), (4, 0)] {
            let taken = inbox.take(&batch(vec![new(id, pts)]), Timestamp(0));
            assert_eq!((ids(&taken), taken.gap), (vec![id], false), "pts {pts}");
        }
        assert_eq!(ids(&inbox.take(&short(5, 9, 1), Timestamp(0))), [5]);
    }
}

#[test]
fn a_server_that_counts_oddly_loses_no_message() {
    let mut inbox = inbox(10);
    for (id, pts) in [(1, 10), (2, 10), (3, 3), (4, 0)] {
        assert_eq!(
            ids(&inbox.take(&batch(vec![new(id, pts)]), Timestamp(0))),
            [id],
            "pts {pts}"
        );
    }
}

#[test]
fn login_codes_groups_and_notes_to_oneself_are_nobodys_message() {
    let mut inbox = inbox(10);
    let code = types::UpdateNewMessage {
        message: message(1, SERVICE_NOTICES, false),
        pts: 11,
        pts_count: 1,
    };
    assert_eq!(
        ids(&inbox.take(&batch(vec![code.into()]), Timestamp(0))),
        [0; 0]
    );
    let taken = inbox.take(&short(2, SERVICE_NOTICES, 12), Timestamp(0));
    assert_eq!((ids(&taken), taken.gap, pts(&inbox)), (vec![], false, 12));
    let mut group = match message(3, 7, false) {
        enums::Message::Message(message) => message,
        other => panic!("{other:?}"),
    };
    group.peer_id = types::PeerChat { chat_id: 7 }.into();
    let group = types::UpdateNewMessage {
        message: group.into(),
        pts: 13,
        pts_count: 1,
    };
    assert_eq!(
        ids(&inbox.take(&batch(vec![group.into()]), Timestamp(0))),
        [0; 0]
    );
}

fn changed(id: i32, pts: i32, change: impl FnOnce(&mut types::Message)) -> enums::Update {
    let enums::Message::Message(mut message) = message(id, 7, false) else {
        panic!("a message");
    };
    message.edit_date = Some(1001);
    change(&mut message);
    types::UpdateEditMessage {
        message: message.into(),
        pts,
        pts_count: 1,
    }
    .into()
}

fn heard(taken: &Taken) -> Vec<(i32, Heard)> {
    let messages = taken.messages.iter();
    messages.map(|one| (one.message_id, one.heard)).collect()
}

#[test]
fn a_change_is_told_as_such_and_hides_no_message() {
    let mut inbox = inbox(10);
    let taken = inbox.take(&batch(vec![changed(1, 11, |_| {})]), Timestamp(0));
    assert_eq!(heard(&taken), [(1, Heard::Changed)]);
    assert_eq!(taken.messages[0].state.map(|state| state.pts), Some(11));
    assert!(taken.messages[0].contact.is_some());
    // The message itself may come after it.
    let taken = inbox.take(&batch(vec![new(1, 12)]), Timestamp(0));
    assert_eq!(heard(&taken), [(1, Heard::Written)]);
    let mut asked = Taken::default();
    let enums::updates::Difference::Difference(mut all) =
        difference(vec![message(1, 7, false), message(2, 8, false)], 15)
    else {
        panic!("a difference");
    };
    all.other_updates = vec![changed(2, 14, |_| {}), changed(1, 15, |_| {})];
    inbox.take_difference(all.into(), Timestamp(0), &mut asked);
    assert_eq!(
        heard(&asked),
        [
            (2, Heard::Written),
            (2, Heard::Changed),
            (1, Heard::Changed)
        ]
    );
}

#[test]
fn what_the_account_changes_or_what_changes_around_a_text_is_not_told() {
    let mut inbox = inbox(10);
    for (pts, update) in [
        (11, changed(1, 11, |message| message.out = true)),
        (12, changed(1, 12, |message| message.edit_hide = true)),
        (
            13,
            changed(1, 13, |message| {
                message.peer_id = types::PeerChat { chat_id: 7 }.into();
            }),
        ),
    ] {
        let taken = inbox.take(&batch(vec![update]), Timestamp(0));
        assert_eq!(
            (heard(&taken), inbox.state.map(|s| s.pts)),
            (vec![], Some(pts))
        );
    }
}

#[test]
fn what_was_said_before_is_told_as_found_and_what_is_older_than_the_gap_as_changed() {
    let mut inbox = Inbox::new("sales-1".into(), None);
    let said = |messages, since| reread::Said {
        messages,
        users: vec![user(7)],
        since,
    };
    let mut taken = Taken::default();
    let words = vec![message(1, 7, false), message(2, 7, true)];
    inbox.take_found(&said(words, 0), Timestamp(0), &mut taken);
    assert_eq!(heard(&taken), [(1, Heard::Found)]);
    let mut taken = Taken::default();
    let edited = |id| {
        let enums::Message::Message(mut message) = message(id, 7, false) else {
            panic!("a message");
        };
        message.edit_date = Some(2001);
        enums::Message::Message(message)
    };
    inbox.take_said(&said(vec![edited(1)], 2000), Timestamp(0), &mut taken);
    assert_eq!(heard(&taken), [(1, Heard::Changed)]);
    let mut taken = Taken::default();
    inbox.take_said(&said(vec![edited(3)], 900), Timestamp(0), &mut taken);
    assert_eq!(heard(&taken), [(3, Heard::Written), (3, Heard::Changed)]);
}

#[test]
fn a_broken_connection_or_update_is_a_gap() {
    for update in [
        UpdatesLike::ConnectionClosed,
        UpdatesLike::MalformedUpdates,
        UpdatesLike::Updates(enums::Updates::TooLong),
    ] {
        assert!(inbox(10).take(&update, Timestamp(0)).gap);
    }
}

#[test]
fn a_slice_that_leads_nowhere_is_not_asked_for_again() {
    let slice = |pts| {
        enums::updates::Difference::Slice(types::updates::DifferenceSlice {
            new_messages: vec![],
            new_encrypted_messages: vec![],
            other_updates: vec![],
            chats: vec![],
            users: vec![],
            intermediate_state: types::updates::State {
                pts,
                qts: 0,
                date: 1000,
                seq: 1,
                unread_count: 0,
            }
            .into(),
        })
    };
    let mut inbox = inbox(10);
    let mut taken = Taken::default();
    assert!(inbox.take_difference(slice(20), Timestamp(0), &mut taken));
    assert!(!inbox.take_difference(slice(20), Timestamp(0), &mut taken));
}

#[test]
fn after_too_long_an_absence_the_account_begins_anew_where_telegram_says() {
    let too_long = || types::updates::DifferenceTooLong { pts: 500 }.into();
    let mut inbox = inbox(10);
    let mut taken = Taken::default();
    assert!(inbox.take_difference(too_long(), Timestamp(0), &mut taken));
    assert_eq!(pts(&inbox), 500);
    assert!(!inbox.take_difference(too_long(), Timestamp(0), &mut taken));
}

#[test]
fn what_is_remembered_has_its_limit() {
    let mut inbox = Inbox::new("sales-1".into(), None);
    for id in 1..=(MAX_TOLD as i32 + 5) {
        inbox.take(&batch(vec![new(id, 0)]), Timestamp(0));
    }
    assert_eq!(
        (inbox.told.len(), inbox.told_order.len()),
        (MAX_TOLD, MAX_TOLD)
    );
}

#[tokio::test(start_paused = true)]
async fn questions_about_gaps_that_bring_nothing_become_rare() {
    let mut clock = Clock::new();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        clock.caught_up(false);
        clock.heard(true);
        pauses.push(clock.ask_at.duration_since(Instant::now()).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    clock.caught_up(true);
    clock.heard(true);
    assert_eq!(clock.ask_at.duration_since(Instant::now()), GAP_PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_failed_question_is_not_put_again_too_soon() {
    let mut clock = Clock::new();
    clock.failed(Duration::from_secs(30));
    clock.heard(true);
    clock.heard(false);
    assert_eq!(
        clock.ask_at.duration_since(Instant::now()),
        Duration::from_secs(30)
    );
}
