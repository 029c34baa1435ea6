//! Single steps of the core, told by hand.

use std::collections::BTreeMap;

use crate::base::bugs::{Bug, plant};
use crate::base::random::Stream;
use crate::base::{BrokerId, LeaderEpoch, Now, Offset};
use crate::log::state::LogState;
use crate::raft::{
    Batch, Body, Content, ElectionState, Input, Leadership, Output, RaftConfig, RaftCore, Request, RequestId, Response,
    RoleKind, Token,
};

const ME: BrokerId = BrokerId(0);
const OTHER: BrokerId = BrokerId(1);
const THIRD: BrokerId = BrokerId(2);

struct Story {
    core: RaftCore,
    now: Now,
}

impl Story {
    fn of(voters: i32, stored: Option<ElectionState>) -> Self {
        let now = Now::default();
        let config = RaftConfig::new((0..voters).map(BrokerId));
        Self {
            core: RaftCore::new(config, ME, stored, LogState::default(), BTreeMap::new(), Stream::new(1, "story"), now),
            now,
        }
    }
    fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.core.step(self.now, input, &mut out);
        out
    }
    fn at_ms(&mut self, ms: u64) -> Vec<Output> {
        self.now = Now { mono_ns: ms * 1_000_000, wall_ms: 0 };
        self.tell(Input::Tick)
    }
    fn store_all(&mut self, out: &[Output]) -> Vec<Output> {
        let last = out.iter().rev().find_map(|o| match o {
            Output::StoreQuorumState { sequence, .. } => Some(*sequence),
            _ => None,
        });
        self.tell(Input::Stored { sequence: last.expect("something to store") })
    }
}

fn vote(candidate: BrokerId, epoch: i32, pre_vote: bool) -> Request {
    Request::Vote { epoch: LeaderEpoch(epoch), candidate, last_epoch: LeaderEpoch(0), end: Offset(0), pre_vote }
}
fn sent(out: &[Output]) -> Vec<(BrokerId, RequestId, &Request)> {
    let send = |o| if let &Output::Send { to, id, ref request } = o { Some((to, id, request)) } else { None };
    out.iter().filter_map(send).collect()
}
fn granted(out: &[Output]) -> Option<bool> {
    out.iter().find_map(|o| match o {
        Output::Reply { reply: Response { body: Body::Vote { granted }, .. }, .. } => Some(*granted),
        _ => None,
    })
}

#[test]
fn a_vote_is_answered_only_once_it_is_durable() {
    let mut story = Story::of(3, None);
    let out = story.tell(Input::Request { token: Token(1), request: vote(OTHER, 1, false) });
    assert_eq!(granted(&out), None);
    let out = story.store_all(&out);
    assert_eq!(granted(&out), Some(true));
    assert!(out.contains(&Output::Voted { epoch: LeaderEpoch(1), candidate: OTHER }));
    let out = story.tell(Input::Request { token: Token(2), request: vote(THIRD, 1, false) });
    assert_eq!(granted(&out), Some(false));
}

#[test]
fn the_planted_volatile_vote_is_answered_at_once() {
    plant(&[Bug::VolatileVote]);
    let mut story = Story::of(3, None);
    let out = story.tell(Input::Request { token: Token(1), request: vote(OTHER, 1, false) });
    plant(&[]);
    assert_eq!(granted(&out), Some(true));
}

#[test]
fn a_pre_vote_binds_nobody() {
    let mut story = Story::of(3, None);
    for candidate in [OTHER, THIRD] {
        let out = story.tell(Input::Request { token: Token(1), request: vote(candidate, 0, true) });
        assert_eq!(granted(&out), Some(true));
    }
    assert_eq!(story.core.leadership().epoch, LeaderEpoch(0));
}

#[test]
fn the_only_voter_leads_once_its_vote_is_durable() {
    let mut story = Story::of(1, None);
    let out = story.tell(Input::Tick);
    assert_eq!(story.core.role(), RoleKind::Candidate);
    let out = story.store_all(&out);
    assert_eq!(story.core.role(), RoleKind::Leader);
    assert!(
        out.iter()
            .any(|o| matches!(o, Output::Append { batch: Batch { content: Content::LeaderChange { .. }, .. }, .. }))
    );
    assert_eq!(story.core.high_watermark(), None);
    let out = story.tell(Input::Synced { generation: 0, end: Offset(1) });
    assert!(out.contains(&Output::HighWatermark { high_watermark: Offset(1) }));
}

#[test]
fn a_node_that_led_does_not_lead_that_epoch_again() {
    let led = ElectionState { epoch: LeaderEpoch(4), leader: Some(ME), voted: Some(ME) };
    let mut story = Story::of(3, Some(led));
    let out = story.tell(Input::Tick);
    assert_eq!(story.core.role(), RoleKind::Resigned);
    assert!(sent(&out).iter().all(|(_, _, request)| matches!(request, Request::EndQuorumEpoch { .. })));
    let out = story.tell(Input::Request { token: Token(1), request: vote(OTHER, 4, false) });
    assert_eq!(granted(&out), Some(false));
    story.at_ms(2_000);
    assert_eq!((story.core.role(), story.core.leadership().epoch), (RoleKind::Unattached, LeaderEpoch(5)));
}

#[test]
fn proposals_linger_and_are_written_together() {
    let mut story = Story::of(1, None);
    let out = story.tell(Input::Tick);
    story.store_all(&out);
    story.tell(Input::Synced { generation: 0, end: Offset(1) });
    let epoch = LeaderEpoch(1);
    for base in [1, 2] {
        assert_eq!(story.core.proposal_offset(epoch), Some(Offset(base)));
        let content = Content::Encoded(bytes::Bytes::from_static(b"x"));
        let batch = Batch { base: Offset(base), next: Offset(base + 1), epoch, content };
        let out = story.tell(Input::Propose { batch });
        assert!(!out.iter().any(|o| matches!(o, Output::Append { .. })));
    }
    let out = story.at_ms(25);
    let appended = out.iter().filter(|o| matches!(o, Output::Append { .. })).count();
    assert_eq!(appended, 2);
    assert_eq!(story.core.proposal_offset(LeaderEpoch(0)), None);
}

#[test]
fn a_follower_refuses_to_truncate_what_is_committed() {
    let follows = ElectionState { epoch: LeaderEpoch(1), leader: Some(OTHER), voted: None };
    let mut story = Story::of(3, Some(follows));
    let current = Leadership { leader: Some(OTHER), epoch: LeaderEpoch(1) };
    let out = story.tell(Input::Tick);
    let [(OTHER, id, Request::Fetch { .. })] = sent(&out)[..] else { panic!("{out:?}") };
    let content = Content::Encoded(bytes::Bytes::from_static(b"x"));
    let records = vec![Batch { base: Offset(0), next: Offset(5), epoch: LeaderEpoch(1), content }];
    let body = Body::Fetch { high_watermark: Some(Offset(3)), diverging: None, snapshot: None, records };
    let out = story.tell(Input::Response { id, answer: Response { current, error: None, body } });
    assert!(sent(&out).is_empty(), "a fetch before the sync would acknowledge: {out:?}");
    let out = story.tell(Input::Synced { generation: 0, end: Offset(5) });
    assert!(out.contains(&Output::HighWatermark { high_watermark: Offset(3) }));
    let [(OTHER, id, Request::Fetch { offset: Offset(5), .. })] = sent(&out)[..] else { panic!("{out:?}") };
    let body = Body::Fetch {
        high_watermark: None,
        diverging: Some((LeaderEpoch(1), Offset(2))),
        snapshot: None,
        records: vec![],
    };
    let out = story.tell(Input::Response { id, answer: Response { current, error: None, body } });
    assert!(matches!(out[..], [Output::Fatal { .. }]), "{out:?}");
    assert!(story.at_ms(10_000).is_empty());
}

#[test]
fn an_epoch_is_told_only_once_it_is_durable_and_a_shutdown_waits_for_that() {
    let follows = ElectionState { epoch: LeaderEpoch(1), leader: Some(OTHER), voted: None };
    let mut story = Story::of(3, Some(follows));
    story.tell(Input::Tick);
    story.tell(Input::Shutdown);
    assert!(story.core.is_quiet());
    let request = Request::BeginQuorumEpoch { epoch: LeaderEpoch(2), leader: THIRD };
    let out = story.tell(Input::Request { token: Token(1), request });
    let told = |out: &[Output]| out.iter().any(|o| matches!(o, Output::RoleChanged { epoch: LeaderEpoch(2), .. }));
    assert!(!told(&out) && !story.core.is_quiet());
    let out = story.store_all(&out);
    assert!(told(&out) && story.core.is_quiet());
}
