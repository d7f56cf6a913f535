//! The written table: what a stop at each moment of an exchange leaves behind.
//!
//! It was derived from DESIGN.md §5 and §7 before the servers were tried against it. The tests walk it row
//! by row; `docs/walk.md` is made from it.

use std::fmt::{self, Write as _};

use entente_proto::status::Told;
use entente_security_server::Step;
use tonic::Status;

/// One moment at which one server stops.
#[derive(Clone, Debug)]
pub struct Row {
    /// The moment.
    pub when: When,
    /// Whose server stops.
    pub side: Side,
    /// What the consumer system gets.
    pub got: Got,
    /// How often the provider's system is asked.
    pub asked: usize,
    /// What the exchange leaves in the consumer's ledger, once both servers run again.
    pub consumer: &'static [&'static str],
    /// What it leaves in the provider's.
    pub provider: &'static [&'static str],
    /// What becomes of the same message when it is sent again, unchanged, after the restart.
    pub again: Again,
}

/// When a server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It aborts as soon as this step is complete.
    Step(Step),
    /// It is killed while the provider's system works on the call.
    Working,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The asking one.
    Consumer,
    /// The answering one.
    Provider,
}

/// What the consumer system gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// The answer.
    Answered,
    /// No word of its server: the connection broke.
    Lost,
    /// A refusal with this reason.
    Refused(std::borrow::Cow<'static, str>),
}

/// What becomes of a message that is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It was not accepted before, so it is now.
    Accepted,
    /// Nobody can: the provider's server does not stop in this row.
    NotTried,
    /// Refused: `REPLAYED`.
    Replayed,
}

/// Every moment, in the order of an exchange.
pub static TABLE: [Row; 12] = [
    Row {
        when: When::Step(Step::Called),
        side: Side::Consumer,
        got: Got::Lost,
        asked: 0,
        consumer: &[],
        provider: &[],
        again: Again::NotTried,
    },
    Row {
        when: When::Step(Step::Decided),
        side: Side::Consumer,
        got: Got::Lost,
        asked: 0,
        consumer: &[],
        provider: &[],
        again: Again::NotTried,
    },
    Row {
        when: When::Step(Step::RequestLogged),
        side: Side::Consumer,
        got: Got::Lost,
        asked: 0,
        consumer: &["OUT request", "OUTCOME crashed"],
        provider: &[],
        again: Again::NotTried,
    },
    Row {
        when: When::Step(Step::Sent),
        side: Side::Consumer,
        got: Got::Lost,
        asked: 0,
        consumer: &["OUT request", "OUTCOME crashed"],
        provider: &[],
        again: Again::NotTried,
    },
    Row {
        when: When::Step(Step::Opened),
        side: Side::Provider,
        got: OUTCOME_UNKNOWN,
        asked: 0,
        consumer: &["OUT request", "OUTCOME timeout"],
        provider: &[],
        again: Again::Accepted,
    },
    Row {
        when: When::Step(Step::Admitted),
        side: Side::Provider,
        got: OUTCOME_UNKNOWN,
        asked: 0,
        consumer: &["OUT request", "OUTCOME timeout"],
        provider: &[],
        again: Again::Accepted,
    },
    Row {
        when: When::Step(Step::RequestAccepted),
        side: Side::Provider,
        got: OUTCOME_UNKNOWN,
        asked: 0,
        consumer: &["OUT request", "OUTCOME timeout"],
        provider: &["IN request", "OUT fault OUTCOME_UNKNOWN"],
        again: Again::Replayed,
    },
    Row {
        when: When::Working,
        side: Side::Consumer,
        got: Got::Lost,
        asked: 1,
        consumer: &["OUT request", "OUTCOME crashed"],
        provider: &["IN request", "OUT fault OUTCOME_UNKNOWN"],
        again: Again::NotTried,
    },
    Row {
        when: When::Working,
        side: Side::Provider,
        got: OUTCOME_UNKNOWN,
        asked: 1,
        consumer: &["OUT request", "OUTCOME timeout"],
        provider: &["IN request", "OUT fault OUTCOME_UNKNOWN"],
        again: Again::Replayed,
    },
    Row {
        when: When::Step(Step::SystemAnswered),
        side: Side::Provider,
        got: OUTCOME_UNKNOWN,
        asked: 1,
        consumer: &["OUT request", "OUTCOME timeout"],
        provider: &["IN request", "OUT fault OUTCOME_UNKNOWN"],
        again: Again::Replayed,
    },
    Row {
        when: When::Step(Step::ResponseLogged),
        side: Side::Provider,
        got: OUTCOME_UNKNOWN,
        asked: 1,
        consumer: &["OUT request", "OUTCOME timeout"],
        provider: &["IN request", "OUT response"],
        again: Again::Replayed,
    },
    Row {
        when: When::Step(Step::Received),
        side: Side::Consumer,
        got: Got::Lost,
        asked: 1,
        consumer: &["OUT request", "IN response"],
        provider: &["IN request", "OUT response"],
        again: Again::NotTried,
    },
];

/// The step of this name, as `--abort-at` takes it.
pub fn step_named(name: &str) -> Option<Step> {
    Step::ALL
        .into_iter()
        .find(|step| format!("{step:?}") == name)
}

/// `docs/walk.md`.
pub fn document() -> String {
    let mut text = BEFORE.to_owned();
    for row in &TABLE {
        let asked = if row.asked == 0 { "no" } else { "yes" };
        // A `String` takes everything written to it.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.when,
            row.side,
            row.got,
            asked,
            entries(row.consumer),
            entries(row.provider),
            row.again,
        );
    }
    text + AFTER
}

fn entries(lines: &[&str]) -> String {
    if lines.is_empty() {
        return "none".to_owned();
    }
    lines.join(", ")
}

// === impl Row ===

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}'s server stops: {}", self.side, self.when)
    }
}

// === impl When ===

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step(Step::Called) => "1 the call has arrived",
            Self::Step(Step::Decided) => "2 the consumer's server permitted it",
            Self::Step(Step::RequestLogged) => "3 OUT(request) is durable",
            Self::Step(Step::Sent) => "4 the envelope goes to the transport",
            Self::Step(Step::Opened) => "5 the provider's server opened it",
            Self::Step(Step::Admitted) => "6 the provider's server permitted it",
            Self::Step(Step::RequestAccepted) => "7 IN(request) is durable",
            Self::Step(Step::SystemAnswered) => "7 the system has answered",
            Self::Step(Step::ResponseLogged) => "8 OUT(response) is durable",
            Self::Step(Step::Received) => "9 IN(response) is durable",
            Self::Working => "7 the system works",
        })
    }
}

// === impl Side ===

impl Side {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Consumer => Self::Provider,
            Self::Provider => Self::Consumer,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        })
    }
}

// === impl Got ===

impl Got {
    /// What a call came to.
    pub fn of<T>(called: &Result<T, Status>) -> Self {
        match called {
            Ok(_) => Self::Answered,
            Err(status) => match Told::from_status(status) {
                Some(told) => Self::Refused(told.reason.into()),
                None => Self::Lost,
            },
        }
    }

    /// Whether it is a refusal with this reason.
    pub fn is_refused(&self, reason: &str) -> bool {
        matches!(self, Self::Refused(told) if told == reason)
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("the answer"),
            Self::Lost => f.write_str("connection lost"),
            Self::Refused(reason) => write!(f, "`{reason}`"),
        }
    }
}

// === impl Again ===

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::NotTried => "–",
            Self::Replayed => "`REPLAYED`",
        })
    }
}

const OUTCOME_UNKNOWN: Got = Got::Refused(std::borrow::Cow::Borrowed("OUTCOME_UNKNOWN"));

const BEFORE: &str = "\
# What a stop leaves behind

Either server may stop at any moment: the power fails, the process is killed, the machine is lost for a
while. This table says what each moment leaves behind, once both servers run again. It is data of the
tests (`tests/src/walk/table.rs`), which walk it with real processes that abort at each step, and on a
simulated disk that loses every part of what was not synced.

| the exchange has come to | whose server stops | the caller gets | system asked | consumer's ledger | provider's ledger | the same message again |
| --- | --- | --- | --- | --- | --- | --- |
";

const AFTER: &str = "
Only the entries of the exchange are shown; SESSION, VIEW and BOOT stand between them.

* Nothing leaves a server before its entry is durable, so a stop before step 3 leaves no trace, and none
  after it lacks one.
* A caller that gets `OUTCOME_UNKNOWN`, or loses its connection, does not know whether the provider's
  system acted. Both ledgers do, and neither changes its mind: each request has exactly one end on each
  side.
* The provider closes what it had accepted and not answered when it starts again, with a signed fault
  `OUTCOME_UNKNOWN`. The consumer closes what it had sent with OUTCOME `crashed`, or, when it lived on and
  only the connection broke, at once with OUTCOME `timeout`.
* A second start adds nothing.
* A message whose IN(request) is durable is refused as `REPLAYED` after a restart: the replay window is
  rebuilt from the ledger before the server listens. One that was opened but not logged was not accepted
  yet, and may come again.
";
