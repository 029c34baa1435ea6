//! Stamps the binary with the version of its source: a digest over everything that can change what a run does. A
//! capsule carries it, so that a replay knows whether its digest can be compared.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// What a run depends on, relative to the manifest.
const INPUTS: [&str; 2] = ["src", "Cargo.lock"];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the manifest's folder"));
    let mut files = Vec::new();
    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
        walk(&root.join(input), &mut files);
    }
    files.sort();
    let mut digest = Fnv::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("a file of this package").to_string_lossy().replace('\\', "/");
        let content = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        digest.absorb(name.as_bytes());
        digest.absorb(&content.len().to_le_bytes());
        digest.absorb(&content);
    }
    let version = env::var("CARGO_PKG_VERSION").expect("cargo tells the version");
    println!("cargo:rustc-env=KTRIAL_SOURCE={version}+{:016x}", digest.0);
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        return files.push(path.to_owned());
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for entry in entries {
        walk(&entry.expect("an entry of a folder").path(), files);
    }
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
    fn absorb(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    }
}
