//! What an administrator does: each call goes through an admin client of its own, on the wire like any; its answer is
//! told when it comes, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, plan};
use crate::base::{BrokerId, TopicPartition};
use crate::client::admin::{Admin, Election, Resource};
use crate::client::config::AdminConfig;
use crate::io::{task, time};
use crate::scenario::model::{Action, AddPartitions, Comer, ElectPreferred, MoveLeader, Reassign, SetConfig, Topic};

/// How often it is looked whether a leaving broker has ended.
const LOOK: Duration = Duration::from_millis(100);

/// What a call came to; an error in words.
type Outcome = Result<(), String>;

impl Engine<'_> {
    pub(super) async fn operate(&self, action: &Action) {
        match action {
            Action::CreateTopic(topic) => self.create_topic(topic),
            Action::AddPartitions(wish) => self.add_partitions(wish),
            Action::MoveLeader(wish) => self.move_leader(wish),
            Action::ElectPreferred(wish) => self.elect_preferred(wish),
            Action::SetConfig(wish) => self.set_config(wish),
            Action::Reassign(wish) => self.reassign(wish),
            Action::Join(Comer::Broker(broker)) => {
                self.witness.note(format!("broker {broker} joins"));
                self.cluster.join(*broker).await;
            }
            Action::Leave(Comer::Broker(broker)) => self.leave(*broker),
            _ => unreachable!("{} is nothing that an administrator does", action.name()),
        }
    }

    /// Sends a wish off.
    fn ask<F, Fut>(&self, wish: String, call: F)
    where
        F: FnOnce(Admin) -> Fut + Send + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        self.witness.note(format!("an admin client asks: {wish}"));
        let (bootstrap, told) = (self.cluster.bootstrap(), self.witness.clone());
        drop(task::spawn("admin-client", async move {
            let result = match admin(&bootstrap) {
                Ok(admin) => call(admin).await,
                Err(error) => Err(error),
            };
            told.note(match result {
                Ok(()) => format!("done: {wish}"),
                Err(error) => format!("not done: {wish}: {error}"),
            });
        }));
    }

    fn create_topic(&self, topic: &Topic) {
        let new = plan::topic(topic);
        self.ask(format!("create topic {}", topic.name), move |mut admin| async move {
            let results = admin.create_topics(&[new]).await.map_err(|e| e.to_string())?;
            results.into_iter().try_for_each(|result| result.map_err(|e| format!("{e:?}")))
        });
    }

    fn add_partitions(&self, wish: &AddPartitions) {
        let (topic, total): (Arc<str>, _) = (wish.topic.as_str().into(), wish.total as i32);
        self.ask(format!("{topic} gets {total} partitions in all"), move |mut admin| async move {
            admin.create_partitions(&topic, total, None).await.map_err(|e| e.to_string())
        });
    }

    /// The preferred replica is the first one: the replicas are put into another order, then it is elected.
    fn move_leader(&self, wish: &MoveLeader) {
        let (tp, to) = (wish.partition.clone(), wish.to);
        let mut replicas = self.witness.partition(&tp).map(|facts| facts.replicas).unwrap_or_default();
        replicas.retain(|id| *id != to);
        replicas.insert(0, to);
        self.ask(format!("broker {to} leads {tp}"), move |mut admin| async move {
            reassign(&mut admin, &tp, replicas).await?;
            admin.elect_leader(&tp, Election::Preferred).await.map_err(|e| e.to_string())
        });
    }

    fn elect_preferred(&self, wish: &ElectPreferred) {
        let (what, partitions) = match wish {
            ElectPreferred::One(one) => (one.partition.to_string(), vec![one.partition.clone()]),
            ElectPreferred::All => {
                let topics: Vec<_> = self.scenario.topics.iter().map(|topic| topic.name.as_str()).collect();
                ("all partitions".to_owned(), self.witness.partitions_of(&topics))
            }
        };
        let witness = self.witness.clone();
        self.ask(format!("the preferred replica leads {what}"), move |mut admin| async move {
            let preferred = |tp: &TopicPartition| {
                witness.partition(tp).is_some_and(|facts| facts.replicas.first() == Some(&facts.leader))
            };
            for tp in partitions.iter().filter(|tp| !preferred(tp)) {
                admin.elect_leader(tp, Election::Preferred).await.map_err(|e| format!("{tp}: {e}"))?;
            }
            Ok(())
        });
    }

    fn set_config(&self, wish: &SetConfig) {
        let (resource, whose) = match (&wish.topic, wish.broker) {
            (Some(topic), _) => (Resource::Topic(topic.as_str().into()), format!("topic {topic}")),
            (None, Some(id)) => (Resource::Broker(id), format!("broker {id}")),
            (None, None) => (Resource::AllBrokers, "all brokers".to_owned()),
        };
        let said: Vec<_> = wish.config.iter().map(said).collect();
        let (witness, topic, config) = (self.witness.clone(), wish.topic.clone(), wish.config.clone());
        // What one broker is told holds for it alone: it may permit more, and never makes the others permit less.
        let holds_for_all = !matches!(resource, Resource::Broker(_));
        self.ask(format!("{} for {whose}", said.join(", ")), move |mut admin| async move {
            let tell = |done| {
                config
                    .iter()
                    .for_each(|(key, value)| witness.configured(topic.as_deref(), key, value.as_deref(), done));
            };
            tell(false);
            admin.alter_configs(&resource, &config).await.map_err(|e| e.to_string())?;
            if holds_for_all {
                tell(true);
            }
            Ok(())
        });
    }

    fn reassign(&self, wish: &Reassign) {
        let Reassign { partition: tp, replicas } = wish.clone();
        let ids: Vec<_> = replicas.iter().map(ToString::to_string).collect();
        self.ask(format!("{tp} moves to brokers {}", ids.join(", ")), move |mut admin| async move {
            reassign(&mut admin, &tp, replicas).await
        });
    }

    /// A controlled shutdown, and when the process has ended the controller forgets the broker.
    fn leave(&self, broker: BrokerId) {
        let host = self.cluster.host(broker);
        let world = self.cluster.world().clone();
        self.cluster.leave(broker);
        self.ask(format!("broker {broker} leaves"), move |mut admin| async move {
            while world.is_running(host) {
                time::sleep(LOOK).await;
            }
            admin.unregister_broker(broker).await.map_err(|e| e.to_string())
        });
    }
}

/// An entry of a wish for other configuration.
fn said((key, value): (&String, &Option<String>)) -> String {
    value.as_ref().map_or_else(|| format!("no {key}"), |value| format!("{key}={value}"))
}

async fn reassign(admin: &mut Admin, tp: &TopicPartition, replicas: Vec<BrokerId>) -> Outcome {
    let wishes = [(tp.clone(), Some(replicas))].into();
    let results = admin.alter_reassignments(&wishes).await.map_err(|e| e.to_string())?;
    results.into_iter().try_for_each(|result| result.map_err(|e| format!("{e:?}")))
}

fn admin(bootstrap: &str) -> Result<Admin, String> {
    let mut config = AdminConfig::default();
    config.set("bootstrap.servers", bootstrap).map_err(|e| e.to_string())?;
    Admin::new(config).map_err(|e| e.to_string())
}
