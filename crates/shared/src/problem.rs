//! Errors as the outside sees them: a stable code, what happened, what to do next (RFC 9457 problem details).
//!
//! [`ErrorCode`] is the only list of codes. Status, exit code, retryability, meaning and next step stand beside each
//! code once; the API, the CLI, `gk explain` and `docs/errors/` all read them from here.

use serde::{Deserialize, Serialize};

use crate::exit::ExitCode;

macro_rules! error_codes {
    ($($variant:ident = $code:literal, $status:literal, $exit:ident, $retry:literal, $meaning:literal, $next:literal;)*) => {
        /// A stable word for each way to fail. Codes are never renamed and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $(#[doc = $meaning] $variant,)* }

        impl ErrorCode {
            /// All codes, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// The word itself, snake_case.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $code,)* } }
            /// HTTP status it is answered with (for codes that only the CLI knows: the nearest one).
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status,)* } }
            /// Exit code of a `gk` that ends with it.
            #[must_use]
            pub const fn exit(self) -> ExitCode { match self { $(Self::$variant => ExitCode::$exit,)* } }
            /// Whether the same request may succeed later without a change.
            #[must_use]
            pub const fn retryable(self) -> bool { match self { $(Self::$variant => $retry,)* } }
            /// What it means, for a person who has never seen it.
            #[must_use]
            pub const fn meaning(self) -> &'static str { match self { $(Self::$variant => $meaning,)* } }
            /// What to do next.
            #[must_use]
            pub const fn next(self) -> &'static str { match self { $(Self::$variant => $next,)* } }
        }
        impl std::str::FromStr for ErrorCode {
            type Err = UnknownCode;
            fn from_str(word: &str) -> Result<Self, UnknownCode> {
                match word { $($code => Ok(Self::$variant),)* other => Err(UnknownCode(other.to_owned())) }
            }
        }
    };
}

error_codes! {
    BadJson = "bad_json", 400, Usage, false, "The body is not a JSON object that can be read.", "Send one JSON object, encoded as UTF-8; the message names line and column.";
    UnknownField = "unknown_field", 400, Usage, false, "The body has a field that this endpoint does not know.", "Remove the field; `/openapi.json` lists those that are accepted.";
    InvalidType = "invalid_type", 400, Usage, false, "A field is missing or holds a value of another type.", "Send the documented type; numbers are not taken from strings, and fractions are not rounded.";
    InvalidText = "invalid_text", 400, Usage, false, "A text holds control characters or is not valid Unicode.", "Remove the characters that the message names.";
    InvalidTtl = "invalid_ttl", 400, Usage, false, "The time asked for is malformed or outside the limits of this target.", "Write whole units such as 90s, 15m or 1h30m, at most the limit that the message names.";
    InvalidName = "invalid_name", 400, Usage, false, "A name of a target, role, actor or agent is malformed.", "Use ASCII letters, digits, - and _, at most 63 of them; `gk target list` shows the names there are.";
    InvalidId = "invalid_id", 400, Usage, false, "An id is malformed or of another kind.", "Copy the whole id as `gk session list` prints it.";
    InvalidLimit = "invalid_limit", 400, Usage, false, "The page size is not a number from 1 to 200.", "Pass limit once, from 1 to 200.";
    InvalidCursor = "invalid_cursor", 400, Usage, false, "The cursor was cut, altered, or belongs to another list.", "Start again without a cursor.";
    InvalidQuery = "invalid_query", 400, Usage, false, "A query parameter is unknown or malformed.", "Correct the parameter that the message names.";
    InvalidPublicKey = "invalid_public_key", 400, Usage, false, "The recipient's public key is not a usable X25519 key.", "Send 32 bytes in standard base64, made for this request alone.";
    InvalidIdempotencyKey = "invalid_idempotency_key", 400, Usage, false, "The Idempotency-Key is malformed.", "Use 8 to 128 characters of A-Z a-z 0-9 _ and -.";
    IdempotencyKeyRequired = "idempotency_key_required", 400, Usage, false, "Creating a session needs an Idempotency-Key, so that a repeat cannot make a second one.", "Send the header Idempotency-Key with a fresh random value, and the same value when repeating.";
    ReasonRequired = "reason_required", 400, Usage, false, "A reason is required and must not be blank.", "Say why with --reason \"...\"; it is kept in the audit log.";
    ReasonTooLong = "reason_too_long", 400, Usage, false, "The reason is longer than 1000 characters.", "Shorten the reason; link to the long story with --ticket.";
    InvalidRequest = "invalid_request", 400, Usage, false, "The request breaks a rule that the message names.", "Correct what the message names and send it again.";
    NotLoggedIn = "not_logged_in", 401, NotLoggedIn, false, "No token was found or sent.", "Run `gk login --with-token < FILE`, or set GK_TOKEN_FILE.";
    TokenInvalid = "token_invalid", 401, NotLoggedIn, false, "The token is unknown, revoked or malformed, or its owner is disabled.", "Get a new token from an admin (`gk token create`) and run `gk login --with-token`.";
    TokenExpired = "token_expired", 401, NotLoggedIn, false, "The token has passed its end.", "Get a new token from an admin (`gk token create`) and run `gk login --with-token`.";
    BadTokenFile = "bad_token_file", 400, NotLoggedIn, false, "The token file cannot be used: it is empty, not text, too large or readable by others.", "Write the token, and nothing else, into a file of mode 0600.";
    WrongPrincipalKind = "wrong_principal_kind", 403, Denied, false, "An agent called a route for people, or a person one for agents.", "Use a token of the right kind; `gk token create --scope` makes them.";
    ScopeMissing = "scope_missing", 403, Denied, false, "The token lacks the scope that this call needs.", "Ask an admin for a token with the scope that the message names.";
    RoleNotAllowed = "role_not_allowed", 403, Denied, false, "No rule of the policy lets you use this role on this target.", "`gk target list` shows what you may use; an admin can add a rule to the policy file.";
    SelfOnly = "self_only", 403, Denied, false, "Only the requester or an admin may do this to a session.", "Ask the session's owner or an admin.";
    NotFound = "not_found", 404, NotFound, false, "It does not exist, or you may not see it.", "Check the name or id; `gk session list --all` and `gk target list` show what you may see.";
    MethodNotAllowed = "method_not_allowed", 405, Failure, false, "This path does not answer to this method.", "See `/openapi.json` for the methods of each path.";
    Conflict = "conflict", 409, Conflict, false, "The request contradicts what already is.", "Look at the current state and decide again.";
    IdempotencyMismatch = "idempotency_mismatch", 409, Conflict, false, "This Idempotency-Key was used with another body.", "Use a fresh key for a new request, or repeat the first body unchanged.";
    SessionEnded = "session_ended", 409, Conflict, false, "The session has ended or is ending, so it cannot be changed.", "Create a new session.";
    SessionNotReady = "session_not_ready", 409, Pending, true, "The session has no credential yet.", "Wait for it: `gk session show ID`, or create with --wait.";
    CredentialGone = "credential_gone", 410, Conflict, false, "The credential was erased, or was sealed to another key.", "Create a new session; a credential can be opened only by the one who asked for it.";
    StaleLease = "stale_lease", 409, Conflict, false, "The job is leased to somebody else by now, or the session's intent has changed.", "Drop the work; the next claim brings what is wanted now.";
    BodyTooLarge = "body_too_large", 413, Usage, false, "The body is larger than this endpoint takes.", "Send less than 64 KiB.";
    UnsupportedMediaType = "unsupported_media_type", 415, Usage, false, "The body is not declared as JSON in UTF-8.", "Send Content-Type: application/json.";
    EncodingNotSupported = "encoding_not_supported", 415, Usage, false, "Compressed bodies are not taken.", "Send the body without Content-Encoding.";
    BadSealedBlob = "bad_sealed_blob", 422, Failure, false, "The agent's sealed credential is malformed; the session is being ended.", "Create a new session; if it recurs, compare the versions of agent and control plane.";
    RoleMismatch = "role_mismatch", 422, Failure, false, "An agent reported a role that does not belong to the session.", "Treat the agent as broken or hostile: `gk agent list`, then revoke its token.";
    RateLimited = "rate_limited", 429, Unavailable, true, "Too many requests from this actor.", "Wait as long as Retry-After says, then repeat.";
    Internal = "internal", 500, Failure, true, "The control plane failed in a way it did not expect.", "Repeat once; then give the request id to whoever runs it.";
    LedgerUnavailable = "ledger_unavailable", 503, Unavailable, true, "The control plane cannot reach its ledger, so nothing is granted.", "Repeat later; sessions that are live still end on time.";
    AuditUnavailable = "audit_unavailable", 503, Unavailable, true, "The audit log cannot be written, so nothing is granted.", "Repeat later; whoever runs the control plane should look at the ledger's disk.";
    AuditRegression = "audit_regression", 503, Unavailable, false, "The audit log went back behind a checkpoint that was signed and seen before, so nothing is granted.", "Keep the ledger as it is and run `gk audit verify`; whoever runs the control plane follows the runbook.";
    LedgerRestored = "ledger_restored", 503, Unavailable, false, "The ledger is older than what its targets have seen, as after a restore, so nothing is granted.", "`gk recover show` lists what is ahead of it; an admin goes on with `gk recover accept --reason \"...\"`. Sessions that are live still end.";
    RequestTimeout = "request_timeout", 504, Unavailable, true, "The request took longer than the control plane allows.", "Repeat with the same Idempotency-Key.";
    NoAgent = "no_agent", 503, Unavailable, true, "No agent serves this target at the moment.", "Start an agent for it; `gk agent list` shows who was seen last.";
    TargetUnreachable = "target_unreachable", 503, Unavailable, true, "The agent cannot reach the target database.", "Check the database and the agent's settings: `gk-agent doctor`.";
    TargetBusy = "target_busy", 503, Unavailable, true, "The target database has no connection or lock to spare.", "Repeat in a moment; raise max_connections if it recurs.";
    EndUnproven = "end_unproven", 503, Unavailable, true, "The login is off, but a server of the target does not answer or has not replayed that yet, so the end is not proven.", "Bring the server that the message names back, or take it out of the agent's `standbys` if it is gone for good; it is tried again until then.";
    PackRefused = "pack_refused", 422, Failure, false, "The target refuses the role pack: not registered there, another digest, or it reaches a privileged role.", "Run `gk-agent doctor`: it prints the SQL that mends it.";
    HelpersMissing = "helpers_missing", 422, Failure, false, "The target has no Gatekeeper helpers, or another version of them.", "Install them: `gk-agent bootstrap --print | psql ...`.";
    ForeignRole = "foreign_role", 409, Failure, false, "A role of that name exists on the target and was not made by Gatekeeper; it was left alone.", "Look at the role; rename or drop it by hand if it is yours.";
    RoleReplaced = "role_replaced", 409, Failure, false, "The session's role was dropped and made again by somebody else; it was left alone.", "Find out who did it: it is a change behind Gatekeeper's back.";
    MintFailed = "mint_failed", 502, Failure, false, "The target refused to make the role.", "The message has the target's own words; `gk-agent doctor` checks the usual causes.";
    ProvisionTimeout = "provision_timeout", 504, Unavailable, true, "The role was not ready in time; whatever was made is being removed.", "Create a new session; `gk agent list` shows whether an agent serves the target.";
    WaitTimeout = "wait_timeout", 504, Pending, true, "The session is not ready yet, and the wait is over.", "Look again with `gk session show ID`; it goes on by itself.";
    Usage = "usage", 400, Usage, false, "The command line is wrong.", "See the command's --help.";
    InsecureUrl = "insecure_url", 400, Usage, false, "Plain http:// is only for this machine.", "Use https://, or an address of the loopback interface.";
    ControlPlaneUnreachable = "control_plane_unreachable", 503, Unavailable, true, "The control plane does not answer.", "Check the address (`gk context show`) and whether it runs; on one machine: `gk dev`.";
    TlsUntrusted = "tls_untrusted", 503, Unavailable, true, "The server's certificate does not pass: expired, another name, or an unknown authority.", "Mend the certificate; add your authority to the system's trust store.";
    UnexpectedRedirect = "unexpected_redirect", 503, Unavailable, false, "The server answered with a redirect, which was not followed: the token stays here.", "Set the final address: `gk context show`.";
    VersionMismatch = "version_mismatch", 400, Failure, false, "The server and gk do not understand each other.", "Bring both to the same version: `gk version` prints them.";
    OutputFailed = "output_failed", 500, Failure, false, "The result could not be written out.", "Free the disk or mend the pipe; a session that was just made is named on stderr.";
    ConfigInvalid = "config_invalid", 400, Usage, false, "A configuration file cannot be used.", "Mend the line that the message names; `config check` reads it again.";
    UnsafeConfig = "unsafe_config", 400, Usage, false, "A configuration or secret file can be changed or read by others.", "chmod it (0600 for secrets, not writable by others for the rest) and give it to the right owner.";
    SchemaMismatch = "schema_mismatch", 500, Usage, false, "The ledger's schema is not the one this binary knows.", "Run `gk-control-plane migrate` with the newer binary.";
    AuditSinkFailing = "audit_sink_failing", 503, Unavailable, true, "A sink of the audit log takes nothing; nobody waits for it, and what it misses is delivered once it does.", "Mend what the control plane's log names: the file's disk, the receiver's address, certificate, secret or answer.";
    ClockImplausible = "clock_implausible", 500, Usage, false, "This machine's clock is far from the ledger's, or from any time this binary can have been started at.", "Set the clock (NTP), then start again; the message has both times.";
    PostgresNotFound = "postgres_not_found", 500, Failure, false, "No Postgres server binaries were found on this machine.", "Install them with the command that the message names, or pass --pg-bin.";
    DirectoryHeld = "directory_held", 409, Conflict, false, "Another gk dev holds this data directory.", "Use that one, stop it, or pass another --data-dir.";
    DirectoryNotOurs = "directory_not_ours", 409, Usage, false, "The data directory holds files that gk dev did not make.", "Pass an empty or new directory with --data-dir.";
    DirectoryUnusable = "directory_unusable", 500, Usage, false, "The data directory cannot be used: no right to it, or the server cannot reach it.", "Pass a directory that the message suggests with --data-dir.";
    AddressInUse = "address_in_use", 500, Usage, false, "The address to listen on is taken.", "Stop what holds it, or listen elsewhere as the message says.";
    PostgresFailed = "postgres_failed", 500, Failure, false, "The private Postgres could not be made, started or filled.", "Read the log that the message names; `gk dev --fresh` starts anew.";
    AlreadyInside = "already_inside", 400, Usage, false, "This shell already runs inside gk exec.", "Leave it first, or pass --nested.";
    CommandNotFound = "command_not_found", 500, ExecNotFound, false, "The command to run does not exist.", "Check its name and PATH.";
    CommandNotExecutable = "command_not_executable", 500, ExecNotExecutable, false, "The command to run may not be executed.", "chmod +x it, or name its interpreter.";
    PsqlMissing = "psql_missing", 500, ExecNotFound, false, "psql was not found on PATH.", "Install the PostgreSQL client.";
    CleanupFound = "cleanup_found", 409, Finding, false, "Roles are past their end, or could not be removed.", "Run `gk cleanup run`; the finding names the mend.";
    AuditAltered = "audit_altered", 409, Finding, false, "The audit log does not verify: it was altered, cut or re-ordered.", "Keep the export and every older one; compare them; treat the ledger as compromised.";
    Interrupted = "interrupted", 499, Interrupted, true, "Interrupted by Ctrl-C or another signal.", "Nothing is lost: `gk session list` shows what there is.";
}

/// A word that is no error code.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an error code; `gk explain` without a code lists them")]
pub struct UnknownCode(pub String);

/// An error as it travels: RFC 9457 problem details with Gatekeeper's own members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Page that explains the code, relative to the documentation.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// HTTP status, repeated for those who keep only the body.
    pub status: u16,
    /// Stable word for the kind of failure.
    pub code: String,
    /// What happened this time.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Correlation id of the request, also in the log and the audit trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem with this code and this explanation of the case at hand.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("docs/errors/{}.md", code.as_str()),
            title: code.meaning().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: detail.into(),
            hint: code.next().to_owned(),
            retryable: code.retryable(),
            request_id: None,
        }
    }

    /// The same problem with another next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}
