//! Two instances: one writes, the other takes over from one that is dead, frozen or told to stop.

use std::time::{Duration, Instant};

use marketprism_testkit::{Process, poll_until};

use crate::rig::{DEADLINE, Rig};

struct Pair {
    rig: Rig,
    /// The instance at work first.
    instances: [(&'static str, Process); 2],
}

impl Pair {
    /// Two instances, of which the one at work is known.
    async fn start() -> Self {
        let rig = Rig::start().await;
        let (one, two) = (rig.service("one").await, rig.service("two").await);
        rig.publish_trades(1..1_001).await;
        rig.assert_trades(1_000).await;
        let mut instances = [("one", one), ("two", two)];
        if rig.is_pinned("two").await {
            instances.reverse();
        }
        Self { rig, instances }
    }

    /// Publishes trades up to `last`, and does something to the instance at work in the middle of it.
    async fn in_the_middle(&mut self, first: u64, last: u64, act: impl FnOnce(&mut Process)) {
        let Self { rig, instances: [(_, working), (standby, _)] } = self;
        let acting = async {
            poll_until(DEADLINE, "some of it is stored", async || {
                rig.number("SELECT count() FROM marketprism_hot.trades").await > first
            })
            .await;
            act(working);
        };
        tokio::join!(rig.publish_trades(first..last + 1), acting);
        poll_until(DEADLINE, "the standby is at work", async || rig.is_pinned(standby).await).await;
        self.instances.reverse();
    }
}

#[tokio::test]
async fn the_standby_takes_over_from_a_frozen_one_and_nothing_is_doubled_when_it_wakes() {
    let mut pair = Pair::start().await;
    for (first, last) in [(1_001, 60_000), (60_001, 120_000)] {
        pair.in_the_middle(first, last, |working| working.pause()).await;
        let [(_, working), (_, frozen)] = &mut pair.instances;
        assert!(working.ended().is_none());
        frozen.resume();
        pair.rig.assert_trades(last).await;
    }
}

#[tokio::test]
async fn the_standby_takes_over_from_a_dead_one() {
    let mut pair = Pair::start().await;
    pair.in_the_middle(1_001, 40_000, Process::kill).await;
    pair.rig.assert_trades(40_000).await;
}

#[tokio::test]
async fn the_standby_takes_over_at_once_from_one_that_is_told_to_stop() {
    let mut pair = Pair::start().await;
    let began = Instant::now();
    pair.in_the_middle(1_001, 10_000, |working| assert!(working.stop().success())).await;
    pair.rig.assert_trades(10_000).await;
    assert!(began.elapsed() < Duration::from_secs(7), "it waited for the end of the pin");
}
