//! Loads of the simulated machine: three kinds of calls, in five shapes over time.

use super::machine::{CORES, Call, MAX};

/// A kind of call: its mean computing and waiting time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    cpu: f64,
    io: f64,
}

pub(crate) const KINDS: [Kind; 3] = [
    Kind { name: "waits", cpu: 0.000_2, io: 0.02 },
    Kind { name: "mixed", cpu: 0.002, io: 0.008 },
    Kind { name: "computes", cpu: 0.005, io: 0.0 },
];

/// Arrival rate over time, relative to the machine's capacity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The rate at a time from 0 to 1. The second number is random, drawn every 100 ms.
    rate: fn(f64, f64) -> f64,
}

pub(crate) const SHAPES: [Shape; 5] = [
    Shape { name: "bursts", rate: |t, _| if (t * 12.0).fract() < 0.08 { 2.0 } else { 0.1 } },
    Shape {
        name: "diurnal",
        rate: |t, _| 0.1 + 0.8 * (t * 3.0 * std::f64::consts::PI).sin().powi(2),
    },
    Shape { name: "step", rate: |t, _| if (0.33..0.67).contains(&t) { 0.9 } else { 0.1 } },
    Shape { name: "noisy", rate: |_, any| any },
    Shape { name: "overload", rate: |_, _| 1.3 },
];

/// Deterministic pseudo-random numbers.
struct Dice(u64);

impl Dice {
    /// A number above 0, up to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -self.roll().ln() * mean
    }
}

impl Kind {
    /// Capacity in calls per second, bounded by the cores or by the workers.
    fn capacity(&self) -> f64 {
        (CORES / self.cpu).min(MAX as f64 / (self.cpu + self.io))
    }
}

/// About `count` calls of `kind`, arriving in `shape`.
pub(crate) fn calls(kind: Kind, shape: Shape, count: usize, seed: u64) -> Vec<Call> {
    let mut dice = Dice(seed);
    let capacity = kind.capacity();
    let duration = count as f64 / capacity / 0.5;
    let (mut now, mut any, mut drawn) = (0.0, 0.5, 0.0);
    let mut calls = Vec::with_capacity(count * 3);
    while now < duration {
        if now >= drawn {
            any = dice.roll();
            drawn += 0.1;
        }
        let rate = capacity * (shape.rate)(now / duration, any).max(0.01);
        now += dice.exponential(1.0 / rate);
        let mut time = |mean: f64| mean / 2.0 + dice.exponential(mean / 2.0);
        calls.push(Call { at: now, cpu: time(kind.cpu), io: time(kind.io) });
    }
    calls
}
