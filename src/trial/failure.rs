//! What a failing run failed of: the property that broke first, its evidence, and the signature by which runs that
//! failed alike are found together.

use serde::{Deserialize, Serialize};

use crate::base::random::fnv1a;
use crate::report::Verdict;
use crate::report::verdict::Outcome;
use crate::scenario::Scenario;

/// The property of a run that did not converge or did not come to an end.
pub const LIVENESS: &str = "LIVENESS";
/// The property of a run in which the code under test panicked.
pub const PANIC: &str = "PANIC";
/// The property of a run that was different the second time.
pub const DETERMINISM: &str = "DETERMINISM";
/// The property of a run that broke no invariant but did not do what its scenario expects.
pub const EXPECTATION: &str = "EXPECTATION";

/// How much of the evidence goes into a signature, in characters.
const SHAPE: usize = 120;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The code of the property: one of the catalogue of invariants, or one of this room's.
    pub property: String,
    /// What shows it.
    pub evidence: String,
    /// When it was seen, in simulated milliseconds; the end of the run for what has no moment.
    pub at_ms: u64,
}

impl Failure {
    /// Why this run failed; `None` if it passed.
    #[must_use]
    pub fn of(verdict: &Verdict, scenario: &Scenario) -> Option<Self> {
        let whole = |property: &str| Self {
            property: property.to_owned(),
            evidence: verdict.reason.clone(),
            at_ms: verdict.simulated_ms,
        };
        match verdict.outcome {
            Outcome::Pass => None,
            Outcome::Panicked => Some(whole(PANIC)),
            Outcome::NotLive => Some(whole(LIVENESS)),
            Outcome::Nondeterministic => Some(whole(DETERMINISM)),
            Outcome::Violated => Some(violated(verdict, scenario)),
        }
    }
    /// The property and the shape of its evidence: what is left when everything that differs from run to run is taken
    /// out.
    #[must_use]
    pub fn signature(&self) -> String {
        format!("{}: {}", self.property, shape(&self.evidence))
    }
    /// The signature as the name of a file.
    #[must_use]
    pub fn slug(&self) -> String {
        slug(&self.signature())
    }
}

/// A signature as the name of a file, without extension.
#[must_use]
pub fn slug(signature: &str) -> String {
    let property = signature.split(':').next().unwrap_or_default().to_lowercase();
    format!("{property}-{:08x}", fnv1a(signature.as_bytes()) as u32)
}

fn violated(verdict: &Verdict, scenario: &Scenario) -> Failure {
    let expected = &scenario.expect.violations;
    if let Some(first) = verdict.violations.iter().find(|v| !expected.contains(&v.property)) {
        return Failure { property: first.property.clone(), evidence: first.evidence.clone(), at_ms: first.at_ms };
    }
    let unmet = verdict.expectations.iter().filter(|e| !e.met);
    let evidence: Vec<_> = unmet.map(|e| format!("{}: {}", e.text, e.measured)).collect();
    Failure { property: EXPECTATION.to_owned(), evidence: evidence.join("\n"), at_ms: verdict.simulated_ms }
}

/// The first line of the evidence with each word that holds a digit, and each row of such words, made one `#`.
fn shape(evidence: &str) -> String {
    let mut out = String::new();
    let line = evidence.lines().next().unwrap_or_default();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let word = rest.chars().take_while(|c| c.is_alphanumeric()).map(char::len_utf8).sum::<usize>();
        let taken = if word > 0 { word } else { c.len_utf8() };
        let (token, after) = rest.split_at(taken);
        rest = after;
        out.push_str(if token.chars().any(|c| c.is_ascii_digit()) { "#" } else { token });
    }
    // However many nodes or offsets a list names, it is the same sort of list.
    for separator in ["", ", ", ",", "-", " "] {
        let (row, one) = (format!("#{separator}#"), "#");
        while out.contains(&row) {
            out = out.replace(&row, one);
        }
    }
    out.chars().take(SHAPE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::{Expectation, Violation};

    fn scenario() -> Scenario {
        crate::scenario::parse("s.json", "{\"name\": \"s\"}").expect("a scenario")
    }

    fn violation(property: &str) -> Violation {
        Violation { property: property.into(), jepsen: None, evidence: format!("{property} at 7"), at_ms: 9 }
    }

    #[test]
    fn runs_that_failed_alike_have_one_signature() {
        let sign = |text: &str| Failure { property: "ACK".into(), evidence: text.into(), at_ms: 1 }.signature();
        let one = sign("t0-3 at 1021: value w0#77 acked by broker 2, held by [1, 3]\nmore");
        let other = sign("t11-0 at 4: value w3#1 acked by broker 1, held by [2]\nless");
        assert_eq!(one, other);
        assert_eq!(one, "ACK: # at #: value # acked by broker #, held by [#]");
        assert_ne!(one, sign("t0-3 at 1021: value w0#77 acked by broker 2, held by nobody"));
        assert_ne!(one, one.replace("ACK", "LC"));
    }

    #[test]
    fn a_slug_is_a_file_name_and_tells_signatures_apart() {
        let slugs = [slug("ACK: a"), slug("ACK: b")];
        assert!(slugs.iter().all(|s| s.starts_with("ack-") && s.len() == 12), "{slugs:?}");
        assert_ne!(slugs[0], slugs[1]);
    }

    #[test]
    fn the_first_violation_that_was_not_expected_is_the_failure() {
        let (mut verdict, mut scenario) = (Verdict::new("s", 1), scenario());
        assert_eq!(Failure::of(&verdict, &scenario), None);
        verdict.outcome = Outcome::Violated;
        verdict.violations = vec![violation("LC"), violation("ACK")];
        assert_eq!(Failure::of(&verdict, &scenario).map(|f| f.property).as_deref(), Some("LC"));
        scenario.expect.violations.push("LC".into());
        assert_eq!(Failure::of(&verdict, &scenario).map(|f| f.property).as_deref(), Some("ACK"));
        verdict.violations.clear();
        let unmet = Expectation { text: "LC is violated".into(), met: false, measured: "it held".into() };
        verdict.expectations.push(unmet);
        let failure = Failure::of(&verdict, &scenario).expect("an expectation failed");
        assert_eq!((failure.property.as_str(), failure.evidence.as_str()), (EXPECTATION, "LC is violated: it held"));
    }

    #[test]
    fn what_is_no_violation_fails_of_a_property_too() {
        let mut verdict = Verdict::new("s", 1);
        verdict.reason = "why".into();
        for (outcome, property) in
            [(Outcome::Panicked, PANIC), (Outcome::NotLive, LIVENESS), (Outcome::Nondeterministic, DETERMINISM)]
        {
            verdict.outcome = outcome;
            let failure = Failure::of(&verdict, &scenario()).expect("it failed");
            assert_eq!((failure.property.as_str(), failure.evidence.as_str()), (property, "why"));
        }
    }
}
