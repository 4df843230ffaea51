//! The SCRAM-SHA-256 verifier of a password (RFC 5803), computed here so that the password itself never travels.
//!
//! Always holds: the salt is random for each verifier, and the result has exactly the form that Postgres stores.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gk_shared::secret::Password;
use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress256;
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
///
/// Two thirds of a mint's work on our side are here, so the key's two blocks are hashed once and not in each round.
fn salted_password(password: &[u8], salt: [u8; 16], iterations: u32) -> [u8; 32] {
    let (inner, outer) = (keyed(password, 0x36), keyed(password, 0x5c));
    let mut last = words(mac(password, &[&salt, &1_u32.to_be_bytes()]));
    let mut sum = last;
    for _ in 1..iterations {
        last = after(outer, after(inner, last));
        for (word, other) in sum.iter_mut().zip(last) {
            *word ^= other;
        }
    }
    bytes(sum)
}

/// SHA-256 before its first block.
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256 after HMAC's key block.
fn keyed(key: &[u8], pad: u8) -> [u32; 8] {
    let mut block = zeroize::Zeroizing::new([pad; 64]);
    let digest: [u8; 32];
    let key = match key {
        short if short.len() <= block.len() => short,
        long => {
            digest = Sha256::digest(long).into();
            &digest
        }
    };
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = START;
    compress256(&mut state, std::slice::from_ref(&block));
    state
}

/// SHA-256 of the key block that `state` has taken and of these 32 bytes.
fn after(mut state: [u32; 8], message: [u32; 8]) -> [u32; 8] {
    let mut block = [0_u8; 64];
    block[..32].copy_from_slice(&bytes(message));
    block[32] = 0x80;
    // Both blocks' 96 bytes, in bits.
    block[56..].copy_from_slice(&768_u64.to_be_bytes());
    compress256(&mut state, &[block]);
    state
}

fn words(bytes: [u8; 32]) -> [u32; 8] {
    std::array::from_fn(|n| u32::from_be_bytes([bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]]))
}

fn bytes(words: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
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
    fn long_and_short_passwords_and_all_counts_agree_with_plain_hmac() {
        let plain = |password: &[u8], salt: [u8; 16], iterations: u32| {
            let mut last = mac(password, &[&salt, &1_u32.to_be_bytes()]);
            let mut sum = last;
            for _ in 1..iterations {
                last = mac(password, &[&last]);
                sum.iter_mut().zip(last).for_each(|(byte, other)| *byte ^= other);
            }
            sum
        };
        for length in [0, 1, 32, 63, 64, 65, 200] {
            let password = vec![b'x'; length];
            for iterations in [1, 2, 7] {
                assert_eq!(salted_password(&password, [9; 16], iterations), plain(&password, [9; 16], iterations));
            }
        }
    }

    #[test]
    fn each_salt_and_each_count_gives_another_verifier() {
        let password = Password::from("x");
        assert_ne!(verifier(&password, [1; 16], 1), verifier(&password, [2; 16], 1));
        assert_ne!(verifier(&password, [1; 16], 1), verifier(&password, [1; 16], 2));
    }
}
