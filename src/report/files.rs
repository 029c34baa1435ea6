//! The files that a run leaves. Each appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::verdict::Verdict;

/// Writes a run's files into `dir`, which is made if need be: `verdict.json`, `timeline.jsonl`, `history.jsonl`.
/// Every item of timeline and history becomes one line.
///
/// # Errors
/// Whatever the file system says; files that were already written stay.
pub fn write_run<T: Serialize, H: Serialize>(
    dir: &Path,
    verdict: &Verdict,
    timeline: &[T],
    history: &[H],
) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    write_whole(&dir.join("verdict.json"), |out| {
        serde_json::to_writer_pretty(&mut *out, verdict)?;
        out.write_all(b"\n")
    })?;
    write_whole(&dir.join("timeline.jsonl"), |out| lines(out, timeline))?;
    write_whole(&dir.join("history.jsonl"), |out| lines(out, history))
}

/// Writes a text file, whole or not at all.
///
/// # Errors
/// Whatever the file system says.
pub fn write_text(path: &Path, text: &str) -> io::Result<()> {
    write_whole(path, |out| out.write_all(text.as_bytes()))
}

/// Writes a file beside its place, then moves it there, so that nobody ever sees half of it.
///
/// # Errors
/// Whatever the file system says; the old file, if there was one, is then untouched.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".tmp");
    let beside = path.with_file_name(name);
    let mut file = BufWriter::new(File::create(&beside)?);
    write(&mut file)?;
    file.flush()?;
    fs::rename(&beside, path)
}

fn lines<T: Serialize>(out: &mut BufWriter<File>, items: &[T]) -> io::Result<()> {
    for item in items {
        serde_json::to_writer(&mut *out, item)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_leaves_its_files_and_no_others() {
        let dir = std::env::temp_dir().join(format!("ktrial-files-{}", std::process::id()));
        let verdict = Verdict::new("healthy", 7);
        write_run::<u8, u8>(&dir, &verdict, &[1, 2], &[]).unwrap();
        write_run::<_, u8>(&dir, &verdict, &[serde_json::json!({"at_ms": 1})], &[]).unwrap();
        let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["history.jsonl", "timeline.jsonl", "verdict.json"]);
        assert_eq!(fs::read_to_string(dir.join("timeline.jsonl")).unwrap(), "{\"at_ms\":1}\n");
        let text = fs::read_to_string(dir.join("verdict.json")).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
        fs::remove_dir_all(&dir).unwrap();
    }
}
