//! Scenario files as people write them, right and wrong.

use super::shape::{Absent, Kind, Shape};
use super::*;

/// A scenario that uses every key.
const EVERYTHING: &str = include_str!("tests_everything.json");

/// What is wrong with `text`, as it is printed.
fn refused(text: &str) -> String {
    parse("bad.json", text).expect_err("should be refused").to_string()
}

/// What is wrong with [`EVERYTHING`] after one text in it was replaced.
fn spoiled(from: &str, to: &str) -> String {
    assert_eq!(EVERYTHING.matches(from).count(), 1, "{from}");
    refused(&EVERYTHING.replace(from, to))
}

#[test]
fn a_scenario_with_every_key_reads_back_as_itself() {
    let scenario = parse("everything.json", EVERYTHING).unwrap_or_else(|e| panic!("{e}"));
    let text = serde_json::to_string_pretty(&scenario).unwrap();
    let again = parse("again.json", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(scenario, again);
    let capsule: Scenario = serde_json::from_str(&text).unwrap();
    assert_eq!(scenario, capsule);
}

#[test]
fn the_scenario_with_every_key_really_has_every_key() {
    let node = json::parse(EVERYTHING).unwrap();
    let mut missing = Vec::new();
    every_key(&keys::SCENARIO, "", &mut |shape, key, path| {
        if !EVERYTHING.contains(&format!("\"{key}\"")) {
            missing.push(format!("{path} ({})", shape.name));
        }
    });
    assert!(missing.is_empty(), "{missing:?} in {:?}", node.at);
}

#[test]
fn what_is_left_out_is_what_the_tables_say() {
    let short = r#"{"name": "short", "topics": [{"name": "T"}],
        "clients": [{"name": "w", "producer": {"topic": "T"}}, {"name": "r", "consumer": {"topic": "T"}},
                    {"name": "g", "group": {"topics": ["T"]}}], "expect": {"groups": [{"id": "g"}]}}"#;
    let mut long: serde_json::Value = serde_json::from_str(short).unwrap();
    fill(&mut long, &keys::SCENARIO);
    fill(&mut long["cluster"], object("cluster"));
    fill(&mut long["expect"], object("expect"));
    fill(&mut long["clients"][0]["producer"], object("producer"));
    fill(&mut long["clients"][1]["consumer"], object("consumer"));
    fill(&mut long["clients"][2]["group"], object("group"));
    fill(&mut long["expect"]["groups"][0], object("expected group"));
    assert_eq!(long["duration"], "60s", "the tables fill something in");
    let long = parse("long.json", &long.to_string()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(parse("short.json", short).unwrap(), long);
}

#[test]
fn an_assignment_counts_partitions_and_replicas() {
    let text = r#"{"name": "n", "topics": [{"name": "T", "assignment": [[1, 2], [2, 3], [3, 1]]}]}"#;
    let topic = parse("t.json", text).unwrap().topics.remove(0);
    assert_eq!((topic.partitions, topic.replication_factor), (3, 2));
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
    assert_eq!(
        spoiled("\"replication-factor\"", "\"relpication-factor\""),
        "bad.json:15:24: unknown key \"relpication-factor\" in topics[0]; did you mean \"replication-factor\"?"
    );
    assert_eq!(
        spoiled("\"story\"", "\"plot\""),
        "bad.json:3:3: unknown key \"plot\" in the scenario; there is name, story, cluster, topics, clients, duration, \
         faults, keep-budget, expect"
    );
    assert_eq!(
        refused(r#"{"name": "n", "faults": [{"at": "1s", "powercut": {"broker": 1}}]}"#),
        "bad.json:1:39: unknown key \"powercut\" in faults[0]; did you mean \"power-cut\"?"
    );
    assert_eq!(
        spoiled("\"min.insync.replicas\"", "\"min.insync.replica\""),
        "bad.json:7:17: cluster.config: unknown config key \"min.insync.replica\"; did you mean \
         \"min.insync.replicas\"?"
    );
    assert_eq!(
        spoiled("\"linger.ms\"", "\"linger\""),
        "bad.json:23:34: clients[0].producer.config: unknown config key \"linger\"; the nearest is \"linger.ms\""
    );
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_bounds_is_named_with_what_belongs_there() {
    for (from, to, complaint) in [
        ("\"brokers\": 4", "\"brokers\": \"3\"", "cluster.brokers: expected a whole number from 1 to 100, found \"3\""),
        ("\"brokers\": 4", "\"brokers\": 0", "cluster.brokers: expected a whole number from 1 to 100, found 0"),
        ("\"brokers\": 4", "\"brokers\": 2.5", "cluster.brokers: expected a whole number from 1 to 100, found 2.5"),
        ("\"120s\"", "120", "duration: expected a time like \"10s\", found 120"),
        (
            "\"120s\"",
            "\"120\"",
            "duration: \"120\" is not a time; write a whole number with ms, s, m or h, like \"10s\"",
        ),
        ("{ \"separate\": 3 }", "3", "cluster.controllers: expected \"combined\" or an object (controllers), found 3"),
        (
            "{ \"separate\": 3 }",
            "\"combine\"",
            "cluster.controllers: \"combine\" is not known; did you mean \"combined\"?",
        ),
        (
            "{ \"separate\": 3 }",
            "{ \"separate\": 0 }",
            "cluster.controllers.separate: expected a whole number from 1 to 9, found 0",
        ),
        (
            "{ \"separate\": 3 }",
            "{ \"separate\": 3, \"seperate\": 3 }",
            "unknown key \"seperate\" in cluster.controllers; did you mean \"separate\"?",
        ),
        ("\"heal\": \"all\"", "\"heal\": \"some\"", "faults[7].heal: \"some\" is not known; there is all"),
        (
            "\"crash\": \"controller\"",
            "\"crash\": 3",
            "faults[2].crash: expected an object (target) or \"controller\" or \"voter\" or \"any-broker\" or \
             \"all-brokers\", found 3",
        ),
        (
            "{ \"leader-of\": \"UserEvents-1\" }",
            "{ }",
            "faults[4].isolate: one of broker, node, client, leader-of, follower-of, isr-member-of, coordinator-of, region is missing",
        ),
        (
            "{ \"leader-of\": \"UserEvents-1\" }",
            "{ \"leader-of\": \"UserEvents-1\", \"broker\": 2 }",
            "faults[4].isolate: \"broker\" cannot stand beside \"leader-of\"",
        ),
        ("\"one-way\": true", "\"one-way\": 1", "faults[5].cut.one-way: expected true or false, found 1"),
        (
            "\"min.insync.replicas\": 2",
            "\"min.insync.replicas\": \"two\"",
            "cluster.config: config key \"min.insync.replicas\": \"two\" is not a whole number",
        ),
        (
            "\"min.insync.replicas\": 2",
            "\"min.insync.replicas\": [2]",
            "cluster.config: \"min.insync.replicas\" takes text, a number or a boolean",
        ),
        (
            "\"lost\": [0, 0]",
            "\"lost\": [0]",
            "expect.lost: expected a list of two: [low, high], each a whole number from 0 up, found a list",
        ),
        (
            "\"name\": \"writers\"",
            "\"name\": \"the writers\"",
            "clients[0].name: expected a name of letters, digits, '.', '_' and '-', found \"the writers\"",
        ),
    ] {
        let printed = spoiled(from, to);
        assert_eq!(printed.splitn(4, ':').nth(3).unwrap_or_default().trim_start(), complaint, "{printed}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    for (from, to, there, complaint) in [
        (
            "[2, 3, 1]",
            "[2, 3, 5]",
            "5]",
            "topics[0].assignment[1][2]: there is no broker 5; the cluster has brokers 1 to 4",
        ),
        (
            "[2, 3, 1]",
            "[2, 3, 4]",
            "4]",
            "topics[0].assignment[1][2]: broker 4 is no part of the cluster until it joins",
        ),
        (
            "[2, 3, 1]",
            "[2, 3, 2]",
            "2],",
            "topics[0].assignment[1][2]: broker 2 holds a replica of this partition already",
        ),
        ("[2, 3, 1]", "[2, 3]", "[2, 3]", "topics[0].assignment[1]: lists 2 replicas; the replication factor is 3"),
        ("\"partitions\": 3", "\"partitions\": 2", "[[1", "topics[0].assignment: lists 3 partitions; the topic has 2"),
        (
            "\"1\": {",
            "\"7\": {",
            "{",
            "cluster.broker-config.7: there is no broker 7; the cluster has brokers 1 to 4 and controllers 1001 to 1003",
        ),
        ("\"name\": \"reader\"", "\"name\": \"writers\"", "\"writers\"", "clients[1]: the name \"writers\" is taken"),
        (
            "\"rate\": 50",
            "\"rate\": 100000",
            "100000",
            "clients[0].producer.rate: 200000 records/s in all; a group writes 100000 at most",
        ),
        ("\"1KiB\"", "\"1B\"", "\"1B\"", "clients[0].producer.value-size: 1B is not from 16B to 1MiB"),
        (
            "\"assign\": [0, 2]",
            "\"assign\": [0, 7]",
            "7]",
            "clients[1].consumer.assign[1]: there is no partition UserEvents-7; the topic has partitions 0 to 4",
        ),
        (
            "\"power-cut\": { \"broker\": 2 }",
            "\"power-cut\": { \"broker\": 9 }",
            "9 }",
            "faults[0].power-cut.broker: there is no broker 9; the cluster has brokers 1 to 4",
        ),
        (
            "\"at\": \"70s\", \"start\": { \"broker\": 2 }",
            "\"at\": \"5s\", \"start\": { \"broker\": 2 }",
            "{ \"broker\"",
            "faults[1].start: broker 2 was never down at that time",
        ),
        ("\"at\": \"119s\"", "\"at\": \"2h\"", "\"2h\"", "expect.states[0].at: 2h is after the end (120s)"),
        (
            "\"UserEvents-2\"",
            "\"UserEvent-2\"",
            "\"UserEvent-2\"",
            "expect.outages[0].partition: there is no topic \"UserEvent\"; did you mean \"UserEvents\"?",
        ),
        (
            "\"isr\": [1, 2, 3]",
            "\"isr\": [1, 2, 5]",
            "5]",
            "expect.states[0].isr[2]: there is no broker 5; the cluster has brokers 1 to 4",
        ),
        (
            "[\"6s\", \"11s\"]",
            "[\"16s\", \"11s\"]",
            "[\"16s\"",
            "expect.outages[0].between: the lower bound 16s is above the upper 11s",
        ),
    ] {
        let printed = spoiled(from, to);
        let found = printed.lines().find(|line| line.ends_with(complaint)).unwrap_or_else(|| panic!("{printed}"));
        let mut parts = found.split(':').skip(1).map(|n| n.parse::<usize>().unwrap_or_default());
        let (line, column) = (parts.next().unwrap(), parts.next().unwrap());
        let pointed = &EVERYTHING.replace(from, to).lines().nth(line - 1).unwrap()[column - 1..].to_owned();
        assert!(pointed.starts_with(there), "{found} points at {pointed}");
    }
}

#[test]
fn a_producer_whose_settings_contradict_each_other_is_refused() {
    let text = r#"{"name": "n", "topics": [{"name": "T"}],
        "clients": [{"name": "w", "producer": {"topic": "T", "acks": 1, "config": {"enable.idempotence": true}}}]}"#;
    assert_eq!(
        refused(text),
        "bad.json:2:83: clients[0].producer: enable.idempotence needs acks=all, retries above 0 and at most 5 in flight"
    );
}

#[test]
fn faults_are_held_against_what_came_before_them_in_time() {
    let with = |faults: &str| format!(r#"{{"name": "n", "faults": [{faults}]}}"#);
    let two = |a: &str, b: &str| with(&format!(r#"{{"at": "1s", {a}}}, {{"at": "2s", {b}}}"#));
    let complaint = |text: &str| refused(text).splitn(4, ':').nth(3).unwrap_or_default().trim_start().to_owned();
    let (crash, start, pause) = (r#""crash": {"broker": 1}"#, r#""start": {"broker": 1}"#, r#""pause": {"broker": 1}"#);
    assert_eq!(complaint(&two(crash, crash)), "faults[1].crash: broker 1 is down already at that time");
    assert_eq!(complaint(&two(crash, pause)), "faults[1].pause: broker 1 is down already at that time");
    assert_eq!(complaint(&two(pause, start)), "faults[1].start: broker 1 was never down at that time");
    assert_eq!(
        complaint(&with(r#"{"at": "1s", "resume": {"broker": 1}}"#)),
        "faults[0].resume: broker 1 does not stand still at that time"
    );
    assert_eq!(
        complaint(&with(r#"{"at": "1s", "heal": "all"}"#)),
        "faults[0].heal: nothing is wrong with any link before 1s"
    );
    assert_eq!(
        complaint(&with(r#"{"at": "1s", "start": "controller"}"#)),
        "faults[0].start: only `broker`, `node`, `client`, `region` and \"all-brokers\" can be started"
    );
    assert_eq!(
        complaint(&with(r#"{"at": "1s", "start": "all-brokers"}"#)),
        "faults[0].start: no broker is down at that time"
    );
    assert_eq!(
        complaint(&with(r#"{"at": "1s", "cut": {"from": {"broker": 1}, "to": {"broker": 1}}}"#)),
        "faults[0].cut: a node cannot be cut from itself"
    );
    for good in [two(crash, start), two(pause, r#""resume": {"broker": 1}"#), two(r#""crash": "controller""#, start)] {
        parse("good.json", &good).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn faults_that_cannot_happen_are_refused() {
    let complaint = |fault: &str| {
        let text = format!(
            r#"{{"name": "n", "duration": "60s", "topics": [{{"name": "T"}}],
            "clients": [{{"name": "w", "producer": {{"topic": "T"}}}}], "faults": [{fault}]}}"#
        );
        match parse("bad.json", &text) {
            Ok(_) => String::new(),
            Err(e) => e.to_string().splitn(4, ':').nth(3).unwrap_or_default().trim_start().to_owned(),
        }
    };
    for (fault, wrong) in [
        (r#"{"crash": {"broker": 1}}"#, "faults[0]: one of at, after is missing"),
        (
            r#"{"at": "1s", "after": {"acked": 1}, "crash": {"broker": 1}}"#,
            "faults[0]: \"after\" cannot stand beside \"at\"",
        ),
        (
            r#"{"at": "1s", "for": "1s", "start": "all-brokers"}, {"at": "0s", "crash": "controller"}"#,
            "faults[0].for: start is over at once",
        ),
        (r#"{"at": "1s", "until": "9s", "crash": "controller"}"#, "faults[0].until: stands only beside \"every\""),
        (
            r#"{"at": "1s", "every": "2s", "for": "2s", "pause": "voter"}"#,
            "faults[0].for: 2s is not over before the next one (2s)",
        ),
        (
            r#"{"after": {"acked": 5, "partition": "T-0"}, "crash": "controller"}"#,
            "faults[0].after.partition: what is waited for has no partition",
        ),
        (
            r#"{"at": "1s", "pause": {"client": "v"}}"#,
            "faults[0].pause.client: there is no client \"v\"; did you mean \"w\"?",
        ),
        (r#"{"at": "1s", "pause": {"client": "w#1"}}"#, "faults[0].pause.client: \"w\" has processes #0 to #0"),
        (r#"{"at": "1s", "wipe": {"client": "w"}}"#, "faults[0].wipe: clients have no disk; only brokers can be hit"),
        (
            r#"{"at": "1s", "delay-request": {"api": "Produse", "from": {"broker": 1}, "to": {"broker": 2}, "by": "1s"}}"#,
            "faults[0].delay-request.api: there is no API \"Produse\"; did you mean \"Produce\"?",
        ),
        (
            r#"{"at": "1s", "bridge": {"groups": [[1], [2, 3]], "over": 3}}"#,
            "faults[0].bridge.over: broker 3 reaches everybody and is in no group",
        ),
        (
            r#"{"at": "1s", "partition": {"groups": [[1], [1, 2]]}}"#,
            "faults[0].partition.groups[1][0]: stands in a group already",
        ),
        (
            r#"{"at": "1s", "crash": {"region": "us"}}"#,
            "faults[0].crash.region: there is no region \"us\"; there is none",
        ),
        (r#"{"at": "1s", "create-topic": {"name": "T"}}"#, "faults[0].create-topic.name: the name \"T\" is taken"),
        (
            r#"{"at": "1s", "add-partitions": {"topic": "U", "total": 2}}"#,
            "faults[0].add-partitions.topic: there is no topic \"U\"; did you mean \"T\"?",
        ),
        (
            r#"{"at": "1s", "move-leader": {"partition": "T-0", "to": 9}}"#,
            "faults[0].move-leader.to: there is no broker 9; the cluster has brokers 1 to 3",
        ),
        (
            r#"{"at": "1s", "elect-preferred": {"partition": "U-0"}}"#,
            "faults[0].elect-preferred.partition: there is no topic \"U\"; did you mean \"T\"?",
        ),
        (
            r#"{"at": "1s", "set-config": {"topic": "T", "config": {"retention.msec": 1}}}"#,
            "faults[0].set-config.config: unknown config key \"retention.msec\"; did you mean \"retention.ms\"?",
        ),
        (
            r#"{"at": "1s", "set-config": {"config": {"retention.ms": 1}}}"#,
            "faults[0].set-config.config: unknown config key \"retention.ms\"; there is \
             follower.replication.throttled.rate, leader.replication.throttled.rate, message.max.bytes, \
             min.insync.replicas, unclean.leader.election.enable",
        ),
        (
            r#"{"at": "1s", "set-config": {"topic": "T", "config": {"retention.msec": null}}}"#,
            "faults[0].set-config.config: unknown config key \"retention.msec\"; did you mean \"retention.ms\"?",
        ),
        (
            r#"{"at": "1s", "set-config": {"topic": "T", "config": {"retention.ms": [1]}}}"#,
            "faults[0].set-config.config: \"retention.ms\" takes text, a number or a boolean, or null to delete the entry",
        ),
        (r#"{"at": "1s", "set-config": {"topic": "T", "config": {"retention.ms": null}}}"#, ""),
        (
            r#"{"at": "1s", "set-config": {"topic": "T", "broker": 1, "config": {"retention.ms": 1}}}"#,
            "faults[0].set-config.broker: cannot stand beside \"topic\"",
        ),
        (
            r#"{"at": "1s", "set-config": {"topic": "T", "config": {"leader.replication.throttled.replicas": "0"}}}"#,
            "faults[0].set-config.config: Invalid value 0 for configuration leader.replication.throttled.replicas",
        ),
        (
            r#"{"at": "1s", "set-config": {"broker": 1, "config": {"leader.replication.throttled.rate": -1}}}"#,
            "faults[0].set-config.config: Invalid value -1 for configuration leader.replication.throttled.rate",
        ),
        (
            r#"{"at": "1s", "set-config": {"topic": "T", "config": {"follower.replication.throttled.replicas": "*"}}}, {"at": "1s", "set-config": {"config": {"follower.replication.throttled.rate": 65536}}}"#,
            "",
        ),
        (
            r#"{"at": "1s", "reassign": {"partition": "T-0", "replicas": [1, 1]}}"#,
            "faults[0].reassign.replicas[1]: broker 1 is listed already",
        ),
        (
            r#"{"at": "1s", "leave": {"broker": 1}}"#,
            "faults[0].leave.broker: broker 1 was there from the start; only who has joined can leave",
        ),
        (r#"{"at": "1s", "for": "2s", "elect-preferred": "all"}"#, "faults[0].for: elect-preferred is over at once"),
        // What ended by itself, or may have, can be started.
        (r#"{"at": "1s", "for": "1s", "crash": {"broker": 1}}, {"at": "3s", "crash": {"broker": 1}}"#, ""),
        (
            r#"{"at": "1s", "disk-error": {"on": {"broker": 1}, "op": "sync"}}, {"at": "9s", "start": {"broker": 1}}"#,
            "",
        ),
        (r#"{"after": {"consumed": 9}, "crash": "any-broker"}, {"at": "9s", "start": {"broker": 1}}"#, ""),
    ] {
        assert_eq!(complaint(fault), wrong, "{fault}");
    }
}

#[test]
fn everything_wrong_is_told_at_once_and_in_the_order_of_the_file() {
    let text = "{\n \"nam\": \"n\",\n \"duration\": 5,\n \"topics\": {}\n}";
    assert_eq!(
        refused(text),
        "bad.json:1:1: the scenario: key \"name\" is missing\n\
         bad.json:2:2: unknown key \"nam\" in the scenario; did you mean \"name\"?\n\
         bad.json:3:14: duration: expected a time like \"10s\", found 5\n\
         bad.json:4:12: topics: expected a list, found an object"
    );
    let many: Vec<_> = (0..25).map(|i| format!("\"unknown{i}\": 1")).collect();
    let printed = refused(&format!("{{{}}}", many.join(", ")));
    assert_eq!(printed.lines().count(), 11);
    assert!(printed.ends_with("bad.json: and 16 more"), "{printed}");
}

#[test]
fn the_schema_has_every_key_of_the_tables_and_no_other() {
    let schema = schema::schema();
    let mut seen = 0;
    every_key(&keys::SCENARIO, "", &mut |shape, key, path| {
        let object = if shape.name == "scenario" { &schema } else { &schema["$defs"][shape.name] };
        assert!(object["properties"][key].is_object(), "{path} is not in the schema");
        assert_eq!(object["properties"].as_object().unwrap().len(), shape.keys.len());
        assert_eq!(object["additionalProperties"], false);
        seen += 1;
    });
    assert!(seen > 40, "{seen}");
    let keys = &schema["$defs"]["cluster"]["properties"]["config"]["propertyNames"]["enum"];
    assert!(keys.as_array().unwrap().contains(&"min.insync.replicas".into()));
}

#[test]
fn every_shipped_scenario_is_taken() {
    let mut count = 0;
    for folder in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let scenario = parse(&path.display().to_string(), &text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(
                path.file_stem().unwrap().to_str(),
                Some(scenario.name.as_str()),
                "a file is named as its scenario"
            );
            assert!(!scenario.story.is_empty(), "{} tells no story", path.display());
            count += 1;
        }
    }
    assert!(count >= 4, "{count} scenarios");
}

/// Calls `visit` with every key of a shape and of the shapes inside it, each shape once.
fn every_key(shape: &'static Shape, path: &str, visit: &mut impl FnMut(&Shape, &str, &str)) {
    fn walk(
        shape: &'static Shape,
        path: &str,
        done: &mut Vec<&'static str>,
        visit: &mut impl FnMut(&Shape, &str, &str),
    ) {
        if done.contains(&shape.name) {
            return;
        }
        done.push(shape.name);
        for key in shape.keys {
            let path = format!("{path}.{}", key.name);
            visit(shape, key.name, &path);
            for inner in inside(&key.kind) {
                walk(inner, &path, done, visit);
            }
        }
    }
    walk(shape, path, &mut Vec::new(), visit);
}

/// The shapes that a kind mentions.
fn inside(kind: &'static Kind) -> Vec<&'static Shape> {
    match kind {
        Kind::Object(shape) => vec![shape],
        Kind::List(of, ..) => inside(of),
        Kind::OneOf(kinds) => kinds.iter().flat_map(inside).collect(),
        _ => Vec::new(),
    }
}

/// The shape called `name`.
fn object(name: &str) -> &'static Shape {
    fn find(shape: &'static Shape, name: &str) -> Option<&'static Shape> {
        if shape.name == name {
            return Some(shape);
        }
        shape.keys.iter().flat_map(|key| inside(&key.kind)).find_map(|inner| find(inner, name))
    }
    find(&keys::SCENARIO, name).unwrap()
}

/// Writes the defaults of a shape into an object wherever it has no value.
fn fill(value: &mut serde_json::Value, shape: &Shape) {
    let map = value.as_object_mut().unwrap();
    for key in shape.keys {
        if let Absent::Default(text) = key.absent {
            map.entry(key.name).or_insert_with(|| serde_json::from_str(text).unwrap());
        }
    }
}

#[test]
fn applications_that_cannot_work_are_refused() {
    let complaint = |group: &str| {
        let text = format!(
            r#"{{"name": "n", "topics": [{{"name": "T"}}, {{"name": "D"}}], "clients": [
            {{"name": "g", "group": {{"topics": ["T"]}}}}, {{"name": "a", "group": {{{group}}}}}]}}"#
        );
        match parse("bad.json", &text) {
            Ok(_) => String::new(),
            Err(e) => e.to_string().splitn(4, ':').nth(3).unwrap_or_default().trim_start().to_owned(),
        }
    };
    for (group, wrong) in [
        (r#""topics": ["T"], "processing": "10ms""#, ""),
        (
            r#""topics": ["T"], "procesing": "10ms""#,
            "unknown key \"procesing\" in clients[1].group; did you mean \"processing\"?",
        ),
        (r#""topics": ["U"]"#, "clients[1].group.topics[0]: there is no topic \"U\"; did you mean \"D\"?"),
        (r#""topics": ["T", "T"]"#, "clients[1].group.topics[1]: topic \"T\" is listed twice"),
        (r#""topics": ["T"], "id": "g""#, "clients[1].group: there is a group \"g\" already"),
        (r#""topics": ["T"], "start": 2"#, "clients[1].group.start: 2 of 1 processes cannot start"),
        (
            r#""topics": ["T"], "on-poison": "dead-letter""#,
            "clients[1].group: on-poison dead-letter needs a dead-letter-topic",
        ),
        (
            r#""topics": ["T"], "dead-letter-topic": "D""#,
            "clients[1].group.dead-letter-topic: stands only beside on-poison dead-letter",
        ),
        (
            r#""topics": ["T"], "on-poison": "dead-letter", "dead-letter-topic": "T""#,
            "clients[1].group.dead-letter-topic: the group reads \"T\" itself",
        ),
        (
            r#""topics": ["T"], "processing": ["20ms", "10ms"]"#,
            "clients[1].group.processing: the lower bound 20ms is above the upper 10ms",
        ),
        (r#""topics": ["T"], "config": {"group.protocol": "consumer", "group.remote.assignor": "range"}"#, ""),
        (
            r#""topics": ["T"], "config": {"group.protocol": "consumer", "session.timeout.ms": 10000}"#,
            "clients[1].group.config: session.timeout.ms cannot be set when group.protocol=CONSUMER",
        ),
        (
            r#""topics": ["T"], "config": {"session.timeout.ms": 5000}"#,
            "clients[1].group.config: session.timeout.ms 5000 is below the brokers' group.min.session.timeout.ms 6000: no coordinator admits such a member",
        ),
        (
            r#""topics": ["T"], "config": {"session.timeout.ms": 1800001}"#,
            "clients[1].group.config: session.timeout.ms 1800001 is above the brokers' group.max.session.timeout.ms 1800000: no coordinator admits such a member",
        ),
        (
            r#""topics": ["T"], "config": {"group.protocol": "next"}"#,
            "clients[1].group.config: group.protocol cannot be \"next\": classic or consumer is needed",
        ),
    ] {
        assert_eq!(complaint(group), wrong, "{group}");
    }
}

#[test]
fn a_delivery_that_nobody_declares_is_the_one_of_the_style() {
    let delivery = |group: &str| {
        let text = format!(
            r#"{{"name": "n", "topics": [{{"name": "T"}}], "clients": [{{"name": "g", "group": {{"topics": ["T"]{group}}}}}]}}"#
        );
        let scenario = parse("g.json", &text).unwrap_or_else(|e| panic!("{e}"));
        let model::Role::Group(group) = &scenario.clients[0].role else { panic!("a group") };
        group.delivery()
    };
    assert_eq!(delivery(""), model::Delivery::AtLeastOnce);
    assert_eq!(delivery(r#", "style": "commit-then-process""#), model::Delivery::AtMostOnce);
    assert_eq!(delivery(r#", "effect": "upsert""#), model::Delivery::ExactlyOnce);
    assert_eq!(
        delivery(r#", "style": "commit-then-process", "delivery": "at-least-once""#),
        model::Delivery::AtLeastOnce
    );
}
