//! The log, page by page.

use std::time::Duration;

use gk_shared::audit::AuditRecord;

use crate::client::{AuditQuery, Client};
use crate::error::CliError;

const PAGE: u32 = 1000;

/// Reads the log from the place behind `after`, handing each record to `take`, to its end as it is now.
pub(crate) async fn read_all(
    client: &Client,
    mut asked: AuditQuery,
    mut take: impl FnMut(&AuditRecord) -> Result<(), CliError>,
) -> Result<(), CliError> {
    (asked.limit, asked.wait) = (PAGE, Duration::ZERO);
    loop {
        let page = client.audit_events(&asked).await?;
        page.events.iter().try_for_each(&mut take)?;
        // A server that says "more" and does not move on would keep us for ever.
        if !page.more || page.next_after <= asked.after {
            return Ok(());
        }
        asked.after = page.next_after;
    }
}
