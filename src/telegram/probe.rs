//! The first words with Telegram on a new connection, spoken by hand: what grammers' own runner hides is seen here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grammers_crypto::DequeBuffer;
use grammers_mtproto::mtp::{Deserialization, DeserializeError, Encrypted, Mtp};
use grammers_mtproto::{MsgId, transport};
use grammers_mtsender::{InvocationError, Sender, ServerAddr};
use grammers_tl_types::enums;
use tokio::time::timeout;

use super::connect::introduction;

/// The code of `bad_msg_notification` for a message id from more than 30 s ahead of Telegram's clock
/// (core.telegram.org/mtproto/service_messages_about_messages).
const MSG_ID_TOO_HIGH: i32 = 17;

/// The most time that finding out by how much the clock is wrong takes.
const MEASURE_LIMIT: Duration = Duration::from_secs(3);

/// Why the first words failed.
pub(super) enum Unmet {
    /// This machine's clock is so many seconds ahead of Telegram's, where that could be found out. grammers numbers
    /// its messages upward only, so that it repeats itself without a pause until the clock is right.
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

/// Connects, says who we are, and ends the connection.
pub(super) async fn introduce(
    address: ServerAddr,
    auth_key: [u8; 256],
    api_id: i32,
) -> Result<(), Unmet> {
    let ahead = Arc::new(AtomicBool::new(false));
    let speech = Watched {
        inner: Encrypted::build().finish(auth_key),
        ahead: ahead.clone(),
    };
    let mut sender = Sender::connect(transport::Full::new(), speech, address.clone()).await?;
    let answer = sender.invoke(&introduction(api_id)).await;
    let _ = sender.disconnect().await;
    if ahead.load(Ordering::Relaxed) {
        let by = timeout(MEASURE_LIMIT, seconds_ahead(address, auth_key, api_id)).await;
        return Err(Unmet::ClockAhead(by.ok().flatten()));
    }
    answer?;
    Ok(())
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

/// MTProto that ends the connection where Telegram finds our clock ahead.
struct Watched {
    inner: Encrypted,
    ahead: Arc<AtomicBool>,
}

impl Mtp for Watched {
    fn push(&mut self, buffer: &mut DequeBuffer<u8>, request: &[u8]) -> Option<MsgId> {
        self.inner.push(buffer, request)
    }

    fn finalize(&mut self, buffer: &mut DequeBuffer<u8>) -> Option<MsgId> {
        self.inner.finalize(buffer)
    }

    fn deserialize(
        &mut self,
        payload: &mut [u8],
    ) -> Result<Vec<Deserialization>, DeserializeError> {
        let results = self.inner.deserialize(payload)?;
        for result in &results {
            if let Deserialization::BadMessage(bad) = result
                && bad.code == MSG_ID_TOO_HIGH
            {
                self.ahead.store(true, Ordering::Relaxed);
                return Err(DeserializeError::BadMessageId { got: 0 });
            }
        }
        Ok(results)
    }
}
