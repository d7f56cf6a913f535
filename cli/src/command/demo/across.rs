//! Sections 8 to 11: two provinces with registries of their own, questions across, and a recognition suspended.

use std::time::Duration;

use entente_clock::{Clock as _, SystemClock};
use entente_directory::Standing;
use entente_reason::Reason;
use entente_sandbox::{DEATHS, Door, FEDERAL, Federation, HEALTH, PROVINCES, Question, Step};

use super::ask::{Asked, WITHIN};
use super::{Demo, PENSIONS, PROVIDER, broken};
use crate::command::sandbox::print_step;
use crate::exit::Failure;
use crate::texts::{Fact, Text};

// === impl Demo ===

impl Demo<'_> {
    /// Two more registries with an agency each, recognised by the first and recognising it.
    pub(super) async fn provinces(&mut self, federation: &mut Federation) -> Result<(), Failure> {
        self.section(Text::DemoProvinces);
        self.tell(Text::DemoProvincesSays, &[]);
        let screen = self.screen;
        let mut show = |step| match step {
            // As in the first section.
            Step::AdapterStarted { .. }
            | Step::MemberApplied { .. }
            | Step::ServerRegistered { .. } => {}
            step => print_step(&step, screen),
        };
        let added = federation.add_provinces(&mut show).await;
        added.map_err(|error| broken(&error))
    }

    /// A province asks the first jurisdiction: answered, and in both ledgers.
    pub(super) async fn across(&mut self, federation: &Federation) -> Result<(), Failure> {
        self.section(Text::DemoAcross);
        let asked = Asked::new()?;
        let question = asked.question(self, PROVIDER)?;
        self.tell_question(&asked, &HEALTH, &question);
        let door = federation.door(&HEALTH).map_err(|error| broken(&error))?;
        let answer = self.until_answered(&door, &question, FIRST_WITHIN).await?;
        let transaction = self.tell_answer(&asked, answer)?;
        self.same_on_both_sides((&HEALTH, PROVIDER), &transaction)
    }

    /// A province asks the other: refused while only the first jurisdiction recognises both, answered once they
    /// recognise each other.
    pub(super) async fn between(&mut self, federation: &Federation) -> Result<(), Failure> {
        self.section(Text::DemoBetween);
        self.tell(Text::DemoBetweenSays, &[]);
        let asked = Asked::new()?;
        let question = asked.question(self, &DEATHS)?;
        self.tell_question(&asked, &HEALTH, &question);
        let door = federation.door(&HEALTH).map_err(|error| broken(&error))?;
        let reason = Reason::JurisdictionNotRecognised;
        let told = self.expect(&door, &question, reason).await?;
        let members = (HEALTH.member(), DEATHS.jurisdiction);
        let facts: [Fact<'_>; 2] = [("from", &members.0), ("to", &members.1)];
        let text = self.screen.text(Text::DemoNotTransitive, &facts);
        self.refused(&self.with_reason(&text, &told));

        let screen = self.screen;
        let mut show = |step| print_step(&step, screen);
        let joined = federation.join_provinces(&mut show).await;
        joined.map_err(|error| broken(&error))?;
        let answer = self.until_answered(&door, &question, FIRST_WITHIN).await?;
        let told = asked.read(&answer.body)?;
        self.done(Text::DemoNowAnswered, &[("answer", &told)]);
        let missing = || self.not_as_told("the answer has no transaction");
        let transaction = answer.transaction.ok_or_else(missing)?;
        self.same_on_both_sides((&HEALTH, &DEATHS), &transaction)
    }

    /// One recognition of three is suspended: that pair is refused, and no other. Then it is resumed.
    pub(super) async fn suspend(&mut self, federation: &Federation) -> Result<(), Failure> {
        self.section(Text::DemoSuspension);
        let asked = Asked::new()?;
        let screen = self.screen;
        let mut show = |step| print_step(&step, screen);
        let (home, abroad) = (
            asked.question(self, PROVIDER)?,
            asked.question(self, &DEATHS)?,
        );
        let health = federation.door(&HEALTH).map_err(|error| broken(&error))?;
        let pensions = federation.door(PENSIONS).map_err(|error| broken(&error))?;
        // Their servers may only now have heard of the agreement.
        self.until_answered(&pensions, &abroad, FIRST_WITHIN)
            .await?;

        let pair = (&FEDERAL, &PROVINCES[0]);
        let reason = Some("SAFEGUARD_BREACH".to_owned());
        let suspended = federation.stand(pair, Standing::Suspended, reason, &mut show);
        suspended.await.map_err(|error| broken(&error))?;
        let suspended_at = SystemClock.now();
        let told = self
            .until_refused(&health, &home, Reason::JurisdictionNotRecognised)
            .await?;
        let millis = SystemClock.now().since(suspended_at).as_millis();
        let facts: [Fact<'_>; 3] = [
            ("from", &HEALTH.member()),
            ("to", &PROVIDER.member()),
            ("millis", &millis),
        ];
        let text = screen.text(Text::DemoAfterSuspension, &facts);
        self.refused(&self.with_reason(&text, &told));
        for (from, door, question) in [
            (&HEALTH, &health, &abroad),
            (PENSIONS, &pensions, &abroad),
            (PENSIONS, &pensions, &home),
        ] {
            self.goes_on(door, question).await?;
            let members = (from.member(), question.to.member());
            let facts: [Fact<'_>; 2] = [("from", &members.0), ("to", &members.1)];
            self.done(Text::DemoGoesOn, &facts);
        }

        let resumed = federation.stand(pair, Standing::Active, None, &mut show);
        resumed.await.map_err(|error| broken(&error))?;
        let answer = self.until_answered(&health, &home, WITHIN).await?;
        let told = asked.read(&answer.body)?;
        self.done(Text::DemoAcrossAgain, &[("answer", &told)]);
        Ok(())
    }

    /// Answered at once, without a second try.
    async fn goes_on(&self, door: &Door, question: &Question) -> Result<(), Failure> {
        let answer = door.ask(question).await;
        answer.map(|_| ()).map_err(|error| broken(&error))
    }
}

/// What it may take until servers on either side follow a registry that was only just recognised.
const FIRST_WITHIN: Duration = Duration::from_secs(30);
