//! What `delete` and a failed start take back, from the plan alone.
