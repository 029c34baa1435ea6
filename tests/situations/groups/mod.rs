//! Groups of consumers: members come and go in every way, their coordinator too. At every moment each partition has one owner at
//! most, afterwards exactly one; and whoever commits what it has read, and only that, skips nothing.

mod town;

use std::time::Duration;

use ktrial::io::time;
use town::{Town, play};

#[test]
fn members_that_come_and_go_share_everything_evenly() {
    for seed in 0..3 {
        play(seed, |town| async move {
            town.join("a", &[]).await;
            town.until("a alone has everything", |t: &Town| t.shared_by(&["a"])).await;
            town.join("b", &[]).await;
            town.until("a and b share", |t: &Town| t.shared_by(&["a", "b"])).await;
            town.until_all_progress().await;
            town.join("c", &[]).await;
            town.until("three share", |t: &Town| t.shared_by(&["a", "b", "c"])).await;
            town.until_all_progress().await;
            let began = town.second();
            town.stop("a").await;
            town.until("b and c share", |t: &Town| t.shared_by(&["b", "c"])).await;
            assert!(town.second() - began < 5.0, "who leaves is not waited for: {} s", town.second() - began);
            town.until_all_progress().await;
            assert_eq!(town.twice(), 0, "nothing is read twice where everybody commits and goes in order");
        });
    }
}
