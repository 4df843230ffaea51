//! Jobs as an agent reads them: one that gives access is understood whole or not at all.

use gk_shared::wire::job::{ClaimedJobs, Job, LeasedJob};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A job that gives access is understood whole.
pub fn check(bytes: &[u8]) {
    if let Ok(job) = serde_json::from_slice::<Job>(bytes) {
        reads_back(&job);
        let mut value = serde_json::to_value(&job).expect("texts and numbers");
        assert_eq!(value["sessionId"], job.session().to_string());
        assert_eq!((&value["target"], &value["id"]), (&job.target().to_string().into(), &job.id().to_string().into()));
        value["onlySchema"] = "sales".into();
        let gives_access = match job {
            Job::CreateSession(_) | Job::ExtendSession(_) => true,
            Job::RevokeSession(_) => false,
        };
        assert_eq!(serde_json::from_value::<Job>(value).is_err(), gives_access, "an unknown restriction");
    }
    if let Ok(leased) = serde_json::from_slice::<LeasedJob>(bytes) {
        reads_back(&leased);
    }
    if let Ok(claimed) = serde_json::from_slice::<ClaimedJobs>(bytes) {
        reads_back(&claimed);
    }
}

/// What was read is written so that it reads the same again.
pub(crate) fn reads_back<T: Serialize + DeserializeOwned>(value: &T) -> Value {
    let text = serde_json::to_string(value).expect("what was read can be written");
    let again: T = serde_json::from_str(&text).expect("and read again");
    assert_eq!(serde_json::to_string(&again).expect("as before"), text);
    serde_json::from_str(&text).expect("is JSON")
}
