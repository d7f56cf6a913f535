//! The invented people of the register, drawn from short lists by a fixed sequence.

use std::fmt::Write as _;

/// A person of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Nine digits, beginning with 0.
    pub number: String,
    /// Family name.
    pub surname: String,
    /// Given name.
    pub given: String,
    /// `YYYY-MM-DD`.
    pub born: String,
    /// Other names, at most two.
    pub other_names: Vec<String>,
    /// The registered death.
    pub death: Option<Death>,
}

/// A registered death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// `R-YYYY-NNNNN`.
    pub registration: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Index into the places.
    place: usize,
    /// As certified.
    pub cause: String,
    /// Who reported it.
    pub informant: String,
    /// `SP`, `CH`, `PA`, `SI` or `OT`.
    relationship: &'static str,
}

/// A fixed sequence of numbers (xorshift32).
struct Sequence(u32);

/// Everybody, in the order of the script.
pub fn people() -> Vec<Person> {
    let mut sequence = Sequence(0x2545_f491);
    let mut people = vec![deceased(), living()];
    while people.len() < PEOPLE {
        let index = people.len();
        let given = sequence.pick(&GIVEN);
        let surname = sequence.pick(&SURNAMES);
        let dies = index < DEATHS + 1;
        let born = date(&mut sequence, 1930, 75);
        // A step coprime to the range, so that no number comes twice.
        let number = format!("0{:08}", (index * 7_654_321 + 12_345_678) % 100_000_000);
        let other_names = if sequence.next().is_multiple_of(5) {
            vec![format!("{given} {}", sequence.pick(&SURNAMES))]
        } else {
            Vec::new()
        };
        let death = dies.then(|| Death {
            registration: format!("R-{}-{index:05}", 2025 + index % 2),
            date: format!("{}{}", 2025 + index % 2, &date(&mut sequence, 2000, 1)[4..]),
            place: sequence.index(PLACES.len()),
            cause: sequence.pick(&CAUSES).to_owned(),
            informant: format!("{} {surname}", sequence.pick(&GIVEN)),
            relationship: sequence.pick(&RELATIONSHIPS),
        });
        people.push(Person {
            number,
            surname: surname.to_owned(),
            given: given.to_owned(),
            born,
            other_names,
            death,
        });
    }
    people
}

/// Tables as an old system has them: short names, padded text, dates without dashes, codes.
pub(super) fn script() -> String {
    let mut sql = String::from(
        "CREATE TABLE PLACE (PLACE_CD CHAR(3) PRIMARY KEY, PLACE_NM CHAR(24) NOT NULL);\n\
         CREATE TABLE PERSON (PERSON_NO CHAR(9) PRIMARY KEY, SURNAME VARCHAR(40) NOT NULL, \
         GIVEN VARCHAR(40) NOT NULL, BIRTH_DT CHAR(8) NOT NULL, ALIAS_TXT VARCHAR(200));\n\
         CREATE TABLE DEATH_REG (REG_NO VARCHAR(12) PRIMARY KEY, PERSON_NO CHAR(9) NOT NULL \
         REFERENCES PERSON, DEATH_DT CHAR(8) NOT NULL, PLACE_CD CHAR(3) NOT NULL REFERENCES PLACE, \
         CAUSE_TXT VARCHAR(80), INF_NAME VARCHAR(80), INF_REL_CD CHAR(2));\n\
         CREATE INDEX DEATH_BY_DATE ON DEATH_REG (DEATH_DT, REG_NO);\n\
         CREATE INDEX DEATH_BY_PERSON ON DEATH_REG (PERSON_NO);\n\
         BEGIN;\n",
    );
    for (index, place) in PLACES.iter().enumerate() {
        put(
            &mut sql,
            "PLACE",
            &[&format!("P{index:02}"), &format!("{place:<24}")],
        );
    }
    for person in people() {
        let aliases = person.other_names.join(";");
        put(
            &mut sql,
            "PERSON",
            &[
                &person.number,
                &person.surname,
                &person.given,
                &person.born.replace('-', ""),
                &aliases,
            ],
        );
        if let Some(death) = &person.death {
            put(
                &mut sql,
                "DEATH_REG",
                &[
                    &death.registration,
                    &person.number,
                    &death.date.replace('-', ""),
                    &format!("P{:02}", death.place),
                    &death.cause,
                    &death.informant,
                    death.relationship,
                ],
            );
        }
    }
    sql.push_str("COMMIT;\n");
    sql
}

fn put(sql: &mut String, table: &str, values: &[&str]) {
    let quoted: Vec<String> = values
        .iter()
        .map(|value| {
            if value.is_empty() {
                "NULL".to_owned()
            } else {
                format!("'{}'", value.replace('\'', "''"))
            }
        })
        .collect();
    let _ = writeln!(sql, "INSERT INTO {table} VALUES ({});", quoted.join(", "));
}

fn deceased() -> Person {
    Person {
        number: super::DECEASED.to_owned(),
        surname: "Vantara".to_owned(),
        given: "Marguerite".to_owned(),
        born: "1948-11-30".to_owned(),
        other_names: vec!["Marguerite Osei".to_owned(), "Maggie Osei".to_owned()],
        death: Some(Death {
            registration: "R-2026-00001".to_owned(),
            date: "2026-03-14".to_owned(),
            place: 0,
            cause: "Heart failure".to_owned(),
            informant: "Ines Vantara".to_owned(),
            relationship: "CH",
        }),
    }
}

fn living() -> Person {
    Person {
        number: super::LIVING.to_owned(),
        surname: "Kessarin".to_owned(),
        given: "Daniel".to_owned(),
        born: "1961-07-02".to_owned(),
        other_names: Vec::new(),
        death: None,
    }
}

/// A day within `years` years of the first of January of `from`; never after the 28th, and never
/// the 14th of March, which the examples keep to one person.
fn date(sequence: &mut Sequence, from: usize, years: usize) -> String {
    let year = from + sequence.index(years);
    let month = 1 + sequence.index(12);
    let day = 1 + sequence.index(28);
    let day = if (month, day) == (3, 14) { 15 } else { day };
    format!("{year:04}-{month:02}-{day:02}")
}

// === impl Person ===

impl Person {
    /// Given name and family name.
    pub fn name(&self) -> String {
        format!("{} {}", self.given, self.surname)
    }
}

// === impl Death ===

impl Death {
    /// Where the person died.
    pub fn place(&self) -> &'static str {
        PLACES.get(self.place).copied().unwrap_or_default()
    }
}

// === impl Sequence ===

impl Sequence {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn index(&mut self, len: usize) -> usize {
        self.next() as usize % len
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.index(list.len())]
    }
}

const PEOPLE: usize = 240;
const DEATHS: usize = 40;

const PLACES: [&str; 8] = [
    "Rivermouth",
    "Lac-aux-Cendres",
    "Saint-Elmire",
    "Port Amity",
    "Birchvale",
    "Grande-Anse-du-Nord",
    "Ironpoint",
    "Sainte-Clothilde",
];

const GIVEN: [&str; 24] = [
    "Aline", "Amara", "Benoît", "Chidi", "Denise", "Elodie", "Farid", "Gisèle", "Harjit", "Ines",
    "Joseph", "Kateri", "Lucien", "Mei", "Noé", "Oksana", "Priya", "Rosalie", "Samuel", "Thuy",
    "Ursule", "Viktor", "Wanda", "Yves",
];

const SURNAMES: [&str; 24] = [
    "Abendroth",
    "Beaucastel",
    "Cormorin",
    "Dellavigne",
    "Estragone",
    "Falkirque",
    "Grandmaire",
    "Hollowell-Roy",
    "Iskander",
    "Jolicourt",
    "Kanashiro",
    "Larocherie",
    "Mbekele",
    "Nightbrook",
    "O'Tarrant",
    "Pellegrine",
    "Quillerin",
    "Rasmundsen",
    "Sandhurst-Li",
    "Tremaille",
    "Ulvane",
    "Vermeilleux",
    "Wendigard",
    "Zaporin",
];

const CAUSES: [&str; 6] = [
    "Heart failure",
    "Stroke",
    "Pneumonia",
    "Accidental fall",
    "Chronic lung disease",
    "Neoplasm",
];

const RELATIONSHIPS: [&str; 5] = ["SP", "CH", "PA", "SI", "OT"];
