//! No two roots of one size, whoever asks at once and whatever the disk loses.

use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use entente_follow::witness::AddError;
use entente_ledger::SignedCheckpoint;
use entente_ledger::witness::{AddCheckpoint, Refused};
use entente_signing::{Digest, Ed25519Key, SignError, Signer, VerifyingKey};
use entente_testkit::MemDisk;
use entente_testkit::disk::Fault;

use super::{
    COMMON, Cosigned, Tree, WITNESS, evidence, key, log_key, origin, submit, witness, witness_with,
};

/// Signs; whoever signs first waits whether another comes in beside it.
#[derive(Debug)]
struct InCompany {
    key: Ed25519Key,
    came: Mutex<usize>,
    more: Condvar,
}

impl Signer for InCompany {
    fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let mut came = self.came.lock().unwrap();
        *came += 1;
        self.more.notify_all();
        let is_alone = |came: &mut usize| *came == 1;
        let came = self.more.wait_timeout_while(came, LONG_ENOUGH, is_alone);
        drop(came.unwrap());
        self.key.sign(message)
    }
}

#[test]
fn of_two_forks_that_many_submit_at_once_one_alone_is_ever_cosigned() {
    for held in [0, COMMON] {
        let disk = MemDisk::new();
        let held = Tree::of(0, held);
        submit(&witness(&disk).unwrap(), &held).unwrap();
        let signer = InCompany {
            key: key(WITNESS),
            came: Mutex::default(),
            more: Condvar::new(),
        };
        let witness = witness_with(&disk, Arc::new(signer)).unwrap();
        let forks = [Tree::of(1, 5), Tree::of(2, 5)];
        let begin = Barrier::new(8);
        let cosigned: Vec<usize> = thread::scope(|scope| {
            let (witness, forks, begin) = (&witness, &forks, &begin);
            let asking = (0..8).map(|asker| {
                scope.spawn(move || {
                    begin.wait();
                    let fork = asker % 2;
                    submit(witness, &forks[fork]).is_ok().then_some(fork)
                })
            });
            let asking: Vec<_> = asking.collect();
            let asked = asking.into_iter().map(|asked| asked.join().unwrap());
            asked.flatten().collect()
        });
        let first = &forks[cosigned[0]];
        assert_eq!(cosigned, [cosigned[0]; 4]);
        let shown = witness.latest(&origin()).unwrap().unwrap();
        let shown = SignedCheckpoint::verify(&shown, &log_key()).unwrap();
        assert_eq!(shown.checkpoint(), first.signed().checkpoint());
    }
}

/// A witness from its first start on, on a disk that fails; both forks are submitted to it.
fn story(disk: &MemDisk) -> Cosigned {
    let mut cosigned = Cosigned::default();
    let Ok(witness) = witness(disk) else {
        return cosigned;
    };
    for (fork, size) in [(1, 2), (1, 5), (2, 5), (1, 5), (2, 7), (1, 7)] {
        cosigned.submit(&witness, &Tree::of(fork, size));
    }
    cosigned
}

/// Starts from what a disk may hold: it is of use still, and what was cosigned stands.
fn goes_on(disk: &MemDisk, cosigned: &mut Cosigned) {
    let witness = witness(disk).unwrap();
    for (fork, size) in [(2, 5), (1, 5), (2, 7), (1, 7), (2, 9), (1, 9)] {
        cosigned.submit(&witness, &Tree::of(fork, size));
    }
    assert!(cosigned.0.contains_key(&9));
}

#[test]
fn whatever_a_disk_loses_at_any_operation_no_size_is_cosigned_with_two_roots() {
    for fault in [Fault::Crash, Fault::Error, Fault::Torn] {
        let mut at = 0;
        loop {
            let disk = MemDisk::new();
            disk.fail_at(at, fault);
            let before = story(&disk);
            for image in disk.crash_images(at) {
                goes_on(&image, &mut before.clone());
            }
            // The process alone dies, then the machine, before anything but a look at what is there.
            for is_looked_at in [false, true] {
                let (disk, mut cosigned) = (disk.restart(), before.clone());
                if is_looked_at {
                    cosigned.look(&witness(&disk).unwrap());
                } else {
                    goes_on(&disk, &mut cosigned);
                }
                goes_on(&disk.crash(), &mut cosigned);
            }
            if disk.operations() <= at {
                break;
            }
            at += 1;
        }
        assert!(at > 20, "{at} operations");
    }
}

#[test]
fn what_a_log_signed_against_itself_is_kept_once_and_not_without_end() {
    let disk = MemDisk::new();
    let witness = witness(&disk).unwrap();
    submit(&witness, &Tree::of(1, 5)).unwrap();
    let refused = |request: &AddCheckpoint| match witness.add(request.to_string().as_bytes()) {
        Err(AddError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    // Who is not the log can leave nothing here.
    let mut stranger = Tree::of(2, 5).request(5);
    stranger.note = Tree::of(2, 5).signed_with(9).note().clone();
    assert_eq!(refused(&stranger), Refused::Unsigned);
    assert_eq!(evidence(&disk).len(), 0);
    for _ in 0..2 {
        assert_eq!(refused(&Tree::of(2, 5).request(5)), Refused::OtherRoot);
        assert_eq!(refused(&Tree::of(2, 9).request(5)), Refused::Inconsistent);
        assert_eq!(evidence(&disk).len(), 2);
    }
    // Each can be shown to others, durably.
    for body in evidence(&disk.crash()) {
        let note = AddCheckpoint::parse(&body).unwrap().note.to_string();
        SignedCheckpoint::verify(note.as_bytes(), &log_key()).unwrap();
    }
    // Whoever knows a checkpoint can send it with any proof: it is one checkpoint all the same.
    for size in 1..9 {
        let mut spoiled = Tree::of(1, 9).request(5);
        spoiled.proof = vec![Digest::of(&[size]); 3];
        refused(&spoiled);
    }
    assert_eq!(evidence(&disk).len(), 3);
    // However much of the one kind there is, the other has its place.
    for fork in 3..80 {
        refused(&Tree::of(fork, 9).request(5));
    }
    assert_eq!(evidence(&disk).len(), 64 + 1);
    for fork in 3..80 {
        refused(&Tree::of(fork, 5).request(5));
    }
    assert_eq!(evidence(&disk).len(), 64 + 64);
}

/// For a thread that is let in to come in.
const LONG_ENOUGH: Duration = Duration::from_millis(300);
