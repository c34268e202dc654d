//! The client of these tests: grammers' pool with raw functions and no retries.

use std::sync::Arc;
use std::time::Duration;

use grammers_mtsender::{
    ConnectionParams, InvocationError, NoRetries, SenderPool, SenderPoolFatHandle,
};
use grammers_session::Session as _;
use grammers_session::storages::{MemorySession, SqliteSession};
use grammers_session::types::{DcOption, PeerId};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{self as tl, enums, functions, types};
use tokio::sync::mpsc;

use crate::sandbox::{
    AccountSpec, Choice, GroupSpec, Peer, PersonSpec, Ref, Sandbox, SandboxError, SandboxOptions,
    WorldSpec,
};

/// Longer than any answer takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A client of one account; its pool ends when it is dropped.
pub struct Client {
    pub handle: SenderPoolFatHandle,
    pub updates: mpsc::Receiver<UpdatesLike>,
    runner: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

impl Client {
    pub async fn of(sandbox: &Sandbox, account: usize) -> Self {
        Self::with(sandbox.dc_option(account)).await
    }

    pub async fn with(option: DcOption) -> Self {
        let session = Arc::new(MemorySession::default());
        session.set_home_dc_id(option.id).await.unwrap();
        session.set_dc_option(&option).await.unwrap();
        Self::over(session)
    }

    pub fn over<S>(session: Arc<S>) -> Self
    where
        S: grammers_session::Session + Sized,
        S::Error: std::error::Error + Send + Sync + 'static,
    {
        let params = ConnectionParams {
            retry_policy: Box::new(NoRetries),
            ..ConnectionParams::default()
        };
        let SenderPool {
            runner,
            handle,
            updates,
        } = SenderPool::with_configuration(session, 1, params);
        Self {
            handle,
            updates,
            runner: tokio::spawn(runner.run()),
        }
    }

    pub async fn call<R: tl::RemoteCall>(&self, request: &R) -> Result<R::Return, InvocationError> {
        tokio::time::timeout(PATIENCE, self.handle.thin.invoke_in_dc(2, request))
            .await
            .expect("an answer in time")
    }

    /// The error's text with its number, as `FLOOD_WAIT_3`.
    pub async fn refusal<R: tl::RemoteCall>(&self, request: &R) -> String
    where
        R::Return: std::fmt::Debug,
    {
        words(&self.call(request).await.expect_err("an error"))
    }

    /// The next update that is a new message: (text, pts).
    pub async fn next_message(&mut self) -> (types::Message, i32) {
        loop {
            let update = tokio::time::timeout(PATIENCE, self.updates.recv())
                .await
                .expect("an update in time")
                .expect("a runner");
            let UpdatesLike::Updates(enums::Updates::Updates(updates)) = update else {
                continue;
            };
            for update in updates.updates {
                if let enums::Update::NewMessage(types::UpdateNewMessage {
                    message: enums::Message::Message(m),
                    pts,
                    ..
                }) = update
                {
                    return (m, pts);
                }
            }
        }
    }
}

/// An RPC error's text, with the number that grammers takes out of it.
pub fn words(error: &InvocationError) -> String {
    match error {
        InvocationError::Rpc(rpc) => match rpc.value {
            Some(value) => format!("{}_{value}", rpc.name),
            None => rpc.name.clone(),
        },
        other => format!("{other:?}"),
    }
}

/// Two accounts, some people, three places.
pub fn small_world() -> WorldSpec {
    let person = |id: i64, username: &str| PersonSpec {
        id: Some(id),
        username: Some(username.into()),
        ..PersonSpec::default()
    };
    WorldSpec {
        seed: 5,
        accounts: vec![
            AccountSpec {
                name: "sales-1".into(),
                phone: Some("+15550100001".into()),
                ..AccountSpec::default()
            },
            AccountSpec {
                name: "sales-2".into(),
                ..AccountSpec::default()
            },
        ],
        people: vec![
            PersonSpec {
                phone: Some("+15550200001".into()),
                first_name: Some("Anna".into()),
                ..person(101, "anna")
            },
            person(102, "boris"),
            person(103, "clara"),
        ],
        groups: vec![GroupSpec {
            title: "Meetup".into(),
            username: Some("meetup".into()),
            creator: Some(Ref::from("sales-1")),
            members: Some(Choice::Word("all".into())),
            ..GroupSpec::default()
        }],
        ..WorldSpec::default()
    }
}

pub async fn start(world: WorldSpec) -> Sandbox {
    Sandbox::start(SandboxOptions {
        world,
        ai_port: None,
        ..SandboxOptions::default()
    })
    .await
    .unwrap()
}

pub fn peer_of(sandbox: &Sandbox, account: usize, id: i64) -> enums::InputPeer {
    let access_hash = sandbox.world(|w| w.access_hash(account, Peer::User(id)));
    types::InputPeerUser {
        user_id: id,
        access_hash,
    }
    .into()
}

pub fn user_of(sandbox: &Sandbox, account: usize, id: i64) -> enums::InputUser {
    let access_hash = sandbox.world(|w| w.access_hash(account, Peer::User(id)));
    types::InputUser {
        user_id: id,
        access_hash,
    }
    .into()
}

pub fn place_of(
    sandbox: &Sandbox,
    account: usize,
    username: &str,
) -> (enums::InputChannel, enums::InputPeer) {
    let peer = sandbox.world(|w| w.named(username)).unwrap();
    let access_hash = sandbox.world(|w| w.access_hash(account, peer));
    (
        types::InputChannel {
            channel_id: peer.id(),
            access_hash,
        }
        .into(),
        types::InputPeerChannel {
            channel_id: peer.id(),
            access_hash,
        }
        .into(),
    )
}

pub fn text(
    peer: enums::InputPeer,
    random_id: i64,
    message: &str,
) -> functions::messages::SendMessage {
    functions::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        message: message.into(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

pub fn resolve(username: &str) -> functions::contacts::ResolveUsername {
    functions::contacts::ResolveUsername {
        username: username.into(),
        referer: None,
    }
}

#[tokio::test]
async fn a_client_connects_and_learns_who_it_is() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let users = client
        .call(&functions::users::GetUsers {
            id: vec![enums::InputUser::UserSelf],
        })
        .await
        .unwrap();
    let [enums::User::User(own)] = users.as_slice() else {
        panic!("{users:?}")
    };
    assert!(own.is_self);
    assert_eq!(own.id, sandbox.world(|w| w.self_id(0)));
    assert_eq!(own.phone.as_deref(), Some("15550100001"));
    let sandbox_knows: Vec<String> = sandbox
        .ledger()
        .entries()
        .into_iter()
        .map(|e| e.method)
        .collect();
    assert_eq!(sandbox_knows, ["help.getConfig", "users.getUsers"]);
}

#[tokio::test]
async fn the_config_names_this_server_and_marks_nothing_static() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    let enums::Config::Config(config) = client.call(&functions::help::GetConfig {}).await.unwrap();
    let [enums::DcOption::Option(option)] = config.dc_options.as_slice() else {
        panic!("one option")
    };
    assert_eq!(
        (option.id, option.ip_address.as_str(), option.port),
        (2, "127.0.0.1", i32::from(sandbox.addr().port()))
    );
    assert!(!option.r#static);
    let enums::NearestDc::Dc(near) = client
        .call(&functions::help::GetNearestDc {})
        .await
        .unwrap();
    assert_eq!((near.this_dc, near.nearest_dc), (2, 2));
}

#[tokio::test]
async fn session_files_are_private_and_let_a_client_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = start(small_world()).await;
    let dir = tempfile::tempdir().unwrap();
    let files = sandbox.write_sessions(dir.path()).await.unwrap();
    let names: Vec<_> = files
        .iter()
        .map(|f| f.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["sales-1.session", "sales-2.session"]);
    for file in &files {
        assert_eq!(
            std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let session = SqliteSession::open(&files[1]).await.unwrap();
    assert_eq!(session.home_dc_id().unwrap(), 2);
    let own = session
        .peer(PeerId::self_user())
        .await
        .unwrap()
        .expect("the own user is in the file");
    assert_eq!(own.id().bare_id(), Some(sandbox.world(|w| w.self_id(1))));
    let client = Client::over(Arc::new(session));
    let users = client
        .call(&functions::users::GetUsers {
            id: vec![enums::InputUser::UserSelf],
        })
        .await
        .unwrap();
    assert!(
        matches!(users.as_slice(), [enums::User::User(u)] if u.first_name.as_deref() == Some("sales-2"))
    );
    // The same server may write its files again.
    drop(client);
    sandbox.write_sessions(dir.path()).await.unwrap();
}

#[tokio::test]
async fn another_servers_session_file_is_left_alone() {
    let (here, elsewhere) = (
        start(small_world()).await,
        start(WorldSpec {
            seed: 6,
            ..small_world()
        })
        .await,
    );
    let dir = tempfile::tempdir().unwrap();
    elsewhere.write_sessions(dir.path()).await.unwrap();
    let refused = here.write_sessions(dir.path()).await.unwrap_err();
    assert!(matches!(refused, SandboxError::Foreign(_)), "{refused}");
    let session = SqliteSession::open(dir.path().join("sales-1.session"))
        .await
        .unwrap();
    assert_eq!(
        session.dc_option(2).unwrap().unwrap().auth_key,
        elsewhere.dc_option(0).auth_key
    );
}

#[tokio::test]
async fn an_unknown_key_is_a_transport_error_404() {
    let sandbox = start(small_world()).await;
    let addr = grammers_mtsender::ServerAddr::Tcp {
        address: sandbox.addr().into(),
    };
    let transport = grammers_mtproto::transport::Full::new();
    let mut sender = grammers_mtsender::connect_with_auth(transport, addr, [7; 256])
        .await
        .unwrap();
    let error = sender
        .invoke(&functions::help::GetConfig {})
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            InvocationError::Transport(grammers_mtproto::transport::Error::BadStatus {
                status: 404
            })
        ),
        "{error:?}"
    );
    let entry = sandbox.ledger().entries().pop().unwrap();
    assert_eq!(
        (entry.kind.as_str(), entry.note.as_deref()),
        ("transport", Some("an unknown key"))
    );
}

#[tokio::test]
async fn an_unknown_method_is_refused_and_written_down() {
    let sandbox = start(small_world()).await;
    let client = Client::of(&sandbox, 0).await;
    assert_eq!(
        client
            .refusal(&functions::langpack::GetLanguages {
                lang_pack: "x".into()
            })
            .await,
        "METHOD_INVALID"
    );
    let entry = sandbox
        .ledger()
        .of_method("langpack.getLanguages")
        .pop()
        .unwrap();
    assert_eq!(
        (entry.error.as_deref(), entry.code, entry.effect),
        (Some("METHOD_INVALID"), Some(400), false)
    );
}

#[tokio::test]
async fn a_logged_out_account_is_unregistered_until_it_signs_in() {
    let mut world = small_world();
    world.accounts[0].authorized = Some(false);
    world.accounts[0].code = Some("24680".into());
    let sandbox = start(world).await;
    let client = Client::of(&sandbox, 0).await;
    let me = functions::users::GetUsers {
        id: vec![enums::InputUser::UserSelf],
    };
    assert_eq!(client.refusal(&me).await, "AUTH_KEY_UNREGISTERED");
    let code = |phone: &str| functions::auth::SendCode {
        phone_number: phone.into(),
        api_id: 1,
        api_hash: "x".into(),
        settings: types::CodeSettings {
            allow_flashcall: false,
            current_number: false,
            allow_app_hash: false,
            allow_missed_call: false,
            allow_firebase: false,
            unknown_number: false,
            logout_tokens: None,
            token: None,
            app_sandbox: None,
        }
        .into(),
    };
    assert_eq!(client.refusal(&code("+1999")).await, "PHONE_NUMBER_INVALID");
    let enums::auth::SentCode::Code(sent) = client.call(&code("+15550100001")).await.unwrap()
    else {
        panic!("a code")
    };
    let sign_in = |digits: &str| functions::auth::SignIn {
        phone_number: "+15550100001".into(),
        phone_code_hash: sent.phone_code_hash.clone(),
        phone_code: Some(digits.into()),
        email_verification: None,
    };
    assert_eq!(
        client.refusal(&sign_in("11111")).await,
        "PHONE_CODE_INVALID"
    );
    client.call(&sign_in("24680")).await.unwrap();
    assert_eq!(client.call(&me).await.unwrap().len(), 1);
    client.call(&functions::auth::LogOut {}).await.unwrap();
    assert_eq!(client.refusal(&me).await, "AUTH_KEY_UNREGISTERED");
}
