//! What a scenario may expect of moves.

use super::*;

#[test]
fn a_move_that_nobody_asks_for_cannot_be_expected() {
    let refused = |expected: &str| {
        let text = format!(
            r#"{{"name": "n", "topics": [{{"name": "T", "partitions": 2}}],
            "faults": [{{"at": "1s", "reassign": {{"partition": "T-0", "replicas": [2]}}}}],
            "expect": {{"moves": [{{{expected}}}]}}}}"#
        );
        parse("bad.json", &text)
            .err()
            .map(|e| e.to_string().splitn(4, ':').nth(3).unwrap_or_default().trim().to_owned())
    };
    assert_eq!(refused(r#""partition": "T-0", "bytes": [1, 2], "took": ["1s", "2s"], "rate": [1, 2]"#), None);
    for (expected, wrong) in [
        (r#""partition": "T-1", "bytes": [1, 2]"#, "expect.moves[0].partition: nothing reassigns T-1"),
        (r#""partition": "T-0", "bytes": [3, 2]"#, "expect.moves[0].bytes: the lower bound 3 is above the upper 2"),
        (
            r#""partition": "T-0", "bytes": [1, 2], "took": ["2h", "3h"]"#,
            "expect.moves[0].took[0]: 2h is after the end (60s)",
        ),
        (
            r#""partition": "T-0", "bytes": [1, 2], "rate": [3, 2]"#,
            "expect.moves[0].rate: the lower bound 3 is above the upper 2",
        ),
    ] {
        assert_eq!(refused(expected).as_deref(), Some(wrong), "{expected}");
    }
}
