//! Why a scenario file was refused.

use std::fmt;

use super::json::Position;

/// How many complaints about one file are shown.
const SHOWN: usize = 10;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// What, with the offending key and the nearest valid one.
    pub text: String,
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    file: String,
    problems: Vec<Problem>,
}

impl Refusal {
    /// A refusal of `file`; there must be at least one problem.
    ///
    /// # Panics
    /// Without a problem: a caller that refuses for no reason is wrong.
    #[must_use]
    pub fn new(file: &str, mut problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "a file is refused for a reason");
        problems.sort();
        problems.dedup();
        Self { file: file.to_owned(), problems }
    }
    /// The problems, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Refusal {
    /// One line for each problem, `FILE:LINE:COLUMN: TEXT`, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().take(SHOWN).enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {}", self.file, problem.at, problem.text)?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more", self.file),
        }
    }
}
