//! Every scenario of the library passes, and every fault scenario fails when its faults are taken out.

use ktrial::base::BrokerId;
use ktrial::report::verdict::Outcome;
use ktrial::scenario::model::{Action, Target};
use ktrial::trial::{RunOptions, run_one};

use crate::support::{load, scenario, scenario_files};

#[test]
fn every_scenario_meets_its_expectations() {
    for path in scenario_files() {
        let verdict = run_one(&load(&path), 7, &RunOptions::default());
        assert_eq!(verdict.outcome, Outcome::Pass, "{}: {verdict:#?}", path.display());
        assert!(verdict.acked > 0, "{}: nothing was written", path.display());
    }
}

#[test]
fn a_fault_scenario_fails_without_its_faults() {
    let mut tried = 0;
    for path in scenario_files() {
        let mut scenario = load(&path);
        // What a regression expects is that nothing is wrong.
        let regression = path.parent().is_some_and(|folder| folder.ends_with("regressions"));
        if scenario.faults.is_empty() || regression {
            continue;
        }
        scenario.faults.clear();
        let verdict = run_one(&scenario, 7, &RunOptions::default());
        assert_eq!(verdict.outcome, Outcome::Violated, "{} passes though nothing happened", path.display());
        assert!(verdict.violations.is_empty(), "{}: {:?}", path.display(), verdict.violations);
        tried += 1;
    }
    assert!(tried > 0, "the library holds no fault scenario");
}

#[test]
fn a_crash_instead_of_a_clean_stop_costs_the_eligibility() {
    let mut scenario = scenario("cluster/clean-stop-stays-eligible");
    // Only processes die, so nothing is lost; but the controller cannot know that.
    for (index, broker) in [(0, 2), (1, 3)] {
        scenario.faults[index].action = Action::Crash(Target::Broker(BrokerId(broker)));
    }
    let verdict = run_one(&scenario, 7, &RunOptions::default());
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    let unmet: Vec<_> = verdict.expectations.iter().filter(|e| !e.met).map(|e| e.text.as_str()).collect();
    assert!(unmet.iter().any(|text| text.contains("55")), "node 2 leads although it may have lost records: {unmet:?}");
}
