//! Every kind of fault, as a client sees it.

use std::time::{Duration, Instant};

use grammers_mtsender::InvocationError;
use grammers_tl_types::{enums, functions};

use super::client::{Client, peer_of, small_world, start, text, words};
use crate::sandbox::{Effect, FaultRule, Ref, Sandbox, Span, WorldSpec};

const SEND: &str = "messages.sendMessage";

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

async fn with(rule: FaultRule) -> (Sandbox, Client) {
    let sandbox = start(small_world()).await;
    sandbox.fault(rule);
    let client = Client::of(&sandbox, 0).await;
    (sandbox, client)
}

/// The second try over a new connection, as an engine does it.
async fn again(sandbox: &Sandbox) -> enums::Updates {
    let client = Client::of(sandbox, 0).await;
    client
        .call(&text(peer_of(sandbox, 0, 101), 1, "hi"))
        .await
        .unwrap()
}

#[tokio::test]
async fn an_error_rule_hits_the_calls_that_it_names() {
    let sandbox = start(small_world()).await;
    sandbox.fault(
        FaultRule::error("FLOOD_WAIT_3")
            .method(SEND)
            .account("sales-1")
            .nth(2),
    );
    sandbox.fault(
        FaultRule::error("USER_PRIVACY_RESTRICTED")
            .method("messages.*")
            .person("@boris"),
    );
    let code = Effect::Error {
        code: -503,
        text: "Timeout".into(),
    };
    sandbox.fault(
        FaultRule::new(code)
            .method(SEND)
            .person(Ref::Id(103))
            .times(1),
    );
    let (one, two) = (Client::of(&sandbox, 0).await, Client::of(&sandbox, 1).await);
    one.call(&text(peer_of(&sandbox, 0, 101), 1, "a"))
        .await
        .unwrap();
    let refused = one
        .call(&text(peer_of(&sandbox, 0, 101), 2, "b"))
        .await
        .unwrap_err();
    let InvocationError::Rpc(error) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (error.code, error.name.as_str(), error.value),
        (420, "FLOOD_WAIT", Some(3))
    );
    one.call(&text(peer_of(&sandbox, 0, 101), 2, "b"))
        .await
        .unwrap();
    for n in 3..=4 {
        assert_eq!(
            one.refusal(&text(peer_of(&sandbox, 0, 102), n, "c")).await,
            "USER_PRIVACY_RESTRICTED"
        );
        two.call(&text(peer_of(&sandbox, 1, 101), n, "d"))
            .await
            .unwrap();
    }
    let refused = one
        .call(&text(peer_of(&sandbox, 0, 103), 5, "e"))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, InvocationError::Rpc(e) if e.code == -503),
        "{refused:?}"
    );
    one.call(&text(peer_of(&sandbox, 0, 103), 5, "e"))
        .await
        .unwrap();
    let faulted: Vec<_> = sandbox
        .ledger()
        .entries()
        .into_iter()
        .filter(|e| e.fault.is_some())
        .collect();
    assert_eq!(faulted.len(), 4);
    assert!(
        faulted
            .iter()
            .all(|e| !e.effect && e.peer.is_some() && e.random_id.is_some() && e.text.is_some())
    );
}

#[tokio::test]
async fn counting_rules_fire_when_they_say() {
    let cases: [(&str, FaultRule, &[u64]); 5] = [
        ("nth", FaultRule::error("X").nth(3), &[3]),
        ("after", FaultRule::error("X").after(4), &[5, 6]),
        ("every", FaultRule::error("X").every(2), &[2, 4, 6]),
        (
            "every after one",
            FaultRule::error("X").after(1).every(2),
            &[3, 5],
        ),
        ("times", FaultRule::error("X").times(2), &[1, 2]),
    ];
    for (label, rule, wanted) in cases {
        let sandbox = start(WorldSpec {
            faults: vec![rule.method("help.getNearestDc")],
            ..small_world()
        })
        .await;
        let client = Client::of(&sandbox, 0).await;
        let mut fired = Vec::new();
        for n in 1..=6 {
            if client
                .call(&functions::help::GetNearestDc {})
                .await
                .is_err()
            {
                fired.push(n);
            }
        }
        assert_eq!(fired, wanted, "{label}");
    }
}

#[tokio::test]
async fn a_connection_dropped_before_the_effect_leaves_nothing_behind() {
    let (sandbox, client) = with(FaultRule::new(Effect::DropBefore).method(SEND).times(1)).await;
    let error = client
        .call(&text(peer_of(&sandbox, 0, 101), 1, "hi"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, InvocationError::Io(_) | InvocationError::Dropped(_)),
        "{error:?}"
    );
    assert!(sandbox.ledger().sent().is_empty());
    assert!(
        matches!(
            again(&sandbox).await,
            enums::Updates::UpdateShortSentMessage(_)
        ),
        "the second try is the first message"
    );
    assert_eq!(sandbox.ledger().sent().len(), 1);
}

#[tokio::test]
async fn what_happened_before_a_lost_answer_is_found_by_its_random_id() {
    let effects = [Effect::DropAfter, Effect::HalfAnswer, Effect::Garbled];
    for effect in effects {
        let (sandbox, client) = with(FaultRule::new(effect.clone()).method(SEND).times(1)).await;
        let error = client
            .call(&text(peer_of(&sandbox, 0, 101), 1, "hi"))
            .await
            .unwrap_err();
        assert!(
            !matches!(error, InvocationError::Rpc(_)),
            "{effect:?}: {error:?}"
        );
        assert_eq!(sandbox.ledger().sent().len(), 1, "{effect:?}");
        assert!(
            matches!(again(&sandbox).await, enums::Updates::Updates(_)),
            "{effect:?}: the earlier message"
        );
        assert_eq!(
            sandbox.ledger().sent().len(),
            1,
            "{effect:?}: nobody got it twice"
        );
    }
}

#[tokio::test]
async fn a_silent_server_never_answers_but_goes_on_serving() {
    for (effect, sent) in [(Effect::SilentBefore, 0), (Effect::SilentAfter, 1)] {
        let (sandbox, client) = with(FaultRule::new(effect.clone()).method(SEND).times(1)).await;
        let send = text(peer_of(&sandbox, 0, 101), 1, "hi");
        let waited = tokio::time::timeout(
            Duration::from_millis(300),
            client.handle.thin.invoke_in_dc(2, &send),
        )
        .await;
        assert!(waited.is_err(), "{effect:?}: {waited:?}");
        assert_eq!(sandbox.ledger().sent().len(), sent, "{effect:?}");
        client
            .call(&functions::help::GetNearestDc {})
            .await
            .unwrap();
        again(&sandbox).await;
        assert_eq!(sandbox.ledger().sent().len(), 1);
    }
}

#[tokio::test]
async fn a_repeat_of_a_send_that_is_under_way_is_a_duplicate() {
    let (sandbox, client) = with(
        FaultRule::new(Effect::Delay(span("3s")))
            .method(SEND)
            .times(1),
    )
    .await;
    // Connected beforehand, so that a busy machine does not spend the delay on it; and whichever of the two arrives
    // first is the one that is under way.
    let elsewhere = Client::of(&sandbox, 0).await;
    let send = text(peer_of(&sandbox, 0, 101), 1, "hi");
    let started = Instant::now();
    let both = tokio::join!(client.call(&send), elsewhere.call(&send));
    let (sent, refused) = match both {
        (Ok(sent), Err(refused)) | (Err(refused), Ok(sent)) => (sent, refused),
        other => panic!("one is sent, the other refused: {other:?}"),
    };
    assert_eq!(words(&refused), "RANDOM_ID_DUPLICATE");
    assert!(matches!(sent, enums::Updates::UpdateShortSentMessage(_)));
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert!(matches!(again(&sandbox).await, enums::Updates::Updates(_)));
    assert_eq!(sandbox.ledger().sent().len(), 1);
}

#[tokio::test]
async fn a_delayed_effect_takes_place_though_the_client_is_gone() {
    let (sandbox, client) = with(
        FaultRule::new(Effect::Delay(span("200ms")))
            .method(SEND)
            .times(1),
    )
    .await;
    let send = text(peer_of(&sandbox, 0, 101), 1, "hi");
    let waited = tokio::time::timeout(
        Duration::from_millis(100),
        client.handle.thin.invoke_in_dc(2, &send),
    )
    .await;
    assert!(waited.is_err());
    drop(client);
    let deadline = Instant::now() + Duration::from_secs(10);
    while sandbox.ledger().sent().is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(again(&sandbox).await, enums::Updates::Updates(_)));
}

#[tokio::test]
async fn a_late_answer_has_its_effect_at_once() {
    let (sandbox, client) = with(
        FaultRule::new(Effect::DelayAnswer(span("300ms")))
            .method(SEND)
            .times(1),
    )
    .await;
    let send = text(peer_of(&sandbox, 0, 101), 1, "hi");
    let started = Instant::now();
    let (first, second) = tokio::join!(client.call(&send), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        again(&sandbox).await
    });
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert!(matches!(
        first.unwrap(),
        enums::Updates::UpdateShortSentMessage(_)
    ));
    assert!(
        matches!(second, enums::Updates::Updates(_)),
        "done before it was answered"
    );
}

#[tokio::test]
async fn a_changed_salt_is_told_and_the_client_sends_again_by_itself() {
    let (sandbox, client) = with(FaultRule::new(Effect::BadSalt).method(SEND).times(1)).await;
    let answer = client
        .call(&text(peer_of(&sandbox, 0, 101), 1, "hi"))
        .await
        .unwrap();
    assert!(matches!(answer, enums::Updates::UpdateShortSentMessage(_)));
    let sends = sandbox.ledger().of_method(SEND);
    assert_eq!(
        sends.iter().map(|e| e.effect).collect::<Vec<_>>(),
        [false, true]
    );
    client
        .call(&functions::help::GetNearestDc {})
        .await
        .unwrap();
}

#[tokio::test]
async fn transport_errors_are_four_bytes_and_the_end() {
    let (sandbox, client) =
        with(FaultRule::new(Effect::Transport(429)).method(SEND).times(1)).await;
    let error = client
        .call(&text(peer_of(&sandbox, 0, 101), 1, "hi"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            InvocationError::Transport(grammers_mtproto::transport::Error::BadStatus {
                status: 429
            })
        ),
        "{error:?}"
    );
    assert!(sandbox.ledger().sent().is_empty());
}

#[tokio::test]
async fn a_forgotten_key_is_404_on_every_connection_until_it_is_known_again() {
    let (sandbox, client) = with(FaultRule::new(Effect::ForgetKey).method(SEND).times(1)).await;
    let send = text(peer_of(&sandbox, 0, 101), 1, "hi");
    let is_404 = |error: &InvocationError| {
        matches!(
            error,
            InvocationError::Transport(grammers_mtproto::transport::Error::BadStatus {
                status: 404
            })
        )
    };
    let error = client.call(&send).await.unwrap_err();
    assert!(is_404(&error), "{error:?}");
    let connect = || async {
        let addr = grammers_mtsender::ServerAddr::Tcp {
            address: sandbox.addr().into(),
        };
        let key = sandbox.dc_option(0).auth_key.unwrap();
        let mut sender = grammers_mtsender::connect_with_auth(
            grammers_mtproto::transport::Full::new(),
            addr,
            key,
        )
        .await
        .unwrap();
        sender.invoke(&functions::help::GetNearestDc {}).await
    };
    let error = connect().await.unwrap_err();
    assert!(is_404(&error), "{error:?}");
    // The other account is not concerned.
    Client::of(&sandbox, 1)
        .await
        .call(&functions::help::GetNearestDc {})
        .await
        .unwrap();
    sandbox.set_key_known("sales-1", true).unwrap();
    connect().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_away_refuses_connections_and_comes_back_with_its_world() {
    let (sandbox, client) = with(
        FaultRule::new(Effect::Away(span("400ms")))
            .method(SEND)
            .nth(2),
    )
    .await;
    client
        .call(&text(peer_of(&sandbox, 0, 101), 1, "hi"))
        .await
        .unwrap();
    client
        .call(&text(peer_of(&sandbox, 0, 101), 2, "ho"))
        .await
        .unwrap_err();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        tokio::net::TcpStream::connect(sandbox.addr())
            .await
            .is_err(),
        "nobody listens"
    );
    let deadline = Instant::now() + Duration::from_secs(10);
    while tokio::net::TcpStream::connect(sandbox.addr())
        .await
        .is_err()
    {
        assert!(Instant::now() < deadline, "it comes back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        matches!(again(&sandbox).await, enums::Updates::Updates(_)),
        "the world is as it was"
    );
}

#[tokio::test]
async fn stopping_and_starting_again_keeps_port_and_world() {
    let sandbox = start(small_world()).await;
    let before = sandbox.addr();
    again(&sandbox).await;
    sandbox.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(tokio::net::TcpStream::connect(before).await.is_err());
    sandbox.start_again().await.unwrap();
    assert_eq!(sandbox.addr(), before);
    assert!(matches!(again(&sandbox).await, enums::Updates::Updates(_)));
}

#[test]
fn fault_rules_read_as_they_are_written() {
    let read = |yaml: &str| serde_yaml::from_str::<FaultRule>(yaml);
    let cases = [
        (
            "{method: messages.sendMessage, nth: 5, error: FLOOD_WAIT_3}",
            FaultRule::error("FLOOD_WAIT_3").method(SEND).nth(5),
        ),
        (
            "{error: {code: 500, text: OOPS}, times: 2}",
            FaultRule::new(Effect::Error {
                code: 500,
                text: "OOPS".into(),
            })
            .times(2),
        ),
        (
            "{person: '@anna', drop: before}",
            FaultRule::new(Effect::DropBefore).person("@anna"),
        ),
        (
            "{person: 5, drop: after}",
            FaultRule::new(Effect::DropAfter).person(Ref::Id(5)),
        ),
        ("{delay: 2s}", FaultRule::new(Effect::Delay(span("2s")))),
        (
            "{delay_answer: 1m30s}",
            FaultRule::new(Effect::DelayAnswer(span("90s"))),
        ),
        ("{silent: before}", FaultRule::new(Effect::SilentBefore)),
        (
            "{silent: after, every: 3}",
            FaultRule::new(Effect::SilentAfter).every(3),
        ),
        ("{half_answer: true}", FaultRule::new(Effect::HalfAnswer)),
        ("{garbled: true}", FaultRule::new(Effect::Garbled)),
        ("{bad_salt: true}", FaultRule::new(Effect::BadSalt)),
        (
            "{transport: 404, account: sales-1}",
            FaultRule::new(Effect::Transport(404)).account("sales-1"),
        ),
        ("{forget_key: true}", FaultRule::new(Effect::ForgetKey)),
        (
            "{away: 500ms, after: 10}",
            FaultRule::new(Effect::Away(span("500ms"))).after(10),
        ),
    ];
    for (yaml, rule) in cases {
        assert_eq!(read(yaml).unwrap(), rule, "{yaml}");
        assert_eq!(
            read(&serde_yaml::to_string(&rule).unwrap()).unwrap(),
            rule,
            "{yaml} written and read again"
        );
    }
    for wrong in [
        "{}",
        "{method: x}",
        "{delay: 2s, silent: after}",
        "{error: X, oops: 1}",
        "{silent: maybe}",
        "{delay: 2}",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for (text, code) in [
        ("FLOOD_WAIT_3", 420),
        ("SLOWMODE_WAIT_9", 420),
        ("FLOOD_PREMIUM_WAIT_1", 420),
        ("PEER_FLOOD", 400),
        ("AUTH_KEY_UNREGISTERED", 401),
        ("AUTH_KEY_DUPLICATED", 406),
        ("USER_DEACTIVATED_BAN", 401),
        ("ALLOW_PAYMENT_REQUIRED_10", 403),
        ("USER_PRIVACY_RESTRICTED", 403),
        ("RANDOM_ID_DUPLICATE", 500),
        ("FROZEN_METHOD_INVALID", 420),
        ("USERNAME_INVALID", 400),
    ] {
        assert_eq!(
            FaultRule::error(text).effect,
            Effect::Error {
                code,
                text: text.into()
            }
        );
    }
}
