//! What members of consumer groups do, in words; and the audit of what their groups have committed.

use std::time::Duration;

use super::witness::Witness;
use crate::base::{Offset, TopicPartition};
use crate::check::groups::Member;
use crate::client::config::ConsumerConfig;
use crate::client::consumer::Consumer;
use crate::io::{clock, time};
use crate::world::history::Op;
use crate::world::member::{Commit, MemberOp, Offsets, Part, Step};

/// How long a group has to commit what it has dealt with.
const LIMIT: Duration = Duration::from_secs(300);
/// How often it is asked.
const LOOK: Duration = Duration::from_secs(1);

/// What is worth telling of what a member did or was told.
pub(super) fn in_words(life: &Member, what: &MemberOp) -> Option<String> {
    let text = match what {
        MemberOp::Rebalance { step: Step::Lost, partitions, .. } => {
            format!("has lost its membership and {}", listed(partitions))
        }
        MemberOp::Rebalance { step: Step::Assigned, generation, .. } => {
            let owned: Vec<_> = life.owned.iter().cloned().collect();
            format!("owns {} in generation {generation}", listed(&owned))
        }
        MemberOp::Committed { commit: Commit::Refused(error) | Commit::Unknown(error), .. } => {
            format!("could not commit: {error}")
        }
        MemberOp::Died { partition, offset, error } => format!("dies of {partition} offset {offset}: {error}"),
        _ => return None,
    };
    Some(format!("{}: {} {text}", life.group, life.process))
}

fn listed(partitions: &[TopicPartition]) -> String {
    match partitions {
        [] => "no partition".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Asks on the wire what each group has committed: `lively` ones until it is all that they have dealt with, the others
/// once.
///
/// # Errors
/// Which group does not commit what it has dealt with.
pub(super) async fn audit(witness: &Witness, bootstrap: &str, lively: impl Fn(&str) -> bool) -> Result<(), String> {
    for (group, partitions) in witness.reads() {
        let deadline = clock::now().mono_ns + LIMIT.as_nanos() as u64;
        let mut auditor = Auditor::new(witness, bootstrap, group)?;
        loop {
            let told = auditor.ask(partitions).await;
            let dealt = |tp: &TopicPartition| {
                witness.look_at_groups(|groups| groups.account(group).map_or(Offset::ZERO, |account| account.next(tp)))
            };
            // A lost attempt of an earlier commit may have come last, and nobody commits again before there is more to read.
            let fell_back = |tp: &TopicPartition, offset| {
                witness.look_at_groups(|groups| groups.account(group).is_some_and(|a| a.may_fall_back_to(tp, offset)))
            };
            // What retention has taken since is committed no more: nobody can read on from there.
            let behind = |tp: &TopicPartition, offset: Offset| offset.max(witness.log_start(tp)) < dealt(tp);
            let pending = match &told {
                Err(error) => Some(error.clone()),
                Ok(offsets) => offsets
                    .iter()
                    .find(|(tp, offset)| lively(group) && behind(tp, *offset) && !fell_back(tp, *offset))
                    .map(|(tp, offset)| format!("{tp}: {offset} is committed of {} dealt with", dealt(tp))),
            };
            match pending {
                None => break,
                Some(why) if clock::now().mono_ns >= deadline => {
                    return Err(format!("group {group} does not commit within {} s: {why}", LIMIT.as_secs()));
                }
                Some(_) => time::sleep(LOOK).await,
            }
        }
    }
    Ok(())
}

/// A consumer that asks in a group's name and never joins it.
struct Auditor<'a> {
    witness: &'a Witness,
    consumer: Consumer,
    number: u32,
    asked: u64,
}

impl<'a> Auditor<'a> {
    fn new(witness: &'a Witness, bootstrap: &str, group: &str) -> Result<Self, String> {
        let mut config = ConsumerConfig::default();
        let own = [
            ("bootstrap.servers", bootstrap),
            ("client.id", "auditor"),
            ("group.id", group),
            ("enable.auto.commit", "false"),
        ];
        for (key, value) in own {
            config.set(key, value).map_err(|e| e.to_string())?;
        }
        let consumer = Consumer::new(config).map_err(|e| e.to_string())?;
        let number = witness.reader_begins(&format!("auditor of {group}"));
        let auditor = Self { witness, consumer, number, asked: 0 };
        auditor.tell(MemberOp::Began { process: "the audit".into(), group: group.into(), part: Part::Asks });
        Ok(auditor)
    }
    fn tell(&self, what: MemberOp) {
        crate::world::Watch::record(self.witness, Op::Member { member: self.number, what });
    }
    async fn ask(&mut self, partitions: &[TopicPartition]) -> Result<Offsets, String> {
        self.asked += 1;
        self.tell(MemberOp::AskingOffsets { ask: self.asked });
        let answer = self.consumer.committed(partitions).await.map_err(|error| error.to_string())?;
        let told = |tp: &TopicPartition| answer.get(tp).map_or(Offset::NONE, |at| at.offset);
        let offsets: Offsets = partitions.iter().map(|tp| (tp.clone(), told(tp))).collect();
        self.tell(MemberOp::ToldOffsets { ask: self.asked, offsets: offsets.clone() });
        Ok(offsets)
    }
}
