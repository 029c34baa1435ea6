//! Properties of the assignors, over random groups.

use proptest::prelude::*;

use super::*;

const ALL: [AssignorName; 4] =
    [AssignorName::Range, AssignorName::RoundRobin, AssignorName::Sticky, AssignorName::CooperativeSticky];

fn name(i: usize) -> Arc<str> {
    format!("m{i}").into()
}
fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}
fn topics() -> impl Strategy<Value = Topics> {
    proptest::collection::btree_map("[a-d]".prop_map(|t| Arc::<str>::from(t.as_str())), 0..7i32, 1..4)
}
/// Members of one subscription, or each with its own.
fn members(equal: bool) -> impl Strategy<Value = Members> {
    let subscriptions = proptest::collection::vec(proptest::collection::btree_set("[a-d]", 0..4), 1..7);
    let instances = proptest::collection::vec(any::<bool>(), 7);
    (subscriptions, instances).prop_map(move |(subscriptions, instances)| {
        let member = |i: usize, topics: &BTreeSet<String>| Member {
            instance: instances[i].then(|| format!("i{}", 9 - i).into()),
            topics: topics.iter().map(|t| Arc::from(t.as_str())).collect(),
            ..Member::default()
        };
        let of = |i: usize| &subscriptions[if equal { 0 } else { i }];
        (0..subscriptions.len()).map(|i| (name(i), member(i, of(i)))).collect()
    })
}
/// Topics and partitions, and a generation.
type Claims = (Vec<(char, i32)>, Option<i32>);

/// What members claim, at random and not always truly.
fn claims() -> impl Strategy<Value = Vec<Claims>> {
    let one =
        (proptest::collection::vec((proptest::char::range('a', 'd'), 0..7i32), 0..6), proptest::option::of(0..3i32));
    proptest::collection::vec(one, 7)
}
fn claiming(mut members: Members, claims: &[Claims]) -> Members {
    for (member, (claimed, generation)) in members.values_mut().zip(claims) {
        member.claims = claimed.iter().map(|(t, p)| tp(&t.to_string(), *p)).collect();
        (member.owned, member.generation) = (member.claims.clone(), *generation);
    }
    members
}
/// The same members after they have taken `assignment` over.
fn settled(members: &Members, assignment: &Assignment, generation: i32) -> Members {
    let mut members = members.clone();
    for (id, member) in &mut members {
        (member.owned, member.claims) = (assignment[id].clone(), assignment[id].clone());
        member.generation = Some(generation);
    }
    members
}
fn owners(assignment: &Assignment) -> Result<BTreeMap<TopicPartition, Arc<str>>, TestCaseError> {
    let mut owners = BTreeMap::new();
    for (id, partitions) in assignment {
        for tp in partitions {
            let other = owners.insert(tp.clone(), id.clone());
            prop_assert_eq!(other, None, "{} has two owners", tp);
        }
    }
    Ok(owners)
}
fn assert_complete(topics: &Topics, members: &Members, assignment: &Assignment) -> Result<(), TestCaseError> {
    let owners = owners(assignment)?;
    let wanted: BTreeSet<_> = all_partitions(topics, members).into_iter().collect();
    prop_assert_eq!(owners.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    for (tp, id) in &owners {
        prop_assert!(members[id].topics.contains(&tp.topic), "{} has {} without a subscription", id, tp);
    }
    prop_assert!(assignment.keys().eq(members.keys()));
    Ok(())
}
/// No single partition could move and make two loads more equal.
fn assert_balanced(members: &Members, assignment: &Assignment) -> Result<(), TestCaseError> {
    for (from, partitions) in assignment {
        for tp in partitions {
            for (to, _) in members.iter().filter(|(_, m)| m.topics.contains(&tp.topic)) {
                let (more, less) = (partitions.len(), assignment[to].len());
                prop_assert!(more <= less + 1, "{} has {}, {} has {}: {} could move", from, more, to, less, tp);
            }
        }
    }
    Ok(())
}
/// How often partitions changed hands.
fn moves(before: &Assignment, after: &Assignment) -> usize {
    before.iter().map(|(id, had)| had.iter().filter(|tp| after.get(id).is_some_and(|h| !h.contains(tp))).count()).sum()
}
/// Cooperative members rebalance until nobody has to give anything up any more.
fn cooperate(topics: &Topics, mut members: Members, mut generation: i32) -> Result<Assignment, TestCaseError> {
    for _ in 0..6 {
        generation += 1;
        let assignment = assign(AssignorName::CooperativeSticky, topics, &members);
        owners(&assignment)?;
        for (id, partitions) in &assignment {
            for (other, member) in members.iter().filter(|(other, _)| *other != id) {
                let both: Vec<_> = partitions.intersection(&member.owned).collect();
                let truly: Vec<_> = both.iter().filter(|tp| !members[id].owned.contains(**tp)).collect();
                prop_assert!(truly.is_empty(), "{} gets {:?} while {} owns it", id, truly, other);
            }
        }
        let given_up = members.iter().any(|(id, m)| m.owned.iter().any(|tp| !assignment[id].contains(tp)));
        members = settled(&members, &assignment, generation);
        if !given_up {
            return Ok(assignment);
        }
    }
    Err(TestCaseError::fail("the members never come to rest"))
}

proptest! {
    #[test]
    fn every_partition_has_one_owner_that_wants_it(topics in topics(), equal in any::<bool>().prop_flat_map(members), said in claims()) {
        for assignor in [AssignorName::Range, AssignorName::RoundRobin, AssignorName::Sticky] {
            let members = claiming(equal.clone(), &said);
            assert_complete(&topics, &members, &assign(assignor, &topics, &members))?;
        }
        // Among cooperative members that own what they say, and each something else, nothing is withheld for long.
        let fresh = assign(AssignorName::Sticky, &topics, &equal);
        let end = cooperate(&topics, settled(&equal, &fresh, 1), 1)?;
        assert_complete(&topics, &equal, &end)?;
    }
    #[test]
    fn range_gives_neighbours_and_at_most_one_more(topics in topics(), members in members(false)) {
        let assignment = assign(AssignorName::Range, &topics, &members);
        for topic in topics.keys() {
            let mut counts = Vec::new();
            for id in ordered(&members).into_iter().filter(|(_, m)| m.topics.contains(topic)).map(|(id, _)| id) {
                let piece: Vec<i32> = assignment[id].iter().filter(|tp| tp.topic == *topic).map(|tp| tp.partition).collect();
                prop_assert!(piece.windows(2).all(|w| w[1] == w[0] + 1));
                counts.push(piece.len());
            }
            prop_assert!(counts.is_sorted_by(|a, b| a >= b), "the first get more: {:?}", counts);
            prop_assert!(counts.first().zip(counts.last()).is_none_or(|(most, least)| most - least <= 1));
        }
    }
    #[test]
    fn round_robin_is_even_among_equals(topics in topics(), members in members(true)) {
        assert_balanced(&members, &assign(AssignorName::RoundRobin, &topics, &members))?;
    }
    #[test]
    fn sticky_is_balanced_whatever_is_claimed(topics in topics(), fresh in any::<bool>().prop_flat_map(members), said in claims()) {
        let members = claiming(fresh, &said);
        assert_balanced(&members, &assign(AssignorName::Sticky, &topics, &members))?;
    }
    #[test]
    fn nothing_moves_when_nothing_changed(topics in topics(), members in any::<bool>().prop_flat_map(members)) {
        let before = assign(AssignorName::Sticky, &topics, &members);
        for assignor in [AssignorName::Sticky, AssignorName::CooperativeSticky] {
            prop_assert_eq!(&assign(assignor, &topics, &settled(&members, &before, 3)), &before);
        }
    }
    /// Among equals: who stays keeps all that it had when another leaves, and a newcomer gets no more than its share.
    #[test]
    fn a_change_of_members_moves_no_more_than_it_must(topics in topics(), members in members(true)) {
        let before = assign(AssignorName::Sticky, &topics, &members);
        let mut fewer = settled(&members, &before, 1);
        if let Some((gone, _)) = fewer.pop_first().filter(|_| !fewer.is_empty()) {
            let after = assign(AssignorName::Sticky, &topics, &fewer);
            let mut stayed = before.clone();
            stayed.remove(&gone);
            prop_assert_eq!(moves(&stayed, &after), 0);
        }
        let mut more = settled(&members, &before, 1);
        let newcomer = Member { topics: members.values().next().expect("a member").topics.clone(), ..Member::default() };
        more.insert(name(8), newcomer);
        let after = assign(AssignorName::Sticky, &topics, &more);
        prop_assert_eq!(moves(&before, &after), after[&name(8)].len());
    }
    /// From whatever members believe to own, they come to rest, balanced, and nobody gets what another still owns.
    #[test]
    fn cooperative_members_come_to_rest(topics in topics(), fresh in any::<bool>().prop_flat_map(members), said in claims()) {
        let members = claiming(fresh, &said);
        let end = cooperate(&topics, members.clone(), 3)?;
        assert_complete(&topics, &members, &end)?;
        assert_balanced(&members, &end)?;
    }
    #[test]
    fn the_outcome_depends_on_the_input_alone(topics in topics(), fresh in members(false), said in claims()) {
        let members = claiming(fresh, &said);
        for assignor in ALL {
            prop_assert_eq!(assign(assignor, &topics, &members), assign(assignor, &topics, &members));
        }
    }
}

fn member(topics: &[&str], owned: &[TopicPartition], generation: Option<i32>) -> Member {
    let owned: BTreeSet<_> = owned.iter().cloned().collect();
    let topics = topics.iter().map(|t| Arc::from(*t)).collect();
    Member { instance: None, topics, claims: owned.clone(), owned, generation }
}

#[test]
fn of_two_who_claim_a_partition_the_newer_generation_is_believed() {
    let topics = Topics::from([("t".into(), 2)]);
    let both = [tp("t", 0), tp("t", 1)];
    let members =
        Members::from([(name(0), member(&["t"], &both, Some(3))), (name(1), member(&["t"], &both[..1], Some(4)))]);
    let assignment = assign(AssignorName::Sticky, &topics, &members);
    assert_eq!(assignment[&name(1)], BTreeSet::from([tp("t", 0)]));
    assert_eq!(assignment[&name(0)], BTreeSet::from([tp("t", 1)]));
}

#[test]
fn an_even_share_by_hand() {
    let topics = Topics::from([("t".into(), 5), ("u".into(), 1)]);
    let members = Members::from([(name(0), member(&["t", "u"], &[], None)), (name(1), member(&["t", "u"], &[], None))]);
    let range = assign(AssignorName::Range, &topics, &members);
    assert_eq!(range[&name(0)], [tp("t", 0), tp("t", 1), tp("t", 2), tp("u", 0)].into());
    let turns = assign(AssignorName::RoundRobin, &topics, &members);
    assert_eq!(turns[&name(0)], [tp("t", 0), tp("t", 2), tp("t", 4)].into());
    assert_eq!(turns[&name(1)], [tp("t", 1), tp("t", 3), tp("u", 0)].into());
}

/// The first of so many groups with random claims in which a partition is given to two members.
fn first_with_two_owners(seeds: u64) -> Option<u64> {
    let topics = Topics::from([("t".into(), 6)]);
    (0..seeds).find(|seed| {
        let mut dice = crate::base::random::Stream::new(*seed, "claims");
        let mut claimant = |i| {
            let owned: Vec<_> = (0..6).filter(|_| dice.chance(1, 4)).map(|p| tp("t", p)).collect();
            (name(i), member(&["t"], &owned, Some(dice.below(3) as i32)))
        };
        let members: Members = (0..3).map(&mut claimant).collect();
        owners(&assign(AssignorName::Sticky, &topics, &members)).is_err()
    })
}

#[test]
fn an_assignor_that_believes_stale_claims_is_caught() {
    use crate::base::bugs::{Bug, plant};
    assert_eq!(first_with_two_owners(200), None);
    plant(&[Bug::StaleOwnedPartitions]);
    let found = first_with_two_owners(200);
    plant(&[]);
    assert!(found.is_some_and(|seed| seed < 20), "{found:?}");
}
