//! The short, bounded run of what cargo-fuzz runs for long: every seed, seeds mutated, and sessions that hear the same for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use marketprism_fuzz::INTEGRATIONS;
use marketprism_recording::{Record, What, Writer};
use proptest::prelude::*;
use proptest::sample::Index;

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn every_seed_runs() {
    for integration in INTEGRATIONS {
        let seeds = seeds(integration);
        assert!(seeds.len() >= 2, "{integration}");
        for (path, seed) in seeds {
            println!("{}", path.display());
            marketprism_fuzz::session(integration, &seed);
        }
    }
    seeds("recording").iter().for_each(|(_, seed)| marketprism_fuzz::recording(seed));
    seeds("capture").iter().for_each(|(_, seed)| marketprism_fuzz::capture(seed));
}

/// A change to a seed, as a fuzzer makes them.
#[derive(Debug, Clone)]
enum Mutation {
    Byte(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    /// A number's digit becomes many, or a sign.
    Digit(Index, &'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = || any::<Index>();
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        1 => (place(), place()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        1 => (place(), place()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
        3 => (place(), prop_oneof![
            Just("-"), Just("."), Just("e9"), Just("99999999999999999999"), Just("0"), Just("null"), Just("\"\""),
        ]).prop_map(|(at, text)| Mutation::Digit(at, text)),
    ]
}

fn mutate(seed: &mut Vec<u8>, mutation: &Mutation) {
    let ordered = |one: &Index, other: &Index, length: usize| {
        let (one, other) = (one.index(length), other.index(length));
        (one.min(other), one.max(other))
    };
    let length = seed.len().max(1);
    match mutation {
        Mutation::Byte(at, byte) => {
            if let Some(place) = seed.get_mut(at.index(length)) {
                *place = *byte;
            }
        }
        Mutation::Cut(from, to) => {
            let (from, to) = ordered(from, to, length);
            seed.drain(from..to);
        }
        Mutation::Repeat(from, to) => {
            let (from, to) = ordered(from, to, length);
            seed.extend_from_within(from..to);
        }
        Mutation::Digit(at, text) => {
            let digits: Vec<_> = (0..seed.len()).filter(|at| seed[*at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                let at = digits[at.index(digits.len())];
                seed.splice(at..=at, text.bytes());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_seeds_break_nothing(
        integration in prop::sample::select(&INTEGRATIONS[..]),
        seed in any::<Index>(),
        mutations in proptest::collection::vec(mutation(), 1..8),
    ) {
        let seeds = seeds(integration);
        let (_, mut script) = seeds[seed.index(seeds.len())].clone();
        mutations.iter().for_each(|mutation| mutate(&mut script, mutation));
        marketprism_fuzz::session(integration, &script);
    }

    #[test]
    fn mutated_recordings_are_read_or_refused(mutations in proptest::collection::vec(mutation(), 1..8)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mprec");
        let mut writer = Writer::open(&path).unwrap();
        for link in 0..3 {
            let at = marketprism_core::Timestamp::from_micros(1_700_000_000_000_000).unwrap();
            let what = What::Opened { link };
            let record = Record { at, integration: "binance_spot".into(), connection: "a".into(), what };
            writer.write(&record).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        marketprism_fuzz::recording(&bytes);
    }
}
