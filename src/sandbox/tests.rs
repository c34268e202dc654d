//! A real grammers client over the socket, and the pure parts by themselves.

mod chat;
mod client;
mod endpoint;
mod faulty;
mod making;
mod places;
mod sending;
