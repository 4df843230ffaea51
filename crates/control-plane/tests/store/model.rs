//! The session's life in a real ledger: every statement of the store in any order, against a target on paper.

#[path = "../session_model/mod.rs"]
mod session_model;

use std::time::Duration;

use gk_control_plane::store::jobs::{self, Completion};
use gk_control_plane::store::sessions::{self, ExtendRequest, Viewer};
use gk_control_plane::store::tokens::{AgentIdentity, Caller};
use gk_control_plane::store::{Origin, observe, scan};
use gk_shared::ids::SessionId;
use gk_shared::ttl::Ttl;
use gk_shared::wire::agent::Observation;
use gk_shared::wire::job::{JobOutcome, LeasedJob};
use tokio::runtime::Runtime;

use crate::support::{Books, minted_now, request, slots};
use session_model::{Known, Lives, Op, Target, explore, live};

/// A ledger on a server, and who works with it.
struct Place {
    runtime: Runtime,
    books: Books,
    agent: AgentIdentity,
    ada: Caller,
}

impl Place {
    fn open() -> Self {
        let runtime = Runtime::new().expect("a runtime can be built");
        let (books, agent, ada) = runtime.block_on(async {
            let books = Books::open().await;
            let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
            (books, agent, ada)
        });
        Self { runtime, books, agent, ada }
    }

    /// A session that was just asked for, and its target.
    fn session(&self) -> (Store<'_>, Target) {
        let session = self.runtime.block_on(self.books.create(&self.ada)).id;
        (Store { place: self, session }, Target::new(session, minted_now() + Duration::from_secs(600)))
    }

    fn explore(&self, lives: Lives) -> Result<(), String> {
        explore(lives, || self.session()).map_err(|(story, ops)| format!("{ops:?}: {story}"))
    }
}

/// One session in it.
struct Store<'p> {
    place: &'p Place,
    session: SessionId,
}

impl Store<'_> {
    fn force(&self, sql: &str) {
        let sql = sql.replace("$1", &format!("'{}'", self.session.uuid()));
        self.place.runtime.block_on(self.place.books.force(&sql));
    }

    fn scan(&self) {
        self.place.runtime.block_on(scan::run(&self.place.books.ledger)).expect("scans");
    }

    fn events(&self) -> Vec<String> {
        let sql = format!("SELECT action FROM audit_events WHERE object = '{}' ORDER BY txid, id", self.session);
        self.place.runtime.block_on(async {
            let rows = self.place.books.superuser().await.query(&sql, &[]).await.expect("reads the log");
            rows.iter().map(|row| row.get(0)).collect()
        })
    }
}

impl session_model::Books for Store<'_> {
    fn claim(&mut self) -> Vec<LeasedJob> {
        let Place { runtime, books, agent, .. } = self.place;
        let jobs = runtime.block_on(jobs::claim(&books.ledger, agent, &slots(8, 8, 0))).expect("claims");
        jobs.into_iter().filter(|lease| lease.job.session() == self.session).collect()
    }

    fn report(&mut self, lease: &LeasedJob, outcome: &JobOutcome) -> bool {
        let Place { runtime, books, agent, .. } = self.place;
        matches!(runtime.block_on(books.report(agent, lease, outcome.clone())), Completion::Taken(_))
    }

    fn revoke(&mut self) {
        let Place { runtime, books, ada, .. } = self.place;
        runtime.block_on(books.revoke(ada, self.session));
    }

    fn extend(&mut self) {
        let (ttl, ceiling) = (Ttl::from_minutes(15).expect("is a ttl"), Ttl::from_minutes(240).expect("is a ttl"));
        let wish = ExtendRequest { id: self.session, viewer: Viewer::All, ttl, ceiling, note: None };
        let asked = sessions::extend(&self.place.books.ledger, Origin::actor("ada", request()), &wish);
        self.place.runtime.block_on(asked).expect("answers");
    }

    fn time_up(&mut self) {
        self.force("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = $1 AND ready_at IS NOT NULL");
        self.scan();
    }

    fn late(&mut self) {
        self.force(
            "UPDATE sessions SET provision_deadline = now() - interval '1 s' WHERE id = $1 AND ready_at IS NULL",
        );
        self.scan();
    }

    fn lose_leases(&mut self) {
        self.force("UPDATE jobs SET run_at = now() - interval '1 s' WHERE state IN ('queued', 'leased')");
    }

    fn lose_jobs(&mut self) {
        self.force("TRUNCATE jobs");
        self.scan();
    }

    fn age(&mut self) {
        self.force(
            "UPDATE sessions SET ready_at = ready_at - interval '1 minute', cut_at = cut_at - interval '1 minute',
                ended_at = ended_at - interval '1 minute' WHERE id = $1",
        );
    }

    fn observe(&mut self, look: &Observation) {
        let Place { runtime, books, agent, .. } = self.place;
        let look = Observation { target_time: minted_now(), ..look.clone() };
        let origin = Origin::agent(agent.name.as_str(), request());
        runtime.block_on(observe::observe(&books.ledger, agent, origin, &look)).expect("answers");
    }

    fn facts(&self) -> Known {
        let found = self.place.runtime.block_on(self.place.books.find(self.session));
        Known { status: found.status(), facts: found.facts, events: self.events() }
    }
}

#[test]
fn no_order_of_events_breaks_a_session_in_the_ledger() {
    let lives = Lives { count: 8, repeatable: false, shrinks: 100 };
    Place::open().explore(lives).unwrap_or_else(|story| panic!("{story}"));
}

#[test]
fn a_ledger_that_calls_a_cut_an_end_is_found_out() {
    let place = Place::open();
    let plant = "
        CREATE FUNCTION hasty() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.ended_at := coalesce(NEW.ended_at, NEW.cut_at); NEW.observed := CASE WHEN NEW.ended_at IS NULL THEN NEW.observed ELSE 'absent' END;
                  NEW.blocked := CASE WHEN NEW.ended_at IS NULL THEN NEW.blocked END; RETURN NEW; END $$;
        CREATE TRIGGER hasty BEFORE UPDATE OF cut_at ON sessions FOR EACH ROW EXECUTE FUNCTION hasty()";
    place.runtime.block_on(place.books.force(plant));
    let ops = [Op::Claim, Op::Act(0), Op::Report(0), Op::Block, Op::Revoke, Op::Claim, Op::Act(1), Op::Report(1)];
    let story = live(place.session(), &ops).expect_err("the planted bug went unnoticed");
    assert!(story.contains("it is over and no event says so"), "{story}");
}
