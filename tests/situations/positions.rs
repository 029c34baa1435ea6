//! Consumers whose position an election has cut off (KIP-320).

use ktrial::report::verdict::Outcome;
use ktrial::trial::{RunOptions, run_one};

use crate::support::scenario;

#[test]
fn a_consumer_says_that_an_unclean_election_gave_up_what_it_had_read() {
    let verdict = run_one(&scenario("durability/unclean-election-on"), 1, &RunOptions::default());
    assert_eq!(verdict.outcome, Outcome::Pass, "{}: {:#?}", verdict.reason, verdict.violations);
    let told: Vec<_> = verdict.events.iter().filter(|e| e.text.contains("the log was truncated to")).collect();
    assert_eq!(told.len(), 1, "one reader, one election: {:#?}", verdict.events);
    assert!(told[0].at_ms > 35_000, "only once the follower leads: {told:?}");
}
