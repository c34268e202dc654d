//! Chance that is a pure function of what it is for: what one draw gives does not depend on how many were drawn before,
//! so that a scenario that shrinks keeps all else as it was.

/// SplitMix64 from a seed and a purpose.
pub struct Dice(u64);

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    /// For one purpose; `which` tells several of a kind apart.
    pub fn of(seed: u64, purpose: &str, which: &[u64]) -> Dice {
        let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
        for byte in purpose.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        for part in which {
            state = mix(state ^ part.wrapping_add(0x51_7cc1_b727_220a));
        }
        Dice(state)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `n`, which is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True in so many of a thousand cases.
    pub fn permille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        let at = self.below(of.len() as u64) as usize;
        of[at].clone()
    }

    /// One of them, or nothing in the rest of a hundred cases.
    pub fn maybe<T: Clone>(&mut self, percent: u64, of: &[T]) -> Option<T> {
        let picked = self.pick(of);
        self.percent(percent).then_some(picked)
    }
}
