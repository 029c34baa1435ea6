//! From what was named on the command line to scenarios: folders are searched, every file is read before anything runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::scenario::{self, Problem, Refusal, Scenario};

/// A scenario and the file that it came from.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) scenario: Scenario,
}

/// Every `.json` file that `paths` name, folders searched in depth and in the order of names.
///
/// # Errors
/// The first path that cannot be read, or a folder without scenarios, in words.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        walk(path, true, &mut files).map_err(|error| format!("{}: {error}", path.display()))?;
        if files.len() == before {
            return Err(format!("{}: no scenario (.json) in this folder", path.display()));
        }
    }
    Ok(files)
}

fn walk(path: &Path, named: bool, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        let mut entries = fs::read_dir(path)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        for entry in entries {
            walk(&entry, false, files)?;
        }
    } else if named || path.extension().is_some_and(|e| e == "json") {
        files.push(path.to_owned());
    }
    Ok(())
}

/// Reads one scenario file.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Scenario, Refusal> {
    let file = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => scenario::parse(&file, &text),
        Err(error) => {
            let at = scenario::Position { line: 1, column: 1 };
            Err(Refusal::new(&file, vec![Problem { at, text: format!("cannot be read: {error}") }]))
        }
    }
}

/// Reads everything that `paths` name.
///
/// # Errors
/// Everything that is wrong with all the files, one line each.
pub(super) fn load(paths: &[PathBuf]) -> Result<Vec<Input>, String> {
    let mut inputs: Vec<Input> = Vec::new();
    let mut wrong = Vec::new();
    for path in expand(paths)? {
        match read(&path) {
            Ok(scenario) => {
                if let Some(first) = inputs.iter().find(|i| i.scenario.name == scenario.name && i.path != path) {
                    let name = &scenario.name;
                    wrong.push(format!(
                        "{}: the name {name:?} is that of {} too",
                        path.display(),
                        first.path.display()
                    ));
                }
                inputs.push(Input { path, scenario });
            }
            Err(refusal) => wrong.push(refusal.to_string()),
        }
    }
    if wrong.is_empty() { Ok(inputs) } else { Err(wrong.join("\n")) }
}
