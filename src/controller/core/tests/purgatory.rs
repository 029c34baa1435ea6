//! What is answered when.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::CreateTopicsRequest;

use super::cluster::{Cluster, config, named};
use crate::base::Offset;
use crate::controller::core::{Input, Request, Response};

fn creation(name: &str) -> Request {
    Request::CreateTopics(CreateTopicsRequest::default().with_topics(vec![named(name, 1, 2)]))
}

fn error_of(response: &Response) -> i16 {
    match response {
        Response::CreateTopics(r) => r.topics[0].error_code,
        Response::Heartbeat(r) => r.error_code,
        other => panic!("{other:?} is of another kind"),
    }
}

#[test]
fn nothing_is_answered_before_all_that_it_rests_on_is_committed() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    cluster.commits = false;
    let created = cluster.send(creation("t"));
    let again = cluster.send(creation("t"));
    let pulse = cluster.pulse(1);
    let heard = cluster.send(Request::Heartbeat(pulse));
    assert!(cluster.replies.is_empty(), "the topic and whatever was decided on it is not yet there");
    let end = cluster.log.last().unwrap().0;
    cluster.step(Input::Committed { upto: end });
    assert!(cluster.replies.is_empty(), "the last record is still missing");
    cluster.step(Input::Committed { upto: Offset(end.0 + 1) });
    assert_eq!(error_of(&cluster.replies[&created]), 0);
    assert_eq!(error_of(&cluster.replies[&again]), ResponseError::TopicAlreadyExists.code());
    assert_eq!(error_of(&cluster.replies[&heard]), 0);
}

#[test]
fn whoever_waits_when_the_leadership_is_lost_hears_not_controller() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    cluster.commits = false;
    let created = cluster.send(creation("t"));
    cluster.resign();
    assert_eq!(error_of(&cluster.replies[&created]), ResponseError::NotController.code());
    let late = cluster.send(creation("t"));
    assert_eq!(error_of(&cluster.replies[&late]), ResponseError::NotController.code());
    assert_eq!(cluster.core.next_deadline(), None);
}

#[test]
fn what_was_not_committed_is_forgotten_by_the_next_leadership() {
    let mut cluster = Cluster::with_brokers(config(), [1, 2]);
    cluster.commits = false;
    cluster.send(creation("t"));
    cluster.resign();
    cluster.commits = true;
    cluster.lead();
    let Response::CreateTopics(answer) = cluster.ask(creation("t")) else { panic!() };
    assert_eq!(answer.topics[0].error_code, 0);
}

#[test]
fn an_idle_controller_keeps_the_log_moving() {
    let mut cluster = Cluster::new(config());
    let before = cluster.log.len();
    cluster.pass(2_000);
    let written: Vec<_> = cluster.log[before..].iter().map(|(_, record)| record.name()).collect();
    assert_eq!(written, ["NoOpRecord"; 4]);
}
