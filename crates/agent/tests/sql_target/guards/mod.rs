//! Every guard of the helpers, taken away one at a time: some test has to fail without it.
//!
//! A guard is a text of `sql/helpers` and what stands there instead when it is gone. The tests of this program run
//! on helpers weakened so, unchanged: `Lab` installs what [`weakened`] makes of the script. What always holds: each text
//! is found (a guard that moved has to be brought along), each weakened script can be installed, each refusal that a
//! helper knows is in the list or has its reason for not being there.

#![expect(clippy::print_stdout, reason = "which test noticed is for the reader")]

mod end;
mod mint;
mod packs;
mod rights;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use gk_testkit::{TestPg, Version};

use crate::lab::{DATA, options};

/// Texts and what stands there without the guard. More than one where two guards watch over the same thing.
type Cuts = &'static [(&'static str, &'static str)];

/// A test, to be run on weakened helpers.
type Scenario = fn(Version) -> Pin<Box<dyn Future<Output = ()>>>;

/// One guard, and the test that fails without it.
struct Guard {
    /// The refusal it gives, as its message begins, or what it sees to.
    what: &'static str,
    cuts: Cuts,
    test: Scenario,
}

/// Declares guards: what, texts, the test by its path.
macro_rules! guards {
    ($($what:literal, [$(($text:expr, $put:expr)),+ $(,)?], $test:path;)+) => {
        pub(super) const GUARDS: &[super::Guard] = &[$(super::Guard {
            what: $what,
            cuts: &[$(($text, $put)),+],
            test: |version| Box::pin($test(version)),
        }),+];
    };
}
use guards;

fn all() -> impl Iterator<Item = &'static Guard> {
    [rights::GUARDS, packs::GUARDS, mint::GUARDS, end::GUARDS].into_iter().flatten()
}

/// Refusals that guard nothing: they put an error of the server into words, or are beyond what a target's users reach.
const NO_GUARD: [(&str, &str); 13] = [
    ("bad pack version", "the DBA's own input; the table's CHECK stands behind it"),
    ("bad pack digest", "the DBA's own input; the table's CHECK stands behind it"),
    ("pack name and version are too long together", "the DBA's own input; a name that is cut off would be found taken"),
    ("role % exists already and is no registered pack", "the DBA's own input; CREATE ROLE refuses it after that"),
    ("pack % % is not registered", "the DBA's own input; there would be nothing to enable"),
    ("this database has no schema", "the DBA's own input, for the doctor alone"),
    ("creating role % was cancelled", "an error of the server in other words"),
    ("could not create role", "an error of the server in other words; its text is watched by another guard"),
    ("giving role % a new secret was cancelled", "an error of the server in other words"),
    ("could not give role % a new", "an error of the server in other words"),
    ("making a spare role was cancelled", "an error of the server in other words"),
    ("could not make spare role", "an error of the server in other words"),
    (
        "role % exists already and is none of Gatekeeper",
        "the DBA's own bootstrap: a name that is taken, told before anything is made",
    ),
];

thread_local! {
    /// What this thread's helpers lack.
    static LACKING: Cell<Cuts> = const { Cell::new(&[]) };
}

/// The script without the guard that this thread took away; unchanged in every other test.
pub(crate) fn weakened(script: &str) -> String {
    LACKING.get().iter().fold(script.to_owned(), |script, (text, put)| {
        assert_eq!(script.matches(text).count(), 1, "a guard's text has to be there once: {text}");
        script.replace(text, put)
    })
}

/// Runs a guard's test without the guard. What it said as it failed; `None` if it passed.
fn killed(guard: &'static Guard) -> Option<String> {
    let weak = std::thread::spawn(move || {
        LACKING.set(guard.cuts);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let test = (guard.test)(Version::From16);
        // A test that hangs without the guard has noticed, too.
        let ran = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(45), test).await });
        runtime.shutdown_background();
        ran.expect("was over in time");
    });
    let said = weak.join().err()?;
    let text =
        said.downcast_ref::<String>().cloned().or_else(|| said.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_default().lines().next().unwrap_or_default().to_owned())
}

/// How many tests share the list.
const PARTS: usize = 16;

fn part(number: usize) {
    let survivors: Vec<&str> = all()
        .skip(number)
        .step_by(PARTS)
        .filter(|guard| match killed(guard) {
            Some(said) => {
                println!("found without `{}`: {said}", guard.what);
                false
            }
            None => true,
        })
        .map(|guard| guard.what)
        .collect();
    assert!(survivors.is_empty(), "no test fails without: {survivors:#?}");
}

macro_rules! parts {
    ($($name:ident = $number:literal),*) => {$(
        #[test]
        fn $name() {
            part($number);
        }
    )*};
}
parts!(
    no_guard_can_go_unnoticed_01_of_16 = 0,
    no_guard_can_go_unnoticed_02_of_16 = 1,
    no_guard_can_go_unnoticed_03_of_16 = 2,
    no_guard_can_go_unnoticed_04_of_16 = 3,
    no_guard_can_go_unnoticed_05_of_16 = 4,
    no_guard_can_go_unnoticed_06_of_16 = 5,
    no_guard_can_go_unnoticed_07_of_16 = 6,
    no_guard_can_go_unnoticed_08_of_16 = 7,
    no_guard_can_go_unnoticed_09_of_16 = 8,
    no_guard_can_go_unnoticed_10_of_16 = 9,
    no_guard_can_go_unnoticed_11_of_16 = 10,
    no_guard_can_go_unnoticed_12_of_16 = 11,
    no_guard_can_go_unnoticed_13_of_16 = 12,
    no_guard_can_go_unnoticed_14_of_16 = 13,
    no_guard_can_go_unnoticed_15_of_16 = 14,
    no_guard_can_go_unnoticed_16_of_16 = 15
);

/// Else a guard's test would fail for a slip of the pen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helpers_without_a_guard_can_be_installed() {
    let pg = TestPg::start(Version::From16).await;
    for (number, guard) in all().enumerate() {
        let name = format!("weak{number}");
        pg.create_database(&name).await;
        let dba = pg.superuser(&name).await;
        dba.batch_execute(DATA).await.unwrap();
        LACKING.set(guard.cuts);
        let script = crate::lab::script(&options());
        LACKING.set(&[]);
        dba.batch_execute(&script).await.unwrap_or_else(|error| panic!("without `{}`: {error:?}", guard.what));
    }
}

#[test]
fn every_refusal_of_the_helpers_is_a_guard_that_is_tried_or_says_why_not() {
    let script = gk_agent::bootstrap::script(&options());
    let helpers = script.split("-- ==== 80_doctor.sql").next().unwrap();
    let helpers = helpers.split_once("-- ==== 10_registry.sql").unwrap().1;
    let known: Vec<&str> = all().map(|guard| guard.what).chain(NO_GUARD.iter().map(|(what, _)| *what)).collect();
    let refusals = helpers.split("RAISE EXCEPTION '").skip(1);
    let unknown: Vec<&str> = refusals
        .map(|rest| rest.split("', ").next().unwrap().lines().next().unwrap())
        .filter(|message| !known.iter().any(|what| message.starts_with(what)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(NO_GUARD.iter().all(|(what, why)| helpers.contains(what) && !why.is_empty()));
    assert!(all().count() >= 60, "{}", all().count());
}
