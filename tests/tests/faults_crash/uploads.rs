//! Uploads, in one piece and in parts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use phasic_hub_api::Sha256;
use phasic_hub_tests::access::{Client, token};
use phasic_hub_tests::hub::wait_until;
use phasic_hub_tests::oracle::{self, Names};
use phasic_hub_tests::seed::Seeded;

use super::{kill, start};

/// Uploads that were acknowledged are whole after the restart, others are there whole or not at all, and one in parts
/// goes on behind what had arrived.
pub(crate) fn hubs_with_uploads_are_killed(times: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let data = tempfile::tempdir().unwrap();
    let mut hub = start(data.path());
    let publish = token(data.path(), &["--scope", "publish"]);
    let bytes = |round: usize, place: usize| -> Vec<u8> {
        let line = format!("upload {place} of round {round}\n");
        line.repeat(40_000 / line.len() * (1 + place % 4)).into_bytes()
    };
    let mut names = Names::default();
    for round in 0..times {
        let authorization = format!("Bearer {publish}");
        let address = hub.address();
        let has_stored = Arc::new(AtomicBool::new(false));
        let whole = thread::spawn({
            let (authorization, has_stored) = (authorization.clone(), Arc::clone(&has_stored));
            move || {
                let is_stored = |place: &usize| {
                    let is_stored = put(address, &authorization, &bytes(round, *place), None) == Some(true);
                    has_stored.fetch_or(is_stored, Ordering::SeqCst);
                    is_stored
                };
                (0..).step_by(2).take_while(is_stored).collect::<Vec<_>>()
            }
        });
        let parted = bytes(round, 1);
        let parts = thread::spawn({
            let parted = parted.clone();
            move || {
                let mut arrived = 0;
                for part in parted.chunks(1000) {
                    if put(address, &authorization, &parted, Some((arrived, part))).is_none() {
                        break;
                    }
                    arrived += part.len();
                }
                arrived
            }
        });
        wait_until("the first upload is stored", || has_stored.load(Ordering::SeqCst));
        thread::sleep(seeded.moment(Duration::from_millis(300)));
        kill(hub);
        let (stored, arrived) = (whole.join().unwrap(), parts.join().unwrap());
        hub = start(data.path());
        names.everything_holds(&hub, data.path());
        let client = Client { hub: &hub, token: Some(&publish) };
        let path = |bytes: &[u8]| format!("/v1/blobs/sha256/{}", Sha256::of(bytes));
        for &place in &stored {
            let file = client.get(&path(&bytes(round, place)));
            assert_eq!(file.body, bytes(round, place), "I3: an acknowledged upload is lost");
        }
        // What nobody was told of is there whole or not at all, and can be sent again.
        let next = bytes(round, 2 * stored.len());
        assert!(matches!(client.upload(&next).status, 200 | 201));
        let state = client.send("HEAD", &format!("{}/upload", path(&parted)), &[], b"");
        let offset = match state.status {
            200 | 204 => state.header("upload-offset").unwrap().parse().unwrap(),
            404 if arrived == parted.len() => parted.len(),
            404 => 0,
            other => panic!("{other}"),
        };
        assert!(offset >= arrived, "I3: {offset} of {arrived} acknowledged bytes are left");
        if offset < parted.len() {
            let range = format!("bytes {offset}-{}/{}", parted.len() - 1, parted.len());
            let done = client.send("PUT", &path(&parted), &[("Content-Range", &range)], &parted[offset..]);
            assert_eq!(done.status, 201, "{}", done.text());
        } else if state.status != 404 {
            // All had arrived, and it was no blob yet.
            let range = format!("bytes */{}", parted.len());
            let done = client.send("PUT", &path(&parted), &[("Content-Range", &range)], b"");
            assert!(matches!(done.status, 200 | 201), "{}", done.text());
        }
        assert_eq!(client.get(&path(&parted)).body, parted);
        oracle::blobs_have_their_bytes(data.path());
    }
}

/// Uploads bytes, or the part of them from a place on. Whether all of them are stored; `None` when nobody answered.
fn put(address: SocketAddr, authorization: &str, bytes: &[u8], part: Option<(usize, &[u8])>) -> Option<bool> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let range = part.map_or_else(String::new, |(from, part)| {
        format!("Content-Range: bytes {from}-{}/{}\r\n", from + part.len() - 1, bytes.len())
    });
    let body = part.map_or(bytes, |(_, part)| part);
    let head = format!(
        "PUT /v1/blobs/sha256/{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         {range}Content-Length: {}\r\n\r\n",
        Sha256::of(bytes),
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // In pieces, so that a kill finds some of it on its way.
    for piece in body.chunks(4000) {
        stream.write_all(piece).ok()?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?;
    assert!(matches!(status, "200" | "201" | "202"), "{answer}");
    // A head that was cut off says nothing.
    answer.contains("\r\n\r\n").then_some(status != "202")
}
