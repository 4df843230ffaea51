//! Checks that no compiler makes: what was released stays, and what is linked may be linked.

#[cfg(test)]
mod citations;
#[cfg(test)]
mod decisions;
pub(crate) mod deny;
pub(crate) mod dependencies;
pub(crate) mod licence;
pub(crate) mod released;
