//! Tidings: declarative Telegram campaigns. Specs in a folder, reconciled by a daemon that never messages anyone
//! twice.
//!
//! ```text
//! campaigns/*.yaml ─ watch ─▶ spec ─▶ desired ─┐
//!                                              ├─▶ plan ─▶ execute ─▶ journal ─▶ observed ─┐
//!                                  observed ───┘                                           │
//!                                      ▲───────────────────────────────────────────────────┘
//!                     desired + observed + plan ─▶ status ─▶ cli · web · metrics
//! ```
//!
//! The core ([`model`], [`spec`], [`desired`], [`observed`], [`people`], [`text`], [`time`], [`plan`], [`status`]) has
//! no effects, reads no clock and draws no chance; the shell ([`watch`], [`store`], [`telegram`], [`execute`],
//! [`web`], [`metrics`], [`control`], [`cli`]) has effects and makes no decisions.

pub mod accounts;
pub mod ai;
pub mod cli;
pub mod control;
pub mod desired;
pub mod execute;
pub mod metrics;
pub mod model;
pub mod net;
pub mod notify;
pub mod observed;
pub mod people;
pub mod plan;
pub mod sandbox;
pub mod spec;
pub mod status;
pub mod store;
pub mod telegram;
pub mod text;
pub mod time;
pub mod watch;
pub mod web;
