//! The files that a run leaves. Each appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::verdict::Verdict;

/// Writes a run's files into `dir`, which is made if need be: `verdict.json`, `timeline.jsonl`, `history.jsonl`.
/// Timeline and history are given as finished lines without their newlines.
///
/// # Errors
/// Whatever the file system says; files that were already written stay.
pub fn write_run(dir: &Path, verdict: &Verdict, timeline: &[String], history: &[String]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut json = serde_json::to_vec_pretty(verdict)?;
    json.push(b'\n');
    write_whole(&dir.join("verdict.json"), &json)?;
    write_whole(&dir.join("timeline.jsonl"), lines(timeline).as_bytes())?;
    write_whole(&dir.join("history.jsonl"), lines(history).as_bytes())
}

/// Writes a file beside its place, then moves it there, so that nobody ever sees half of it.
///
/// # Errors
/// Whatever the file system says; the old file, if there was one, is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_its_files_and_no_others() {
        let dir = std::env::temp_dir().join(format!("ktrial-files-{}", std::process::id()));
        let verdict = Verdict::new("healthy", 7);
        write_run(&dir, &verdict, &["{}".into(), "{}".into()], &[]).unwrap();
        write_run(&dir, &verdict, &["{\"at_ms\":1}".into()], &[]).unwrap();
        let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["history.jsonl", "timeline.jsonl", "verdict.json"]);
        assert_eq!(fs::read_to_string(dir.join("timeline.jsonl")).unwrap(), "{\"at_ms\":1}\n");
        let text = fs::read_to_string(dir.join("verdict.json")).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
        fs::remove_dir_all(&dir).unwrap();
    }
}
