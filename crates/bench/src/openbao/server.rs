//! An OpenBao server of one node: raft storage, a file audit device, unsealed. Stopped when dropped.

use std::path::Path;
use std::time::Duration;

use gk_e2e::{Daemon, Room, eventually};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Longest that it takes to elect itself.
const START: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that serves.
pub(crate) struct Server {
    pub(super) process: Daemon,
    pub(super) version: String,
    http: Client,
    base: String,
    root: String,
}

impl Server {
    /// Starts it in this room.
    pub(super) async fn start(program: &Path, room: &Room) -> Self {
        let (port, cluster) = (gk_e2e::free_port(), gk_e2e::free_port());
        std::fs::create_dir(room.path("openbao")).expect("the room is ours");
        let config = room.write("openbao.hcl", &settings(room, port, cluster));
        let args = ["server", "-config", &config.to_string_lossy()];
        let mut process = Daemon::new("openbao", program, &args, room.path("openbao.log"));
        process.start();
        let base = format!("http://127.0.0.1:{port}/v1");
        let mut server = Self { process, version: String::new(), http: client(), base, root: String::new() };
        server.begin().await;
        server
    }

    /// Makes its keys, unseals it, and waits until it is the leader.
    async fn begin(&mut self) {
        eventually(START, "OpenBao answers", async || self.health().await.map(drop)).await;
        let keys = self.root(Method::PUT, "sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 })).await;
        self.root = keys["root_token"].as_str().expect("a new server gives a root token").to_owned();
        self.root(Method::PUT, "sys/unseal", &json!({ "key": keys["keys_base64"][0] })).await;
        eventually(START, "OpenBao leads", async || match self.health().await? {
            health if health["sealed"] == false && health["standby"] == false => Ok(()),
            health => Err(health.to_string()),
        })
        .await;
        let health = self.health().await.expect("it has just answered");
        self.version = health["version"].as_str().unwrap_or("unknown").to_owned();
        let devices = self.call(&self.http, Method::GET, ("sys/audit", &self.root), None).await;
        assert!(devices["data"]["file/"].is_object(), "OpenBao has no audit device: {devices}");
    }

    async fn health(&self) -> Result<Value, String> {
        let url = format!("{}/sys/health", self.base);
        let answer = self.http.get(url).send().await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    /// A call with the root token, which sets things up and is never measured.
    pub(super) async fn root(&self, method: Method, path: &str, body: &Value) -> Value {
        self.call(&self.http, method, (path, &self.root), Some(body)).await
    }

    /// A call that succeeds.
    pub(super) async fn call(
        &self,
        http: &Client,
        method: Method,
        (path, token): (&str, &str),
        body: Option<&Value>,
    ) -> Value {
        let mut request = http.request(method, format!("{}/{path}", self.base)).header("X-Vault-Token", token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("OpenBao, {path}: {error}"));
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        assert!(status.is_success(), "OpenBao, {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// A connection of its own.
pub(super) fn client() -> Client {
    Client::builder().no_proxy().timeout(PATIENCE).build().expect("the client needs nothing")
}

fn settings(room: &Room, port: u16, cluster: u16) -> String {
    format!(
        "storage \"raft\" {{\n  path = {:?}\n  node_id = \"one\"\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  cluster_address = \"127.0.0.1:{cluster}\"\n  tls_disable = true\n}}\n\
         api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{cluster}\"\nlog_level = \"warn\"\n\
         audit \"file\" \"file\" {{\n  options {{\n    file_path = {:?}\n  }}\n}}\n",
        room.path("openbao"),
        room.path("openbao-audit.log"),
    )
}
