//! The one table of routes: who may call what, and at what cost.
//!
//! The router, the OpenAPI document and the refusal test are all made from [`table`], so that no route exists that one
//! of them does not know. Every path answers with and without `/v1`.

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Access;
use super::auth::{Door, guard};
use super::rates::Bucket;
use super::{
    actors, agent, agents, audit, cleanup, fallback, health, me, metrics, openapi, packs, recovery, request_id,
    sessions, status, targets, tokens,
};
use crate::plane::Plane;

/// Routes with the same door.
pub struct Group {
    /// Who may call them.
    pub access: Access,
    /// What a call costs.
    pub bucket: Bucket,
    /// The routes, without `/v1`.
    pub routes: OpenApiRouter<Plane>,
}

/// Every route there is.
#[must_use]
pub fn table() -> Vec<Group> {
    let group = |access, bucket, routes| Group { access, bucket, routes };
    let requests = Bucket::Requests;
    vec![
        group(Access::Anyone, requests, anyone()),
        group(Access::User, requests, whoever_has_a_token()),
        group(
            Access::Requester,
            requests,
            OpenApiRouter::new()
                .routes(routes!(sessions::create::create_session))
                .routes(routes!(sessions::extend::extend_session)),
        ),
        group(Access::Requester, Bucket::Ends, OpenApiRouter::new().routes(routes!(sessions::revoke::revoke_session))),
        group(
            Access::Auditor,
            requests,
            OpenApiRouter::new()
                .routes(routes!(audit::events::list_events))
                .routes(routes!(audit::checkpoints::get_checkpoint))
                .routes(routes!(cleanup::check::check_cleanup))
                .routes(routes!(recovery::show::show_recovery)),
        ),
        group(
            Access::Admin,
            requests,
            OpenApiRouter::new()
                .routes(routes!(tokens::create::create_token))
                .routes(routes!(tokens::list::list_tokens))
                .routes(routes!(agents::enroll::enroll_agent))
                .routes(routes!(agents::list::list_agents))
                .routes(routes!(agents::drain::drain_agent)),
        ),
        group(
            Access::Admin,
            Bucket::Ends,
            OpenApiRouter::new()
                .routes(routes!(actors::disable_actor))
                .routes(routes!(agents::revoke::revoke_agent))
                .routes(routes!(tokens::revoke::revoke_token))
                .routes(routes!(cleanup::run::run_cleanup))
                .routes(routes!(recovery::accept::accept_recovery)),
        ),
        group(Access::Agent, Bucket::Agents, agents_own()),
        group(
            Access::Enrolment,
            Bucket::Agents,
            OpenApiRouter::new().routes(routes!(agent::certificate::enroll_with_certificate)),
        ),
    ]
}

fn whoever_has_a_token() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(me::me))
        .routes(routes!(sessions::list::list_sessions))
        .routes(routes!(sessions::get::get_session))
        .routes(routes!(targets::list_targets))
        .routes(routes!(targets::get_target))
        .routes(routes!(packs::list_packs))
        .routes(routes!(packs::get_pack))
        .routes(routes!(status::status))
}

fn agents_own() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(agent::me::agent_me))
        .routes(routes!(agent::certificate::renew_certificate))
        .routes(routes!(agent::claim::claim_jobs))
        .routes(routes!(agent::renew::renew_job))
        .routes(routes!(agent::complete::complete_job))
        .routes(routes!(agent::heartbeat::heartbeat))
        .routes(routes!(agent::observe::observe))
        .routes(routes!(agent::checkpoint::agent_checkpoint))
}

fn anyone() -> OpenApiRouter<Plane> {
    OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::health))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
}

/// The whole service.
pub fn router(plane: &Plane) -> Router {
    let api = table().into_iter().fold(Router::new(), |router, group| {
        let routes = Router::from(group.routes);
        let door = Door { plane: plane.clone(), access: group.access, bucket: group.bucket };
        router.merge(match group.access {
            Access::Anyone => routes,
            Access::User | Access::Requester | Access::Auditor | Access::Admin | Access::Agent | Access::Enrolment => {
                routes.route_layer(from_fn_with_state(door, guard))
            }
        })
    });
    Router::new()
        .nest("/v1", api.clone())
        .merge(api)
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn_with_state(plane.clone(), fallback::time_limit))
        .layer(from_fn_with_state(plane.clone(), request_id::layer))
        .with_state(plane.clone())
}
