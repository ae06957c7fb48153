//! Numbers of a model, in one answer or line by line.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Request, Response};
use axum::response::IntoResponse;
use phasic_hub_api::evaluate::NDJSON_MEDIA_TYPE;
use phasic_hub_api::{EvaluateRequest, EvaluateResponse, EvaluateResult, ProblemCode};

use super::Services;
use super::account::{Account, Share};
use super::body::Budget;
use super::error::ApiError;
use super::model;
use super::rate::Payer;
use crate::auth::Caller;
use crate::config;
use crate::evaluate::{PrepareError, Prepared, Question, QuestionError};
use crate::workers::BrokeOff;

/// Numbers of a model at one θ or many.
///
/// The model is a document, a built-in model, or a compute or graph this hub knows. Quantities are words, or objects of
/// one word and its argument: `"expectation"`, `{"moments": 4}`, `{"pdf": [0.5, 1.0]}`. The hub keeps the plans of
/// models that were asked lately, so asking again costs only the evaluation.
///
/// ```text
/// curl -s http://127.0.0.1:8787/v1/evaluate -H "Authorization: Bearer $TOKEN" -d '{
///   "model": {"builtin": "kingman", "constants": {"n": 5}},
///   "theta": [[1.0], [2.0]],
///   "quantities": ["expectation", "variance", {"cdf": [0.5, 1.0]}], "gradients": false}'
/// ```
///
/// With `Accept: application/x-ndjson` each θ is a line of its own (an `EvaluateResult`), sent as soon as it is there,
/// and the answer may be of any length. Where the model has no numbers at one θ of a list, that result has `error` in
/// place of `values`; a single θ (a flat list) without numbers is the problem `no_number`.
#[utoipa::path(
    post,
    path = "/v1/evaluate",
    tag = "compute",
    params(("Accept" = Option<String>, Header, description = "`application/x-ndjson`: a line for each θ")),
    request_body = EvaluateRequest,
    responses(
        (status = 200, description = "The numbers", content(
            (EvaluateResponse = "application/json"),
            (EvaluateResult = "application/x-ndjson"),
        )),
        (status = 400, description = "`invalid_request`"),
        (status = 404, description = "`compute_not_found`, `graph_not_found`"),
        (status = 409, description = "`graph_ambiguous`"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`model_invalid`, `question_invalid`, `too_large`, `no_number`"),
        (status = 503, description = "`timeout`"),
    )
)]
pub(super) async fn evaluate(
    State(services): State<Services>,
    State(budget): State<Budget>,
    State(answers): State<Answers>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let (streamed, payer) = (wants_lines(request.headers()), Payer::of(request.extensions()));
    let (request, mut share) = budget.receive(request).await?.json::<EvaluateRequest>().await?;
    let recipe = model::recipe(&services.hub, &request.model, &caller.viewer()).await?;
    let evaluator = &services.evaluator;
    let prepared = evaluator.prepare(recipe, &payer.to_string()).await.map_err(ApiError::from)?;
    let cost = prepared.plan.cost();
    let question = Question::new(request, &prepared.identity, &cost, &evaluator.limits, streamed)?;
    // The document is a plan by now.
    share.keep(question.held_bytes());
    let prepared = evaluator.complete(prepared, &question, &payer.to_string()).await?;
    // Before anything is computed there is room for what will be.
    let room = answers.0.take(payer, question.answer_memory_bytes(streamed)).await?;
    let asked = Asked { services, prepared, question: Arc::new(question), _held: [share, room] };
    if streamed { Ok(asked.lines()) } else { asked.whole().await }
}

/// Memory that the answers of all requests may take together.
#[derive(Clone, Debug)]
pub(super) struct Answers(Account);

impl Answers {
    pub(super) fn new(limits: &config::Evaluate) -> Self {
        // Whatever is set, one answer of the largest size must fit.
        let largest = Question::largest_answer_memory_bytes(limits);
        Self(Account::new(limits.max_answers_bytes.get(), largest))
    }
}

/// Whether the client names NDJSON.
fn wants_lines(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let name = range.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case(NDJSON_MEDIA_TYPE)
    })
}

/// A question on its way.
struct Asked {
    services: Services,
    prepared: Arc<Prepared>,
    question: Arc<Question>,
    /// Memory of the question and of its answer.
    _held: [Share; 2],
}

impl Asked {
    async fn part(&self, range: std::ops::Range<usize>, separator: u8) -> Result<Part, BrokeOff> {
        let (prepared, question) = (Arc::clone(&self.prepared), Arc::clone(&self.question));
        let shape = move |results: Vec<EvaluateResult>| Part::new(results, separator);
        self.services.evaluator.answer(prepared, question, range, shape).await
    }

    /// All results in one JSON document.
    async fn whole(self) -> Result<Response<Body>, ApiError> {
        let head = serde_json::to_string(&self.prepared.identity).expect("an identity is texts and numbers");
        let mut text = format!("{{\"model\":{head},\"results\":[").into_bytes();
        for range in self.question.chunks() {
            let part = self.part(range, b',').await.map_err(ApiError::from)?;
            if self.question.is_spent() {
                return Err(QuestionError::Spent.into());
            }
            if self.question.is_single()
                && let Some(error) = part.first_error
            {
                return Err(ApiError::new(ProblemCode::NoNumber, error));
            }
            text.extend_from_slice(&part.text);
        }
        // Every result ends with its separator, the last one too many.
        if text.last() == Some(&b',') {
            text.pop();
        }
        text.extend_from_slice(b"]}\n");
        Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
    }

    /// A line for each θ.
    fn lines(self) -> Response<Body> {
        let (chunks, asked) = (self.question.chunks(), Arc::new(self));
        let lines = in_turns(chunks, move |range| {
            let asked = Arc::clone(&asked);
            // A broken answer must not look like a short one: the connection ends without its last chunk.
            async move { Ok::<_, BrokeOff>(Bytes::from(asked.part(range, b'\n').await?.text)) }
        });
        ([(CONTENT_TYPE, HeaderValue::from_static(NDJSON_MEDIA_TYPE))], lines).into_response()
    }
}

/// A body of parts, each of which is made when the client has taken the one before: one is in memory at a time, however
/// long the answer is and however slowly it is read.
pub(super) fn in_turns<T: Send + 'static, E, F>(
    parts: impl Iterator<Item = T> + Send + 'static,
    make: impl FnMut(T) -> F + Send + 'static,
) -> Body
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<Bytes, E>> + Send + 'static,
{
    Body::from_stream(futures_util::stream::try_unfold((parts, make), async |(mut parts, mut make)| {
        let Some(next) = parts.next() else { return Ok(None) };
        Ok::<_, E>(Some((make(next).await?, (parts, make))))
    }))
}

/// Some results as JSON, each with the separator behind it.
struct Part {
    text: Vec<u8>,
    first_error: Option<String>,
}

impl Part {
    fn new(results: Vec<EvaluateResult>, separator: u8) -> Self {
        let mut text = Vec::new();
        for result in &results {
            serde_json::to_writer(&mut text, result).expect("results are texts and numbers");
            text.push(separator);
        }
        let first_error = results.into_iter().find_map(|result| result.error);
        Self { text, first_error }
    }
}

impl From<PrepareError> for ApiError {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Model(error) => error.into(),
            PrepareError::Analysis(error) => Self::new(ProblemCode::TooLarge, error.to_string()),
            PrepareError::Elimination(error) => Self::new(ProblemCode::TooLarge, error.to_string()),
            PrepareError::BrokeOff(error) => error.into(),
        }
    }
}

impl From<QuestionError> for ApiError {
    fn from(error: QuestionError) -> Self {
        let code = match &error {
            QuestionError::TooLarge(_) | QuestionError::Spent => ProblemCode::TooLarge,
            QuestionError::Misfit(_) | QuestionError::Theta { .. } => ProblemCode::QuestionInvalid,
        };
        Self::new(code, error.to_string())
    }
}

impl From<BrokeOff> for ApiError {
    fn from(_: BrokeOff) -> Self {
        Self::new(ProblemCode::Internal, "The computation broke off; the log of the hub has the details.")
    }
}
