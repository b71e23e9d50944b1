//! Credentials for a request.
