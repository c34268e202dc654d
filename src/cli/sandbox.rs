//! `tidings sandbox`

use super::{Ended, Failure};
use crate::sandbox::{SandboxArgs, run_cli};

pub(super) fn run(args: SandboxArgs) -> Ended {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the sandbox cannot start: {error}")))?;
    match runtime.block_on(run_cli(args)) {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(super::FAILED)),
        Err(error) => {
            // The whole chain, each cause after a colon.
            Err(Failure::new(format!("{error:#}")))
        }
    }
}
