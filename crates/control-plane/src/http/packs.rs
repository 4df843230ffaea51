//! `/v1/packs`: role packs as agents reported them, on the targets that the caller may see.

use axum::Json;
use axum::extract::State;
use gk_shared::names::PackName;
use gk_shared::wire::catalog::{PackList, PackView};
use gk_shared::wire::token::Scope;

use super::auth::User;
use super::path::Named;
use super::problem::ApiError;
use super::query::Query;
use crate::plane::Plane;
use crate::store::packs;

/// Lists role packs
#[utoipa::path(get, path = "/packs", tag = "targets",
    responses((status = 200, description = "Packs by name and version", body = PackList)))]
pub async fn list_packs(State(plane): State<Plane>, user: User, query: Query) -> Result<Json<PackList>, ApiError> {
    query.finish()?;
    Ok(Json(PackList { packs: visible(&plane, &user).await? }))
}

/// Shows a role pack: its newest version
#[utoipa::path(get, path = "/packs/{name}", tag = "targets", params(("name" = PackName, Path)),
    responses((status = 200, description = "The pack", body = PackView)))]
pub async fn get_pack(
    State(plane): State<Plane>,
    user: User,
    Named(name): Named<PackName>,
) -> Result<Json<PackView>, ApiError> {
    let pack = visible(&plane, &user).await?.into_iter().rfind(|pack| pack.name == name);
    pack.map(Json).ok_or_else(|| ApiError::not_found("role pack"))
}

/// The packs on targets that the caller may see, each with those targets alone.
async fn visible(plane: &Plane, user: &User) -> Result<Vec<PackView>, ApiError> {
    let mut packs = packs::list(&plane.ledger).await?;
    if !(user.has(Scope::Admin) || user.has(Scope::Auditor)) {
        let asker = user.asker();
        packs.iter_mut().for_each(|pack| pack.targets.retain(|target| plane.policy.sees(&asker, target)));
        packs.retain(|pack| !pack.targets.is_empty());
    }
    Ok(packs)
}
