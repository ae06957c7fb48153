//! Pictures of graphs, as DOT text for Graphviz.
//!
//! Text only: laying it out and drawing it is Graphviz's work.

use std::fmt;

use super::{Edge, Graph, START};

/// A graph as DOT text, made by [`Graph::dot`]; `Display` writes it piece by piece.
#[derive(Debug, Clone, Copy)]
pub struct Dot<'a> {
    graph: &'a Graph,
}

impl Graph {
    /// The graph as DOT text. States name the vertices; edges show their rate in the parameters `θ1`, `θ2`, … (`θ` when
    /// there is one). Absorbing vertices have a double border, edges that θ never changes and that do not leave the
    /// start are dashed. Takes time and text linear in the size of the graph.
    ///
    /// ```
    /// use phasic_engine::graph::{GraphBuilder, Rate, START};
    ///
    /// let mut builder = GraphBuilder::new(1)?;
    /// let two = builder.find_or_add_vertex(&[2])?;
    /// let one = builder.find_or_add_vertex(&[1])?;
    /// builder.add_edge(START, two, Rate::Scalar(1.0))?;
    /// builder.add_edge(two, one, Rate::Coefficients(&[3.0]))?;
    /// let text = builder.finish().dot().to_string();
    /// assert!(text.contains("1 -> 2 [label=\"3 θ\"];"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dot(&self) -> Dot<'_> {
        Dot { graph: self }
    }
}

impl fmt::Display for Dot<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "digraph phase_type {{")?;
        writeln!(out, "  rankdir=LR;")?;
        writeln!(out, "  node [shape=ellipse];")?;
        for vertex in 0..self.graph.vertex_count() {
            self.vertex(out, vertex)?;
        }
        for vertex in 0..self.graph.vertex_count() {
            for edge in self.graph.edges(vertex) {
                self.edge(out, vertex, &edge)?;
            }
        }
        writeln!(out, "}}")
    }
}

impl Dot<'_> {
    fn vertex(self, out: &mut fmt::Formatter<'_>, vertex: u32) -> fmt::Result {
        if vertex == START {
            return writeln!(out, "  {START} [label=\"start\", shape=plaintext];");
        }
        write!(out, "  {vertex} [label=\"")?;
        for (place, number) in self.graph.state(vertex).iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(out, "{comma}{number}")?;
        }
        let border = if self.graph.is_absorbing(vertex) { ", peripheries=2" } else { "" };
        writeln!(out, "\"{border}];")
    }

    fn edge(self, out: &mut fmt::Formatter<'_>, from: u32, edge: &Edge<'_>) -> fmt::Result {
        write!(out, "  {from} -> {} [label=\"", edge.target)?;
        let fixed = self.graph.fixed_weight(edge.index);
        match fixed {
            Some(weight) => write!(out, "{}", shortest(weight))?,
            None => self.rate(out, edge.coefficients)?,
        }
        let dashed = if fixed.is_some() && from != START { ", style=dashed" } else { "" };
        writeln!(out, "\"{dashed}];")
    }

    /// `10 θ1 + θ2`, leaving out what is zero.
    fn rate(self, out: &mut fmt::Formatter<'_>, coefficients: &[f64]) -> fmt::Result {
        if !self.graph.is_parameterized() {
            return write!(out, "{}", shortest(coefficients.iter().sum()));
        }
        let mut terms = 0;
        for (place, &coefficient) in
            coefficients.iter().enumerate().filter(|(_, coefficient)| **coefficient != 0.0)
        {
            let plus = if terms == 0 { "" } else { " + " };
            let factor =
                if coefficient == 1.0 { String::new() } else { format!("{} ", shortest(coefficient)) };
            let number = if coefficients.len() == 1 { String::new() } else { (place + 1).to_string() };
            write!(out, "{plus}{factor}θ{number}")?;
            terms += 1;
        }
        if terms == 0 { out.write_str("0") } else { Ok(()) }
    }
}

/// The shorter of `10` and `10.0`, of `1e300` and its three hundred zeros; both read back as the same number.
fn shortest(number: f64) -> String {
    let (plain, scientific) = (number.to_string(), format!("{number:?}"));
    if plain.len() <= scientific.len() { plain } else { scientific }
}

#[cfg(test)]
mod tests {
    use crate::graph::{GraphBuilder, Rate, START};

    #[test]
    fn a_picture_shows_states_rates_and_what_parameters_never_change() {
        let mut builder = GraphBuilder::new(2).unwrap();
        let [first, second, last] =
            [[2, 0], [1, 1], [-1, 0]].map(|state| builder.add_vertex(&state).unwrap());
        builder.add_edge(START, first, Rate::Scalar(0.25)).unwrap();
        builder.add_edge(START, last, Rate::Scalar(0.75)).unwrap();
        builder.add_edge(first, second, Rate::Coefficients(&[1.0, 0.5])).unwrap();
        builder.add_edge(first, last, Rate::Coefficients(&[0.0, 0.0])).unwrap();
        builder.add_edge(second, last, Rate::Coefficients(&[1e300, 0.0])).unwrap();
        builder.add_fixed_edge(second, first, 1.0).unwrap();
        let expected = "\
digraph phase_type {
  rankdir=LR;
  node [shape=ellipse];
  0 [label=\"start\", shape=plaintext];
  1 [label=\"2, 0\"];
  2 [label=\"1, 1\"];
  3 [label=\"-1, 0\", peripheries=2];
  0 -> 1 [label=\"0.25\"];
  0 -> 3 [label=\"0.75\"];
  1 -> 2 [label=\"θ1 + 0.5 θ2\"];
  1 -> 3 [label=\"0\"];
  2 -> 3 [label=\"1e300 θ1\"];
  2 -> 1 [label=\"1\", style=dashed];
}
";
        assert_eq!(builder.finish().dot().to_string(), expected);
    }

    #[test]
    fn a_graph_without_parameters_shows_plain_rates() {
        let mut builder = GraphBuilder::new(1).unwrap();
        let (one, two) = (builder.add_vertex(&[1]).unwrap(), builder.add_vertex(&[2]).unwrap());
        builder.add_edge(START, one, Rate::Scalar(1.0)).unwrap();
        builder.add_edge(one, two, Rate::Scalar(10.0)).unwrap();
        assert!(builder.finish().dot().to_string().contains("  1 -> 2 [label=\"10\"];\n"));
    }
}
