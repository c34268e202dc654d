//! The first words with Telegram on a new connection, and what is wrong where they fail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use grammers_mtproto::mtp::Encrypted;
use grammers_mtproto::transport;
use grammers_mtsender::{InvocationError, Sender, ServerAddr};
use grammers_tl_types::enums;
use tokio::time::timeout;

use super::connect::introduction;
use super::line::{Desk, Speaker, Speech};

/// The most time that finding out by how much the clock is wrong takes.
const MEASURE_LIMIT: Duration = Duration::from_secs(3);

/// Why the first words failed.
pub(super) enum Unmet {
    /// This machine's clock is so many seconds ahead of Telegram's, where that could be found out.
    ClockAhead(Option<i64>),
    /// Whatever else.
    Failed(InvocationError),
}

impl From<InvocationError> for Unmet {
    fn from(error: InvocationError) -> Unmet {
        Unmet::Failed(error)
    }
}

impl From<io::Error> for Unmet {
    fn from(error: io::Error) -> Unmet {
        Unmet::Failed(error.into())
    }
}

/// Connects and says who we are.
pub(super) async fn introduce(
    address: ServerAddr,
    auth_key: [u8; 256],
    api_id: i32,
) -> Result<(Speaker, Arc<Desk>), Unmet> {
    let desk = Arc::<Desk>::default();
    let speech = Speech::new(auth_key, Arc::clone(&desk));
    let mut speaker = Sender::connect(transport::Full::new(), speech, address.clone()).await?;
    let answer = speaker.invoke(&introduction(api_id)).await;
    if desk.clock_ahead() {
        drop(speaker);
        let by = timeout(MEASURE_LIMIT, seconds_ahead(address, auth_key, api_id)).await;
        return Err(Unmet::ClockAhead(by.ok().flatten()));
    }
    answer?;
    Ok((speaker, desk))
}

/// By how much this machine's clock is ahead: asked with message ids from long ago, which grammers does correct.
async fn seconds_ahead(address: ServerAddr, auth_key: [u8; 256], api_id: i32) -> Option<i64> {
    let seconds = || super::now().0 / 1000;
    let long_ago = 1 - i32::try_from(seconds()).ok()?;
    let speech = Encrypted::build().time_offset(long_ago).finish(auth_key);
    let mut sender = Sender::connect(transport::Full::new(), speech, address)
        .await
        .ok()?;
    let enums::Config::Config(config) = sender.invoke(&introduction(api_id)).await.ok()?;
    let _ = sender.disconnect().await;
    Some(seconds() - i64::from(config.date))
}

/// The sentence about a clock that is ahead.
pub(super) fn clock_ahead(by: Option<i64>) -> String {
    let by = match by {
        Some(by) => format!("{by} seconds"),
        None => "more than 30 seconds".to_owned(),
    };
    format!(
        "this machine's clock is {by} ahead of Telegram's, which answers nobody whose clock is more than 30 seconds \
         ahead: set the clock, for instance by NTP"
    )
}
