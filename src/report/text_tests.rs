//! Verdicts as they are printed.

use super::*;
use crate::report::verdict::{Expectation, Violation};

fn outage(partition: &str, to_ms: u64, phases: (u64, u64, u64), waited_for: Option<&str>) -> OutageRecord {
    OutageRecord {
        partition: partition.into(),
        from_ms: 10_000,
        to_ms: Some(to_ms),
        cause: "broker 2 loses power".into(),
        detect_ms: Some(phases.0),
        elect_ms: Some(phases.1),
        recover_ms: Some(phases.2),
        waited_for: waited_for.map(Into::into),
    }
}

fn event(at_ms: u64, kind: &str, text: &str) -> Event {
    Event { at_ms, kind: kind.into(), text: text.into() }
}

fn worker_dies() -> Verdict {
    let mut v = Verdict::new("worker-dies", 42);
    (v.simulated_ms, v.wall_ms, v.acked, v.messages) = (120_000, 400, 9_412, 80_000);
    v.digest = "9f2c0123456789abcdef0123456789abcdef".into();
    v.events = vec![
        event(10_000, "fault", "broker 2 loses power"),
        event(18_313, "control", "broker 2 fenced; UserEvents-1: leader 2 -> 3; ISR {1,3} on all partitions"),
    ];
    v.availability = [("UserEvents-0", 93.0), ("UserEvents-1", 74.666), ("UserEvents-2", 100.0)]
        .map(|(name, percent)| (name.to_owned(), percent))
        .into();
    v.outages = vec![
        outage("UserEvents-0", 18_400, (8_300, 20, 80), None),
        outage("UserEvents-1", 40_400, (8_300, 20, 22_080), Some("request.timeout.ms")),
    ];
    v.expectations =
        vec![Expectation { text: "UserEvents-0 is out for 6s to 11s".into(), met: true, measured: "8400ms".into() }];
    v.reproduce = "ktrial run scenarios/cluster/worker-dies.json --seed 42".into();
    v
}

#[test]
fn a_passed_run_is_told_in_a_few_lines() {
    let style = Style { files: Some("reports/worker-dies-42".into()), ..Style::default() };
    assert_eq!(
        render(&worker_dies(), &style),
        "\
worker-dies  seed 42  PASS   120 s simulated in 0.40 s (300x)   9,412 acked, 0 lost, 0 duplicated
   10.000 s  fault    broker 2 loses power
   18.313 s  control  broker 2 fenced; UserEvents-1: leader 2 -> 3; ISR {1,3} on all partitions
  UserEvents-0   93.00 %   outage 8.4 s: undetected 8.3 s, election 0.02 s, clients 0.08 s
  UserEvents-1   74.66 %   outage 30.4 s: undetected 8.3 s, election 0.02 s, clients 22.1 s
                           (request.timeout.ms)
  UserEvents-2  100.00 %
  1 of 1 expectations met
  digest 9f2c0123456789ab   report reports/worker-dies-42
"
    );
}

#[test]
fn a_failed_run_shows_the_evidence_and_how_to_see_it_again() {
    let mut v = worker_dies();
    v.outcome = Outcome::Violated;
    v.lost = 1;
    v.outages.clear();
    v.availability.clear();
    v.violations = vec![Violation {
        property: "ACK".into(),
        jepsen: Some("lost-write".into()),
        evidence: "w1:17 was acknowledged at UserEvents-1 offset 402 by broker 2 in epoch 0\n\
                   broker 1 ends at 400, broker 3 ends at 400"
            .into(),
        at_ms: 120_500,
    }];
    v.expectations[0].met = false;
    assert_eq!(
        render(&v, &Style::default()),
        "\
worker-dies  seed 42  VIOLATED
  120 s simulated in 0.40 s (300x)   9,412 acked, 1 lost, 0 duplicated
   10.000 s  fault    broker 2 loses power
   18.313 s  control  broker 2 fenced; UserEvents-1: leader 2 -> 3; ISR {1,3} on all partitions
  VIOLATION  ACK (Jepsen: lost-write) at 120.5 s
    w1:17 was acknowledged at UserEvents-1 offset 402 by broker 2 in epoch 0
    broker 1 ends at 400, broker 3 ends at 400
  NOT MET  UserEvents-0 is out for 6s to 11s; measured: 8400ms
  0 of 1 expectations met
  digest 9f2c0123456789ab
  reproduce: ktrial run scenarios/cluster/worker-dies.json --seed 42
"
    );
}

#[test]
fn moves_say_what_was_copied_and_how_fast() {
    let mut v = worker_dies();
    let quick = MoveRecord {
        partition: "Orders-1".into(),
        from_ms: 20_000,
        to_ms: Some(24_000),
        cancelled: false,
        copied: [(4, 600_000), (5, 400_000)].into(),
    };
    let off = MoveRecord { cancelled: true, copied: [(4, 10)].into(), ..quick.clone() };
    v.moves = vec![quick.clone(), off, MoveRecord { to_ms: None, ..quick }];
    let text = render(&v, &Style::default());
    for line in [
        "  moved      Orders-1 to brokers 4, 5: 1,000,000 bytes copied in 4.0 s (250,000 bytes/s)\n",
        "  moved      Orders-1 to broker 4: called off after 4.0 s, 10 bytes copied\n",
        "  moved      Orders-1 to brokers 4, 5: not over, 1,000,000 bytes copied\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    let mut v = worker_dies();
    v.outcome = Outcome::Panicked;
    v.scenario = "a-scenario-with-a-name-that-leaves-hardly-any-room-for-what-comes-behind-it".into();
    v.reason = "word ".repeat(60) + &"x".repeat(250);
    v.events.push(event(123_456_789, "a-long-kind", &"and so on ".repeat(40)));
    (v.unknown, v.failed, v.permitted_loss) = (1_234_567, 7_654_321, 3);
    for line in render(&v, &Style { verbose: true, ..Style::default() }).lines() {
        assert!(line.chars().count() <= COLUMNS, "{line}");
    }
}

#[test]
fn many_events_are_cut_to_the_ends_of_a_success_and_to_the_end_of_a_failure() {
    let mut v = worker_dies();
    v.events = (0..100).map(|i| event(i, "note", &format!("event number {i}."))).collect();
    let passed = render(&v, &Style::default());
    assert!(passed.contains("number 0.") && passed.contains("number 99.") && passed.contains("... 84 more"));
    v.outcome = Outcome::NotLive;
    let failed = render(&v, &Style::default());
    assert!(!failed.contains("number 0.") && failed.contains("number 84.") && failed.contains("number 99."));
    assert!(render(&v, &Style { verbose: true, ..Style::default() }).contains("number 50."));
}

#[test]
fn colour_is_only_there_when_asked_for() {
    assert!(!render(&worker_dies(), &Style::default()).contains('\x1b'));
    assert!(render(&worker_dies(), &Style { colour: true, ..Style::default() }).contains("\x1b[32mPASS\x1b[0m"));
}

#[test]
fn a_share_is_never_rounded_up_to_all_of_it() {
    assert_eq!(share(99.999), " 99.99 %");
    assert_eq!(share(100.0), "100.00 %");
    assert_eq!(count(1_234_567), "1,234,567");
}
