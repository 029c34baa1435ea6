//! Carries out the actions of a fault list on a cluster, resolving targets at the moment of the fault.

use super::witness::Witness;
use crate::base::BrokerId;
use crate::scenario::budget::Loss;
use crate::scenario::model::{Action, Cut, Target};
use crate::world::cluster::Cluster;

/// Does what `action` says, and tells the witness before it does.
pub(super) async fn apply(cluster: &Cluster, witness: &Witness, action: &Action) {
    match action {
        Action::PowerCut(target) => end(cluster, witness, target, Loss::Unsynced),
        Action::Crash(target) => end(cluster, witness, target, Loss::Process),
        Action::Stop(target) => each(cluster, witness, target, "is asked to stop", |id| cluster.stop(id)),
        Action::Pause(target) => each(cluster, witness, target, "is paused", |id| cluster.pause(id)),
        Action::Resume(target) => each(cluster, witness, target, "resumes", |id| cluster.resume(id)),
        Action::Isolate(target) => {
            each(cluster, witness, target, "is cut off from everybody", |id| cluster.isolate(id))
        }
        Action::Start(target) => start(cluster, witness, target).await,
        Action::Cut(cut) => apply_cut(cluster, witness, cut),
        Action::Heal(_) => {
            witness.note("all links heal".to_owned());
            cluster.heal_all();
        }
    }
}

/// Ends processes in no orderly way, as far as the fault budget allows.
fn end(cluster: &Cluster, witness: &Witness, target: &Target, loss: Loss) {
    for id in resolve(cluster, witness, target) {
        if !witness.may_end(id, loss) {
            continue;
        }
        match loss {
            Loss::Unsynced => {
                witness.fault(format!("broker {id} loses power"));
                cluster.power_cut(id);
            }
            Loss::Process => {
                witness.fault(format!("broker {id} crashes"));
                cluster.crash(id);
            }
        }
    }
}

fn each(cluster: &Cluster, witness: &Witness, target: &Target, what: &str, act: impl Fn(BrokerId)) {
    for id in resolve(cluster, witness, target) {
        witness.fault(format!("broker {id} {what}"));
        act(id);
    }
}

async fn start(cluster: &Cluster, witness: &Witness, target: &Target) {
    for id in resolve(cluster, witness, target) {
        if !cluster.is_running(id) || cluster.is_stopping(id) {
            witness.note(format!("broker {id} starts"));
            cluster.start(id).await;
        }
    }
}

fn apply_cut(cluster: &Cluster, witness: &Witness, cut: &Cut) {
    for from in resolve(cluster, witness, &cut.from) {
        for to in resolve(cluster, witness, &cut.to) {
            if from != to {
                let way = if cut.one_way { "to" } else { "and" };
                witness.fault(format!("the link from broker {from} {way} {to} is cut"));
                cluster.cut(from, to, !cut.one_way);
            }
        }
    }
}

/// The brokers that a target means now; none if, say, the partition has no leader at this moment.
fn resolve(cluster: &Cluster, witness: &Witness, target: &Target) -> Vec<BrokerId> {
    match target {
        Target::Broker(id) => vec![*id],
        Target::Controller => witness.controller().into_iter().collect(),
        Target::LeaderOf(tp) => {
            witness.partition(tp).map(|f| f.leader).filter(|l| *l != BrokerId::NONE).into_iter().collect()
        }
        Target::AllBrokers => cluster.brokers().collect(),
    }
}

/// Ends every fault: links heal, paused processes go on, what is down boots.
pub(super) async fn heal(cluster: &Cluster, witness: &Witness) {
    cluster.heal_all();
    let brokers: Vec<_> = cluster.brokers().collect();
    for id in brokers {
        cluster.resume(id);
        if !cluster.is_running(id) || cluster.is_stopping(id) {
            witness.note(format!("broker {id} starts"));
            cluster.start(id).await;
        }
    }
}
