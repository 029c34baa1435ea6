//! Which seeds are ours when many machines share a campaign: by the command line, or by what an array job puts into the
//! environment of its members.

/// One part of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Which one, from 1.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

/// Where a scheduler tells index, number and first index. The first row of which both are set counts.
const SCHEDULERS: [(&str, &str, Option<&str>); 3] = [
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", Some("SLURM_ARRAY_TASK_MIN")),
    // Kubernetes tells the index alone; the pod's template sets the number beside it.
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", None),
    // A workflow's step sets both from `strategy.job-index` and `strategy.job-total`.
    ("STRATEGY_JOB_INDEX", "STRATEGY_JOB_TOTAL", None),
];

impl Shard {
    /// The whole.
    pub const ALL: Self = Self { index: 1, of: 1 };

    /// True if a seed belongs to this part.
    #[must_use]
    pub fn holds(self, seed: u64) -> bool {
        seed % self.of == self.index - 1
    }

    /// Reads `I/N` with I from 1, or `/N` whose index the environment tells.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no shard; write I/N with I from 1 to N, like 2/4, or /N in an array job");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let of: u64 = of.parse().map_err(|_| wrong())?;
        let index = match index {
            "" => SCHEDULERS
                .iter()
                .find_map(|row| index_of(row, &environment))
                .ok_or_else(|| format!("--shard {text}: no array job tells an index in the environment"))?,
            index => index.parse().map_err(|_| wrong())?,
        };
        Self::new(index, of).ok_or_else(wrong)
    }

    /// What the environment says, and by which variable; the whole if it says nothing.
    ///
    /// # Errors
    /// Variables that contradict each other.
    pub fn from_environment(
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Option<&'static str>), String> {
        for row in &SCHEDULERS {
            let of = environment(row.1).and_then(|text| text.parse().ok());
            if let (Some(index), Some(of)) = (index_of(row, &environment), of) {
                let shard = Self::new(index, of);
                let shard = shard.ok_or_else(|| format!("{} and {} contradict each other", row.0, row.1))?;
                return Ok((shard, Some(row.0)));
            }
        }
        Ok((Self::ALL, None))
    }

    fn new(index: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&index).then_some(Self { index, of })
    }
}

/// The index from 1 that a scheduler tells.
fn index_of(row: &(&str, &str, Option<&str>), environment: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| environment(name)?.parse::<u64>().ok();
    let first = row.2.and_then(number).unwrap_or(0);
    number(row.0)?.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn shards_share_out_all_seeds_and_none_twice() {
        for seed in 0..100 {
            let holders = (1..=7).filter(|index| Shard { index: *index, of: 7 }.holds(seed)).count();
            assert_eq!((holders, Shard::ALL.holds(seed)), (1, true));
        }
    }

    #[test]
    fn a_shard_is_read_from_the_command_line() {
        assert_eq!(Shard::parse("2/4", of(&[])), Ok(Shard { index: 2, of: 4 }));
        assert_eq!(Shard::parse("/4", of(&[("JOB_COMPLETION_INDEX", "3")])), Ok(Shard { index: 4, of: 4 }));
        for wrong in ["0/4", "5/4", "1/0", "2", "a/b", "/4", ""] {
            assert!(Shard::parse(wrong, of(&[])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn array_jobs_tell_their_shard() {
        let slurm = [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_COUNT", "3"), ("SLURM_ARRAY_TASK_MIN", "4")];
        assert_eq!(Shard::from_environment(of(&slurm)), Ok((Shard { index: 2, of: 3 }, Some("SLURM_ARRAY_TASK_ID"))));
        let github = [("STRATEGY_JOB_INDEX", "0"), ("STRATEGY_JOB_TOTAL", "3")];
        assert_eq!(Shard::from_environment(of(&github)), Ok((Shard { index: 1, of: 3 }, Some("STRATEGY_JOB_INDEX"))));
        assert_eq!(Shard::from_environment(of(&[("JOB_COMPLETION_INDEX", "1")])), Ok((Shard::ALL, None)));
        let wrong = [("SLURM_ARRAY_TASK_ID", "9"), ("SLURM_ARRAY_TASK_COUNT", "3")];
        assert!(Shard::from_environment(of(&wrong)).is_err());
    }
}
