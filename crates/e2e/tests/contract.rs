//! The contract against a running control plane: schemathesis makes requests of `/openapi.json`, right ones and wrong ones,
//! with a token of each kind, and holds each answer against what the document says.
//!
//! Left out: `positive_data_acceptance`, for the document cannot say who may have what (a request that is right by its
//! form may be refused by policy), and the long poll of agents, whose right answer is to wait.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use gk_e2e::{Stack, TARGET, program};
use gk_testkit::Version;

/// Seconds of requests with each kind of token.
const SECONDS: &str = "7";

/// The same requests in every run: what a new seed finds belongs into a test of its own.
const SEED: &str = "22";

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,missing_required_header,\
    unsupported_method,allow_header_conformance,use_after_free,ignored_auth";

/// `cargo xtask deps` installs it below the build directory.
fn schemathesis() -> PathBuf {
    let gk = program("gk");
    let build = gk.ancestors().nth(2).expect("a program lies in target/PROFILE");
    let found = build.join("schemathesis/bin/schemathesis");
    assert!(found.is_file(), "{} is missing: cargo xtask deps installs it", found.display());
    found
}

/// What it says of one kind of token; nothing if all is as documented.
fn contradictions(url: &str, (kind, token): (&str, &str)) -> Option<String> {
    let header = format!("Authorization: Bearer {token}");
    let ran = Command::new(schemathesis())
        .args(["run", &format!("{url}/openapi.json"), "--no-color", "-H", &header, "--checks", CHECKS])
        .args(["--phases", "coverage,fuzzing", "--max-time", SECONDS, "--request-timeout", "35"])
        .args(["--exclude-operation-id", "claim_jobs", "--warnings", "off", "--seed", SEED])
        .stdin(Stdio::null())
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("generated"), "{kind}: it made no request: {said}");
    (!ran.status.success()).then(|| format!("as {kind}:\n{said}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_the_contract_says() {
    let stack = Stack::start(Version::From16).await;
    let auditor = stack.plane.person(&stack.room, "vera", &["auditor"]).await;
    let agent = stack.plane.enroll(&stack.room, "agent-fuzz", TARGET).await;
    // Somebody's session, so that lists are not empty.
    stack.session("app_read", "15m").await;
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("can be read").trim().to_owned();
    let url = stack.plane.url();
    let tokens = [
        ("requester", read(&stack.dana.token_file)),
        ("auditor", read(&auditor.token_file)),
        ("agent", read(&agent.token_file)),
        ("admin", read(&stack.plane.admin.token_file)),
    ];
    let found = tokio::task::spawn_blocking(move || {
        tokens.iter().filter_map(|(kind, token)| contradictions(&url, (kind, token))).collect::<Vec<_>>()
    });
    let found = found.await.expect("runs");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
