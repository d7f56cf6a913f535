//! Sections 8 and 9: a province with a registry of its own, a question across, and a recognition suspended.

use std::time::Duration;

use entente_clock::{Clock as _, SystemClock};
use entente_directory::Standing;
use entente_reason::Reason;
use entente_sandbox::{Federation, HEALTH};

use super::ask::{Asked, WITHIN};
use super::{Demo, broken};
use crate::command::sandbox::print_step;
use crate::exit::Failure;
use crate::texts::Text;

// === impl Demo ===

impl Demo<'_> {
    /// A second registry with an agency, recognised either way, and an agreement across.
    pub(super) async fn province(&mut self, federation: &mut Federation) -> Result<(), Failure> {
        self.section(Text::DemoProvince);
        self.tell(Text::DemoProvinceSays, &[]);
        let screen = self.screen;
        let mut show = |step| print_step(&step, screen);
        let added = federation.add_province(&mut show).await;
        added.map_err(|error| broken(&error))
    }

    /// Answered and in both ledgers; refused while the recognition is suspended; answered again.
    pub(super) async fn across(&mut self, federation: &Federation) -> Result<(), Failure> {
        self.section(Text::DemoAcross);
        let asked = Asked::new()?;
        let question = asked.question(self)?;
        self.tell_question(&asked, &HEALTH, &question);
        let door = federation.door(&HEALTH).map_err(|error| broken(&error))?;
        let answer = self.until_answered(&door, &question, FIRST_WITHIN).await?;
        let transaction = self.tell_answer(&asked, answer)?;
        self.both_sides(&HEALTH, &transaction)?;

        let screen = self.screen;
        let mut show = |step| print_step(&step, screen);
        let reason = Some("SAFEGUARD_BREACH".to_owned());
        let suspended = federation.stand(Standing::Suspended, reason, &mut show);
        suspended.await.map_err(|error| broken(&error))?;
        let suspended_at = SystemClock.now();
        let told = self
            .until_refused(&door, &question, Reason::JurisdictionNotRecognised)
            .await?;
        let millis = SystemClock.now().since(suspended_at).as_millis();
        let text = screen.text(Text::DemoAfterSuspension, &[("millis", &millis)]);
        self.refused(&self.with_reason(&text, &told));

        let resumed = federation.stand(Standing::Active, None, &mut show);
        resumed.await.map_err(|error| broken(&error))?;
        let answer = self.until_answered(&door, &question, WITHIN).await?;
        let told = asked.read(&answer.body)?;
        self.done(Text::DemoAcrossAgain, &[("answer", &told)]);
        Ok(())
    }
}

/// What it may take until servers on either side follow a registry that was only just recognised.
const FIRST_WITHIN: Duration = Duration::from_secs(30);
