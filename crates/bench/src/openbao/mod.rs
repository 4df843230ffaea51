//! OpenBao as a contender: its database engine on the same server, asked for the same login by the same statements.
//!
//! It is set up to its advantage: a superuser's connection, as many connections as callers, plain HTTP on loopback, and a
//! token that is checked like ours. Its storage is raft with one node, its audit device a file, both on the same disk.

mod server;

use std::time::{Duration, Instant};

use gk_e2e::TestPg;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::raw::{join_all, pack_role};
use crate::stats::Turn;
pub(crate) use server::Server;

/// Role of the database engine.
const ROLE: &str = "app_read";

/// A server that was set up, and its callers.
pub(crate) struct OpenBao {
    server: Server,
    callers: Vec<Caller>,
}

/// A caller with a connection and a token of its own.
struct Caller {
    http: Client,
    token: String,
}

/// What a caller was given.
pub(crate) struct Lease {
    id: String,
}

impl OpenBao {
    /// Starts a server and lets its database engine make logins on the lab's target.
    pub(crate) async fn start(program: &std::path::Path, lab: &Lab, callers: usize) -> Self {
        let server = Server::start(program, &lab.stack.room).await;
        let pack = pack_role(&lab.observer).await;
        engine(&server, &lab.stack.target, &pack, callers).await;
        let policy = format!(
            "path \"database/creds/{ROLE}\" {{ capabilities = [\"read\"] }}\n\
             path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
        );
        server.root(Method::PUT, "sys/policies/acl/bench", &json!({ "policy": policy })).await;
        let mut all = Vec::new();
        for _ in 0..callers {
            let made =
                server.root(Method::POST, "auth/token/create", &json!({ "policies": ["bench"], "ttl": "4h" })).await;
            let token = text(&made["auth"]["client_token"]);
            all.push(Caller { http: server::client(), token });
        }
        let peer = Self { server, callers: all };
        peer.mint(callers, 3).await;
        peer.clean().await;
        peer
    }

    /// Its version, as it says.
    pub(crate) fn version(&self) -> &str {
        &self.server.version
    }

    /// What uses the processor.
    pub(crate) fn watched(&self) -> crate::process::Watched {
        crate::lab::watched("OpenBao", &self.server.process)
    }

    /// `each` logins from each of the first `at_once` callers; they stay.
    pub(crate) async fn mint(&self, at_once: usize, each: usize) -> Turn {
        let begun = Instant::now();
        let made = join_all(self.callers.iter().take(at_once).map(async |caller| {
            let mut durations = Vec::with_capacity(each);
            for _ in 0..each {
                let begun = Instant::now();
                self.lease(caller).await;
                durations.push(begun.elapsed());
            }
            durations
        }))
        .await;
        Turn { wall: begun.elapsed(), durations: made.into_iter().flatten().collect() }
    }

    async fn lease(&self, caller: &Caller) -> Lease {
        let path = format!("database/creds/{ROLE}");
        let given = self.server.call(&caller.http, Method::GET, (&path, &caller.token), None).await;
        assert!(given["data"]["password"].is_string(), "no credential: {given}");
        Lease { id: text(&given["lease_id"]) }
    }

    /// One login, from any caller.
    pub(crate) async fn one_of(&self, n: usize) -> Lease {
        self.lease(&self.callers[n % self.callers.len()]).await
    }

    /// From the call until its answer: the role is dropped. Connections that are open stay open.
    pub(crate) async fn revoke(&self, lease: &Lease) -> Duration {
        let caller = &self.callers[0];
        let begun = Instant::now();
        let body = json!({ "lease_id": lease.id, "sync": true });
        self.server.call(&caller.http, Method::PUT, ("sys/leases/revoke", &caller.token), Some(&body)).await;
        begun.elapsed()
    }

    /// Revokes all of them.
    pub(crate) async fn clean(&self) {
        let path = format!("sys/leases/revoke-prefix/database/creds/{ROLE}");
        self.server.root(Method::PUT, &path, &json!({ "sync": true })).await;
    }
}

/// The same statements as the raw transaction's, and what our own roles are made with.
async fn engine(server: &Server, target: &TestPg, pack: &str, connections: usize) {
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/{}?sslmode=disable",
        target.port(),
        gk_e2e::DATABASE
    );
    server.root(Method::POST, "sys/mounts/database", &json!({ "type": "database" })).await;
    let config = json!({
        "plugin_name": "postgresql-database-plugin",
        "allowed_roles": [ROLE],
        "connection_url": url,
        "username": target.superuser_name(),
        "password": target.superuser_password(),
        "password_authentication": "scram-sha-256",
        "max_open_connections": connections,
        "max_idle_connections": connections,
    });
    server.root(Method::POST, "database/config/target", &config).await;
    let create = "CREATE ROLE \"{{name}}\" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT \
                  CONNECTION LIMIT 3 PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
    let role = json!({
        "db_name": "target",
        "creation_statements": [create, format!("GRANT {pack} TO \"{{{{name}}}}\"")],
        "revocation_statements": ["DROP ROLE IF EXISTS \"{{name}}\""],
        "default_ttl": "1h",
        "max_ttl": "4h",
    });
    server.root(Method::POST, &format!("database/roles/{ROLE}"), &role).await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("OpenBao gave {value} where a text was due")).to_owned()
}
