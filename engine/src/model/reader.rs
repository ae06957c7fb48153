//! Reads a `phasic-model/1` document into a definition: structure, names and the text of every expression.
//!
//! Nothing is evaluated here, so a document that was read can still be given other constants.

use super::definition::{
    Action, Assignment, Change, Declaration, Definition, Discretize, Formula, InitialState, Loop, Move,
    Names, Rate, Rule, list,
};
use super::expression::{self, SyntaxError, Written};
use super::number::Number;
use super::problem::ModelProblem;
use crate::document::json::{Json, Value};
use crate::document::{DocumentError, Problem, check_keys};

type Result<T, E = DocumentError> = std::result::Result<T, E>;

const KEYS: [&str; 14] = [
    "format",
    "name",
    "description",
    "source",
    "author",
    "license",
    "constants",
    "state",
    "parameters",
    "initial",
    "transitions",
    "parallel",
    "discretize",
    "notes",
];

/// Most constants, and most declarations of the state and of the parameters; a vector is one.
pub const MAX_NAMES: usize = 1024;

/// Most loop variables around one transition.
pub const MAX_LOOPS: usize = 32;

/// Reads a whole document. Linear in its length.
pub(super) fn read(json: Json<'static>) -> Result<Definition> {
    let root = json.root();
    check_keys(root, &KEYS)?;
    let text = |key| root.get(key).map(|value| value.string().map(String::from)).transpose();
    let (name, description) = (text("name")?, text("description")?);
    let constants = constants(root)?;
    let states = declarations(Some(root.require("state")?), &constants, true)?;
    let parameters = declarations(root.get("parameters"), &constants, false)?;
    let mut reader = Reader {
        names: Names { constants: &constants, states: &[], parameters: &parameters, loops: Vec::new() },
        states: &states,
    };
    let initial =
        root.require("initial")?.list()?.map(|entry| reader.initial(entry)).collect::<Result<_>>()?;
    let discretize = root.get("discretize").map(|value| reader.discretize(value)).transpose()?;
    reader.names.states = &states;
    let rules =
        root.require("transitions")?.list()?.map(|entry| reader.rule(entry)).collect::<Result<_>>()?;
    let merge_parallel = match root.get("parallel") {
        None => false,
        Some(value) => match &*value.string()? {
            "keep" => false,
            "merge" => true,
            other => return Err(value.error(ModelProblem::Parallel(other.to_owned()))),
        },
    };
    Ok(Definition {
        json,
        name,
        description,
        constants,
        states,
        parameters,
        initial,
        rules,
        merge_parallel,
        discretize,
    })
}

fn constants(root: Value<'_>) -> Result<Vec<(String, Number)>> {
    let Some(constants) = root.get("constants") else { return Ok(Vec::new()) };
    let constant = |(key, value): (Value<'_>, Value<'_>)| {
        let name = check_name(key, key.string()?.into_owned())?;
        match value.as_number() {
            Some(number) => Ok((name, number?)),
            None => Err(value.error(Problem::Type { expected: "a number", found: value.describe() })),
        }
    };
    check_count(constants, constants.members()?.count(), MAX_NAMES, "constants")?;
    constants.members()?.map(constant).collect()
}

/// The declarations of the state, whose names must differ from those of constants, or of the parameters.
fn declarations(
    value: Option<Value<'_>>,
    constants: &[(String, Number)],
    is_state: bool,
) -> Result<Vec<Declaration>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let what = if is_state { "state variables" } else { "parameters" };
    check_count(value, value.list()?.count(), MAX_NAMES, what)?;
    let names = Names { constants, states: &[], parameters: &[], loops: Vec::new() };
    let mut declarations: Vec<Declaration> = Vec::new();
    for item in value.list()? {
        let (origin, length) = if item.as_string().is_some() {
            (item, None)
        } else {
            let (key, length) = only_member(item, ModelProblem::Declaration)?;
            (key, Some(formula(length, &names)?))
        };
        let name = check_name(origin, origin.string()?.into_owned())?;
        let is_taken = declarations.iter().any(|other| other.name == name)
            || is_state && constants.iter().any(|(constant, _)| *constant == name);
        if is_taken {
            return Err(origin.error(ModelProblem::DuplicateName(name)));
        }
        declarations.push(Declaration { origin: origin.id(), name, length });
    }
    if is_state && declarations.is_empty() {
        return Err(value.error(ModelProblem::EmptyState));
    }
    Ok(declarations)
}

fn check_count(place: Value<'_>, count: usize, max: usize, what: &'static str) -> Result<()> {
    if count <= max { Ok(()) } else { Err(place.error(ModelProblem::TooMany { what, max })) }
}

fn check_name(origin: Value<'_>, name: String) -> Result<String> {
    if expression::is_name(&name) && !expression::RESERVED.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(origin.error(ModelProblem::Name(name)))
}

/// Key and value of an object that must have exactly one.
fn only_member(value: Value<'_>, otherwise: ModelProblem) -> Result<(Value<'_>, Value<'_>)> {
    if value.is_object() {
        let mut members = value.members()?;
        if let (Some(member), None) = (members.next(), members.next()) {
            return Ok(member);
        }
    }
    Err(value.error(otherwise))
}

/// A number, or the text of an expression.
fn formula(value: Value<'_>, names: &Names<'_>) -> Result<Formula> {
    let tree = if let Some(text) = value.as_string() {
        expression::parse(&text, names).map_err(|error| locate(value, error))?
    } else if let Some(number) = value.as_number() {
        Written::of_number(number?)
    } else {
        return Err(
            value.error(Problem::Type { expected: "a number or an expression", found: value.describe() })
        );
    };
    Ok(Formula { origin: value.id(), tree })
}

fn locate(value: Value<'_>, error: SyntaxError) -> DocumentError {
    DocumentError::new(value.place_within(error.offset), error.problem.into())
}

struct Reader<'a> {
    names: Names<'a>,
    /// What assignments can name, also where expressions cannot read the state.
    states: &'a [Declaration],
}

impl Reader<'_> {
    fn initial(&self, entry: Value<'_>) -> Result<InitialState> {
        check_keys(entry, &["state", "probability", "description"])?;
        let probability = match entry.get("probability") {
            Some(value) => formula(value, &self.names)?,
            None => Formula { origin: entry.id(), tree: Written::of_number(Number::Integer(1)) },
        };
        let state = self.assignments(entry.require("state")?, self.states, "state variable")?;
        Ok(InitialState { state, probability })
    }

    fn discretize(&self, value: Value<'_>) -> Result<Discretize> {
        match (value.is_object(), self.names.parameters.is_empty()) {
            (true, true) => Err(value.error(ModelProblem::DiscretizeBare)),
            (false, false) => Err(value.error(ModelProblem::DiscretizeName)),
            (false, true) => Ok(Discretize { name: None, rate: formula(value, &self.names)? }),
            (true, false) => {
                let (key, rate) = only_member(value, ModelProblem::DiscretizeName)?;
                let name = check_name(key, key.string()?.into_owned())?;
                if self.names.parameters.iter().any(|parameter| parameter.name == name) {
                    return Err(key.error(ModelProblem::DuplicateName(name)));
                }
                Ok(Discretize { name: Some(name), rate: formula(rate, &self.names)? })
            }
        }
    }

    fn rule(&mut self, entry: Value<'_>) -> Result<Rule> {
        check_keys(entry, &["for", "when", "to", "add", "do", "rate", "description"])?;
        let outer = self.names.loops.len();
        let mut loops = Vec::new();
        if let Some(value) = entry.get("for") {
            for item in value.list()? {
                loops.push(self.open_loop(item)?);
            }
        }
        let when = entry.get("when").map(|value| formula(value, &self.names)).transpose()?;
        let action = match (entry.get("to"), entry.get("add"), entry.get("do")) {
            (Some(to), None, None) => Action::Move(self.step(Change::To, to, entry)?),
            (None, Some(add), None) => Action::Move(self.step(Change::Add, add, entry)?),
            (None, None, Some(rules)) => {
                if let Some(rate) = entry.get("rate") {
                    return Err(rate.error(ModelProblem::RateBesideDo));
                }
                Action::Do(rules.list()?.map(|rule| self.rule(rule)).collect::<Result<_>>()?)
            }
            _ => return Err(entry.error(ModelProblem::Action)),
        };
        self.names.loops.truncate(outer);
        Ok(Rule { origin: entry.id(), loops, when, action })
    }

    /// Reads one loop; its variable is a name from here on.
    fn open_loop(&mut self, item: Value<'_>) -> Result<Loop> {
        let (key, bounds) = only_member(item, ModelProblem::Loop)?;
        let name = check_name(key, key.string()?.into_owned())?;
        let Some(mut bounds) = bounds.as_list() else {
            return Err(bounds.error(ModelProblem::Loop));
        };
        let (Some(from), Some(to), None) = (bounds.next(), bounds.next(), bounds.next()) else {
            return Err(item.error(ModelProblem::Loop));
        };
        let (from, to) = (formula(from, &self.names)?, formula(to, &self.names)?);
        if expression::Scope::resolve(&self.names, &name).is_some() {
            return Err(key.error(ModelProblem::DuplicateName(name)));
        }
        let slot = self.names.loops.len() as u32;
        self.names.loops.push(name.clone());
        check_count(item, self.names.loops.len(), MAX_LOOPS, "loop variables around one transition")?;
        Ok(Loop { slot, name, from, to })
    }

    /// A transition proper: what changes, and at which rate.
    fn step(&self, change: Change, changes: Value<'_>, entry: Value<'_>) -> Result<Move> {
        let assignments = self.assignments(changes, self.states, "state variable")?;
        let rate = entry.require("rate")?;
        let rate = match (self.names.parameters, rate.is_object()) {
            ([], true) => return Err(rate.error(ModelProblem::RateByParameter)),
            ([], false) => Rate::Bare(formula(rate, &self.names)?),
            (parameters, true) => Rate::ByParameter(self.assignments(rate, parameters, "parameter")?),
            ([first, ..], false) => return Err(rate.error(ModelProblem::BareRate(first.name.clone()))),
        };
        Ok(Move { change, assignments, rate })
    }

    fn assignments(
        &self,
        object: Value<'_>,
        declarations: &[Declaration],
        kind: &'static str,
    ) -> Result<Vec<Assignment>> {
        object.members()?.map(|(key, value)| self.assignment(key, value, declarations, kind)).collect()
    }

    fn assignment(
        &self,
        key: Value<'_>,
        value: Value<'_>,
        declarations: &[Declaration],
        kind: &'static str,
    ) -> Result<Assignment> {
        let text = key.string()?;
        let (name, index) =
            expression::parse_target(&text, &self.names).map_err(|error| locate(key, error))?;
        let Some(declaration) = declarations.iter().position(|declaration| declaration.name == name) else {
            let known = list(declarations.iter().map(|declaration| declaration.name.as_str()));
            return Err(key.error(ModelProblem::UnknownTarget { name: name.to_owned(), kind, known }));
        };
        match (&declarations[declaration].length, &index) {
            (Some(_), None) => {
                return Err(key.error(expression::ExpressionProblem::VectorWithoutIndex(name.to_owned())));
            }
            (None, Some(_)) => {
                return Err(key.error(expression::ExpressionProblem::IndexOnScalar(name.to_owned())));
            }
            _ => {}
        }
        Ok(Assignment {
            key: key.id(),
            declaration: declaration as u32,
            index: index.map(|tree| Formula { origin: key.id(), tree }),
            value: formula(value, &self.names)?,
        })
    }
}
