//! Parses expressions by precedence climbing, with Python's precedences, and resolves their names.
//!
//! What comes out is a written tree; nothing is evaluated here.

use super::lexer::{Lexeme, Lexer, Token};
use super::{ExpressionProblem, Function, MAX_DEPTH, Name, Node, NodeId, Operator, Relation};
use super::{Scope, Symbol, SyntaxError, Written};

/// The functions, for people.
pub(super) const FUNCTION_NAMES: &str = "min, max, abs, floor, ceil, exp, log, sqrt, comb and sum";

/// Words that cannot be names of anything.
pub(in crate::model) const RESERVED: [&str; 13] =
    ["and", "or", "not", "min", "max", "abs", "floor", "ceil", "exp", "log", "sqrt", "comb", "sum"];

/// Binding strengths, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Comparison,
    Sum,
    Product,
    Unary,
    Power,
}

/// Parses a whole text as one expression.
pub(in crate::model) fn parse(text: &str, scope: &dyn Scope) -> Result<Written, SyntaxError> {
    let mut parser = Parser::new(text, scope)?;
    let root = parser.expression(Level::Or)?;
    parser.expect_end()?;
    parser.tree.root = root.id;
    Ok(parser.tree)
}

/// Parses a place that is written to, `a` or `k[expression]`: its name, and the index if there is one.
pub(in crate::model) fn parse_target<'a>(
    text: &'a str,
    scope: &'a dyn Scope,
) -> Result<(&'a str, Option<Written>), SyntaxError> {
    let mut parser = Parser::new(text, scope)?;
    let Token::Word(name) = parser.next.token else {
        return Err(parser.unexpected("a name"));
    };
    parser.advance()?;
    if parser.next.token == Token::End {
        return Ok((name, None));
    }
    parser.expect("[", "`[` or the end")?;
    let index = parser.expression(Level::Or)?;
    parser.expect("]", "`]`")?;
    parser.expect_end()?;
    parser.tree.root = index.id;
    Ok((name, Some(parser.tree)))
}

/// A node with the height of the tree below it.
#[derive(Clone, Copy)]
struct Built {
    id: NodeId,
    height: u16,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Lexeme<'a>,
    scope: &'a dyn Scope,
    tree: Written,
    /// Levels of recursion now open.
    depth: u16,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, scope: &'a dyn Scope) -> Result<Self, SyntaxError> {
        let mut lexer = Lexer::new(text)?;
        let next = lexer.next()?;
        Ok(Self { lexer, next, scope, tree: Written::empty(), depth: 0 })
    }

    fn advance(&mut self) -> Result<(), SyntaxError> {
        self.next = self.lexer.next()?;
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> SyntaxError {
        let found = match self.next.token {
            Token::Number(number) => format!("the number {number}"),
            Token::Word(word) => format!("`{word}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        };
        SyntaxError { offset: self.next.offset, problem: ExpressionProblem::Unexpected { expected, found } }
    }

    fn expect(&mut self, sign: &'static str, expected: &'static str) -> Result<(), SyntaxError> {
        if self.next.token != Token::Sign(sign) {
            return Err(self.unexpected(expected));
        }
        self.advance()
    }

    fn expect_end(&self) -> Result<(), SyntaxError> {
        match self.next.token {
            Token::End => Ok(()),
            _ => Err(self.unexpected("an operator or the end")),
        }
    }

    fn push(
        &mut self,
        node: Node<Name, u32>,
        offset: usize,
        height_below: u16,
    ) -> Result<Built, SyntaxError> {
        if height_below >= MAX_DEPTH {
            return Err(SyntaxError { offset, problem: ExpressionProblem::TooDeep });
        }
        Ok(Built { id: self.tree.push(node, offset), height: height_below + 1 })
    }

    /// An expression whose outermost operators bind at least as strongly as `weakest`.
    fn expression(&mut self, weakest: Level) -> Result<Built, SyntaxError> {
        if self.depth >= MAX_DEPTH {
            return Err(SyntaxError { offset: self.next.offset, problem: ExpressionProblem::TooDeep });
        }
        self.depth += 1;
        let mut left = self.prefix(weakest)?;
        while let Some((level, infix)) = infix(self.next.token) {
            if level < weakest {
                break;
            }
            left = self.infix(left, infix)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn prefix(&mut self, weakest: Level) -> Result<Built, SyntaxError> {
        let Lexeme { token, offset } = self.next;
        match token {
            Token::Number(number) => {
                self.advance()?;
                self.push(Node::Number(number), offset, 0)
            }
            Token::Sign("-") => {
                self.advance()?;
                let operand = self.expression(Level::Unary)?;
                self.push(Node::Unary(Function::Negate, operand.id), offset, operand.height)
            }
            Token::Sign("+") => {
                self.advance()?;
                self.expression(Level::Unary)
            }
            Token::Sign("(") => {
                self.advance()?;
                let inner = self.expression(Level::Or)?;
                self.expect(")", "an operator or `)`")?;
                Ok(inner)
            }
            // As in Python, `not` cannot be the operand of anything that binds more strongly.
            Token::Word("not") if weakest <= Level::Not => {
                self.advance()?;
                let operand = self.expression(Level::Not)?;
                self.push(Node::Unary(Function::Not, operand.id), offset, operand.height)
            }
            Token::Word("not") => Err(self.unexpected("a value, or `not …` in parentheses")),
            Token::Word("and" | "or") | Token::Sign(_) | Token::End => Err(self.unexpected("a value")),
            Token::Word(word) => {
                self.advance()?;
                match self.next.token {
                    Token::Sign("(") => self.call(word, offset),
                    _ => self.name(word, offset),
                }
            }
        }
    }

    fn infix(&mut self, left: Built, infix: Infix) -> Result<Built, SyntaxError> {
        let offset = self.next.offset;
        if let Infix::Comparison(_) = infix {
            return self.comparison(left, offset);
        }
        self.advance()?;
        let right = self.expression(match infix {
            Infix::Or => Level::And,
            Infix::And => Level::Not,
            Infix::Comparison(_) | Infix::Operator(Operator::Add | Operator::Subtract) => Level::Product,
            // To the right of `**`, a sign binds more strongly, and so does a further `**`.
            Infix::Operator(_) => Level::Unary,
        })?;
        let node = match infix {
            Infix::Or => Node::Or(left.id, right.id),
            Infix::And => Node::And(left.id, right.id),
            Infix::Comparison(relation) => Node::Comparison(relation, left.id, right.id),
            Infix::Operator(operator) => Node::Binary(operator, left.id, right.id),
        };
        self.push(node, offset, left.height.max(right.height))
    }

    /// One comparison, or a chain of them that shares its inner operands.
    fn comparison(&mut self, first: Built, offset: usize) -> Result<Built, SyntaxError> {
        let mut links = Vec::new();
        let mut height = first.height;
        while let Some((_, Infix::Comparison(relation))) = infix(self.next.token) {
            self.advance()?;
            let operand = self.expression(Level::Sum)?;
            height = height.max(operand.height);
            links.push((relation, operand.id));
        }
        if let [(relation, second)] = links[..] {
            return self.push(Node::Comparison(relation, first.id, second), offset, height);
        }
        let begin = self.tree.links.len() as u32;
        self.tree.links.extend_from_slice(&links);
        self.push(Node::Chain(first.id, begin, begin + links.len() as u32), offset, height)
    }

    fn name(&mut self, word: &str, offset: usize) -> Result<Built, SyntaxError> {
        let error = |problem| Err(SyntaxError { offset, problem });
        let Some(symbol) = self.scope.resolve(word) else {
            let name = word.to_owned();
            return error(if self.scope.is_parameter(word) {
                ExpressionProblem::ParameterInExpression(name)
            } else {
                ExpressionProblem::UnknownName { name, known: self.scope.known() }
            });
        };
        let is_indexed = self.next.token == Token::Sign("[");
        let scalar = match symbol {
            Symbol::Vector(_) if !is_indexed => {
                return error(ExpressionProblem::VectorWithoutIndex(word.to_owned()));
            }
            Symbol::Vector(vector) => {
                self.advance()?;
                let index = self.expression(Level::Or)?;
                self.expect("]", "an operator or `]`")?;
                return self.push(Node::Element(vector, index.id), offset, index.height);
            }
            Symbol::Constant(constant) => Name::Constant(constant),
            Symbol::State(state) => Name::State(state),
            Symbol::Loop(variable) => Name::Loop(variable),
        };
        if is_indexed {
            return error(ExpressionProblem::IndexOnScalar(word.to_owned()));
        }
        self.push(Node::Scalar(scalar), offset, 0)
    }

    fn call(&mut self, word: &str, offset: usize) -> Result<Built, SyntaxError> {
        let callee = match word {
            "sum" => return self.sum(offset),
            "min" => Callee::Fold("min", Operator::Least),
            "max" => Callee::Fold("max", Operator::Greatest),
            "comb" => Callee::Two("comb", Operator::Choose),
            "abs" => Callee::One("abs", Function::Absolute),
            "floor" => Callee::One("floor", Function::Floor),
            "ceil" => Callee::One("ceil", Function::Ceil),
            "exp" => Callee::One("exp", Function::Exponential),
            "log" => Callee::One("log", Function::Logarithm),
            "sqrt" => Callee::One("sqrt", Function::SquareRoot),
            _ => {
                return Err(SyntaxError {
                    offset,
                    problem: ExpressionProblem::UnknownFunction(word.to_owned()),
                });
            }
        };
        let arguments = self.arguments()?;
        let count_error = |function, expected| {
            let found = arguments.len();
            Err(SyntaxError {
                offset,
                problem: ExpressionProblem::ArgumentCount { function, expected, found },
            })
        };
        match (callee, &arguments[..]) {
            (Callee::One(_, function), &[argument]) => {
                self.push(Node::Unary(function, argument.id), offset, argument.height)
            }
            (Callee::One(name, _), _) => count_error(name, "one argument"),
            (Callee::Two(_, operator), &[left, right]) => {
                self.push(Node::Binary(operator, left.id, right.id), offset, left.height.max(right.height))
            }
            (Callee::Two(name, _), _) => count_error(name, "two arguments"),
            (Callee::Fold(_, operator), &[first, second, ref more @ ..]) => {
                let mut best = first;
                for next in std::iter::once(&second).chain(more) {
                    let node = Node::Binary(operator, best.id, next.id);
                    best = self.push(node, offset, best.height.max(next.height))?;
                }
                Ok(best)
            }
            (Callee::Fold(name, _), _) => count_error(name, "two arguments or more"),
        }
    }

    /// The arguments of a call, from its opening to its closing parenthesis.
    fn arguments(&mut self) -> Result<Vec<Built>, SyntaxError> {
        self.advance()?;
        let mut arguments = Vec::new();
        while self.next.token != Token::Sign(")") {
            arguments.push(self.expression(Level::Or)?);
            match self.next.token {
                Token::Sign(",") => self.advance()?,
                Token::Sign(")") => {}
                _ => return Err(self.unexpected("an operator, `,` or `)`")),
            }
        }
        self.advance()?;
        Ok(arguments)
    }

    fn sum(&mut self, offset: usize) -> Result<Built, SyntaxError> {
        self.advance()?;
        let vector = match self.next.token {
            Token::Word(word) => self.scope.resolve(word),
            _ => None,
        };
        let Some(Symbol::Vector(vector)) = vector else {
            return Err(SyntaxError { offset: self.next.offset, problem: ExpressionProblem::SumOfNoVector });
        };
        self.advance()?;
        self.expect(")", "`)`")?;
        self.push(Node::Sum(vector), offset, 0)
    }
}

#[derive(Clone, Copy)]
enum Callee {
    One(&'static str, Function),
    Two(&'static str, Operator),
    /// Two arguments or more, combined from the left.
    Fold(&'static str, Operator),
}

#[derive(Clone, Copy)]
enum Infix {
    Or,
    And,
    Comparison(Relation),
    Operator(Operator),
}

fn infix(token: Token<'_>) -> Option<(Level, Infix)> {
    let operator = |level, operator| Some((level, Infix::Operator(operator)));
    let comparison = |relation| Some((Level::Comparison, Infix::Comparison(relation)));
    match token {
        Token::Word("or") => Some((Level::Or, Infix::Or)),
        Token::Word("and") => Some((Level::And, Infix::And)),
        Token::Sign("<") => comparison(Relation::Less),
        Token::Sign("<=") => comparison(Relation::LessOrEqual),
        Token::Sign("==") => comparison(Relation::Equal),
        Token::Sign("!=") => comparison(Relation::NotEqual),
        Token::Sign(">=") => comparison(Relation::GreaterOrEqual),
        Token::Sign(">") => comparison(Relation::Greater),
        Token::Sign("+") => operator(Level::Sum, Operator::Add),
        Token::Sign("-") => operator(Level::Sum, Operator::Subtract),
        Token::Sign("*") => operator(Level::Product, Operator::Multiply),
        Token::Sign("/") => operator(Level::Product, Operator::Divide),
        Token::Sign("//") => operator(Level::Product, Operator::FloorDivide),
        Token::Sign("%") => operator(Level::Product, Operator::Remainder),
        Token::Sign("**") => operator(Level::Power, Operator::Power),
        _ => None,
    }
}
