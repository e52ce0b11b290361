//! Damage to one random file.

use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Copies a data folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Damages one file; returns which, and how. Mostly every file is equally likely, so that
/// small files, which matter most, are hit as often as large ones; otherwise every byte is.
pub(crate) fn flip(folder: &Path, rng: &mut Rng) -> (String, String) {
    let sizes = files(folder).into_iter().map(|file| {
        let bytes = file.metadata().unwrap().len();
        (file, bytes)
    });
    let sizes: Vec<_> = sizes.filter(|(_, bytes)| *bytes > 0).collect();
    let (path, _) = if rng.u8(..4) > 0 {
        &sizes[rng.usize(..sizes.len())]
    } else {
        let all: u64 = sizes.iter().map(|(_, bytes)| bytes).sum();
        let mut left = rng.u64(..all);
        let hit = sizes.iter().find(|(_, bytes)| {
            let here = left < *bytes;
            left = left.saturating_sub(*bytes);
            here
        });
        hit.unwrap()
    };
    let mut bytes = std::fs::read(path).unwrap();
    let at = rng.usize(..bytes.len());
    let mut fill = |len: usize, rng: &mut Rng| {
        let end = bytes.len().min(at + len);
        rng.fill(&mut bytes[at..end]);
    };
    let how = match rng.u8(..5) {
        0 | 1 => {
            bytes[at] ^= 1 << rng.u8(..8);
            "a bit"
        }
        2 => {
            bytes[at] ^= rng.u8(1..);
            "a byte"
        }
        3 => {
            fill(16, rng);
            "16 bytes"
        }
        _ => {
            fill(4_096, rng);
            "4 KiB"
        }
    };
    std::fs::write(path, bytes).unwrap();
    let file = path.strip_prefix(folder).unwrap().display().to_string();
    (file, format!("{how} at {at}"))
}
