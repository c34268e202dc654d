//! Who somebody is: users, look-ups, contacts.

use grammers_tl_types::{Serializable as _, enums, functions, types};

use super::super::blank;
use super::super::show::{Mentioned, peer as show_peer};
use super::super::world::{Peer, digits};
use super::{Answer, Call, Fail, yes};

/// Users in one `users.getUsers` at most.
const MAX_USERS: usize = 200;

impl Call<'_> {
    pub(super) fn get_users(&mut self, request: functions::users::GetUsers) -> Answer {
        self.entry.count = Some(request.id.len());
        let users: Vec<enums::User> = request
            .id
            .iter()
            .take(MAX_USERS)
            .filter_map(|input| match self.user(input) {
                Ok(at) => self.world.show_user(self.account, at),
                // As Telegram does: who cannot be shown comes as an empty user.
                Err(_) => match input {
                    enums::InputUser::User(u) => Some(types::UserEmpty { id: u.user_id }.into()),
                    enums::InputUser::FromMessage(u) => {
                        Some(types::UserEmpty { id: u.user_id }.into())
                    }
                    _ => None,
                },
            })
            .collect();
        Ok(users.to_bytes())
    }

    pub(super) fn get_full_user(&mut self, request: functions::users::GetFullUser) -> Answer {
        let at = self.user(&request.id)?;
        let (id, own) = (self.user_id(at), self.own());
        self.about(Peer::User(id));
        let user = self.world.users.get(at).ok_or("USER_ID_INVALID")?;
        let common = self
            .world
            .groups
            .iter()
            .filter(|g| g.is_member(at) && g.is_member(own))
            .count();
        let full = types::UserFull {
            blocked: user.blocked_by.contains(&self.account),
            contact_require_premium: user.premium_required,
            id,
            common_chats_count: i32::try_from(common).unwrap_or(i32::MAX),
            send_paid_messages_stars: user.charges,
            ..blank::user_full()
        };
        let mut mentioned = Mentioned::default();
        mentioned.user(at);
        Ok(enums::users::UserFull::Full(types::users::UserFull {
            full_user: full.into(),
            chats: Vec::new(),
            users: mentioned.users(self.world, self.account),
        })
        .to_bytes())
    }

    fn lookup_patience(&mut self) -> Result<(), Fail> {
        let now = self.now;
        let Some(owner) = self.world.accounts.get_mut(self.account) else {
            return Ok(());
        };
        Self::patience(now, &mut owner.lookups, owner.limits.lookups)
    }

    fn resolved(&mut self, peer: Peer) -> Answer {
        self.about(peer);
        let mut mentioned = Mentioned::default();
        mentioned.peer(self.world, peer);
        Ok(
            enums::contacts::ResolvedPeer::Peer(types::contacts::ResolvedPeer {
                peer: show_peer(peer),
                chats: mentioned.chats(self.world, self.account),
                users: mentioned.users(self.world, self.account),
            })
            .to_bytes(),
        )
    }

    pub(super) fn resolve_username(
        &mut self,
        request: functions::contacts::ResolveUsername,
    ) -> Answer {
        self.entry.query = Some(request.username.clone());
        self.lookup_patience()?;
        let name = request.username.trim_start_matches('@');
        // Letters, digits and underscores, a letter first, <https://core.telegram.org/method/account.checkUsername>.
        let valid = (4..=32).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            return Err("USERNAME_INVALID".into());
        }
        let peer = self.world.named(name).ok_or("USERNAME_NOT_OCCUPIED")?;
        self.resolved(peer)
    }

    pub(super) fn resolve_phone(&mut self, request: functions::contacts::ResolvePhone) -> Answer {
        self.entry.query = Some(request.phone.clone());
        self.lookup_patience()?;
        let at = self
            .world
            .phones
            .get(&digits(&request.phone))
            .copied()
            .ok_or("PHONE_NOT_OCCUPIED")?;
        if self.world.users.get(at).is_none_or(|u| u.deleted) {
            return Err("PHONE_NOT_OCCUPIED".into());
        }
        let id = self.user_id(at);
        self.resolved(Peer::User(id))
    }

    pub(super) fn get_contacts(&mut self, _: functions::contacts::GetContacts) -> Answer {
        let mut ids: Vec<usize> = self
            .world
            .accounts
            .get(self.account)
            .map(|a| a.contacts.iter().copied().collect())
            .unwrap_or_default();
        ids.sort_unstable();
        let mut mentioned = Mentioned::default();
        let mut contacts = Vec::with_capacity(ids.len());
        for at in ids {
            mentioned.user(at);
            let mutual = self.world.users.get(at).is_some_and(|u| !u.not_mutual);
            contacts.push(
                types::Contact {
                    user_id: self.user_id(at),
                    mutual,
                }
                .into(),
            );
        }
        self.entry.count = Some(contacts.len());
        Ok(
            enums::contacts::Contacts::Contacts(types::contacts::Contacts {
                saved_count: i32::try_from(contacts.len()).unwrap_or(i32::MAX),
                contacts,
                users: mentioned.users(self.world, self.account),
            })
            .to_bytes(),
        )
    }

    pub(super) fn import_contacts(
        &mut self,
        request: functions::contacts::ImportContacts,
    ) -> Answer {
        self.entry.count = Some(request.contacts.len());
        self.entry.note = Some("THE ADDRESS BOOK WAS WRITTEN".into());
        let mut mentioned = Mentioned::default();
        let mut imported = Vec::new();
        for contact in &request.contacts {
            let enums::InputContact::InputPhoneContact(contact) = contact;
            let Some(at) = self.world.phones.get(&digits(&contact.phone)).copied() else {
                continue;
            };
            if let Some(owner) = self.world.accounts.get_mut(self.account) {
                owner.contacts.insert(at);
            }
            mentioned.user(at);
            imported.push(
                types::ImportedContact {
                    user_id: self.user_id(at),
                    client_id: contact.client_id,
                }
                .into(),
            );
        }
        Ok(
            enums::contacts::ImportedContacts::Contacts(types::contacts::ImportedContacts {
                imported,
                popular_invites: Vec::new(),
                retry_contacts: Vec::new(),
                users: mentioned.users(self.world, self.account),
            })
            .to_bytes(),
        )
    }

    fn set_blocked(&mut self, input: &enums::InputPeer, blocked: bool) -> Answer {
        let peer = self.peer(input)?;
        self.about(peer);
        self.entry.note = Some(
            if blocked {
                "the account blocks"
            } else {
                "the account unblocks"
            }
            .into(),
        );
        let at = self.world.user_index(peer.id()).ok_or("PEER_ID_INVALID")?;
        if let Some(user) = self.world.users.get_mut(at) {
            if blocked {
                user.blocked_by.insert(self.account);
            } else {
                user.blocked_by.remove(&self.account);
            }
        }
        yes()
    }

    pub(super) fn block(&mut self, request: functions::contacts::Block) -> Answer {
        self.set_blocked(&request.id, true)
    }

    pub(super) fn unblock(&mut self, request: functions::contacts::Unblock) -> Answer {
        self.set_blocked(&request.id, false)
    }
}
