//! Where an upstream leads, and where nobody is to be led.

use std::net::TcpListener;

use phasic_hub_tests::registry::{document, entry, kingman};
use phasic_hub_tests::upstream::Reply;

use super::{Place, SETTINGS, path, sync_from};

/// A listener nobody may connect to.
struct Canary(TcpListener);

impl Canary {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn assert_untouched(&self, what: &str) {
        assert!(self.0.accept().is_err(), "somebody was led to the canary by {what:?}");
    }
}

#[test]
fn no_entry_leads_away_from_the_upstream() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(5));
    place.offer(&[("good", &good)]);
    let canary = Canary::new();
    let port = canary.port();
    let home = place.upstream.url("").trim_start_matches("http://").to_owned();
    let locations = [
        format!("http://127.0.0.1:{port}/x.bin"),
        format!("http://localhost:{port}/x.bin"),
        format!("http://2130706433:{port}/x.bin"),
        format!("http://0x7f.1:{port}/x.bin"),
        format!("http://0177.0.0.1:{port}/x.bin"),
        format!("http://127.1:{port}/x.bin"),
        format!("http://127.0.0.1.:{port}/x.bin"),
        format!("http://[::1]:{port}/x.bin"),
        format!("http://[::ffff:127.0.0.1]:{port}/x.bin"),
        format!("http://0.0.0.0:{port}/x.bin"),
        format!("https://{home}/x.bin"),
        format!("http://{home}@127.0.0.1:{port}/x.bin"),
        format!("http://user@{home}/x.bin"),
        format!("http://:secret@{home}/x.bin"),
        format!("http://127.0.0.1:{port}#@{home}/x.bin"),
        format!("http://127.0.0.1:{port}\\@{home}/x.bin"),
        format!("http://127.0.0.1:{port}?@{home}/x.bin"),
        format!("HTTP://127.0.0.1:{port}/x.bin"),
        format!(" http://127.0.0.1:{port}/x.bin"),
        format!("http:\t//127.0.0.1:{port}/x.bin"),
        format!("ht\ntp://127.0.0.1:{port}/x.bin"),
        format!("//127.0.0.1:{port}/x.bin"),
        format!("http:127.0.0.1:{port}/x.bin"),
        format!("\\\\127.0.0.1:{port}\\x.bin"),
        format!("ws://127.0.0.1:{port}/x.bin"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "FILE:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "gopher://127.0.0.1/x".to_owned(),
        "data://text/plain,x".to_owned(),
        "data:text/plain,x".to_owned(),
        "javascript://x".to_owned(),
        "ipfs://bafybei/x".to_owned(),
        "QmVkwhG6dmPR3Mt9DwMLuD3ShAShMGArs3MMoPEkEG7VLK/".to_owned(),
        "../registry.json".to_owned(),
        "artifacts/../../x.bin".to_owned(),
        "artifacts/./x.bin".to_owned(),
        "artifacts//x.bin".to_owned(),
        "/artifacts/x.bin".to_owned(),
        "artifacts/%2e%2e/x.bin".to_owned(),
        "artifacts/x.bin?y".to_owned(),
        "artifacts/x.bin#y".to_owned(),
        "artifacts/x\u{0}.bin".to_owned(),
        "artifacts/\u{202e}nib.x".to_owned(),
        String::new(),
        "a/".repeat(5000),
    ];
    for location in locations {
        let mut spoiled = entry(&bad, &bad.ptdprmc1);
        spoiled["artifacts"]["parent"]["cid_or_path"] = location.clone().into();
        let body = document(&[("good", entry(&good, &good.ptdprmc1)), ("bad", spoiled)]);
        place.upstream.set("/registry.json", Reply::ok(body));
        let (status, report) = place.sync();
        assert_eq!(status, Some(0), "{location:?}: {report}");
        assert!(
            report.contains("1 mirrored, 1 notes") && report.contains("location_refused bad"),
            "{location:?}: {report}"
        );
        canary.assert_untouched(&location);
    }
    let asked = place.upstream.take_asked();
    assert!(asked.iter().all(|asked| *asked == "/registry.json" || *asked == path(&good)), "{asked:?}");
}

#[test]
fn redirects_are_followed_within_the_upstream_and_nowhere_else() {
    let place = Place::new();
    let (good, bad) = (kingman(4), kingman(5));
    place.offer(&[("good", &good), ("bad", &bad)]);
    place.upstream.set("/moved.bin", Reply::ok(&bad.ptdprmc1[..]));
    let canary = Canary::new();
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = format!("http://127.0.0.1:{}/x.bin", canary.port());
        place.upstream.set(&path(&bad), Reply::status(status).with_header("Location", &elsewhere));
        let (_, report) = place.sync();
        assert!(report.contains("location_refused bad") && report.contains("another port"), "{report}");
        canary.assert_untouched(&elsewhere);
        place.upstream.take_asked();
        place.upstream.set(&path(&bad), Reply::status(status).with_header("Location", &path(&bad)));
        let (_, report) = place.sync();
        assert!(report.contains("more than 3 redirects"), "{report}");
        assert_eq!(
            place.upstream.take_asked(),
            ["/registry.json", &path(&bad), &path(&bad), &path(&bad), &path(&bad)]
        );
        let hub = tempfile::tempdir().unwrap();
        place.upstream.set(&path(&bad), Reply::status(status).with_header("Location", "../moved.bin"));
        let (_, report) = sync_from(hub.path(), &place.upstream.url("/"), SETTINGS);
        assert!(report.contains("2 mirrored, 0 notes"), "{report}");
    }
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let place = Place::new();
    place.offer(&[("a", &kingman(4))]);
    let canary = Canary::new();
    let proxy = format!("http://127.0.0.1:{}", canary.port());
    let data = place.data();
    let mut command = phasic_hub_tests::hub::command(&[
        "mirror",
        "sync",
        "--from",
        &place.upstream.url("/"),
        "--data",
        data.to_str().unwrap(),
    ]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &proxy);
    }
    assert!(command.output().unwrap().status.success());
    canary.assert_untouched("a proxy variable");
}
