//! A mirror whose link to its upstream does what links do: breaks, stalls, lies, flips bits, redirects, sends away.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use phasic_hub_tests::chaos::{ChaosLink, Fault, Script};
use phasic_hub_tests::hub::{Hub, sync};
use phasic_hub_tests::oracle;
use phasic_hub_tests::registry::{Model, document, entry, kingman};
use phasic_hub_tests::seed::Seeded;
use phasic_hub_tests::upstream::{Reply, Upstream};

/// Short enough for a test, long enough for a busy machine.
const SETTINGS: &[(&str, &str)] = &[
    ("mirror_idle_timeout_ms", "1500"),
    ("mirror_connect_timeout_ms", "10000"),
    ("mirror_file_timeout_ms", "60000"),
];

/// An upstream of so many computes, each with a file of its own, behind a link.
struct Place {
    _upstream: Upstream,
    link: ChaosLink,
    models: Vec<Model>,
}

impl Place {
    fn new(count: i64, headers: &[(&str, &str)]) -> Self {
        let upstream = Upstream::start();
        let models: Vec<_> = (4..4 + count).map(kingman).collect();
        let names: Vec<_> = (0..models.len()).map(|number| format!("m{number:03}")).collect();
        let entries: Vec<_> = names
            .iter()
            .zip(&models)
            .map(|(name, model)| (name.as_str(), entry(model, &model.ptdprmc3)))
            .collect();
        upstream.set("/registry.json", Reply::ok(document(&entries)));
        for model in &models {
            let reply = Reply::ok(&model.ptdprmc3[..]);
            let with = |reply: Reply, &(name, value): &(&str, &str)| reply.with_header(name, value);
            upstream.set(&path(model), headers.iter().fold(reply, with));
        }
        let link = ChaosLink::before(upstream.address(), Box::new(|_, _| Fault::None));
        Self { _upstream: upstream, link, models }
    }

    fn sync(&self, data: &Path) -> String {
        let output = sync(data, &self.link.url("/"), SETTINGS);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// A pass with a fault for each file, which mirrors so many, and another without faults, which mirrors all.
    fn survives(&self, script: Script, mirrored: usize, code: &str) -> String {
        let data = tempfile::tempdir().unwrap();
        let all = self.models.len();
        self.link.set(script);
        let report = self.sync(data.path());
        let expected = format!("{all} entries, {mirrored} mirrored, {} notes", all - mirrored);
        assert!(report.contains(&expected), "{report}");
        assert_eq!(report.matches(&format!("\n  {code} m")).count(), all - mirrored, "{report}");
        oracle::blobs_have_their_bytes(data.path());
        self.link.set(Box::new(|_, _| Fault::None));
        let healed = self.sync(data.path());
        assert!(healed.contains(&format!("{all} mirrored, 0 notes")), "{healed}");
        assert_eq!(self.link.asked().len(), 1 + all - mirrored, "what is there is not fetched again");
        let hub = Hub::start(data.path());
        oracle::everything_holds(&hub, data.path());
        report
    }
}

fn path(model: &Model) -> String {
    format!("/artifacts/{}.bin", model.hash)
}

impl Place {
    /// A script that does to the number-th file what `fault` says, the first time.
    fn each(&self, fault: impl Fn(usize, usize) -> Fault + Send + Sync + 'static) -> Script {
        let numbers: BTreeMap<String, (usize, usize)> = self
            .models
            .iter()
            .enumerate()
            .map(|(number, model)| (path(model), (number, model.ptdprmc3.len())))
            .collect();
        Box::new(move |path, before| match numbers.get(path) {
            Some(&(number, bytes)) if before == 0 => fault(number, bytes),
            _ => Fault::None,
        })
    }
}

#[test]
fn files_cut_off_at_every_64th_are_left_out_and_had_by_the_next_pass() {
    let place = Place::new(64, &[]);
    let script = place.each(|number, bytes| Fault::Truncate(bytes * number / 64));
    place.survives(script, 0, "fetch_failed");
    let script = place.each(|number, bytes| Fault::Reset(bytes * number / 64));
    place.survives(script, 0, "fetch_failed");
}

#[test]
fn an_upstream_that_names_versions_is_asked_again_for_what_broke_off() {
    let place = Place::new(64, &[("ETag", "\"v\"")]);
    let data = tempfile::tempdir().unwrap();
    place.link.set(place.each(|number, bytes| Fault::Truncate(bytes * number / 64)));
    let report = place.sync(data.path());
    // Of the first not one byte came, so there was nothing to go on with.
    assert!(report.contains("64 entries, 63 mirrored, 1 notes"), "{report}");
    let resumed: Vec<_> =
        place.link.heads().into_iter().filter(|head| head.contains("range: bytes=")).collect();
    assert_eq!(resumed.len(), 63);
    assert!(resumed.iter().all(|head| head.contains("if-range: \"v\"")), "{resumed:?}");
}

#[test]
fn files_with_one_bit_flipped_are_never_kept() {
    let place = Place::new(64, &[]);
    for seed in 1..=2 {
        let mut seeded = Seeded::new(seed);
        let flips: Vec<_> = (0..64).map(|_| (seeded.number(), seeded.below(8))).collect();
        let script = place.each(move |number, bytes| {
            let (byte, bit) = flips[number];
            Fault::Flip(usize::try_from(byte % bytes as u64).unwrap(), u8::try_from(bit).unwrap())
        });
        place.survives(script, 0, "wrong_hash");
    }
}

#[test]
fn lengths_that_lie_transformed_bodies_and_wrong_answers_are_left_out() {
    let place = Place::new(24, &[]);
    place.survives(place.each(|number, _| Fault::Lie(1 + isize::try_from(number).unwrap())), 0, "wrong_size");
    place.survives(
        place.each(|number, _| Fault::Lie(-1 - isize::try_from(number).unwrap())),
        0,
        "wrong_size",
    );
    let gzip = "HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb";
    place.survives(place.each(move |_, _| Fault::Instead(gzip.into())), 0, "fetch_failed");
    let answers = [
        "",
        "\r\n\r\n",
        "HTTP/1.1",
        "HTTP/9.9 200 X\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 200 X\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 X\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        "HTTP/1.1 99 X\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 204 X\r\n\r\n",
        "HTTP/1.1 206 X\r\nContent-Range: bytes 0-0/1\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 304 X\r\n\r\n",
        "HTTP/1.1 300 X\r\nContent-Length: 0\r\nLocation: /registry.json\r\n\r\n",
        "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 416 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 418 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 409 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 451 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 410 X\r\nContent-Length: 0\r\n\r\n",
    ];
    assert_eq!(answers.len(), 24);
    let script = place.each(move |number, _| Fault::Instead(answers[number].into()));
    place.survives(script, 0, "fetch_failed");
}

#[test]
fn stalls_and_drips_are_given_up() {
    let place = Place::new(4, &[]);
    place.survives(place.each(|number, bytes| Fault::Stall(bytes * number / 4)), 0, "fetch_failed");
    let data = tempfile::tempdir().unwrap();
    place.link.set(place.each(|_, _| Fault::Drip(Duration::from_millis(20))));
    let settings = [("mirror_rate_window_ms", "500"), ("mirror_min_bytes_per_second", "1024")];
    let output = sync(data.path(), &place.link.url("/"), &settings);
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(report.matches("the upstream sent only ").count(), 4, "{report}");
}

#[test]
fn redirects_lead_nowhere_private_and_round_no_circle() {
    // The link is at 127.0.0.1, the port of which is known only now.
    let place = Place::new(12, &[]);
    let port = place.link.url("").rsplit(':').next().unwrap().to_owned();
    let places = [
        format!("http://127.0.0.2:{port}/x"),
        format!("http://[::1]:{port}/x"),
        format!("http://localhost:{port}/x"),
        format!("http://10.0.0.1:{port}/x"),
        format!("http://192.168.1.1:{port}/x"),
        format!("http://169.254.169.254:{port}/latest/meta-data/"),
        format!("https://127.0.0.1:{port}/x"),
        "http://127.0.0.1:1/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/around".to_owned(),
        format!("http://user:secret@127.0.0.1:{port}/x"),
        format!("http://[::ffff:127.0.0.1]:{port}/x"),
    ];
    let answer = |location: &str| {
        format!("HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: {location}\r\nConnection: close\r\n\r\n")
            .into_bytes()
    };
    let answers: Vec<_> = places.iter().map(|place| answer(place)).collect();
    let around = answer("/around");
    let each = place.each(move |number, _| Fault::Instead(answers[number].clone()));
    let script: Script = Box::new(move |path, before| match path {
        "/around" => Fault::Instead(around.clone()),
        path => each(path, before),
    });
    let data = tempfile::tempdir().unwrap();
    place.link.set(script);
    let report = place.sync(data.path());
    assert_eq!(report.matches("location_refused").count(), 12, "{report}");
    let asked = place.link.asked();
    assert_eq!(asked.len(), 1 + 12 + 3, "the document, the files, and three times around: {asked:?}");
}
