//! The capsule: what a failing run leaves, so that it can be run again bit for bit, for ever and by anybody.
//!
//! It holds the scenario itself and not what the scenario was drawn from: a later change of the drawing does not touch
//! it. On the source that made it, it replays to the same digest; on any other source only outcomes can be compared.

use serde::{Deserialize, Serialize};

use super::RunOptions;
use super::failure::Failure;
use crate::base::bugs::Bug;
use crate::report::Verdict;
use crate::report::verdict::{Outcome, SCHEMA_VERSION};
use crate::scenario::{self, Scenario};

/// The version of the source that this binary was built from.
pub const SOURCE: &str = env!("KTRIAL_SOURCE");

/// One failing run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capsule {
    /// Version of these names.
    pub schema_version: u32,
    /// The source that ran it.
    pub source: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The property that broke first.
    pub property: String,
    /// What shows it.
    pub evidence: String,
    /// When, in simulated milliseconds.
    pub at_ms: u64,
    /// Property and evidence without what differs from run to run.
    pub signature: String,
    /// Digest of everything that happened; empty if the run came to no end.
    pub digest: String,
    /// Where the streams of randomness begin.
    pub seeds: Seeds,
    /// Events after which the run counted as one that will not end, if there was such a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_limit: Option<u64>,
    /// The bugs that were planted.
    pub plant: Vec<String>,
    /// The whole scenario: topology, configuration, workload, list of faults.
    pub scenario: Scenario,
}

/// Where the streams of randomness begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// The world's: network, disks, scheduler and every node draw from streams that are named under it.
    pub world: u64,
    /// The one that the scenario was drawn from, with its profile, if it was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
}

/// What a scenario was drawn from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// The profile's name.
    pub profile: String,
    /// The seed.
    pub seed: u64,
}

/// How a failing run ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Why it failed.
    pub failure: &'a Failure,
    /// How it ended.
    pub outcome: Outcome,
    /// Its digest.
    pub digest: &'a str,
}

/// What a replay came to, beside its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The digest is the recorded one.
    Same,
    /// The source is the same and yet the digest is not: the run is not deterministic.
    Different,
    /// The source has changed, so that digests mean nothing; true if the same property broke.
    NotComparable(bool),
}

impl Capsule {
    /// The capsule of a run; `None` if it passed.
    #[must_use]
    pub fn of(verdict: &Verdict, scenario: &Scenario, options: &RunOptions, drawn: Option<Drawn>) -> Option<Self> {
        let failure = Failure::of(verdict, scenario)?;
        let end = End { failure: &failure, outcome: verdict.outcome, digest: &verdict.digest };
        Some(Self::from_end(&end, scenario.clone(), Seeds { world: verdict.seed, drawn }, options))
    }
    /// The capsule of a run of which nothing is left but how it ended.
    #[must_use]
    pub fn from_end(end: &End<'_>, scenario: Scenario, seeds: Seeds, options: &RunOptions) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            source: SOURCE.to_owned(),
            outcome: end.outcome,
            signature: end.failure.signature(),
            property: end.failure.property.clone(),
            evidence: end.failure.evidence.clone(),
            at_ms: end.failure.at_ms,
            digest: end.digest.to_owned(),
            seeds,
            step_limit: options.step_limit,
            plant: options.plant.iter().map(|bug| bug.name().to_owned()).collect(),
            scenario,
        }
    }
    /// Reads a capsule from its text; `file` is only the name that complaints bear.
    ///
    /// # Errors
    /// What is wrong with it: syntax and keys with line and column, then names and numbers that make no sense.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let capsule: Self = serde_json::from_str(text).map_err(|e| {
            let what = e.to_string();
            let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
            format!("{file}:{}:{}: no capsule: {what}", e.line(), e.column())
        })?;
        if capsule.schema_version != SCHEMA_VERSION {
            return Err(format!("{file}: schema_version is {}, known is {SCHEMA_VERSION}", capsule.schema_version));
        }
        capsule.bugs().map_err(|error| format!("{file}: plant: {error}"))?;
        match scenario::validate(&capsule.scenario).first() {
            Some(nonsense) => Err(format!("{file}: scenario.{}", nonsense.text)),
            None => Ok(capsule),
        }
    }
    /// The capsule as JSON that ends with a newline.
    ///
    /// # Panics
    /// Never: a capsule holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a capsule is plain data");
        text.push('\n');
        text
    }
    /// The bugs to plant.
    ///
    /// # Errors
    /// A name that the zoo does not hold.
    pub fn bugs(&self) -> Result<Vec<Bug>, String> {
        self.plant.iter().map(|name| name.parse()).collect()
    }
    /// Compares the verdict of a replay, made by this binary, with what was recorded.
    #[must_use]
    pub fn compare(&self, verdict: &Verdict) -> Match {
        let again = Failure::of(verdict, &self.scenario);
        match self.source == SOURCE {
            true if self.digest == verdict.digest => Match::Same,
            true => Match::Different,
            false => Match::NotComparable(again.is_some_and(|f| f.property == self.property)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::Violation;

    fn failed() -> (Verdict, Scenario) {
        let scenario = scenario::parse("s.json", r#"{"name": "s", "topics": [{"name": "t"}]}"#).expect("a scenario");
        let mut verdict = Verdict::new("s", 7);
        verdict.outcome = Outcome::Violated;
        verdict.digest = "abc".into();
        verdict.violations =
            vec![Violation { property: "ACK".into(), jepsen: None, evidence: "t-0 at 12".into(), at_ms: 34 }];
        (verdict, scenario)
    }

    fn capsule() -> Capsule {
        let (verdict, scenario) = failed();
        let drawn = Drawn { profile: "everything".into(), seed: 7 };
        let options = RunOptions { plant: vec![Bug::AckBeforeIsr], ..RunOptions::default() };
        Capsule::of(&verdict, &scenario, &options, Some(drawn)).expect("it failed")
    }

    #[test]
    fn a_capsule_reads_back_as_itself() {
        let capsule = capsule();
        assert_eq!(Capsule::parse("c.json", &capsule.to_json()).as_ref(), Ok(&capsule));
        assert_eq!(capsule.bugs(), Ok(vec![Bug::AckBeforeIsr]));
        assert_eq!((capsule.property.as_str(), capsule.at_ms, capsule.seeds.world), ("ACK", 34, 7));
    }

    #[test]
    fn a_run_that_passed_has_no_capsule() {
        let (mut verdict, scenario) = failed();
        verdict.outcome = Outcome::Pass;
        assert_eq!(Capsule::of(&verdict, &scenario, &RunOptions::default(), None), None);
    }

    #[test]
    fn what_is_no_capsule_is_refused_with_its_place() {
        let text = capsule().to_json();
        for (from, to, complaint) in [
            ("\"digest\"", "\"digits\"", "c.json:9:10: no capsule: unknown field `digits`"),
            ("\"ack-before-isr\"", "\"ack-before\"", "c.json: plant: no bug is called \"ack-before\""),
            ("\"duration\": \"60s\"", "\"duration\": \"0s\"", "c.json: scenario.duration: the chaos phase"),
            ("\"schema_version\": 1", "\"schema_version\": 2", "c.json: schema_version is 2"),
            ("{", "", "c.json:2:"),
        ] {
            let wrong = text.replacen(from, to, 1);
            let error = Capsule::parse("c.json", &wrong).expect_err(complaint);
            assert!(error.starts_with(complaint), "{complaint} is not how this begins: {error}");
        }
    }

    #[test]
    fn digests_are_compared_on_the_same_source_only() {
        let (mut verdict, _) = failed();
        let mut capsule = capsule();
        assert_eq!(capsule.compare(&verdict), Match::Same);
        verdict.digest = "abd".into();
        assert_eq!(capsule.compare(&verdict), Match::Different);
        capsule.source = "0.0.1+0".into();
        assert_eq!(capsule.compare(&verdict), Match::NotComparable(true));
        verdict.outcome = Outcome::Pass;
        assert_eq!(capsule.compare(&verdict), Match::NotComparable(false));
    }
}
