//! How many partitions are whose: pure.

/// How many of so many partitions the process of this rank is to have, where ranks go from 0. Of any two processes one has at most
/// one more than the other, and all together have all. A process that is not among the live ones has none.
pub(super) fn share(partitions: u32, processes: u32, rank: u32) -> u32 {
    if rank >= processes {
        return 0;
    }
    partitions / processes + u32::from(rank < partitions % processes)
}

/// The partitions in the order in which the process of this rank tries them: where all agree on the ranks, no two begin with the
/// same.
pub(super) fn order(partitions: u32, processes: u32, rank: u32) -> impl Iterator<Item = u32> {
    let before: u32 = (0..rank).map(|rank| share(partitions, processes, rank)).sum();
    let first = before.checked_rem(partitions).unwrap_or(0);
    (first..partitions).chain(0..first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_fair_and_leave_nothing() {
        for partitions in 0..70 {
            for processes in 1..40 {
                let shares: Vec<u32> = (0..processes)
                    .map(|rank| share(partitions, processes, rank))
                    .collect();
                assert_eq!(shares.iter().sum::<u32>(), partitions, "{shares:?}");
                let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                assert!(most - least <= 1, "{shares:?}");
                assert_eq!(share(partitions, processes, processes), 0);
            }
            assert_eq!(share(partitions, 0, 0), 0);
        }
    }

    #[test]
    fn those_who_agree_on_the_ranks_do_not_meet() {
        for partitions in 0..40 {
            for processes in 1..20 {
                let mut taken = Vec::new();
                for rank in 0..processes {
                    let mine = share(partitions, processes, rank);
                    let mut all: Vec<u32> = order(partitions, processes, rank).collect();
                    taken.extend(all.iter().copied().take(mine as usize));
                    all.sort_unstable();
                    assert!(all.into_iter().eq(0..partitions), "each is tried once");
                }
                taken.sort_unstable();
                assert!(taken.iter().copied().eq(0..partitions), "{taken:?}");
            }
        }
    }
}
