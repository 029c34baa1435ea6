//! Separate controllers in scenario files: who they are, and what cannot be asked of them.

use super::model::{Controllers, Target};
use super::*;
use crate::base::BrokerId;

/// A file with three brokers; `cluster`, `faults` and `expect` are what stands inside.
fn file(cluster: &str, faults: &str, expect: &str) -> String {
    format!(
        r#"{{"name": "n", "duration": "60s", "cluster": {{"brokers": 3{cluster}}}, "topics": [{{"name": "T"}}],
            "faults": [{faults}], "expect": {{{expect}}}}}"#
    )
}

fn complaint(text: &str) -> String {
    match parse("bad.json", text) {
        Ok(_) => String::new(),
        Err(e) => e.to_string().splitn(4, ':').nth(3).unwrap_or_default().trim_start().to_owned(),
    }
}

const APART: &str = r#", "controllers": {"separate": 3}"#;

#[test]
fn separate_controllers_vote_and_brokers_do_not() {
    let apart = parse("s.json", &file(APART, r#"{"at": "1s", "crash": {"node": 1002}}"#, "")).unwrap();
    assert_eq!(apart.cluster.controllers, Controllers::Separate(3));
    assert_eq!(apart.voters(), [1001, 1002, 1003].map(BrokerId));
    assert_eq!((apart.founders(), apart.cluster.nodes().count()), ([1, 2, 3].map(BrokerId).to_vec(), 6));
    assert_eq!(apart.faults[0].action, model::Action::Crash(Target::Node(BrokerId(1002))));
    let together = parse("s.json", &file(r#", "controllers": "combined""#, "", "")).unwrap();
    assert_eq!((together.voters(), together.cluster.controller_ids().count()), (together.founders(), 0));
}

#[test]
fn what_cannot_be_asked_of_controllers_is_refused_where_it_stands() {
    for (fault, wrong) in [
        (
            r#"{"at": "1s", "crash": {"node": 1004}}"#,
            "faults[0].crash.node: there is no broker 1004; the cluster has brokers 1 to 3 and controllers 1001 to 1003",
        ),
        (
            r#"{"at": "1s", "crash": {"broker": 1001}}"#,
            "faults[0].crash.broker: expected a whole number from 1 to 100, found 1001",
        ),
        (
            r#"{"at": "1s", "wipe": {"node": 1001}}"#,
            "faults[0].wipe: separate controllers hold no partitions; only brokers can be hit",
        ),
        (
            r#"{"at": "1s", "bit-rot": {"on": "controller"}}"#,
            "faults[0].bit-rot.on: separate controllers hold no partitions; only brokers can be hit",
        ),
        (r#"{"at": "1s", "start": {"node": 1001}}"#, "faults[0].start: controller 1001 was never down at that time"),
        (
            r#"{"at": "1s", "partition": {"groups": [[1, 1001], [2, 1009]]}}"#,
            "faults[0].partition.groups[1][1]: there is no broker 1009; the cluster has brokers 1 to 3 and controllers \
             1001 to 1003",
        ),
        (r#"{"at": "1s", "bridge": {"groups": [[1, 1001], [2, 1002]], "over": 1003}}"#, ""),
        (r#"{"at": "1s", "pause": {"node": 2}}, {"at": "2s", "resume": {"node": 2}}"#, ""),
        (r#"{"after": {"event": "controller-elected", "broker": 1002}, "pause": {"node": 1002}, "for": "1s"}"#, ""),
    ] {
        assert_eq!(complaint(&file(APART, fault, "")), wrong, "{fault}");
    }
    let crash = r#"{"at": "1s", "crash": {"node": 1001}}"#;
    assert_eq!(
        complaint(&file("", crash, "")),
        "faults[0].crash.node: there is no broker 1001; the cluster has brokers 1 to 3"
    );
    let expected = |cluster: &str, id: i32| {
        complaint(&file(cluster, "", &format!(r#""controller": [{{"at": "5s", "is": {id}}}]"#)))
    };
    assert_eq!(expected(APART, 2), "expect.controller[0].is: broker 2 has no vote and is never the active controller");
    assert_eq!((expected(APART, 1002), expected("", 2)), (String::new(), String::new()));
}

#[test]
fn regions_take_in_controllers_and_a_node_has_its_own_configuration() {
    let regions = |eu: &str| format!(r#"{APART}, "regions": {{"us": [1, 2, 1001], "eu": [{eu}]}}"#);
    assert_eq!(complaint(&file(&regions("3, 1002, 1003"), "", "")), "");
    assert_eq!(complaint(&file(&regions("3, 1002"), "", "")), "cluster.regions: controller 1003 is in no region");
    assert_eq!(
        complaint(&file(&regions("3, 1001, 1002, 1003"), "", "")),
        "cluster.regions.us[2]: controller 1001 is in region \"eu\" already"
    );
    let own =
        |id: &str| format!(r#"{APART}, "broker-config": {{"{id}": {{"controller.quorum.election.timeout.ms": 100}}}}"#);
    assert_eq!(complaint(&file(&own("1003"), "", "")), "");
    assert!(complaint(&file(&own("1004"), "", "")).starts_with("cluster.broker-config.1004: there is no broker 1004;"));
}
