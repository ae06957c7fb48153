//! Problems: the one shape of every error answer (RFC 9457, `application/problem+json`).
//!
//! Codes are stable and made for programs; titles and details are sentences for people and may change. How a problem
//! becomes a response is the server's business.

use serde::{Deserialize, Serialize};

use crate::health::Finding;
use crate::jobs::VariantForecast;

/// The media type of a problem.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// An error answer.
///
/// ```
/// use phasic_hub_api::{Problem, ProblemCode};
/// let problem = Problem::new(ProblemCode::ArtifactNotFound, "No compute of this hub has this artifact.");
/// assert_eq!((problem.status, problem.code.as_str()), (404, "artifact_not_found"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A URI reference for the kind of problem; `about:blank` says that `code` tells all there is.
    #[serde(rename = "type", default = "about_blank")]
    pub type_uri: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What happened this time, to which thing, and what to do next.
    #[serde(default)]
    pub detail: String,
    /// The kind of problem for programs; never changes. Later versions may have more of them.
    #[cfg_attr(feature = "schema", schema(value_type = ProblemCode))]
    pub code: String,
    /// What was refused would take this much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Box<VariantForecast>>,
    /// What a hub that is not ready waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Finding>,
    /// Names this answer in the logs of the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of a known kind.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            type_uri: about_blank(),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
            forecast: None,
            reasons: Vec::new(),
            request_id: None,
        }
    }
}

/// Declares the codes once: variant, code, status, title.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// The kinds of problems this version of the hub answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemCode { $($(#[$doc])* $variant,)* }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written in [`Problem::code`].
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status it comes with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The title it comes with.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// A parameter of the request could not be understood.
    InvalidRequest = "invalid_request", 400, "The request could not be understood";
    /// The request asks for a token, and there is none.
    TokenRequired = "token_required", 401, "A token is needed";
    /// The token is none of this hub, has expired or was revoked.
    TokenInvalid = "token_invalid", 401, "The token is not valid";
    /// The token does not allow this.
    ScopeMissing = "scope_missing", 403, "The token does not allow this";
    /// No token has this id.
    TokenNotFound = "token_not_found", 404, "No such token";
    /// No route has this path.
    RouteNotFound = "route_not_found", 404, "There is nothing at this address";
    /// The path names an artifact, and the hub has none of this name.
    ArtifactNotFound = "artifact_not_found", 404, "No such artifact";
    /// The route exists with other methods.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// The hub has no job of this id.
    JobNotFound = "job_not_found", 404, "No such job";
    /// Others have asked for the job.
    JobOfOthers = "job_of_others", 403, "The job is somebody else's";
    /// As many jobs wait as may wait.
    QueueFull = "queue_full", 503, "The queue is full";
    /// As many jobs of one client wait as may wait.
    TooManyJobs = "too_many_jobs", 429, "Too many jobs are waiting";
    /// The job has ended, so it cannot be cancelled.
    JobEnded = "job_ended", 409, "The job has ended";
    /// The hub has no blob of this digest that it may give away.
    BlobNotFound = "blob_not_found", 404, "No such blob";
    /// The hub has no task of this id.
    TaskNotFound = "task_not_found", 404, "No such task";
    /// A task of the kind is running that was asked for differently.
    TaskRunning = "task_running", 409, "Another task of the kind is running";
    /// There is no room for what was sent.
    StorageFull = "storage_full", 507, "The hub has no room left";
    /// The disk of the hub is read-only, so nothing can be changed.
    StorageReadOnly = "storage_read_only", 507, "The disk of the hub is read-only";
    /// The graph the request names has several definitions here.
    GraphAmbiguous = "graph_ambiguous", 409, "The graph has several definitions";
    /// The token is not for this id.
    IdNotAllowed = "id_not_allowed", 403, "The token is not for this id";
    /// The token has no unfinished upload of this blob.
    UploadNotFound = "upload_not_found", 404, "No such unfinished upload";
    /// The part does not continue the upload, or another request is at it.
    UploadConflict = "upload_conflict", 409, "The upload goes on elsewhere";
    /// The id stands for something else.
    ComputeExists = "compute_exists", 409, "The id is taken";
    /// The compute comes from an upstream.
    ComputeMirrored = "compute_mirrored", 409, "The compute is an upstream's";
    /// The hub lists the compute by itself.
    ComputeOfHub = "compute_of_hub", 409, "The compute is the hub's own";
    /// The settings say that the id is private.
    PrivateBySetting = "private_by_setting", 409, "The id is private by the settings";
    /// There is no elimination to publish.
    EliminationMissing = "elimination_missing", 409, "There is no such elimination";
    /// The present state is not the one the request is meant for.
    PreconditionFailed = "precondition_failed", 412, "The condition of the request does not hold";
    /// Files an entry names were not uploaded.
    BlobMissing = "blob_missing", 422, "Files are missing";
    /// A file is not what its entry says.
    ArtifactInvalid = "artifact_invalid", 422, "The file is not what its entry says";
    /// Metadata contradict the graph.
    MetadataInvalid = "metadata_invalid", 422, "The metadata contradict the graph";
    /// The bytes have another digest than their name.
    DigestMismatch = "digest_mismatch", 422, "The bytes have another digest";
    /// The token has stored as much as it may.
    QuotaExceeded = "quota_exceeded", 507, "The token has stored as much as it may";
    /// The hub has no compute of this id.
    ComputeNotFound = "compute_not_found", 404, "No such compute";
    /// The hub does not have the graph the request names.
    GraphNotFound = "graph_not_found", 404, "The graph is not known here";
    /// The model of the request builds no graph.
    ModelInvalid = "model_invalid", 422, "The model builds no graph";
    /// The model, or the work asked for, passes a limit of the hub.
    TooLarge = "too_large", 422, "More than the hub allows";
    /// What is asked does not fit the model.
    QuestionInvalid = "question_invalid", 422, "The question does not fit the model";
    /// The model has no number at these parameters.
    NoNumber = "no_number", 422, "The model has no such number";
    /// The body is larger than the hub allows.
    BodyTooLarge = "body_too_large", 413, "The request body is too large";
    /// The head of the request is larger than the hub allows, or has more fields.
    HeaderTooLarge = "header_too_large", 431, "The head of the request is too large";
    /// The target of the request is longer than any path of the hub.
    UriTooLong = "uri_too_long", 414, "The target of the request is too long";
    /// The range lies outside of the artifact.
    RangeNotSatisfiable = "range_not_satisfiable", 416, "The range cannot be satisfied";
    /// The client has asked for more than its share.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The mirror has no upstream of this name.
    UpstreamNotFound = "upstream_not_found", 404, "No such upstream";
    /// The mirror has no pass of this number.
    PassNotFound = "pass_not_found", 404, "No such pass";
    /// Nothing in quarantine has this number.
    QuarantineNotFound = "quarantine_not_found", 404, "No such line in quarantine";
    /// Nobody can make the hub take this.
    DecisionImpossible = "decision_impossible", 409, "This cannot be decided so";
    /// The settings forbid to open connections.
    HubOffline = "hub_offline", 409, "The hub is offline by its settings";
    /// A fault of the hub.
    Internal = "internal", 500, "The hub made a mistake";
    /// The hub took longer for an answer than it allows itself.
    Timeout = "timeout", 503, "The hub took too long";
    /// Others are writing to the database of the hub, and have kept this request waiting for too long.
    Busy = "busy", 503, "The hub is busy";
    /// The hub is at work on becoming ready.
    NotReady = "not_ready", 503, "The hub is not ready yet";
    /// The bytes are damaged or lost, and are withheld.
    ArtifactUnavailable = "artifact_unavailable", 503, "The artifact is not available";
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for ProblemCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("The kinds of problems this version of the hub answers with."))
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for ProblemCode {}

impl Serialize for ProblemCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Problem, ProblemCode};

    #[test]
    fn codes_are_distinct_words_with_an_error_status() {
        let mut codes: Vec<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        assert!(ProblemCode::ALL.iter().all(|code| (400..600).contains(&code.status())));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ProblemCode::ALL.len());
    }

    /// Programs compare with these words: a line may be added here, and none changed or taken away.
    #[test]
    fn codes_never_change() {
        let promised = [
            "invalid_request 400",
            "token_required 401",
            "token_invalid 401",
            "scope_missing 403",
            "token_not_found 404",
            "route_not_found 404",
            "artifact_not_found 404",
            "method_not_allowed 405",
            "job_not_found 404",
            "job_of_others 403",
            "queue_full 503",
            "too_many_jobs 429",
            "job_ended 409",
            "blob_not_found 404",
            "task_not_found 404",
            "task_running 409",
            "storage_full 507",
            "storage_read_only 507",
            "graph_ambiguous 409",
            "id_not_allowed 403",
            "upload_not_found 404",
            "upload_conflict 409",
            "compute_exists 409",
            "compute_mirrored 409",
            "compute_of_hub 409",
            "private_by_setting 409",
            "elimination_missing 409",
            "precondition_failed 412",
            "blob_missing 422",
            "artifact_invalid 422",
            "metadata_invalid 422",
            "digest_mismatch 422",
            "quota_exceeded 507",
            "compute_not_found 404",
            "graph_not_found 404",
            "model_invalid 422",
            "too_large 422",
            "question_invalid 422",
            "no_number 422",
            "body_too_large 413",
            "header_too_large 431",
            "uri_too_long 414",
            "range_not_satisfiable 416",
            "rate_limited 429",
            "upstream_not_found 404",
            "pass_not_found 404",
            "quarantine_not_found 404",
            "decision_impossible 409",
            "hub_offline 409",
            "internal 500",
            "timeout 503",
            "busy 503",
            "not_ready 503",
            "artifact_unavailable 503",
        ];
        let now = ProblemCode::ALL.iter().map(|code| format!("{} {}", code.as_str(), code.status()));
        assert_eq!(now.collect::<Vec<_>>(), promised);
    }

    #[test]
    fn a_problem_is_written_with_the_members_of_rfc_9457() {
        let mut problem = Problem::new(ProblemCode::RouteNotFound, "No route.");
        problem.request_id = Some("r1".to_owned());
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(
            json,
            "{\"type\":\"about:blank\",\"title\":\"There is nothing at this address\",\"status\":404,\
             \"detail\":\"No route.\",\"code\":\"route_not_found\",\"request_id\":\"r1\"}"
        );
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
    }

    #[test]
    fn a_problem_with_an_unknown_code_and_unknown_members_is_still_read() {
        let json = r#"{"title": "t", "status": 402, "code": "of_a_later_version", "hint": {"more": 1}}"#;
        let problem: Problem = serde_json::from_str(json).unwrap();
        assert_eq!((problem.status, problem.code.as_str()), (402, "of_a_later_version"));
    }
}
