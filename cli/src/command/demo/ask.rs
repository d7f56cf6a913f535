//! Sections 4 to 6: a question answered, the same question refused, and the end of an agreement.

use std::time::Duration;

use bytes::Bytes;
use entente_adapter_sql::samples::{self, DECEASED};
use entente_agreement::Agreement;
use entente_clock::{Clock as _, SystemClock};
use entente_contract::{Contract, Direction};
use entente_identity::{ElementName, MethodName};
use entente_reason::Reason;
use entente_sandbox::{Agency, Answer, AskError, Door, Federation, Question, Refused};
use serde_json::{Value, json};

use super::{Demo, PENSIONS, PROVIDER, TRANSPORT, broken};
use crate::command::sandbox::print_step;
use crate::exit::Failure;
use crate::texts::{Fact, Text};

/// The contract of the demo, and the method asked.
pub(super) struct Asked {
    contract: Contract,
    method: MethodName,
}

// === impl Demo ===

impl Demo<'_> {
    /// A lookup, answered with the released elements only. Its transaction.
    pub(super) async fn ask(&mut self, federation: &Federation) -> Result<String, Failure> {
        self.section(Text::DemoQuestion);
        let asked = Asked::new()?;
        let question = asked.question(self, PROVIDER)?;
        self.tell_question(&asked, PENSIONS, &question);
        let door = federation.door(PENSIONS).map_err(|error| broken(&error))?;
        let answer = door.ask(&question).await.map_err(|error| broken(&error))?;
        self.tell_answer(&asked, answer)
    }

    /// What is about to be asked.
    pub(super) fn tell_question(&self, asked: &Asked, from: &Agency, question: &Question) {
        let facts: [Fact<'_>; 4] = [
            ("from", &from.system()),
            ("to", &question.to),
            ("method", &asked.method.method()),
            ("purpose", &PURPOSE),
        ];
        self.tell(Text::DemoAsks, &facts);
        self.line(&format!("     {}", asked.request()));
    }

    /// An answer, which holds what was released and no more. Its transaction.
    pub(super) fn tell_answer(&self, asked: &Asked, answer: Answer) -> Result<String, Failure> {
        let told = asked.read(&answer.body)?;
        self.tell(Text::DemoAnswered, &[]);
        self.line(&format!("     {told}"));
        let fields = told
            .as_object()
            .map(|fields| fields.keys().cloned().collect::<Vec<_>>());
        let released = ["dateOfDeath", "registered"].map(str::to_owned);
        self.ensure(
            fields.as_deref() == Some(&released),
            "the answer has other fields",
        )?;
        self.show_what_stayed(asked, &answer.body)?;
        let missing = || self.not_as_told("the answer has no transaction or receipt");
        let transaction = answer.transaction.ok_or_else(missing)?;
        let receipt = answer.receipt.ok_or_else(missing)?;
        let facts: [Fact<'_>; 2] = [("transaction", &transaction), ("receipt", &receipt)];
        self.done(Text::DemoReceipt, &facts);
        Ok(transaction)
    }

    /// What the source holds of this person besides, none of which is in the answer's bytes.
    fn show_what_stayed(&self, asked: &Asked, answer: &Bytes) -> Result<(), Failure> {
        let people = samples::people();
        let person = people.iter().find(|person| person.number == DECEASED);
        let death = person.and_then(|person| person.death.as_ref());
        let death = death.ok_or_else(|| self.not_as_told("the database lacks the person asked"))?;
        let crossed = |value: &str| {
            let mut windows = answer.windows(value.len().max(1));
            windows.any(|window| window == value.as_bytes())
        };
        let stayed = [&death.cause, &death.informant, &death.registration]
            .iter()
            .all(|value| !crossed(value));
        self.ensure(stayed, "a value crossed that was not released")?;
        let elements = asked.contract.elements(&asked.method, Direction::Response);
        let elements = elements.map_err(|error| broken(&error))?;
        let kept: Vec<&str> = elements
            .iter()
            .map(ElementName::as_str)
            .filter(|element| !RELEASED.contains(element))
            .collect();
        self.done(Text::DemoStayed, &[("elements", &kept.join(", "))]);
        Ok(())
    }

    /// The same lookup for another purpose, for another element, and by another agency.
    pub(super) async fn refuse(&mut self, federation: &Federation) -> Result<(), Failure> {
        self.section(Text::DemoRefusals);
        let asked = Asked::new()?;
        let pensions = federation.door(PENSIONS).map_err(|error| broken(&error))?;
        let transport = federation.door(TRANSPORT).map_err(|error| broken(&error))?;

        let mut research = asked.question(self, PROVIDER)?;
        research.purpose = Some("RESEARCH".parse().map_err(|error| broken(&error))?);
        let told = self
            .expect(&pensions, &research, Reason::PurposeNotAgreed)
            .await?;
        self.tell_refusal(Text::DemoWrongPurpose, &told);

        let mut cause = asked.question(self, PROVIDER)?;
        cause.elements = ["death.cause".parse().map_err(|error| broken(&error))?].into();
        let told = self
            .expect(&pensions, &cause, Reason::ElementNotAgreed)
            .await?;
        self.tell_refusal(Text::DemoWrongElement, &told);

        let question = asked.question(self, PROVIDER)?;
        let told = self
            .expect(&transport, &question, Reason::NoAgreement)
            .await?;
        self.tell_refusal(Text::DemoNoAgreement, &told);
        Ok(())
    }

    /// Revoked, and refused; signed anew, and answered. The agreement now in force.
    pub(super) async fn revoke(
        &mut self,
        federation: &Federation,
        agreement: &Agreement,
    ) -> Result<Agreement, Failure> {
        self.section(Text::DemoRevocation);
        let asked = Asked::new()?;
        let door = federation.door(PENSIONS).map_err(|error| broken(&error))?;
        let screen = self.screen;
        let mut show = |step| print_step(&step, screen);
        let revoked = federation.revoke(PROVIDER, agreement, "SAFEGUARD_BREACH", &mut show);
        revoked.await.map_err(|error| broken(&error))?;
        let revoked_at = SystemClock.now();
        let question = asked.question(self, PROVIDER)?;
        let told = self
            .until_refused(&door, &question, Reason::AgreementRevoked)
            .await?;
        let millis = SystemClock.now().since(revoked_at).as_millis();
        let refusal = self
            .screen
            .text(Text::DemoAfterRevocation, &[("millis", &millis)]);
        self.refused(&self.with_reason(&refusal, &told));

        let next = federation.sign_next(2, agreement, &mut show).await;
        let next = next.map_err(|error| broken(&error))?;
        federation.settle().await.map_err(|error| broken(&error))?;
        let question = asked.question(self, PROVIDER)?;
        let answer = self.until_answered(&door, &question, WITHIN).await?;
        let told = asked.read(&answer.body)?;
        self.done(Text::DemoAgain, &[("answer", &told)]);
        Ok(next)
    }

    /// Asks until it is refused, which must be for `reason`.
    pub(super) async fn until_refused(
        &self,
        door: &Door,
        question: &Question,
        reason: Reason,
    ) -> Result<Refused, Failure> {
        let refused = async || match door.ask(question).await {
            Err(AskError::Refused(told)) => Ok(Some(*told)),
            Ok(_) => Ok(None),
            Err(error) => Err(broken(&error)),
        };
        let told = self.until(WITHIN, refused).await?;
        let as_told = told.reason == Some(reason);
        self.ensure(as_told, "the call was refused for another reason")?;
        Ok(told)
    }

    /// Asks until it is answered: what changed a registry is on its way to the servers.
    pub(super) async fn until_answered(
        &self,
        door: &Door,
        question: &Question,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let answered = async || match door.ask(question).await {
            Ok(answer) => Ok(Some(answer)),
            // The servers have the change, or are about to; they are about to log that they do.
            Err(AskError::Refused(_)) => Ok(None),
            Err(error) => Err(broken(&error)),
        };
        self.until(within, answered).await
    }

    /// Tries until it has come.
    async fn until<T, F>(
        &self,
        within: Duration,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Option<T>, Failure>>,
    {
        let trying = async {
            loop {
                if let Some(came) = attempt().await? {
                    return Ok(came);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(within, trying).await {
            Ok(came) => came,
            Err(_) => {
                let what = format!("it did not take effect within {} s", within.as_secs());
                Err(self.not_as_told(&what))
            }
        }
    }

    pub(super) async fn expect(
        &self,
        door: &Door,
        question: &Question,
        reason: Reason,
    ) -> Result<Refused, Failure> {
        match door.ask(question).await {
            Err(AskError::Refused(told)) if told.reason == Some(reason) => Ok(*told),
            Err(AskError::Refused(told)) => {
                let what = format!("refused as {}, not as {reason}", told.code);
                Err(self.not_as_told(&what))
            }
            Ok(_) => Err(self.not_as_told("a call was answered that is not permitted")),
            Err(error) => Err(broken(&error)),
        }
    }

    fn tell_refusal(&self, text: Text, told: &Refused) {
        let what = self.screen.text(text, &[]);
        self.refused(&self.with_reason(&what, told));
    }

    pub(super) fn with_reason(&self, what: &str, told: &Refused) -> String {
        let said = told
            .reason
            .map_or("", |reason| reason.text(self.screen.lang));
        format!("{what}\n     {}  {said}", self.screen.red(&told.code))
    }
}

// === impl Asked ===

impl Asked {
    pub(super) fn new() -> Result<Self, Failure> {
        let method: MethodName = METHOD.parse().map_err(|error| broken(&error))?;
        let set = entente_proto::VITAL_EVENTS_DESCRIPTOR_SET;
        let contract = Contract::parse(set, &method.service()).map_err(|error| broken(&error))?;
        Ok(Self { contract, method })
    }

    fn request(&self) -> Value {
        json!({ "person_number": DECEASED })
    }

    pub(super) fn question(&self, demo: &Demo<'_>, to: &Agency) -> Result<Question, Failure> {
        let json = self.request().to_string();
        let body = self
            .contract
            .decode_json(&self.method, Direction::Request, &json);
        let body = body.map_err(|error| broken(&error))?;
        Ok(Question {
            purpose: Some(PURPOSE.parse().map_err(|error| broken(&error))?),
            user: Some("u-7f3a".to_owned()),
            case: Some("GIS-2026-5521".to_owned()),
            lang: demo.screen.lang,
            ..Question::new(to.system(), self.method.clone(), body)
        })
    }

    pub(super) fn read(&self, body: &Bytes) -> Result<Value, Failure> {
        let json = self
            .contract
            .encode_json(&self.method, Direction::Response, body);
        json.map_err(|error| broken(&error))
    }
}

const METHOD: &str = "entente.demo.vitalevents.v1.VitalEvents/LookupDeath";
const PURPOSE: &str = "PROGRAM_ADMINISTRATION";
/// What the agreement of the sandbox releases.
const RELEASED: [&str; 2] = ["death.date", "death.registered"];
/// What a revocation may take (G8).
pub(super) const WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
