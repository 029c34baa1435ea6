//! Registration of controllers (KIP-919).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ControllerRegistrationRequest;
use kafka_protocol::messages::controller_registration_request::{Feature, Listener};
use kafka_protocol::protocol::StrBytes;

use super::cluster::{Cluster, b, config, incarnation};
use crate::controller::core::{Input, METADATA_VERSION, Request, Response};
use crate::controller::image::Image;
use crate::wire::records::{EndPoint, Feature as Range, FeatureLevelRecord, RegisterControllerRecord};

fn registration(id: i32, life: u64) -> ControllerRegistrationRequest {
    let listener = Listener::default()
        .with_name(StrBytes::from_static_str("CONTROLLER"))
        .with_host(StrBytes::from_static_str("controller-1001"))
        .with_port(9_093);
    let feature = Feature::default()
        .with_name(StrBytes::from_static_str(METADATA_VERSION))
        .with_min_supported_version(7)
        .with_max_supported_version(27);
    ControllerRegistrationRequest::default()
        .with_controller_id(id)
        .with_incarnation_id(incarnation(id, life))
        .with_listeners(vec![listener])
        .with_features(vec![feature])
}

fn register(cluster: &mut Cluster, id: i32, life: u64) -> Option<ResponseError> {
    match cluster.ask(Request::RegisterController(registration(id, life))) {
        Response::RegisterController(r) => ResponseError::try_from_code(r.error_code),
        other => panic!("another kind: {other:?}"),
    }
}

#[test]
fn a_controller_registers_under_its_own_name_and_a_later_life_takes_its_place() {
    let mut cluster = Cluster::new(config());
    assert_eq!(register(&mut cluster, 1001, 1), None);
    let expected = RegisterControllerRecord {
        controller_id: b(1001),
        incarnation_id: incarnation(1001, 1),
        zk_migration_ready: false,
        end_points: vec![EndPoint {
            name: "CONTROLLER".into(),
            host: "controller-1001".into(),
            port: 9_093,
            security_protocol: 0,
        }],
        features: vec![Range { name: METADATA_VERSION.into(), min_supported_version: 7, max_supported_version: 27 }],
    };
    assert_eq!(cluster.image.controller(b(1001)).map(|c| (**c).clone()), Some(expected));
    assert_eq!(cluster.image.brokers().count(), 0, "a controller is no broker");
    assert_eq!(register(&mut cluster, 1001, 2), None);
    assert_eq!(cluster.image.controller(b(1001)).map(|c| c.incarnation_id), Some(incarnation(1001, 2)));
    assert_eq!(cluster.image.controllers().count(), 1);
    // It has no session: silence costs it nothing.
    cluster.pass(60_000);
    assert!(cluster.image.controller(b(1001)).is_some());
}

#[test]
fn an_old_metadata_version_knows_no_controllers() {
    let mut cluster = Cluster::new(config());
    cluster.resign();
    let mut image = Image::default();
    let old = FeatureLevelRecord { name: METADATA_VERSION.into(), feature_level: 14 };
    image.apply(crate::base::Offset(0), &old.into(), &mut crate::controller::image::Changes::default()).unwrap();
    cluster.image = image.clone();
    cluster.step(Input::BecameActive { epoch: crate::base::LeaderEpoch(1), image });
    assert_eq!(register(&mut cluster, 1001, 1), Some(ResponseError::UnsupportedVersion));
}

#[test]
fn a_controller_that_stands_by_registers_nobody() {
    let mut cluster = Cluster::new(config());
    cluster.resign();
    assert_eq!(register(&mut cluster, 1001, 1), Some(ResponseError::NotController));
    assert_eq!(cluster.image.controllers().count(), 0);
}
