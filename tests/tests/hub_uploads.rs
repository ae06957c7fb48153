//! Uploads to a real hub: in one piece and in parts, within quotas, across a kill.
#![allow(clippy::unwrap_used, reason = "a failing fixture is a failing test")]

use std::path::{Path, PathBuf};
use std::thread;

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, refusal, token};
use phasic_hub_tests::http::{begin, read_answer};
use phasic_hub_tests::hub::{Hub, run, wait_until};

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|place| seed ^ u8::try_from(place * 7 % 251).unwrap()).collect()
}

fn path(bytes: &[u8]) -> String {
    format!("/v1/blobs/sha256/{}", Sha256::of(bytes))
}

fn stored(data: &Path, bytes: &[u8]) -> PathBuf {
    let name = Sha256::of(bytes).to_string();
    data.join("blobs/sha256").join(&name[..2]).join(name)
}

#[test]
fn a_file_is_stored_under_its_digest_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start_with(data, &[], &[("uploads_max_blob_bytes", "10000")]);
    let publish = token(data, &["--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    let file = bytes(1, 5000);
    let first = client.upload(&file);
    assert_eq!((first.status, &first.json()["size_bytes"]), (201, &5000.into()), "{}", first.text());
    assert_eq!(client.upload(&file).status, 200);
    assert_eq!(client.get(&path(&file)).body, file);
    let expecting =
        client.send("PUT", &path(&file), &[("Expect", "100-continue"), ("Content-Length", "5000")], b"");
    assert_eq!(expecting.status, 200, "told before anything is sent: {}", expecting.text());

    let other = bytes(2, 5000);
    let wrong = client.send("PUT", &path(&other), &[], &file);
    assert_eq!(refusal(&wrong), (422, "digest_mismatch".to_owned()));
    assert!(!stored(data, &other).exists());
    let large = bytes(3, 10_001);
    assert_eq!(refusal(&client.upload(&large)), (413, "body_too_large".to_owned()));
    let chunked = [("Transfer-Encoding", "chunked")];
    let mut stream = begin(
        hub.address(),
        "PUT",
        &path(&large),
        &[chunked[0], ("Authorization", &format!("Bearer {publish}"))],
        b"",
    );
    std::io::Write::write_all(&mut stream, format!("{:x}\r\n", large.len()).as_bytes()).unwrap();
    let _ = std::io::Write::write_all(&mut stream, &large);
    let _ = std::io::Write::write_all(&mut stream, b"\r\n0\r\n\r\n");
    assert_eq!(
        refusal(&read_answer(&mut stream, false)),
        (413, "body_too_large".to_owned()),
        "of unknown length"
    );
    assert!(!stored(data, &large).exists());
    assert_eq!(
        refusal(&client.send("PUT", "/v1/blobs/sha256/xyz", &[], b"x")),
        (400, "invalid_request".to_owned())
    );
    let empty = client.upload(b"");
    assert_eq!(empty.status, 201, "{}", empty.text());

    // One line for each blob that came, none for what was refused.
    let exported = run(&["audit", "export", "--data", data.to_str().unwrap()]).stdout;
    let lines = String::from_utf8(exported).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains("\"blob.upload\"")).count(), 2, "{lines}");
}

#[test]
fn an_upload_in_parts_goes_on_where_it_broke_off_even_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let publish = token(data, &["--scope", "publish"]);
    let other = token(data, &["--scope", "publish"]);
    let file = bytes(4, 100_000);
    let state = format!("{}/upload", path(&file));
    let put = |hub: &Hub, from: usize, to: usize, body: &[u8]| {
        let range = format!("bytes {from}-{}/{}", to - 1, file.len());
        Client { hub, token: Some(&publish) }.send("PUT", &path(&file), &[("Content-Range", &range)], body)
    };
    let hub = Hub::start(data);
    let client = Client { hub: &hub, token: Some(&publish) };
    assert_eq!(refusal(&client.get(&state)), (404, "upload_not_found".to_owned()));
    let first = put(&hub, 0, 30_000, &file[..30_000]);
    assert_eq!((first.status, first.header("upload-offset")), (202, Some("30000")), "{}", first.text());
    let wrong = put(&hub, 40_000, 50_000, &file[40_000..50_000]);
    assert_eq!(refusal(&wrong), (409, "upload_conflict".to_owned()));
    assert_eq!(wrong.header("upload-offset"), Some("30000"), "says where to go on");
    assert_eq!(put(&hub, 30_000, 50_000, &file[..100]).status, 400, "shorter than it says");

    // The connection breaks in the middle of a part, and then the hub is killed.
    let range = format!("bytes 30000-99999/{}", file.len());
    let bearer = format!("Bearer {publish}");
    let headers =
        [("Content-Range", range.as_str()), ("Authorization", &bearer), ("Content-Length", "70000")];
    let mut stream = begin(hub.address(), "PUT", &path(&file), &headers, b"");
    std::io::Write::write_all(&mut stream, &file[30_000..60_000]).unwrap();
    let offset =
        |client: Client<'_>| client.send("HEAD", &state, &[], b"").header("upload-offset").map(str::to_owned);
    wait_until("what was sent has arrived", || offset(client) == Some("60000".to_owned()));
    drop(stream);
    wait_until("the upload is free", || put(&hub, 60_000, 60_001, &file[60_000..60_001]).status == 202);
    hub.signal("KILL");
    drop(hub.ended());

    let hub = Hub::start(data);
    let client = Client { hub: &hub, token: Some(&publish) };
    assert_eq!(offset(client), Some("60001".to_owned()), "it survived");
    assert_eq!(client.get(&state).json()["total_bytes"], 100_000);
    let stranger = Client { hub: &hub, token: Some(&other) };
    assert_eq!(refusal(&stranger.get(&state)), (404, "upload_not_found".to_owned()), "it is of its token");
    assert!(!stored(data, &file).exists());
    let last = put(&hub, 60_001, 100_000, &file[60_001..]);
    assert_eq!(last.status, 201, "{}", last.text());
    assert_eq!(client.get(&path(&file)).body, file);
    assert_eq!(client.get(&state).status, 404, "it is finished");

    // All has arrived, and it is something else: nothing is kept.
    let wrong = bytes(5, file.len());
    let target = path(&bytes(6, file.len()));
    let range = format!("bytes 0-{}/{}", wrong.len() - 1, wrong.len());
    let refused = client.send("PUT", &target, &[("Content-Range", &range)], &wrong);
    assert_eq!(refusal(&refused), (422, "digest_mismatch".to_owned()));
    assert_eq!(client.get(&format!("{target}/upload")).status, 404);
    let begun = client.send("PUT", &target, &[("Content-Range", "bytes 0-9/100000")], &wrong[..10]);
    assert_eq!(begun.status, 202);
    assert_eq!(client.send("DELETE", &format!("{target}/upload"), &[], b"").status, 204);
    assert_eq!(client.send("DELETE", &format!("{target}/upload"), &[], b"").status, 404);
    for range in ["bytes 0-9/5", "bytes 9-0/100", "bytes */100", "bytes 0-9", "0-9/100"] {
        let answer = client.send("PUT", &target, &[("Content-Range", range)], b"0123456789");
        assert_eq!(refusal(&answer), (400, "invalid_request".to_owned()), "{range}");
    }
}

#[test]
fn quotas_are_kept_and_say_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let settings = [("uploads_max_token_bytes", "10000"), ("uploads_max_partial", "2")];
    let hub = Hub::start_with(data, &[], &settings);
    let (one, two) = (token(data, &["--scope", "publish"]), token(data, &["--scope", "publish"]));
    let (one, two) = (Client { hub: &hub, token: Some(&one) }, Client { hub: &hub, token: Some(&two) });
    assert_eq!(one.upload(&bytes(1, 8000)).status, 201);
    let full = one.upload(&bytes(2, 3000));
    assert_eq!(refusal(&full), (507, "quota_exceeded".to_owned()));
    let detail = full.json()["detail"].as_str().unwrap().to_owned();
    assert!(["8000", "3000", "10000"].iter().all(|number| detail.contains(number)), "{detail}");
    assert_eq!(two.upload(&bytes(2, 3000)).status, 201, "each token has its own");
    assert_eq!(one.upload(&bytes(3, 2000)).status, 201, "what fits is taken");

    let begin =
        |seed: u8| two.send("PUT", &path(&bytes(seed, 100)), &[("Content-Range", "bytes 0-9/100")], &[0; 10]);
    assert_eq!((begin(10).status, begin(11).status), (202, 202));
    assert_eq!(refusal(&begin(12)), (507, "quota_exceeded".to_owned()));
    assert_eq!(begin(11).status, 202, "one may be begun anew");
    drop(hub);

    // All files together, whoever stores them; the reference computes are here already.
    let hub = Hub::start_with(data, &[], &[("storage_max_bytes", "1")]);
    let publish = token(data, &["--scope", "publish"]);
    let client = Client { hub: &hub, token: Some(&publish) };
    let full = client.upload(&bytes(20, 100));
    assert_eq!(refusal(&full), (507, "storage_full".to_owned()));
    assert!(full.text().contains("storage.max_bytes"), "{}", full.text());
    assert!(!stored(data, &bytes(20, 100)).exists());
    assert_eq!(client.get("/registry.json").status, 200, "reading goes on");
}

#[test]
fn what_is_unfinished_counts_as_a_whole_and_one_token_does_not_take_all_places() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let settings = [("uploads_max_token_bytes", "10000"), ("uploads_max_partial", "4")];
    let hub = Hub::start_with(data, &[], &settings);
    let (one, two) = (token(data, &["--scope", "publish"]), token(data, &["--scope", "publish"]));
    let (one, two) = (Client { hub: &hub, token: Some(&one) }, Client { hub: &hub, token: Some(&two) });
    let part = |client: &Client<'_>, file: &[u8], from: usize, to: usize| {
        let range = format!("bytes {from}-{}/{}", to - 1, file.len());
        client.send("PUT", &path(file), &[("Content-Range", &range)], &file[from..to])
    };
    let large = bytes(1, 6000);
    assert_eq!(part(&one, &large, 0, 10).status, 202);
    assert_eq!(refusal(&one.upload(&bytes(2, 5000))), (507, "quota_exceeded".to_owned()));
    assert_eq!(refusal(&part(&one, &bytes(3, 5000), 0, 10)), (507, "quota_exceeded".to_owned()));
    assert_eq!(part(&one, &large, 10, 6000).status, 201, "its own does not count against it");
    let small = |seed: u8| bytes(seed, 100);
    for seed in 10..13 {
        assert_eq!(part(&one, &small(seed), 0, 10).status, 202);
    }
    assert_eq!(refusal(&part(&one, &small(13), 0, 10)), (507, "quota_exceeded".to_owned()));
    assert_eq!(part(&two, &small(13), 0, 10).status, 202, "the last place is for somebody else");
}

#[test]
fn many_who_upload_one_file_at_a_time_store_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let hub = Hub::start(data);
    let tokens: Vec<_> = (0..4).map(|_| token(data, &["--scope", "publish"])).collect();
    let file = bytes(7, 300_000);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let upload =
            |number: usize| Client { hub: &hub, token: Some(&tokens[number % 4]) }.upload(&file).status;
        let all: Vec<_> = (0..16).map(|number| scope.spawn(move || upload(number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 200 | 201)), "{statuses:?}");
    assert_eq!(std::fs::read(stored(data, &file)).unwrap(), file);
}
