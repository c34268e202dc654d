//! Configuration, the account's own state, differences and uploads.

use grammers_tl_types::{Serializable as _, enums, functions, types};

use super::super::blank;
use super::super::show::Mentioned;
use super::super::world::{Change, secs};
use super::{Answer, Call, Fail, yes};

/// The data centre that the sandbox is.
pub(in super::super) const DC_ID: i32 = 2;

/// Bytes of one uploaded part at most, <https://core.telegram.org/api/files>.
const MAX_PART: usize = 512 * 1024;
/// Parts of one file at most, <https://core.telegram.org/api/files>.
const MAX_PARTS: i32 = 4_000;

impl Call<'_> {
    pub(super) fn get_config(&mut self, _: functions::help::GetConfig) -> Answer {
        let now = secs(self.now);
        // Not marked static: a client keeps the address of its session file.
        let here = types::DcOption {
            ipv6: false,
            media_only: false,
            tcpo_only: false,
            cdn: false,
            r#static: false,
            this_port_only: true,
            id: DC_ID,
            ip_address: "127.0.0.1".into(),
            port: i32::from(self.port),
            secret: None,
        };
        Ok(enums::Config::from(types::Config {
            date: now,
            expires: now.saturating_add(3_600),
            this_dc: DC_ID,
            dc_options: vec![here.into()],
            dc_txt_domain_name: "localhost".into(),
            chat_size_max: 200,
            megagroup_size_max: 200_000,
            forwarded_count_max: 100,
            online_update_period_ms: 210_000,
            offline_blur_timeout_ms: 5_000,
            offline_idle_timeout_ms: 30_000,
            online_cloud_timeout_ms: 300_000,
            notify_cloud_delay_ms: 30_000,
            notify_default_delay_ms: 1_500,
            push_chat_period_ms: 60_000,
            push_chat_limit: 2,
            edit_time_limit: 172_800,
            revoke_time_limit: i32::MAX,
            revoke_pm_time_limit: i32::MAX,
            rating_e_decay: 2_419_200,
            stickers_recent_limit: 200,
            channels_read_media_period: 604_800,
            call_receive_timeout_ms: 20_000,
            call_ring_timeout_ms: 90_000,
            call_connect_timeout_ms: 30_000,
            call_packet_timeout_ms: 10_000,
            me_url_prefix: "https://t.me/".into(),
            caption_length_max: 1_024,
            message_length_max: 4_096,
            webfile_dc_id: DC_ID,
            ..blank::config()
        })
        .to_bytes())
    }

    pub(super) fn get_nearest_dc(&mut self, _: functions::help::GetNearestDc) -> Answer {
        Ok(enums::NearestDc::from(types::NearestDc {
            country: "DE".into(),
            this_dc: DC_ID,
            nearest_dc: DC_ID,
        })
        .to_bytes())
    }

    pub(super) fn get_app_config(&mut self, _: functions::help::GetAppConfig) -> Answer {
        Ok(enums::help::AppConfig::Config(types::help::AppConfig {
            hash: 1,
            config: types::JsonObject { value: Vec::new() }.into(),
        })
        .to_bytes())
    }

    pub(super) fn update_status(&mut self, _: functions::account::UpdateStatus) -> Answer {
        yes()
    }

    fn state(&self) -> types::updates::State {
        let pts = self.world.accounts.get(self.account).map_or(1, |a| a.pts());
        types::updates::State {
            pts,
            qts: 0,
            date: secs(self.now),
            seq: 1,
            unread_count: 0,
        }
    }

    pub(super) fn account_state(&self) -> enums::updates::State {
        self.state().into()
    }

    pub(super) fn get_state(&mut self, _: functions::updates::GetState) -> Answer {
        Ok(self.account_state().to_bytes())
    }

    pub(super) fn get_difference(&mut self, request: functions::updates::GetDifference) -> Answer {
        let state = self.state();
        self.entry.offset = Some(i64::from(request.pts));
        let from = usize::try_from(request.pts - 1)
            .map_err(|_| Fail::from("PERSISTENT_TIMESTAMP_INVALID"))?;
        let Some(owner) = self.world.accounts.get(self.account) else {
            return Err("AUTH_KEY_UNREGISTERED".into());
        };
        let missed: Vec<Change> = owner.changes.get(from..).unwrap_or_default().to_vec();
        self.entry.count = Some(missed.len());
        if missed.is_empty() {
            let empty = types::updates::DifferenceEmpty {
                date: state.date,
                seq: state.seq,
            };
            return Ok(enums::updates::Difference::Empty(empty).to_bytes());
        }
        let total = request
            .pts_total_limit
            .and_then(|n| usize::try_from(n).ok());
        if missed.len() > total.unwrap_or(usize::MAX).min(self.world.updates.too_long) {
            return Ok(
                enums::updates::Difference::TooLong(types::updates::DifferenceTooLong {
                    pts: state.pts,
                })
                .to_bytes(),
            );
        }
        let page = request
            .pts_limit
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(usize::MAX)
            .min(self.world.updates.slice)
            .max(1);
        let (mut new_messages, mut other_updates, mut mentioned) =
            (Vec::new(), Vec::new(), Mentioned::default());
        for (n, change) in missed.iter().take(page).enumerate() {
            let pts = request
                .pts
                .saturating_add(i32::try_from(n).unwrap_or(i32::MAX))
                .saturating_add(1);
            match self
                .world
                .show_change(self.account, *change, pts, &mut mentioned)
            {
                Some(enums::Update::NewMessage(update)) => new_messages.push(update.message),
                Some(update) => other_updates.push(update),
                None => {}
            }
        }
        let users = mentioned.users(self.world, self.account);
        let chats = mentioned.chats(self.world, self.account);
        let new_encrypted_messages = Vec::new();
        let difference = if missed.len() > page {
            let pts = request
                .pts
                .saturating_add(i32::try_from(page).unwrap_or(i32::MAX));
            enums::updates::Difference::Slice(types::updates::DifferenceSlice {
                new_messages,
                new_encrypted_messages,
                other_updates,
                chats,
                users,
                intermediate_state: types::updates::State { pts, ..state }.into(),
            })
        } else {
            enums::updates::Difference::Difference(types::updates::Difference {
                new_messages,
                new_encrypted_messages,
                other_updates,
                chats,
                users,
                state: state.into(),
            })
        };
        Ok(difference.to_bytes())
    }

    pub(super) fn get_channel_difference(
        &mut self,
        request: functions::updates::GetChannelDifference,
    ) -> Answer {
        let at = self.channel(&request.channel)?;
        let pts = self.world.groups.get(at).map_or(1, |g| g.pts);
        let Some(group) = self.world.groups.get(at) else {
            return Err("CHANNEL_INVALID".into());
        };
        self.entry.peer = Some(group.peer().to_string());
        let limit = usize::try_from(request.limit).unwrap_or(0).clamp(1, 100);
        let missed: Vec<_> = group
            .messages
            .iter()
            .filter(|m| m.pts > request.pts)
            .take(limit)
            .cloned()
            .collect();
        let Some(last) = missed.last().map(|m| m.pts) else {
            return Ok(enums::updates::ChannelDifference::Empty(
                types::updates::ChannelDifferenceEmpty {
                    r#final: true,
                    pts,
                    timeout: Some(30),
                },
            )
            .to_bytes());
        };
        let mut mentioned = Mentioned::default();
        mentioned.group(at);
        let mut new_messages = Vec::with_capacity(missed.len());
        for msg in &missed {
            mentioned.message(self.world, msg);
            new_messages.push(self.world.show_message(self.account, msg));
        }
        Ok(
            enums::updates::ChannelDifference::Difference(types::updates::ChannelDifference {
                r#final: last >= pts,
                pts: last,
                timeout: Some(30),
                new_messages,
                other_updates: Vec::new(),
                chats: mentioned.chats(self.world, self.account),
                users: mentioned.users(self.world, self.account),
            })
            .to_bytes(),
        )
    }

    fn save_part(&mut self, file: i64, part: i32, bytes: &[u8]) -> Answer {
        if bytes.is_empty() {
            return Err("FILE_PART_EMPTY".into());
        }
        if bytes.len() > MAX_PART {
            return Err("FILE_PART_TOO_BIG".into());
        }
        if !(0..MAX_PARTS).contains(&part) {
            return Err("FILE_PART_INVALID".into());
        }
        let upload = self.world.uploads.entry((self.account, file)).or_default();
        let before = upload.parts.insert(part, bytes.len()).unwrap_or(0);
        upload.bytes = upload.bytes + bytes.len() as u64 - before as u64;
        self.entry.bytes = Some(bytes.len() as u64);
        yes()
    }

    pub(super) fn save_file_part(&mut self, request: functions::upload::SaveFilePart) -> Answer {
        self.save_part(request.file_id, request.file_part, &request.bytes)
    }

    pub(super) fn save_big_file_part(
        &mut self,
        request: functions::upload::SaveBigFilePart,
    ) -> Answer {
        self.save_part(request.file_id, request.file_part, &request.bytes)
    }
}
