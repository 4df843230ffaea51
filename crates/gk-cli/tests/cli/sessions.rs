//! Sessions: asked for, opened, shown, ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;
use serde_json::json;

use crate::scripted::{PASSWORD, Reply, Scripted, dsn, ready, session, view};
use crate::support::{Home, Ran, words};

const CREATE: &str = "session create --target pg-local --role app_read --ttl 15m --reason debug";

#[test]
fn create_prints_the_dsn_and_nothing_else_on_stdout() {
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(words(CREATE)).exits(0);
    assert_eq!(ran.stdout, format!("{}\n", dsn()));
    let first = ran.stderr.lines().find(|line| line.starts_with('✓')).expect("says what was made").to_owned();
    let id = session();
    assert!(
        first.starts_with(&format!("✓ {id}  app_read on pg-local, expires 14:47 UTC (in 15m), ready in ")),
        "{first}"
    );
    assert!(ran.stderr.contains(&format!("end  gk session revoke {id}")) && !ran.stderr.contains(PASSWORD));
    assert!(
        ran.stderr.contains("use  gk connect pg-local --role app_read "),
        "works with several roles: {}",
        ran.stderr
    );
    assert!(ran.stderr.contains(&format!("extend  gk session extend {id} --ttl 15m ")), "{}", ran.stderr);
    let asked = &plane.seen()[0];
    assert_eq!(asked.query, "wait=30s");
    assert_eq!(asked.body["ttlSeconds"], 900);
    assert!(asked.body["recipientPublicKey"].is_string() && asked.body.get("ttlMinutes").is_none());
    assert!(asked.header("idempotency-key").is_some_and(|key| key.len() == 32));
    assert!(asked.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
}

#[test]
fn json_has_a_schema_the_dsn_and_no_seal() {
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(words(&format!("{CREATE} --json"))).exits(0);
    let body = ran.json();
    assert_eq!((&body["schema"], &body["dsn"]), (&json!("gk.session.v1"), &json!(dsn())));
    assert!(body.get("sealedCredential").is_none());
    assert_eq!(ran.stderr, "", "a program reads stderr for errors alone");
    let field = Home::at(&plane.url).gk(words(&format!("{CREATE} --field sessionId"))).exits(0);
    assert_eq!(field.stdout, format!("{}\n", session()));
}

#[test]
fn a_session_that_is_on_its_way_is_waited_for_and_what_is_awaited_is_said() {
    let path = format!("/v1/sessions/{}", session());
    let sealed = Mutex::new(None);
    let plane = Scripted::start(move |seen| {
        let mut sealed = sealed.lock().expect("nobody panicked");
        if seen.is("POST", "/v1/sessions") {
            *sealed = Some(ready(&seen.body));
            return Some(Reply::json(201, &view("provisioning")).after(Duration::from_millis(300)));
        }
        let done = sealed.clone().filter(|_| seen.is("GET", &path));
        done.map(|done| Reply::json(200, &done).after(Duration::from_millis(100)))
    });
    let ran = Home::at(&plane.url).gk(words(CREATE)).exits(0);
    assert_eq!(ran.stdout, format!("{}\n", dsn()));
    let order: Vec<usize> = ["asking for app_read on pg-local", "policy ok", "agent minting", "✓ sess_"]
        .iter()
        .map(|step| ran.stderr.find(step).unwrap_or_else(|| panic!("no `{step}` in {}", ran.stderr)))
        .collect();
    assert!(order.is_sorted(), "{}", ran.stderr);
}

#[test]
fn a_wait_that_is_over_exits_8_and_the_session_can_be_opened_later() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (late, made) = (Arc::new(AtomicBool::new(false)), Mutex::new(None));
    let (path, is_late) = (format!("/v1/sessions/{}", session()), Arc::clone(&late));
    let plane = Scripted::start(move |seen| {
        let mut made = made.lock().expect("nobody panicked");
        if seen.is("POST", "/v1/sessions") {
            *made = Some(ready(&seen.body));
            return Some(Reply::json(201, &view("provisioning")));
        }
        let now = made.clone().filter(|_| is_late.load(Ordering::SeqCst)).unwrap_or_else(|| view("provisioning"));
        seen.is("GET", &path).then(|| Reply::json(200, &now))
    });
    let home = Home::at(&plane.url);
    let ran = home.gk(words(&format!("{CREATE} --wait=1s"))).exits(8).silent().says("error[wait_timeout]");
    let ran = ran.says(&format!("gk session dsn {}", session()));
    assert!(!ran.stderr.contains(PASSWORD));
    home.gk(["session", "dsn", &session().to_string()]).exits(8).silent().says("error[session_not_ready]");
    late.store(true, Ordering::SeqCst);
    let later = home.gk(["session", "dsn", &session().to_string()]).exits(0);
    assert_eq!(later.stdout, format!("{}\n", dsn()));
    // Nobody else has that key.
    Home::at(&plane.url).gk(["session", "dsn", &session().to_string()]).exits(6).says("credential_gone").silent();
}

#[test]
fn a_saved_idempotency_key_gives_both_callers_the_same_request() {
    let plane = Scripted::good();
    let line = format!("{CREATE} --idempotency-key deploy-2026-11-22");
    for _ in 0..2 {
        let ran = Home::at(&plane.url).gk(words(&line)).exits(0);
        assert_eq!(ran.stdout, format!("{}\n", dsn()));
    }
    let seen = plane.seen();
    assert_eq!(seen[0].body, seen[1].body, "another body would be refused");
    assert_eq!(seen[0].header("idempotency-key"), Some("deploy-2026-11-22"));
}

#[test]
fn reuse_takes_the_live_session_whose_key_it_kept() {
    let (path, last) = (format!("/v1/sessions/{}", session()), Mutex::new(None));
    let plane = Scripted::start(move |seen| {
        let mut last = last.lock().expect("nobody panicked");
        if seen.is("POST", "/v1/sessions") {
            *last = Some(ready(&seen.body));
        }
        last.clone().filter(|_| seen.is("GET", &path)).map(|body| Reply::json(200, &body))
    });
    let home = Home::at(&plane.url);
    for _ in 0..3 {
        let ran = home.gk(words(&format!("{CREATE} --reuse"))).exits(0);
        assert_eq!(ran.stdout, format!("{}\n", dsn()));
    }
    assert_eq!(plane.count("POST", "/v1/sessions"), 1);
}

#[test]
fn a_dry_run_says_what_policy_says() {
    let plane = Scripted::good();
    let ran = Home::at(&plane.url).gk(words(&format!("{CREATE} --dry-run"))).exits(0);
    assert_eq!(ran.stdout, "allowed by rule dev, up to 4h\n");
}

#[test]
fn a_session_that_fails_says_why_with_its_own_code() {
    let plane = Scripted::start(|seen| {
        let mut failed = view("failed");
        failed["error"] = json!({ "code": "helpers_missing", "message": "schema gk is not there", "retryable": false });
        seen.is("POST", "/v1/sessions").then(|| Reply::json(201, &failed))
    });
    Home::at(&plane.url)
        .gk(words(CREATE))
        .exits(1)
        .silent()
        .says("error[helpers_missing]")
        .says("schema gk is not there");
}

#[test]
fn policy_says_no_with_exit_5_and_a_limit_with_exit_2() {
    let refused = |code: ErrorCode, detail: &'static str| {
        let plane = Scripted::start(move |seen| seen.is("POST", "/v1/sessions").then(|| Reply::problem(code, detail)));
        Home::at(&plane.url).gk(words(CREATE)).silent()
    };
    let ran = refused(ErrorCode::RoleNotAllowed, "no rule lets dana use postgres on pg-local").exits(5);
    insta::assert_snapshot!(ran.stderr, @r"
    error[role_not_allowed]: no rule lets dana use postgres on pg-local
      why   No rule of the policy lets you use this role on this target.
      next  `gk target list` shows what you may use; an admin can add a rule to the policy file.       request req_from_server       docs/errors/role_not_allowed.md
    ");
    refused(ErrorCode::InvalidTtl, "241m is above the limit of 240m for this target")
        .exits(2)
        .says("above the limit of 240m");
    refused(ErrorCode::ReasonRequired, "policy asks for a reason").exits(2).says("error[reason_required]");
}

#[test]
fn list_show_extend_and_revoke_say_what_is() {
    let plane = Scripted::good();
    let (home, id) = (Home::at(&plane.url), session().to_string());
    insta::assert_snapshot!(home.gk(["session", "list"]).exits(0).stdout, @r"
    SESSION                          STATUS  ROLE      TARGET    REQUESTER  END
    sess_01HF7YAT00E40R2081040G2081  ready   app_read  pg-local  dana       15m left
    ");
    assert_eq!(home.gk(["session", "list", "--json"]).json()["sessions"][0]["status"], "ready");
    insta::assert_snapshot!(home.gk(["session", "show", &id]).exits(0).stdout, @r"
    session    sess_01HF7YAT00E40R2081040G2081
    status     ready
    role       app_read (pg-1.0.0)
    target     pg-local
    requester  dana
    reason     debug
    user       gk_01hf7yat00e40r2081040g2081
    created    2026-11-22T14:32:00Z
    expires    14:47 UTC (in 15m)
    request    req_from_server
    ");
    let extended = home.gk(["session", "extend", &id, "--ttl", "15m"]).exits(0);
    assert_eq!(extended.stdout, "2026-11-22T15:02:00Z\n");
    let revoked = home.gk(["session", "revoke", &format!("{id}\n")]).exits(0);
    assert_eq!(revoked.stdout, format!("{id}  revoked\n"));
    assert!(revoked.stderr.contains("no login, no connection, no role at 2026-11-22T14:40:00Z"), "{}", revoked.stderr);
}

#[test]
fn an_extension_is_waited_for_and_one_that_has_not_come_is_not_claimed() {
    let (id, path) = (session().to_string(), format!("/v1/sessions/{}/extend", session()));
    let extend = ["session", "extend", &id, "--ttl", "15m"];
    let plane = Scripted::good();
    Home::at(&plane.url).gk(extend).exits(0).says("expires 15:02 UTC (in 30m)");
    assert!(plane.seen().iter().any(|seen| seen.is("POST", &path) && seen.query == "wait=10s"));
    let at = path.clone();
    let slow = Scripted::start(move |seen| seen.is("POST", &at).then(|| Reply::json(200, &view("ready"))));
    let ran = Home::at(&slow.url).gk(extend).exits(8).silent();
    ran.says("asked; still ends 14:47 UTC").says(&format!("gk session show {id}"));
    let refused = "an extension is under way";
    let busy =
        Scripted::start(move |seen| seen.is("POST", &path).then(|| Reply::problem(ErrorCode::Conflict, refused)));
    Home::at(&busy.url).gk(extend).exits(6).silent().says(refused);
}

#[test]
fn revoking_what_has_ended_is_no_fault() {
    let path = format!("/v1/sessions/{}", session());
    let plane = Scripted::start(move |seen| {
        let mut over = view("expired");
        over["endedAt"] = json!("2026-11-22T14:47:01Z");
        seen.path.starts_with(&path).then(|| Reply::json(200, &over))
    });
    let ran = Home::at(&plane.url).gk(["session", "revoke", &session().to_string()]).exits(0);
    assert!(ran.stderr.contains("already ended at 2026-11-22T14:47:01Z (expired)"), "{}", ran.stderr);
}

#[test]
fn all_of_mine_are_ended_at_once() {
    let plane = Scripted::good();
    Home::at(&plane.url).gk(["session", "revoke", "--mine"]).exits(0);
    assert!(plane.seen()[0].query.contains("mine=true") && plane.seen()[0].query.contains("live=true"));
    assert_eq!(plane.count("POST", &format!("/v1/sessions/{}/revoke", session())), 1);
}

#[test]
fn a_session_that_never_settles_does_not_keep_the_others_alive() {
    let ids: Vec<SessionId> = (1..=20).map(|n| SessionId::from_parts(1_700_000_000_000, [n; 10])).collect();
    let all = ids.clone();
    let plane = Scripted::start(move |seen| {
        let of = |id: &SessionId, status: &str| {
            let mut one = view(status);
            one["sessionId"] = json!(id);
            one
        };
        if seen.is("GET", "/v1/sessions") {
            let listed: Vec<_> = all.iter().map(|id| of(id, "ready")).collect();
            return Some(Reply::json(200, &json!({ "sessions": listed })));
        }
        let id = all.iter().find(|id| seen.path.contains(&id.to_string()))?;
        let status = if *id == all[0] { "revoking" } else { "revoked" };
        Some(Reply::json(200, &of(id, status)))
    });
    let ran = Home::at(&plane.url).gk(["session", "revoke", "--mine"]).exits(8);
    let seen = plane.seen();
    let first_look =
        seen.iter().position(|seen| seen.path == format!("/v1/sessions/{}", ids[0])).expect("is looked at");
    let asked = |seen: &&crate::scripted::Seen| seen.path.ends_with("/revoke");
    assert_eq!(seen[..first_look].iter().filter(asked).count(), 20, "all are asked before one is waited for");
    assert!(seen.iter().filter(asked).all(|seen| seen.query.is_empty()), "no call waits");
    assert!(ran.stdout.starts_with(&format!("{}  revoking\n{}  revoked\n", ids[0], ids[1])), "{}", ran.stdout);
    ran.says(&format!("{} is revoking; it goes on by itself", ids[0]));
}

#[test]
fn watch_prints_each_change_as_one_object_a_line() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let plane = Scripted::start(move |seen| {
        let turn = calls.fetch_add(usize::from(seen.is("GET", "/v1/sessions")), std::sync::atomic::Ordering::SeqCst);
        let status = if turn == 0 { "provisioning" } else { "ready" };
        seen.is("GET", "/v1/sessions").then(|| Reply::json(200, &json!({ "sessions": [view(status)] })))
    });
    let home = Home::at(&plane.url);
    let mut child = home.command(["session", "list", "--watch", "--json"]).spawn().expect("gk runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("is piped")));
    for status in ["provisioning", "ready"] {
        let line = lines.next().expect("a line").expect("text");
        let one: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&one["schema"], &one["status"]), (&json!("gk.session.v1"), &json!(status)));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .expect("is alive");
    drop(lines);
    assert_eq!(Ran::of(child.wait_with_output().expect("ends")).code, 130);
}
