//! Tokens and TLS, against the real node.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::common::Node;
use crate::program::ctl;

/// A file of tokens: `reader` may read, `writer` may write, `boss` may do everything.
fn tokens(folder: &Path) -> String {
    let section = |(token, role): (&str, &str)| {
        let digest: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[token]]\nname = \"{token}\"\nrole = \"{role}\"\nsha256 = \"{digest}\"\n")
    };
    let text: String = [("reader", "read"), ("writer", "write"), ("boss", "admin")].map(section).concat();
    let path = folder.join("tokens.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn a_role_that_is_too_small_is_not_permitted() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(&["--tokens", &tokens(folder.path())]);
    let as_who = |who: &str, arguments: &[&str]| ctl(&node.url, &[&["--token", who], arguments].concat());
    assert!(ctl(&node.url, &["list-tables"]).refusal(6).contains("--token-file"));
    as_who("nobody", &["list-tables"]).refusal(6);
    as_who("reader", &["create-table", "t"]).refusal(6);
    as_who("writer", &["create-table", "t"]).data();
    as_who("reader", &["count", "t"]).data();
    as_who("writer", &["config"]).refusal(6);
    as_who("boss", &["config"]).data();
    let backup = folder.path().join("b.tar");
    as_who("writer", &["backup", backup.to_str().unwrap()]).refusal(6);
    assert!(!backup.exists());
    let file = folder.path().join("token");
    fs::write(&file, "boss\n").unwrap();
    ctl(&node.url, &["check", "--token-file", file.to_str().unwrap()]).data();
}

/// A child that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_string(), "127.0.0.1".to_string()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = Command::new(env!("CARGO_BIN_EXE_hedgehogdb"))
        .args(["--bind", &address.to_string(), "--data-dir"])
        .arg(folder.path().join("data"))
        .arg("--tls-cert")
        .arg(&certificate)
        .arg("--tls-key")
        .arg(&key)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _node = Killed(node);
    let url = format!("https://{address}");
    let trusting = ["health", "--ca", certificate.to_str().unwrap()];
    let deadline = Instant::now() + Duration::from_secs(60);
    while ctl(&url, &trusting).code != 0 {
        assert!(Instant::now() < deadline, "{:?}", ctl(&url, &trusting));
        std::thread::sleep(Duration::from_millis(50));
    }
    let message = ctl(&url, &["health"]).refusal(5);
    assert!(message.contains("--ca"), "{message}");
    ctl(&url, &["health", "--ca", key.to_str().unwrap()]).refusal(2);
}
