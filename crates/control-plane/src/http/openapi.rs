//! `GET /openapi.json`: the contract, made from the route table.

use axum::Json;
use gk_shared::problem::Problem;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::access::Access;
use super::router::table;

const SCHEME: &str = "bearer";

/// Shows the contract
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "The OpenAPI 3.1 document", body = serde_json::Value)))]
pub async fn openapi() -> Json<OpenApi> {
    Json(document())
}

/// The contract as a document.
#[must_use]
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Gatekeeper")
        .version(crate::VERSION)
        .description(Some("Just-in-time Postgres access. Every path also answers without /v1. Errors are RFC 9457 problem details; their codes are stable."))
        .build();
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components =
        ComponentsBuilder::new().schema(Problem::name(), Problem::schema()).security_scheme(SCHEME, scheme).build();
    let mut document = OpenApiBuilder::new().info(info).components(Some(components)).build();
    for group in table() {
        let mut part = group.routes.into_openapi();
        part.paths.paths.values_mut().flat_map(operations).for_each(|operation| finish(operation, group.access));
        let nested = match group.access {
            // Health and the like are looked for at the root.
            Access::Anyone => part,
            Access::User | Access::Requester | Access::Auditor | Access::Admin | Access::Agent | Access::Enrolment => {
                OpenApiBuilder::new().build().nest("/v1", part)
            }
        };
        document.merge(nested);
    }
    document
}

/// The operations of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete, &mut item.patch]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// What all operations have in common: how they fail, and who may call them.
fn finish(operation: &mut Operation, access: Access) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let failed = ResponseBuilder::new()
        .description("A problem; `code` says which")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), failed.into());
    let scopes: Vec<&str> = access.scopes().iter().map(|scope| scope.as_str()).collect();
    if !scopes.is_empty() {
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
        let note = format!("Needs the scope {}.", scopes.join(" or "));
        let before = operation.description.take().map_or_else(String::new, |text| format!("{}\n\n", text.trim_end()));
        operation.description = Some(before + &note);
    }
}
