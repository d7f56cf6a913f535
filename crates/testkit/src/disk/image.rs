//! What a crash may leave.

use super::MemDisk;
use super::state::{Op, State};

/// Disks as a crash could have left them, one after the other:
///
/// * every prefix of the operations that were not synced, the last write of each also cut in the middle of
///   its first sector, and at a few sectors;
/// * all names without content, and all content without names;
/// * arbitrary parts: each operation kept or lost on its own.
#[derive(Debug)]
pub struct CrashImages {
    state: State,
    seed: u64,
    plan: std::vec::IntoIter<Part>,
}

/// Which of the pending operations survived.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The first of them, and `bytes` of the one after.
    Prefix {
        ops: usize,
        bytes: usize,
    },
    Names,
    Contents,
    Arbitrary,
}

// === impl CrashImages ===

impl CrashImages {
    pub(super) fn new(state: State, seed: u64) -> Self {
        let mut plan = vec![Part::Prefix { ops: 0, bytes: 0 }];
        for (at, op) in state.pending.iter().enumerate() {
            if let Op::Write { bytes, .. } = op {
                let sectors = bytes.len().div_ceil(SECTOR).max(1);
                let cuts = [
                    SECTOR / 3,
                    SECTOR,
                    sectors / 2 * SECTOR,
                    (sectors - 1) * SECTOR,
                ];
                let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
                cuts.sort_unstable();
                cuts.dedup();
                let cuts = cuts.into_iter().filter(|cut| *cut > 0);
                plan.extend(cuts.map(|bytes| Part::Prefix { ops: at, bytes }));
            }
            plan.push(Part::Prefix {
                ops: at + 1,
                bytes: 0,
            });
        }
        if state.pending.len() > 1 {
            plan.extend([Part::Names, Part::Contents]);
            plan.extend([Part::Arbitrary; ARBITRARY]);
        }
        Self {
            state,
            seed,
            plan: plan.into_iter(),
        }
    }

    /// SplitMix64: enough to pick operations, and the same for the same seed.
    const fn next_random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn arbitrary(&mut self) -> Vec<Op> {
        let mut kept = Vec::new();
        for op in self.state.pending.clone() {
            let random = self.next_random();
            if random & 1 == 0 {
                continue;
            }
            match op {
                // Pages of one write reach the disk in any order too.
                Op::Write { inode, at, bytes } => {
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if random >> (number % 62 + 1) & 1 == 1 || random & 2 == 2 {
                            kept.push(Op::Write {
                                inode,
                                at: at + (number * SECTOR) as u64,
                                bytes: sector.to_vec(),
                            });
                        }
                    }
                }
                op => kept.push(op),
            }
        }
        kept
    }
}

impl Iterator for CrashImages {
    type Item = MemDisk;

    fn next(&mut self) -> Option<MemDisk> {
        let part = self.plan.next()?;
        let ops: Vec<Op> = match part {
            Part::Prefix { ops, bytes: cut } => {
                let mut kept = self.state.pending[..ops].to_vec();
                if cut > 0
                    && let Some(Op::Write { inode, at, bytes }) = self.state.pending.get(ops)
                {
                    kept.push(Op::Write {
                        inode: *inode,
                        at: *at,
                        bytes: bytes[..cut].to_vec(),
                    });
                }
                kept
            }
            Part::Names => {
                let names = self.state.pending.iter().filter(|op| !op.is_content());
                names.cloned().collect()
            }
            Part::Contents => {
                let contents = self.state.pending.iter().filter(|op| op.is_content());
                contents.cloned().collect()
            }
            Part::Arbitrary => self.arbitrary(),
        };
        Some(MemDisk::holding(self.state.image(&ops)))
    }
}

const SECTOR: usize = 512;
/// How many arbitrary parts are tried.
const ARBITRARY: usize = 3;
