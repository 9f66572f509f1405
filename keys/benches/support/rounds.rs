//! Interleaved rounds: every contender once per round, ratios within the round.

use std::{hint::black_box, time::Instant};

pub(crate) const ROUNDS: usize = 301;
const ITERATIONS: u32 = 2_000;

pub(crate) struct Contender<'a> {
    name: String,
    step: Box<dyn FnMut() -> bool + 'a>,
    /// One step of it for so many of the others.
    share: u32,
}

/// What was measured of a contender: medians of the rounds.
#[allow(dead_code, reason = "not every benchmark looks at it again")]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) nanoseconds: f64,
    /// To the first one.
    pub(crate) ratio: f64,
}

impl<'a> Contender<'a> {
    /// A contender whose every step must return true.
    pub(crate) fn new(name: &str, step: impl FnMut() -> bool + 'a) -> Self {
        Contender { name: name.to_owned(), step: Box::new(step), share: 1 }
    }

    /// One step of it for so many of the others: it takes far longer than they do.
    #[allow(dead_code, reason = "not every benchmark has slow contenders")]
    pub(crate) fn rarely(self, share: u32) -> Self {
        Contender { share, ..self }
    }

    #[allow(dead_code, reason = "not every benchmark has texts for each contender alone")]
    /// A contender that walks through `texts` in turn.
    pub(crate) fn over(name: &str, texts: Vec<String>, check: impl Fn(&str) -> bool + 'a) -> Self {
        let mut at = 0;
        Self::new(name, move || {
            at = (at + 1) % texts.len();
            check(black_box(&texts[at]))
        })
    }

    #[allow(dead_code, reason = "not every benchmark prints the contenders one by one")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The nanoseconds of a step, over so many of them.
    pub(crate) fn time(&mut self, steps: u32) -> f64 {
        let steps = (steps / self.share).max(1);
        let start = Instant::now();
        for _ in 0..steps {
            assert!((self.step)(), "{}: not the verdict it measures", self.name);
        }
        start.elapsed().as_nanos() as f64 / f64::from(steps)
    }
}

/// The nanoseconds of a step of every contender in every round.
#[allow(dead_code, reason = "not every benchmark has rounds of this length")]
pub(crate) fn times(contenders: &mut [Contender<'_>]) -> Vec<Vec<f64>> {
    times_of(contenders, ROUNDS, ITERATIONS)
}

/// The same in so many rounds of so many steps. Short ones suit small differences on a busy machine: fewer of them are
/// hit by other programs' turns.
pub(crate) fn times_of(contenders: &mut [Contender<'_>], rounds: usize, steps: u32) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push(contender.time(steps));
        }
    }
    times
}

/// Runs the contenders for so many rounds and prints medians and the ratios to the first two, which it returns.
#[allow(dead_code, reason = "not every benchmark prints the contenders one by one")]
pub(crate) fn run(mut contenders: Vec<Contender<'_>>, rounds: usize) -> Vec<Measured> {
    let times = times_of(&mut contenders, rounds, ITERATIONS);
    println!("{:<40} {:>10}    ratio to the first, and to the second (95 %)", "", "ns median");
    let of = |(contender, own): (&Contender<'_>, &Vec<f64>)| {
        let ratio = |to: usize| {
            let mut ratios: Vec<f64> = own.iter().zip(&times[to]).map(|(own, other)| own / other).collect();
            median_with_interval(&mut ratios)
        };
        let shown = |(low, middle, high): (f64, f64, f64)| format!("{middle:.2} ({low:.2} … {high:.2})");
        let (_, nanoseconds, _) = median_with_interval(&mut own.clone());
        println!("{:<40} {nanoseconds:>10.1}    {}    {}", contender.name, shown(ratio(0)), shown(ratio(1)));
        Measured { name: contender.name.clone(), nanoseconds, ratio: ratio(0).1 }
    };
    contenders.iter().zip(&times).map(of).collect()
}

/// The median and its 95 % confidence interval by order statistics.
#[allow(dead_code, reason = "not every benchmark prints ratios")]
pub(crate) fn median_with_interval(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let (count, half) = (values.len() as f64, 1.96 * (values.len() as f64).sqrt() / 2.0);
    let at = |rank: f64| values[(rank.max(0.0) as usize).min(values.len() - 1)];
    (at(count / 2.0 - half), at(count / 2.0), at(count / 2.0 + half))
}
