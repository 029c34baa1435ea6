//! The store and its readers against a model: a list of batches.

use bytes::Bytes;
use proptest::prelude::*;

use super::{DIR, batch, simulated, small};
use crate::base::Offset;
use crate::io::disk::Disk;
use crate::io::sim::WorldConfig;
use crate::log::batch::{BatchView, batches};
use crate::log::recovery::{OpenOptions, Recovered, open};
use crate::log::store::LogStore;

async fn reopened(disk: &Disk) -> (LogStore, Recovered) {
    open(disk, DIR, small(), OpenOptions::default()).await.unwrap()
}

/// What a log holds, as a list.
#[derive(Clone, Debug, Default)]
struct Model {
    start: i64,
    batches: Vec<Bytes>,
}

impl Model {
    fn end(&self) -> i64 {
        self.batches.last().map_or(self.start, |b| BatchView::parse(b).unwrap().next_offset().0)
    }
    fn truncate(&mut self, to: i64) {
        self.batches.retain(|b| BatchView::parse(b).unwrap().next_offset().0 <= to);
    }
    /// What a read must give, if it may span segments.
    fn read(&self, from: i64, max_bytes: usize, bound: i64, min_one: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for bytes in &self.batches {
            let batch = BatchView::parse(bytes).unwrap();
            if batch.next_offset().0 <= from {
                continue;
            }
            let fits = out.len() + bytes.len() <= max_bytes || (min_one && out.is_empty());
            if batch.next_offset().0 > bound || !fits {
                break;
            }
            out.extend_from_slice(bytes);
        }
        out
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append { counts: Vec<i32>, salt: u8, value_len: usize },
    Truncate { back: i64 },
    TruncateFully { ahead: i64 },
    Roll,
    DeleteBelow { part: u8 },
    Reopen,
    Read { part: u8, max_bytes: usize, bound_back: i64, min_one: bool },
    Time { part: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (prop::collection::vec(1_i32..4, 1..4), any::<u8>(), 0_usize..400)
            .prop_map(|(counts, salt, value_len)| Step::Append { counts, salt, value_len }),
        1 => (0_i64..20).prop_map(|back| Step::Truncate { back }),
        1 => (0_i64..50).prop_map(|ahead| Step::TruncateFully { ahead }),
        1 => Just(Step::Roll),
        1 => any::<u8>().prop_map(|part| Step::DeleteBelow { part }),
        1 => Just(Step::Reopen),
        8 => (any::<u8>(), 0_usize..3_000, 0_i64..10, any::<bool>())
            .prop_map(|(part, max_bytes, bound_back, min_one)| Step::Read { part, max_bytes, bound_back, min_one }),
        2 => any::<u8>().prop_map(|part| Step::Time { part }),
    ];
    prop::collection::vec(step, 1..60)
}

/// An offset from `start` to two behind `end`.
fn somewhere(model: &Model, part: u8) -> i64 {
    model.start + (model.end() + 2 - model.start) * i64::from(part) / 255
}

async fn check_read(store: &LogStore, model: &Model, from: i64, max_bytes: usize, bound: i64, min_one: bool) {
    let read = store.reader().read(Offset(from), max_bytes, Offset(bound), min_one).await.unwrap();
    let expected = model.read(from, max_bytes, bound, min_one);
    assert!(expected.starts_with(&read), "from {from} below {bound}: not what was appended");
    let available = !expected.is_empty();
    assert_eq!(!read.is_empty(), available, "from {from} below {bound}, {max_bytes} bytes, min_one {min_one}");
    let last = batches(&read).map(Result::unwrap).last();
    if let Some(last) = last.filter(|_| read.len() < expected.len()) {
        let at_roll = store.reader().segments().iter().any(|s| s.base == last.next_offset());
        assert!(at_roll || read.len() + 1_000 > max_bytes.min(expected.len()), "a read stopped early");
    }
}

async fn check_time(store: &LogStore, model: &Model, timestamp: i64) {
    let found = store.reader().offset_for_timestamp(timestamp).await.unwrap().map(|f| f.offset.0);
    let records = model.batches.iter().flat_map(|b| {
        let batch = BatchView::parse(b).unwrap();
        let all: Vec<_> = batch.records().unwrap().map(|r| r.unwrap()).map(|r| (r.timestamp, r.offset.0)).collect();
        all
    });
    let expected = records.into_iter().find(|(t, _)| *t >= timestamp).map(|(_, o)| o);
    assert_eq!(found, expected, "the first record at or after {timestamp}");
    let max = store.reader().offset_of_max_timestamp().await.unwrap().map(|f| f.offset.0);
    assert_eq!(max, (!model.batches.is_empty()).then(|| model.end() - 1));
}

async fn apply(disk: &Disk, store: &mut LogStore, model: &mut Model, step: Step) {
    match step {
        Step::Append { counts, salt, value_len } => {
            let mut buf = Vec::new();
            for count in counts {
                let bytes = batch(model.end(), count, 1, salt, value_len);
                buf.extend_from_slice(&bytes);
                model.batches.push(bytes);
            }
            assert_eq!(store.append(&buf).await.unwrap().0, model.end());
        }
        Step::Truncate { back } => {
            let to = (model.end() - back).max(model.start);
            store.truncate(Offset(to)).await.unwrap();
            model.truncate(to);
        }
        Step::TruncateFully { ahead } => {
            *model = Model { start: model.end() + ahead, batches: Vec::new() };
            store.truncate_fully(Offset(model.start)).await.unwrap();
        }
        Step::Roll => store.roll().await.unwrap(),
        Step::DeleteBelow { part } => {
            store.delete_segments_below(Offset(somewhere(model, part))).await.unwrap();
            model.start = store.reader().segments()[0].base.0;
            model.batches.retain(|b| BatchView::parse(b).unwrap().base_offset().0 >= model.start);
        }
        Step::Reopen => {
            let (fresh, recovered) = reopened(disk).await;
            assert_eq!((recovered.state.log_start().0, recovered.state.log_end().0), (model.start, model.end()));
            assert_eq!((recovered.batches.len(), recovered.cut_bytes), (model.batches.len(), 0));
            *store = fresh;
        }
        Step::Read { part, max_bytes, bound_back, min_one } => {
            let from = somewhere(model, part);
            check_read(store, model, from, max_bytes, model.end() - bound_back, min_one).await;
        }
        Step::Time { part } => check_time(store, model, somewhere(model, part) * 10 - 5).await,
    }
    assert_eq!(store.end().0, model.end());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is done to a log, reads, lookups and recovery say what the list says.
    #[test]
    fn the_store_is_a_list_of_batches(steps in steps()) {
        simulated(1, WorldConfig::default(), async move |_| {
            let disk = Disk::mount("logs").unwrap();
            let (mut store, _) = reopened(&disk).await;
            let mut model = Model::default();
            for step in steps {
                apply(&disk, &mut store, &mut model, step).await;
            }
        });
    }
}
