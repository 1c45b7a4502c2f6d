//! Carries out a round's faults: each begins and ends at its time.

use std::time::Duration;

use marketprism_demo::failure::Failure;
use marketprism_demo::stack::Stack;
use tokio::time::{Instant, sleep_until};

use crate::links::Links;
use crate::plan::{Deed, Fault};

/// Commits the faults, and returns when the last of them is over.
pub(crate) async fn commit(faults: &[Fault], stack: &mut Stack, links: &Links) -> Result<(), Failure> {
    let began = Instant::now();
    for (at, fault, begins) in schedule(faults) {
        sleep_until(began + at).await;
        if begins { begin(fault.deed, stack, links).await? } else { end(fault.deed, stack, links)? }
    }
    Ok(())
}

/// Every beginning (`true`) and end, by time.
fn schedule(faults: &[Fault]) -> Vec<(Duration, Fault, bool)> {
    let both = |fault: &Fault| [(fault.at, *fault, true), (fault.at + fault.lasts, *fault, false)];
    let mut schedule: Vec<_> = faults.iter().flat_map(both).collect();
    schedule.sort_by_key(|(at, _, _)| *at);
    schedule
}

async fn begin(deed: Deed, stack: &mut Stack, links: &Links) -> Result<(), Failure> {
    match deed {
        Deed::Kill(target) => stack.process(target.name())?.kill().await,
        Deed::Freeze(target) => {
            stack.process(target.name())?.freeze();
            Ok(())
        }
        Deed::Cut(link) => links.cut(link),
        Deed::Mute(link) => links.mute(link),
    }
}

fn end(deed: Deed, stack: &mut Stack, links: &Links) -> Result<(), Failure> {
    match deed {
        Deed::Kill(target) => stack.start_again(target.name()),
        Deed::Freeze(target) => {
            stack.process(target.name())?.thaw();
            Ok(())
        }
        Deed::Cut(link) | Deed::Mute(link) => links.restore(link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Target;

    #[test]
    fn faults_begin_and_end_in_order_of_time() {
        let fault = |target, at, lasts| Fault {
            deed: Deed::Kill(target),
            at: Duration::from_millis(at),
            lasts: Duration::from_millis(lasts),
        };
        let (one, other) = (fault(Target::Broker, 0, 500), fault(Target::Collector, 200, 100));
        let told: Vec<_> =
            schedule(&[one, other]).into_iter().map(|(_, fault, begins)| (fault, begins)).collect();
        assert_eq!(told, [(one, true), (other, true), (other, false), (one, false)]);
    }
}
