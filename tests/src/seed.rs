//! Random choices that can be made again: a generator that says its seed when a test fails.

use std::time::Duration;

/// `SplitMix64`. A failing test prints the seed; `PHASIC_FAULT_SEED` brings it back.
pub struct Seeded {
    seed: u64,
    state: u64,
}

impl Seeded {
    /// A generator with the seed of the environment, or this one.
    pub fn new(seed: u64) -> Self {
        let given = std::env::var("PHASIC_FAULT_SEED").ok();
        let seed = given.map_or(seed, |text| text.parse().expect("PHASIC_FAULT_SEED is a whole number"));
        Self { seed, state: seed }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// A moment within this time.
    pub fn moment(&mut self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).expect("a short time").max(1);
        Duration::from_micros(self.below(micros))
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "it belongs to the report of the failing test")]
            {
                eprintln!("the seed was {}: PHASIC_FAULT_SEED={} repeats it", self.seed, self.seed);
            }
        }
    }
}
