//! Clients that send nothing, trickle, flood or hang: closed on time, and nobody else is slower for it.

use std::time::{Duration, Instant};

use gk_control_plane::config::Limits;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::World;

fn impatient() -> Limits {
    Limits { first_byte: Duration::from_millis(500), headers: Duration::from_millis(800), ..Limits::default() }
}

/// Reads until the other side closes; what came, and how long it took.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut got = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await;
    // A reset is a way to close, too.
    drop(read.expect("the connection was not closed within 20 s"));
    (String::from_utf8_lossy(&got).into_owned(), began.elapsed())
}

async fn send(world: &World, bytes: &[u8]) -> (String, Duration) {
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    until_closed(stream).await
}

#[tokio::test]
async fn a_connection_that_sends_nothing_or_trickles_its_headers_is_closed_on_time() {
    let world = World::with(impatient()).await;
    let (_, silent) = until_closed(TcpStream::connect(world.address()).await.unwrap()).await;
    assert!((400..2000).contains(&silent.as_millis()), "{silent:?}");
    let (mut reads, mut writes) = TcpStream::connect(world.address()).await.unwrap().into_split();
    let began = Instant::now();
    let trickle = tokio::spawn(async move {
        for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n".iter().cycle() {
            if writes.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut got = Vec::new();
    drop(reads.read_to_end(&mut got).await);
    trickle.abort();
    assert!((600..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let (_, kept) = send(&world, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(kept < Duration::from_secs(3), "an idle connection is closed, too: {kept:?}");
}

/// 2,000 who say nothing, some who trickle their headers, some who trickle a body: another's revoke takes less than a
/// second all the same. The bound is the promise itself, and wide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_sockets_slow_headers_and_slow_bodies_keep_nobody_from_revoking() {
    gk_edge::harden::raise_file_limit();
    let (world, agent) = World::with_agent().await;
    let (dana, mallory) = (world.dana().await, world.person("mallory", &["requester"], &["dev"]).await);
    let ready: Vec<String> = futures_util::future::join_all((0..20).map(|_| async {
        let made = dana.create(json!({})).await.expect(201);
        made.id()
    }))
    .await;
    let mut crowd = Vec::new();
    for _ in 0..2000 {
        crowd.push(TcpStream::connect(world.address()).await.unwrap());
    }
    for head in std::iter::repeat_n("POST /v1/sessions HTTP/1.1\r\nHost: x\r\n", 200) {
        let mut slow = TcpStream::connect(world.address()).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        crowd.push(slow);
    }
    let body = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{",
        mallory.token()
    );
    for _ in 0..50 {
        let mut slow = TcpStream::connect(world.address()).await.unwrap();
        slow.write_all(body.as_bytes()).await.unwrap();
        crowd.push(slow);
    }
    let mut slowest = Duration::ZERO;
    for id in &ready {
        let began = Instant::now();
        dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for id in &ready {
        let status = dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"].clone();
        assert!(status != "ready" && status != "provisioning", "{status}");
    }
    drop((crowd, agent));
}

/// Whether a revoke gets through within five seconds while every place is held by somebody who never ends a body.
async fn revokes_beside_endless_bodies(limits: Limits) -> bool {
    let world = World::with(Limits { connections: 24, ..limits }).await;
    let _agent = world.agent("agent-1").await;
    let (dana, mallory) = (world.dana().await, world.person("mallory", &["requester"], &["dev"]).await);
    let id = dana.create(json!({})).await.expect(201).id();
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{",
        mallory.token()
    );
    let mut crowd = Vec::new();
    for _ in 0..48 {
        let mut one = TcpStream::connect(world.address()).await.unwrap();
        drop(one.write_all(head.as_bytes()).await);
        crowd.push(one);
    }
    let newcomer = crate::support::Caller::with(reqwest::Client::new(), &world.url, Some(dana.token()));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        let revoke = newcomer.request("POST", &format!("/v1/sessions/{id}/revoke")).json(&json!({}));
        if revoke.timeout(Duration::from_secs(1)).send().await.is_ok_and(|answer| answer.status() == 200) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// The same crowd before a control plane whose time-outs are as good as none: what the others here rest on.
#[tokio::test]
async fn without_time_outs_endless_bodies_keep_everybody_out() {
    let hour = Duration::from_secs(3600);
    let endless = Limits { first_byte: hour, headers: hour, body: hour, request: hour, ..Limits::default() };
    assert!(!revokes_beside_endless_bodies(endless).await, "the crowd is no test of anything");
    assert!(revokes_beside_endless_bodies(Limits { body: Duration::from_millis(500), ..Limits::default() }).await);
}

#[tokio::test]
async fn where_all_places_are_taken_the_silent_make_room_and_those_who_asked_do_not() {
    let patient = Limits { first_byte: Duration::from_secs(50), headers: Duration::from_secs(50), ..Limits::default() };
    let world = World::with(Limits { connections: 16, ..patient }).await;
    let mut all = Vec::new();
    for _ in 0..40 {
        let mut one = TcpStream::connect(world.address()).await.unwrap();
        one.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        all.push(one);
    }
    world.admin.get("/v1/me").await.expect(200);
    let mut asked = Vec::new();
    gk_testkit::eventually(Duration::from_secs(20), "every place is used", async || {
        let mut one = TcpStream::connect(world.address()).await.map_err(|error| error.to_string())?;
        one.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.map_err(|error| error.to_string())?;
        match one.read(&mut [0; 512]).await {
            Ok(1..) => {
                asked.push(one);
                Err(format!("{} have asked", asked.len()))
            }
            Ok(0) | Err(_) => Ok(()),
        }
    })
    .await;
    let (_, over) = until_closed(TcpStream::connect(world.address()).await.unwrap()).await;
    assert!(over < Duration::from_secs(1), "{over:?}");
    drop(asked);
    gk_testkit::eventually(Duration::from_secs(20), "there is room again", async || {
        let (answer, _) = send(&world, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_malformed_are_refused() {
    let world = World::with(impatient()).await;
    let with = |headers: &str| format!("GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    for (head, status) in [
        (with(&format!("X-Long: {}\r\n", "a".repeat(17_000))), "431"),
        (with(&"X-One: 1\r\n".repeat(101)), "431"),
        (with("X-Nul: a\0b\r\n"), "400"),
        (with(&format!("Authorization: Bearer {}\r\n", "a".repeat(1_000_000))), "431"),
        ("GET /v1/me\r\n\r\n".to_owned(), "400"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let mut stream = TcpStream::connect(world.address()).await.unwrap();
        // The other side may close before all was sent.
        drop(stream.write_all(head.as_bytes()).await);
        let (answer, _) = until_closed(stream).await;
        let closed = answer.is_empty();
        assert!(closed || answer.split(' ').nth(1) == Some(status), "{status}: {}", &head[..40.min(head.len())]);
    }
}

#[tokio::test]
async fn json_as_deep_as_a_body_can_hold_and_a_body_of_a_gigabyte_are_refused() {
    let world = World::start().await;
    let dana = world.dana().await;
    let send = |body: String| {
        let request = dana.request("POST", "/v1/sessions").header("content-type", "application/json");
        crate::support::Answer::of(request.body(body))
    };
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(60_000 / open.len());
        for body in [deep.clone(), format!("{{\"reason\":{deep}"), format!("{{\"unknown\":{deep}")] {
            let answer = send(body).await;
            assert!(answer.status == 400, "{}", answer.text);
        }
    }
    let declared = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000000000\r\nConnection: close\r\n\r\n{{",
        dana.token()
    );
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(declared.as_bytes()).await.unwrap();
    let (answer, took) = until_closed(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(took < Duration::from_secs(5), "it was not waited for: {took:?}");
    dana.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_body_that_never_ends_is_a_time_out() {
    let world = World::with(Limits { request: Duration::from_secs(1), ..impatient() }).await;
    let dana = world.dana().await;
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        dana.token()
    );
    let (answer, took) = send(&world, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("request_timeout"), "{answer}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up_long_before_the_request_is() {
    let world = World::with(Limits { body: Duration::from_millis(500), ..Limits::default() }).await;
    let dana = world.dana().await;
    for path in ["/v1/sessions", "/v1/sessions/sess_01ARZ3NDEKTSV4RRFFQ69G5FAV/revoke"] {
        let stream = TcpStream::connect(world.address()).await.unwrap();
        let (mut reads, mut writes) = stream.into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
            dana.token()
        );
        writes.write_all(head.as_bytes()).await.unwrap();
        let trickle = tokio::spawn(async move {
            while writes.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let began = Instant::now();
        let mut got = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(4), reads.read(&mut got)).await;
        trickle.abort();
        let length = read.expect("is answered while the body still comes").unwrap();
        let answer = String::from_utf8_lossy(&got[..length]);
        assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("request_timeout"), "{answer}");
        assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn one_who_floods_is_told_when_to_come_back_and_can_still_end_sessions() {
    let world = World::with(Limits { requests_per_second: 1, burst: 5, ..Limits::default() }).await;
    let (agent, dana) = (world.agent("agent-1").await, world.dana().await);
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    // All at once, so that it does not matter how fast this machine is.
    let answers = futures_util::future::join_all((0..40).map(|_| dana.get("/v1/me"))).await;
    let refused = answers.into_iter().find(|answer| answer.status == 429).expect("40 at once are more than 5");
    let refused = refused.refused(429, "rate_limited");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.body["retryable"], true);
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    world.person("eve", &["requester"], &[]).await.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn one_who_guesses_tokens_is_slowed_down_whatever_address_they_claim() {
    let world = World::with(Limits { refusals_per_minute: 3, ..Limits::default() }).await;
    let anonymous = world.anonymous();
    let mut statuses = Vec::new();
    for guess in 0..5 {
        let request = anonymous.request("GET", "/v1/me").header("X-Forwarded-For", format!("10.0.0.{guess}"));
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    world.admin.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_stop_lets_a_long_poll_end_and_says_nothing_twice() {
    let (world, agent) = World::with_agent().await;
    let poll = tokio::spawn(async move { agent.claim(25_000).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(poll.await.unwrap().is_empty());
}
