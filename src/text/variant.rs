//! Which of several variants a person gets: a pure function, so that planning again chooses the same.

/// The index of the variant for one person, in proportion to the weights.
///
/// Deterministic in (lineage, person), independent of edits of the texts. Weights of 0 are never
/// chosen; where all are 0 (or there is none) the answer is 0.
pub fn variant_index(lineage: &str, person: &[u8], weights: &[u32]) -> usize {
    let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
    if total == 0 {
        return 0;
    }
    let mut hasher = blake3::Hasher::new_derive_key("tidings 2026 template variant");
    hasher.update(&(lineage.len() as u64).to_le_bytes());
    hasher.update(lineage.as_bytes());
    hasher.update(person);
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    // 128 bits modulo a sum of at most 2^64: the bias is below 2^-64.
    let mut point = (u128::from_le_bytes(bytes) % u128::from(total)) as u64;
    for (index, weight) in weights.iter().enumerate() {
        let weight = u64::from(*weight);
        if point < weight {
            return index;
        }
        point -= weight;
    }
    0
}
