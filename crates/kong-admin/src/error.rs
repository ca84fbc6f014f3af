//! What an endpoint answers when it cannot do what was asked (admin-api.md §4).

use kong_schema::errors::ErrorObject;
use thiserror::Error;

use crate::message::AdminResponse;

/// Result of an endpoint.
pub(crate) type ApiResult = Result<AdminResponse, ApiError>;

/// A refusal.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// An error object of the data access layer.
    #[error(transparent)]
    Entity(#[from] ErrorObject),
    /// 404.
    #[error("Not found")]
    NotFound,
    /// 405.
    #[error("Method not allowed")]
    MethodNotAllowed,
    /// Another status with `{"message": …}`.
    #[error("{message}")]
    Message {
        /// Status.
        status: u16,
        /// Text.
        message: String,
    },
}

impl ApiError {
    pub(crate) fn message(status: u16, message: impl Into<String>) -> Self {
        ApiError::Message {
            status,
            message: message.into(),
        }
    }
}

impl From<ApiError> for AdminResponse {
    fn from(err: ApiError) -> Self {
        match err {
            ApiError::Entity(err) => AdminResponse::json(err.http_status(), &err.body()),
            ApiError::NotFound => AdminResponse::message(404, "Not found"),
            ApiError::MethodNotAllowed => AdminResponse::message(405, "Method not allowed"),
            ApiError::Message { status, message } => AdminResponse::message(status, &message),
        }
    }
}
