//! `/v1/targets`: what there is to ask for. A target that no rule shows to the caller is not there.

use axum::Json;
use axum::extract::State;
use gk_shared::names::TargetName;
use gk_shared::wire::catalog::{AllowedRole, TargetList, TargetView};
use gk_shared::wire::token::Scope;

use super::auth::User;
use super::path::Named;
use super::problem::ApiError;
use super::query::Query;
use crate::plane::Plane;
use crate::store::targets::{self, TargetRecord};

/// Lists targets
#[utoipa::path(get, path = "/targets", tag = "targets",
    responses((status = 200, description = "Targets that the caller may see, by name", body = TargetList)))]
pub async fn list_targets(State(plane): State<Plane>, user: User, query: Query) -> Result<Json<TargetList>, ApiError> {
    query.finish()?;
    let found = targets::list(&plane.ledger).await?;
    let targets = found.into_iter().filter_map(|target| seen(&plane, &user, target)).collect();
    Ok(Json(TargetList { targets }))
}

/// Shows a target
#[utoipa::path(get, path = "/targets/{name}", tag = "targets", params(("name" = TargetName, Path)),
    responses((status = 200, description = "The target", body = TargetView)))]
pub async fn get_target(
    State(plane): State<Plane>,
    user: User,
    Named(name): Named<TargetName>,
) -> Result<Json<TargetView>, ApiError> {
    let found = targets::find(&plane.ledger, &name).await?;
    let target = found.and_then(|target| seen(&plane, &user, target));
    target.map(Json).ok_or_else(|| ApiError::not_found("target"))
}

/// The target as this caller may use it, if they may see it.
fn seen(plane: &Plane, user: &User, target: TargetRecord) -> Option<TargetView> {
    let asker = user.asker();
    let mut view = target.view;
    let allowed = plane.policy.allowed(&asker, &view.name, &target.packs);
    let as_wire = |one: crate::policy::Allowed| AllowedRole {
        role: one.role,
        max_ttl_seconds: one.max_ttl.as_secs(),
        rule: one.rule,
    };
    view.roles = allowed.into_iter().map(as_wire).collect();
    let sees = user.has(Scope::Admin) || user.has(Scope::Auditor) || plane.policy.sees(&asker, &view.name);
    sees.then_some(view)
}
