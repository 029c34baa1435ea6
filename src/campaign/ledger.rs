//! The folder of a campaign: what it is, and the results so far. It may be killed at any moment and taken up again.
//!
//! `campaign.json` says what is run; a folder never holds results of two different campaigns. `results.jsonl` (for a
//! shard `results-I-of-N.jsonl`) grows by one whole line for each seed, handed to the system at once; a last line that
//! the death of the writer cut short is no result, and its seed is run again.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::job::{Job, Record, What};
use super::shard::Shard;
use crate::report::files;
use crate::scenario::random::Overrides;
use crate::trial::Capsule;
use crate::trial::failure::slug;

/// The file that says what is run.
const CAMPAIGN: &str = "campaign.json";
/// The folder of the capsules.
const CAPSULES: &str = "capsules";

/// What a campaign runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// The profile that scenarios are drawn by.
    pub profile: String,
    /// Configuration that wins over the drawn one.
    pub config: Overrides,
    /// Names of the bugs that are planted.
    pub plant: Vec<String>,
    /// The source that runs it.
    pub source: String,
}

impl Campaign {
    /// The job for a seed.
    #[must_use]
    pub fn job(&self, seed: u64) -> Job {
        let what = What::Draw { profile: self.profile.clone(), config: self.config.clone() };
        Job { seed, plant: self.plant.clone(), what }
    }
}

/// The open folder of a campaign.
pub struct Ledger {
    dir: PathBuf,
    shard: Shard,
    results: File,
}

impl Ledger {
    /// Opens the folder, which is made if need be, and reads what is there. Returns the ledger and the results so far.
    ///
    /// # Errors
    /// What cannot be read or written, or another campaign's folder.
    pub fn open(dir: &Path, campaign: &Campaign, shard: Shard) -> Result<(Self, Vec<Record>), String> {
        let told = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| format!("{path}: {error}")
        };
        fs::create_dir_all(dir.join(CAPSULES)).map_err(told(dir))?;
        let is = dir.join(CAMPAIGN);
        if is.exists() {
            same(&is, &read_campaign(dir)?, campaign)?;
        } else {
            let text = serde_json::to_string_pretty(campaign).expect("a campaign is plain data");
            files::write_text(&is, &(text + "\n")).map_err(told(&is))?;
        }
        let path = dir.join(results_name(shard));
        let (records, length) = if path.exists() { read_results(&path)? } else { (Vec::new(), 0) };
        let results = OpenOptions::new().create(true).append(true).open(&path).map_err(told(&path))?;
        results.set_len(length).map_err(told(&path))?;
        Ok((Self { dir: dir.to_owned(), shard, results }, records))
    }
    /// Adds a result.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_string(record)?;
        line.push('\n');
        self.results.write_all(line.as_bytes())?;
        self.results.flush()
    }
    /// Keeps a capsule as that of its signature.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn keep(&self, capsule: &Capsule) -> io::Result<()> {
        files::write_text(&self.dir.join(capsule_name(&capsule.signature, self.shard)), &capsule.to_json())
    }
}

/// Which earlier campaign a folder holds, if it is not this one.
fn same(path: &Path, old: &Campaign, new: &Campaign) -> Result<(), String> {
    let differs = match () {
        () if old.profile != new.profile => format!("profile {} and not {}", old.profile, new.profile),
        () if old.config != new.config => "another configuration".to_owned(),
        () if old.plant != new.plant => format!("planted bugs {:?} and not {:?}", old.plant, new.plant),
        () if old.source != new.source => format!("source {} and this is {}", old.source, new.source),
        () => return Ok(()),
    };
    Err(format!("{}: this folder holds a campaign with {differs}; give another folder with --out", path.display()))
}

fn results_name(shard: Shard) -> String {
    if shard == Shard::ALL { "results.jsonl".into() } else { format!("results-{}-of-{}.jsonl", shard.index, shard.of) }
}

/// The file of the capsule of a signature, relative to the folder of the campaign.
#[must_use]
pub fn capsule_name(signature: &str, shard: Shard) -> String {
    let slug = slug(signature);
    if shard == Shard::ALL {
        format!("{CAPSULES}/{slug}.json")
    } else {
        format!("{CAPSULES}/{slug}-{}-of-{}.json", shard.index, shard.of)
    }
}

/// What the folder says that it holds.
///
/// # Errors
/// If it does not say.
pub fn read_campaign(dir: &Path) -> Result<Campaign, String> {
    let path = dir.join(CAMPAIGN);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A result and the folder and shard that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The result.
    pub record: Record,
    /// Where the capsule of its signature is, if it failed.
    pub capsule: Option<PathBuf>,
}

impl Found {
    /// A result of a shard that writes into `dir`.
    #[must_use]
    pub fn new(record: Record, dir: &Path, shard: Shard) -> Self {
        let capsule = record.failure.as_ref().map(|f| dir.join(capsule_name(&f.signature(), shard)));
        Self { record, capsule }
    }
}

/// The results of several shards, in the order of their seeds.
///
/// # Errors
/// Folders that hold no results, or different campaigns; a seed that stands in two shards.
pub fn merge(dirs: &[PathBuf]) -> Result<(Campaign, Vec<Found>), String> {
    let first = dirs.first().ok_or("no folder to merge")?;
    let campaign = read_campaign(first)?;
    let mut found = Vec::new();
    for dir in dirs {
        same(&dir.join(CAMPAIGN), &read_campaign(dir)?, &campaign)?;
        for (path, shard) in results_in(dir)? {
            let records = read_results(&path)?.0;
            found.extend(records.into_iter().map(|record| Found::new(record, dir, shard)));
        }
    }
    found.sort_by_key(|f| f.record.seed);
    match found.windows(2).find(|pair| pair[0].record.seed == pair[1].record.seed) {
        Some(pair) => Err(format!("seed {} was run by two of the shards", pair[0].record.seed)),
        None => Ok((campaign, found)),
    }
}

fn results_in(dir: &Path) -> Result<BTreeSet<(PathBuf, Shard)>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut out = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", dir.display()))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(shard) = shard_of(&name) {
            out.insert((path, shard));
        }
    }
    if out.is_empty() { Err(format!("{}: no results in this folder", dir.display())) } else { Ok(out) }
}

/// The shard whose results a file of this name holds.
fn shard_of(name: &str) -> Option<Shard> {
    let middle = name.strip_prefix("results")?.strip_suffix(".jsonl")?;
    if middle.is_empty() {
        return Some(Shard::ALL);
    }
    let (index, of) = middle.strip_prefix('-')?.split_once("-of-")?;
    Shard::parse(&format!("{index}/{of}"), |_| None).ok()
}

/// The results in a file, and the length of its whole lines.
fn read_results(path: &Path) -> Result<(Vec<Record>, u64), String> {
    let text = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut records = Vec::new();
    for (i, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
        if !line.is_empty() {
            let record = serde_json::from_slice(line);
            records.push(record.map_err(|error| format!("{}:{}: no result: {error}", path.display(), i + 1))?);
        }
    }
    Ok((records, whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);
    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ktrial-ledger-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn campaign() -> Campaign {
        Campaign { profile: "calm".into(), config: Vec::new(), plant: Vec::new(), source: "1".into() }
    }

    fn seeds(records: &[Record]) -> Vec<u64> {
        records.iter().map(|r| r.seed).collect()
    }

    #[test]
    fn results_survive_and_a_line_that_was_cut_short_is_dropped() {
        let folder = Folder::new("resume");
        let (mut ledger, records) = Ledger::open(&folder.0, &campaign(), Shard::ALL).expect("a new folder");
        assert_eq!(records, []);
        for seed in [4, 2] {
            ledger.append(&Record::died(seed, "x")).expect("an append");
        }
        drop(ledger);
        let path = folder.0.join("results.jsonl");
        let mut torn = fs::read(&path).expect("the results");
        let whole = torn.len();
        torn.extend_from_slice(b"{\"seed\": 9, \"outc");
        fs::write(&path, &torn).expect("a torn line");
        let (mut ledger, records) = Ledger::open(&folder.0, &campaign(), Shard::ALL).expect("the same folder");
        assert_eq!(seeds(&records), [4, 2]);
        assert_eq!(fs::metadata(&path).expect("the file").len(), whole as u64);
        ledger.append(&Record::died(9, "x")).expect("an append");
        let (_, records) = Ledger::open(&folder.0, &campaign(), Shard::ALL).expect("the same folder");
        assert_eq!(seeds(&records), [4, 2, 9]);
    }

    #[test]
    fn a_folder_holds_one_campaign() {
        let folder = Folder::new("other");
        Ledger::open(&folder.0, &campaign(), Shard::ALL).expect("a new folder");
        for other in [
            Campaign { profile: "disk".into(), ..campaign() },
            Campaign { source: "2".into(), ..campaign() },
            Campaign { plant: vec!["ack-before-isr".into()], ..campaign() },
        ] {
            let error = Ledger::open(&folder.0, &other, Shard::ALL).err().expect("another campaign");
            assert!(error.contains("give another folder with --out"), "{error}");
        }
    }

    #[test]
    fn shards_are_merged_in_the_order_of_seeds() {
        let folder = Folder::new("shards");
        for (index, own) in [(1, [0, 2]), (2, [3, 1])] {
            let (mut ledger, _) = Ledger::open(&folder.0, &campaign(), Shard { index, of: 2 }).expect("a folder");
            own.iter().for_each(|seed| ledger.append(&Record::died(*seed, "x")).expect("an append"));
        }
        let (merged, found) = merge(&[folder.0.clone()]).expect("two shards");
        assert_eq!(merged, campaign());
        assert_eq!(found.iter().map(|f| f.record.seed).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let capsule = found[3].capsule.as_ref().expect("a failure has a capsule");
        assert!(capsule.display().to_string().ends_with("-2-of-2.json"), "{capsule:?}");
        let twice = merge(&[folder.0.clone(), folder.0.clone()]).expect_err("every seed twice");
        assert_eq!(twice, "seed 0 was run by two of the shards");
        assert!(merge(&[folder.0.join("capsules")]).is_err());
    }
}
