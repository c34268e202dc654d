//! A message as Telegram takes it: bare text, entities that say how parts of it look, and a file.

use serde::{Deserialize, Serialize};

/// How a part of a text looks (core.telegram.org/type/MessageEntity).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntityKind {
    /// `messageEntityBlockquote`
    Blockquote {
        /// Shown folded until it is tapped (`<blockquote expandable>`).
        collapsed: bool,
    },
    /// `messageEntityTextUrl`
    TextUrl {
        /// Where the link leads.
        url: String,
    },
    /// `messageEntityBold`
    Bold,
    /// `messageEntityItalic`
    Italic,
    /// `messageEntityUnderline`
    Underline,
    /// `messageEntityStrike`
    Strike,
    /// `messageEntitySpoiler`
    Spoiler,
    /// `messageEntityCode`
    Code,
    /// `messageEntityPre`
    Pre {
        /// The programming language, empty where none is named.
        language: String,
    },
    /// `messageEntityCustomEmoji`
    CustomEmoji {
        /// The emoji's document.
        document_id: i64,
    },
}

/// A look and the part of the text that has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// The look.
    pub kind: EntityKind,
    /// Where it begins, in UTF-16 units.
    pub offset: usize,
    /// How long it is, in UTF-16 units; never 0.
    pub length: usize,
}

/// A text ready to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formatted {
    /// The characters, without markup.
    pub text: String,
    /// Sorted by offset, longer ones first; none is empty or leaves the text.
    pub entities: Vec<Entity>,
}

impl Formatted {
    /// The length that Telegram counts: UTF-16 units of the text without markup.
    pub fn units(&self) -> usize {
        utf16_len(&self.text)
    }
}

/// The length of a text in UTF-16 units.
pub fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// A file that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attachment {
    /// Its path, relative to the workspace.
    pub path: String,
    /// The SHA-256 of its bytes: another content is another upload.
    pub sha256: [u8; 32],
}
