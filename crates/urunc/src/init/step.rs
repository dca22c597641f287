//! Steps of init, and which of them failed.

/// A failed step.
pub(super) struct Failure {
    pub(super) step: &'static str,
    pub(super) error: anyhow::Error,
}

pub(super) trait Step<T> {
    /// Names the step in which an error happened.
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { step, error: error.into() })
    }
}
