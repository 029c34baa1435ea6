//! Nodes without a vote follow the quorum and fetch from its leader as voters do, but have no say in it.

use super::*;

#[test]
fn observers_that_follow_are_no_majority_that_is_content() {
    let mut s = quorum_of_three();
    for broker in 11..=13 {
        quorum_role(&mut s, 1, broker, RaftRole::Follower, 1, Some(1));
    }
    // Voter 2 has lost the leader, so voter 3 can win; that three brokers are content says nothing.
    quorum_role(&mut s, 19, 2, RaftRole::Unattached, 1, None);
    quorum_role(&mut s, 20, 3, RaftRole::Candidate, 2, None);
    s.accepts();
}

#[test]
fn a_leader_that_only_observers_fetch_from_has_to_resign() {
    let mut s = quorum_of_three();
    for at_s in 2..90 {
        for broker in 11..=13 {
            let event = Event::RaftFetched { voter: BrokerId(broker), epoch: LeaderEpoch(1) };
            s.court.observe(at_s * 1_000_000_000, BrokerId(1), &event);
        }
    }
    s.court.quiet_point(90_000_000_000);
    assert_eq!(s.names(), ["RAFT-STABLE"]);
}
