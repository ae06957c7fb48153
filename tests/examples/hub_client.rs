//! Measures `POST /v1/evaluate` beside the engine called directly; part of `just bench-hub`.
//!
//! `hub_client ADDRESS`: both get the same model and parameter vectors, take turns, and must agree in every digit. One
//! line of JSON for each case: medians and 99th percentiles in seconds.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has failed")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use ndarray::Array2;
use phasic_engine::graph::GraphLimits;
use phasic_engine::plan::{Limits, Plan};
use phasic_hub_tests::http::connect;
use serde_json::{Value, json};

/// Cases: built-in model, its size, parameters, parameter vectors of one request, samples.
const CASES: [(&str, i64, usize, usize, usize); 4] = [
    ("kingman", 100, 1, 1, 400),
    ("kingman", 1000, 1, 1, 200),
    ("kingman", 1000, 1, 1000, 30),
    ("rabbits", 40, 3, 16, 50),
];

fn main() {
    let address: SocketAddr = std::env::args().nth(1).unwrap().parse().unwrap();
    let mut connection = Connection::open(address);
    for (name, n, parameters, count, samples) in CASES {
        let document = phasic_engine::model::find(name).unwrap().read().unwrap();
        let graph = document.with_constant("n", n).unwrap().build(&GraphLimits::default()).unwrap();
        let plan = Plan::analyze(&graph, &Limits::default()).unwrap();
        let value = |sample: usize, place: usize| {
            1.0 + 0.001 * (sample % 97) as f64 + 0.01 * (place % 89) as f64 / parameters as f64
        };
        let (mut direct, mut over_http) = (Vec::new(), Vec::new());
        for sample in 0..=samples {
            let thetas = Array2::from_shape_fn((count, parameters), |(row, column)| {
                value(sample, row * parameters + column)
            });
            let rows: Vec<Vec<f64>> = thetas.rows().into_iter().map(|row| row.to_vec()).collect();
            let request = json!({
                "model": {"builtin": name, "constants": {"n": n}}, "theta": rows, "quantities": [{"moments": 2}]
            });
            let body = request.to_string();
            let begun = Instant::now();
            let moments = if count == 1 {
                let at = plan.at(&rows[0]).unwrap();
                vec![at.rewarded(&vec![1.0; at.vertex_count() as usize]).unwrap().moments(2).unwrap()]
            } else {
                let batch = plan.batch(&thetas.view()).unwrap().moments(2).unwrap();
                batch.rows().into_iter().map(|row| row.to_vec()).collect()
            };
            let ours = begun.elapsed();
            let begun = Instant::now();
            let answer = connection.post("/v1/evaluate", body.as_bytes());
            let theirs = begun.elapsed();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            for (row, expected) in moments.iter().enumerate() {
                let found = &answer["results"][row]["values"]["moments"];
                let found: Vec<f64> = found.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
                assert_eq!(&found, expected);
            }
            // The first one prepares the plan.
            if sample > 0 {
                direct.push(ours.as_secs_f64());
                over_http.push(theirs.as_secs_f64());
            }
        }
        let case = json!({
            "model": format!("{name} {n}"), "vertices": graph.vertex_count(), "thetas": count,
            "direct": summary(&mut direct), "http": summary(&mut over_http)
        });
        println!("{case}");
    }
}

fn summary(seconds: &mut [f64]) -> Value {
    seconds.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| seconds[(seconds.len() - 1) * percent / 100];
    json!({"median": at(50), "p99": at(99)})
}

/// A connection that is kept.
struct Connection {
    reader: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = connect(address);
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream), address }
    }

    fn post(&mut self, target: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.reader.get_mut().write_all(&request).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        self.reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            self.reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.reader.read_exact(&mut answer).unwrap();
        answer
    }
}
