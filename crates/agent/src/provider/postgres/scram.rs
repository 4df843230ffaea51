//! The SCRAM-SHA-256 verifier of a password (RFC 5803), computed here so that the password itself never travels.
//!
//! Always holds: the salt is random for each verifier, and the result has exactly the form that Postgres stores.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gk_shared::secret::Password;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What Postgres itself uses; some drivers refuse fewer.
pub const DEFAULT_ITERATIONS: u32 = 4096;
/// The helpers take no more: the server works through all of them on each mint.
pub const MOST_ITERATIONS: u32 = 20_000;

/// The verifier of `password`, as `CREATE ROLE … PASSWORD` takes it.
///
/// The password must be ASCII without control characters, which ours are: then SASLprep changes nothing.
#[must_use]
pub fn verifier(password: &Password, salt: [u8; 16], iterations: u32) -> String {
    let salted = salted_password(password.expose().as_bytes(), salt, iterations);
    let client_key = mac(&salted, &[b"Client Key"]);
    let stored_key: [u8; 32] = Sha256::digest(client_key).into();
    let server_key = mac(&salted, &[b"Server Key"]);
    let encode = |bytes: &[u8]| BASE64.encode(bytes);
    format!("SCRAM-SHA-256${iterations}:{}${}:{}", encode(&salt), encode(&stored_key), encode(&server_key))
}

/// PBKDF2 with one block, which is what SCRAM calls `Hi`.
fn salted_password(password: &[u8], salt: [u8; 16], iterations: u32) -> [u8; 32] {
    let mut last = mac(password, &[&salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = mac(password, &[&last]);
        for (byte, other) in sum.iter_mut().zip(last) {
            *byte ^= other;
        }
    }
    sum
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_the_one_of_rfc_7677() {
        // RFC 7677, section 3: user "user", password "pencil", 4096 iterations. The keys follow from its proof.
        let salt: [u8; 16] = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64").try_into().expect("16 bytes");
        assert_eq!(
            verifier(&Password::from("pencil"), salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn each_salt_and_each_count_gives_another_verifier() {
        let password = Password::from("x");
        assert_ne!(verifier(&password, [1; 16], 1), verifier(&password, [2; 16], 1));
        assert_ne!(verifier(&password, [1; 16], 1), verifier(&password, [1; 16], 2));
    }
}
