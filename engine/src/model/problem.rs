//! What the rules of a model can do wrong, beside the spelling of its expressions.

/// A problem in the rules of a model document.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelProblem {
    /// A text that cannot be a name.
    #[error(
        "`{0}` cannot be a name; names have letters, digits and underscores, do not begin with a digit, and are none \
         of the words of the expression language"
    )]
    Name(String),
    /// A name declared twice.
    #[error(
        "the name `{0}` is already taken; constants, state variables and loop variables need distinct names"
    )]
    DuplicateName(String),
    /// A declaration that is neither a name nor one vector.
    #[error("expected a name, or a vector as in {{\"k\": \"n\"}} with its length")]
    Declaration,
    /// A state without variables.
    #[error("a state needs at least one variable")]
    EmptyState,
    /// A vector length out of range.
    #[error("a vector needs a length of 1 to {max}, but this is {found}")]
    VectorLength {
        /// The largest length.
        max: u32,
        /// The length.
        found: i64,
    },
    /// Too many variables or parameters altogether.
    #[error("there are more than {max} {what}, counting each element of a vector")]
    TooLong {
        /// "state variables" or "parameters".
        what: &'static str,
        /// The largest number.
        max: u32,
    },
    /// A key that names no state variable or no parameter.
    #[error("`{name}` is not a {kind}; there are {known}")]
    UnknownTarget {
        /// The name.
        name: String,
        /// "state variable" or "parameter".
        kind: &'static str,
        /// All that could be named.
        known: String,
    },
    /// One variable or parameter is given two values.
    #[error("{name} is given two values here{situation}")]
    AssignedTwice {
        /// The variable or parameter.
        name: String,
        /// For people: in which state and with which loop variables; may be empty.
        situation: String,
    },
    /// A transition without or with several actions.
    #[error("a transition has exactly one of \"to\", \"add\" and \"do\"")]
    Action,
    /// A rate beside `do`.
    #[error("the transitions within \"do\" have rates of their own; remove this one")]
    RateBesideDo,
    /// A bare rate although there are parameters.
    #[error("this model has parameters, so a rate names them, as in {{\"{0}\": 1}}")]
    BareRate(String),
    /// A rate by parameters although there are none.
    #[error("this model declares no parameters, so a rate is a single number or expression")]
    RateByParameter,
    /// A loop that is not one variable with two bounds.
    #[error("expected one loop variable with its bounds, as in {{\"i\": [1, \"n\"]}}")]
    Loop,
    /// More names of one kind than allowed.
    #[error("there are more than {max} {what}")]
    TooMany {
        /// "constants", "state variables", "parameters", or "loop variables around one transition".
        what: &'static str,
        /// The largest number.
        max: usize,
    },
    /// `parallel` with another value.
    #[error("expected \"keep\" or \"merge\", but found \"{0}\"")]
    Parallel(String),
    /// `discretize` without a name for the new parameter.
    #[error("this model has parameters, so the rate of discretization is named, as in {{\"mutation\": 0.1}}")]
    DiscretizeName,
    /// `discretize` with a name although there are no parameters.
    #[error("this model declares no parameters, so the rate of discretization is a bare number")]
    DiscretizeBare,
    /// A constant that the document does not have.
    #[error("the model has no constant `{name}`; its constants are {known}")]
    UnknownConstant {
        /// The name given.
        name: String,
        /// All constants.
        known: String,
    },
    /// A constant that is infinite or not a number.
    #[error("the constant `{0}` must be a finite number")]
    ConstantNotFinite(String),
    /// The budget for evaluating rules is used up.
    #[error(
        "building the graph takes more than {limit} evaluation steps; raise the limit if that is intended"
    )]
    Steps {
        /// The limit in force.
        limit: u64,
    },
    /// Nobody wants the graph any more.
    #[error("building the graph was cancelled")]
    Cancelled,
}
