//! The suppression list by reference: whom an operator never wants written to, found or not.
//!
//! What the list keeps of a reference for ever is a keyed hash: it recognises the person whenever he turns up, and tells
//! nobody who he is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Reference;

/// The key of the hashes; drawn once for a state. A restored backup brings its own along.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SuppressionKey(pub [u8; 32]);

impl fmt::Debug for SuppressionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SuppressionKey(…)")
    }
}

impl SuppressionKey {
    /// The hash of a reference in its normal form.
    pub fn hash(&self, reference: &Reference) -> RefHash {
        let hash = blake3::keyed_hash(&self.0, reference.to_string().as_bytes());
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        RefHash(bytes)
    }
}

/// A keyed hash of a [`Reference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefHash(pub [u8; 16]);

impl fmt::Display for RefHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_reference_and_on_the_key_and_shows_neither() {
        let key = SuppressionKey([7; 32]);
        let other = SuppressionKey([8; 32]);
        let alice = Reference::Username("alice".to_owned());
        assert_eq!(key.hash(&alice), key.hash(&alice));
        assert_ne!(key.hash(&alice), other.hash(&alice));
        assert_ne!(
            key.hash(&alice),
            key.hash(&Reference::Phone("15550100".to_owned()))
        );
        assert_eq!(key.hash(&alice).to_string().len(), 32);
        assert!(!format!("{key:?}").contains('7'));
    }
}
