use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::base::TopicId;
use crate::group::consumer::assignors::{self, Subscriber};
use crate::group::consumer::{Assignor, Assignors, Partitions, TopicInfo};

/// What is drawn for a member: topics by number, an instance id, and what it had before.
type Drawn = (BTreeSet<usize>, Option<String>, Vec<(u128, i32)>);

fn topic(n: u128, partitions: i32) -> TopicInfo {
    TopicInfo { id: TopicId::from_u128(n), partitions }
}

fn members() -> impl Strategy<Value = BTreeMap<Arc<str>, Subscriber>> {
    let sizes = prop::collection::vec(0..6i32, 3);
    let one = (
        prop::collection::btree_set(0..3usize, 0..4),
        prop::option::of("[xyz]"),
        prop::collection::vec((0..4u128, 0..7i32), 0..8),
    );
    (sizes, prop::collection::btree_map("[a-h]", one, 1..7)).prop_map(|(sizes, members)| {
        let member = |(id, (topics, instance, before)): (String, Drawn)| {
            let topics = topics.into_iter().map(|t| topic(t as u128, sizes[t])).collect();
            let before = before.into_iter().map(|(t, p)| (TopicId::from_u128(t), p)).collect();
            (Arc::from(id), Subscriber { instance: instance.map(Arc::from), topics, before })
        };
        members.into_iter().map(member).collect()
    })
}

/// Each partition that somebody subscribes to has exactly one owner, who subscribes to it.
fn whole(members: &BTreeMap<Arc<str>, Subscriber>, shares: &BTreeMap<Arc<str>, Partitions>) {
    assert!(shares.keys().eq(members.keys()));
    let mut owned = Partitions::new();
    for (id, share) in shares {
        for tp in share {
            assert!(owned.insert(*tp), "{tp:?} twice");
            let of_topic = |t: &&TopicInfo| t.id == tp.0 && (0..t.partitions).contains(&tp.1);
            assert!(members[id].topics.iter().any(|t| of_topic(&t)), "{id} does not subscribe to {tp:?}");
        }
    }
    let all: Partitions =
        members.values().flat_map(|m| &m.topics).flat_map(|t| (0..t.partitions).map(|p| (t.id, p))).collect();
    assert_eq!(owned, all);
}

proptest! {
    #[test]
    fn uniform_is_whole_even_and_sticky(members in members()) {
        let shares = assignors::assign(Assignor::Uniform, &members);
        whole(&members, &shares);
        // Nothing can be moved that would make it more even.
        for (id, share) in &shares {
            for tp in share {
                let others = members.iter().filter(|(_, m)| m.topics.iter().any(|t| t.id == tp.0));
                let least = others.map(|(other, _)| shares[other].len()).min().unwrap_or(0);
                prop_assert!(share.len() <= least + 1, "{id} has {} of them, another {least}", share.len());
            }
        }
        // Where nothing has changed nothing moves.
        let again = members.iter().map(|(id, m)| (id.clone(), Subscriber { before: shares[id].clone(), ..m.clone() }));
        prop_assert_eq!(assignors::assign(Assignor::Uniform, &again.collect()), shares);
    }
    #[test]
    fn range_is_whole_and_gives_neighbours(members in members()) {
        let shares = assignors::assign(Assignor::Range, &members);
        whole(&members, &shares);
        for share in shares.values() {
            let mut of_topics: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
            share.iter().for_each(|(topic, p)| of_topics.entry(*topic).or_default().push(*p));
            prop_assert!(of_topics.values().all(|p| p.windows(2).all(|pair| pair[0] + 1 == pair[1])));
        }
    }
}

#[test]
fn one_who_comes_takes_from_each_only_what_is_too_much() {
    let subscriber = |before: &[i32]| Subscriber {
        instance: None,
        topics: vec![topic(1, 6)],
        before: before.iter().map(|p| (TopicId::from_u128(1), *p)).collect(),
    };
    let members = BTreeMap::from([
        ("a".into(), subscriber(&[0, 1, 2])),
        ("b".into(), subscriber(&[3, 4, 5])),
        ("c".into(), subscriber(&[])),
    ]);
    let shares = assignors::assign(Assignor::Uniform, &members);
    let of = |id: &str| shares[id].iter().map(|(_, p)| *p).collect::<Vec<_>>();
    assert_eq!((of("a"), of("b"), of("c")), (vec![0, 1], vec![3, 4], vec![2, 5]));
}

#[test]
fn the_setting_is_read_as_kafka_writes_it() {
    assert_eq!(Assignors::default().text(), "uniform,range");
    let class = "org.apache.kafka.coordinator.group.assignor.RangeAssignor";
    assert_eq!(Assignors::read(&format!("{class}, uniform")).map(Assignors::text).as_deref(), Some("range,uniform"));
    assert_eq!(Assignors::read("range").map(Assignors::preferred), Some(Assignor::Range));
    for wrong in ["", "fair", "range,range", "uniform,range,uniform"] {
        assert_eq!(Assignors::read(wrong), None, "{wrong}");
    }
}
