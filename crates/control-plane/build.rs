//! Builds the crate anew when a migration is added: the macro that embeds them sees only those it saw before.

fn main() {
    println!("cargo:rerun-if-changed=../../sql/ledger");
}
