//! Draws whole scenarios: topology, configuration, workload and a list of faults, each from its own stream of the seed.
//!
//! What comes out is an explicit scenario and nothing else: it can be written to a file, run again and shrunk. A draw
//! turns features off as well as scaling them, so that bugs which one feature hides from another come to light too.

mod cluster;
mod groups;
mod nemesis;
mod profile;
mod workload;

#[cfg(test)]
mod tests;

use super::model::{Action, Expect, Scenario};
use super::units::Millis;
use crate::base::random::Stream;
pub use profile::{Kind, PROFILES, Profile};

/// Broker configuration that wins over the drawn one: keys and values.
pub type Overrides = Vec<(String, String)>;

/// Length of the chaos phase of every drawn scenario, in milliseconds.
const DURATION_MS: u64 = 60_000;

/// The profile of a name.
///
/// # Errors
/// There is none; the nearest one is named.
pub fn profile(name: &str) -> Result<&'static Profile, String> {
    PROFILES.iter().find(|p| p.name == name).ok_or_else(|| {
        let near = crate::base::nearest::hint(name, PROFILES.iter().map(|p| p.name));
        format!("there is no profile {name:?}; {near}")
    })
}

/// The scenario of a seed. Equal arguments give equal scenarios.
#[must_use]
pub fn draw(profile: &Profile, seed: u64, overrides: &Overrides) -> Scenario {
    let stream = |name: &str| Stream::new(seed, &format!("draw/{name}"));
    let mut cluster = cluster::cluster(&mut stream("cluster"));
    cluster.controllers = cluster::controllers(&mut stream("controllers"));
    cluster.config = cluster::config(&mut stream("config"));
    let mut topics = cluster::topics(&mut stream("topics"), &cluster);
    cluster.config.extend(cluster::compaction(&mut stream("compaction"), &mut topics));
    let mut clients = workload::clients(&mut stream("workload"), &topics);
    workload::patience(&mut stream("patience"), &mut clients);
    let mut groups = groups::groups(&mut stream("groups"), &cluster, &topics);
    cluster.config.extend(groups.config);
    if !groups.clients.is_empty() {
        cluster.config.extend(groups::retention(&mut stream("offsets-retention")));
    }
    cluster.config.extend(groups::next_generation(&mut stream("group-protocol"), &mut groups.clients));
    clients.extend(groups.clients);
    cluster.config.extend(overrides.iter().cloned());
    let mut scenario = Scenario {
        name: format!("{}-{seed}", profile.name),
        story: format!("Drawn from seed {seed} by the profile {}.", profile.name),
        cluster,
        topics,
        clients,
        duration: Millis(DURATION_MS),
        faults: Vec::new(),
        keep_budget: true,
        expect: Expect::default(),
    };
    scenario.faults = nemesis::faults(&mut stream("faults"), profile, &scenario);
    scenario
}

/// How many entries of the fault list do harm: whatever only mends is none.
#[must_use]
pub fn harmful(scenario: &Scenario) -> usize {
    scenario.faults.iter().filter(|f| does_harm(&f.action)).count()
}

/// False for what only mends, and for what administrators do.
#[must_use]
pub fn does_harm(action: &Action) -> bool {
    !action.is_operation() && !matches!(action, Action::Start(_) | Action::Resume(_) | Action::Heal(_))
}
