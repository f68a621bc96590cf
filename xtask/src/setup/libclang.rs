//! What RocksDB is built with: a C++ compiler, and libclang, with which its bindings are made.
//!
//! The compiler has to be there. libclang is the machine's if it has one, as the build of the bindings looks for it;
//! else the pinned one from `PyPI`, which is the library alone: the headers that belong to a compiler are then those of
//! the C++ compiler.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::program::{Staging, unpack_wheel};

/// The environment variable that names libclang or its directory, and overrules everything else.
const VARIABLE: &str = "LIBCLANG_PATH";
const EXTRA_ARGUMENTS: &str = "BINDGEN_EXTRA_CLANG_ARGS";
const PACKAGE: &str = "libclang";
const VERSION: &str = "18.1.1";
const BY_HAND: &str = "install it (`apt-get install libclang-dev` as root on Debian and Ubuntu) or set LIBCLANG_PATH to the \
                       directory that holds it";
const COMPILER_BY_HAND: &str =
    "install one (`apt-get install g++` as root on Debian and Ubuntu) or set CXX to one";

/// Finds the C++ compiler, and finds libclang or brings it.
pub(super) fn bring(directory: &Path) -> Result<()> {
    let compiler = compiler();
    let headers = headers(&compiler).with_context(|| {
        format!(
            "RocksDB is built with a C++ compiler, and {} is none that works: {COMPILER_BY_HAND}",
            compiler.display()
        )
    })?;
    if let Some(path) = env::var_os(VARIABLE) {
        let path = PathBuf::from(path);
        if !is_libclang(&path) && !holds_libclang(&path) {
            bail!(
                "{VARIABLE} names {}, where there is no libclang: mend or unset it",
                path.display()
            );
        }
        eprintln!("setup: libclang: {} (from {VARIABLE})", path.display());
        return Ok(());
    }
    if let Some(path) = installed() {
        eprintln!("setup: libclang: {} (already there)", path.display());
        return Ok(());
    }
    let target = directory.join(PACKAGE);
    if is_whole(&target) {
        eprintln!(
            "setup: libclang: {} (version {VERSION}, already there)",
            target.display()
        );
        return Ok(());
    }
    fetch(directory, &target, &headers).map_err(|error| {
        anyhow!(
            "cannot bring libclang, which RocksDB's bindings are made with: {error:#}. Give python3 with pip access to \
             PyPI (the package is {PACKAGE}=={VERSION}), or {BY_HAND}"
        )
    })
}

/// What cargo's children have to find in their environment to use the libclang that was brought; nothing if none was.
pub(super) fn environment(directory: &Path) -> Vec<(&'static str, OsString)> {
    let target = directory.join(PACKAGE);
    if env::var_os(VARIABLE).is_some() || !is_whole(&target) {
        return Vec::new();
    }
    // It is split as a shell would.
    let mut arguments = OsString::from("-isystem '");
    arguments.push(target.join("include"));
    arguments.push("'");
    vec![(VARIABLE, target.into_os_string()), (EXTRA_ARGUMENTS, arguments)]
}

fn fetch(directory: &Path, target: &Path, headers: &Path) -> Result<()> {
    eprintln!("setup: libclang: downloading {PACKAGE}=={VERSION} from PyPI");
    let staging = Staging::new(directory, PACKAGE)?;
    let unpacked = unpack_wheel(&staging, PACKAGE, VERSION)?;
    let library = unpacked
        .join(format!("{PACKAGE}-{VERSION}.data/platlib/clang/native"))
        .join(library_name());
    let whole = staging.path().join("whole");
    fs::create_dir_all(&whole)?;
    fs::rename(&library, whole.join(library_name()))
        .with_context(|| format!("the wheel of {PACKAGE}=={VERSION} holds no {}", library_name()))?;
    symlink(headers, whole.join("include"))?;
    staging.replace(&whole, target)?;
    eprintln!("setup: libclang: {} (version {VERSION})", target.display());
    Ok(())
}

/// Whether the library is in this directory, with headers: those of a compiler that was replaced since are gone.
fn is_whole(target: &Path) -> bool {
    target.join(library_name()).is_file() && target.join("include/stddef.h").is_file()
}

fn library_name() -> String {
    format!("libclang{}", env::consts::DLL_SUFFIX)
}

fn compiler() -> PathBuf {
    env::var_os("CXX").map_or_else(|| "c++".into(), PathBuf::from)
}

/// The directory of the headers that belong to a C++ compiler: gcc names the one, clang the other.
fn headers(compiler: &Path) -> Result<PathBuf> {
    let asked = ["-print-file-name=include", "-print-resource-dir"];
    for (question, within) in asked.into_iter().zip(["", "include"]) {
        let output = Command::new(compiler)
            .arg(question)
            .stdin(Stdio::null())
            .output()
            .context("it cannot be run")?;
        let answer = String::from_utf8_lossy(&output.stdout);
        let headers = Path::new(answer.trim()).join(within);
        if output.status.success() && headers.is_absolute() && headers.join("stddef.h").is_file() {
            return Ok(headers);
        }
    }
    bail!("it does not say where its headers are")
}

/// The machine's own libclang, looked for where the bindings' build script does.
fn installed() -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = ["LD_LIBRARY_PATH", "LIBRARY_PATH"]
        .into_iter()
        .filter_map(env::var_os)
        .flat_map(|paths| env::split_paths(&paths).collect::<Vec<_>>())
        .collect();
    places.extend(llvm_config().map(|prefix| prefix.join("lib")));
    let roots = ["/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64"].map(PathBuf::from);
    let beside = roots.iter().flat_map(directories);
    let below = roots
        .iter()
        .flat_map(directories)
        .flat_map(|place| directories(&place));
    places.extend(roots.iter().cloned().chain(beside).chain(below));
    places.into_iter().find(|place| holds_libclang(place))
}

fn llvm_config() -> Option<PathBuf> {
    let program = env::var_os("LLVM_CONFIG_PATH").unwrap_or_else(|| "llvm-config".into());
    let output = Command::new(program)
        .arg("--prefix")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let prefix = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| prefix.trim().into())
}

fn directories(place: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

fn holds_libclang(place: &Path) -> bool {
    let mut entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries.any(|entry| is_libclang(&entry.path()))
}

/// `libclang.so`, `libclang-14.so`, `libclang.so.1`, `libclang-14.so.14.0.6`: but not `libclang-cpp`, another library.
fn is_libclang(path: &Path) -> bool {
    let named = path.file_name().and_then(OsStr::to_str).is_some_and(|name| {
        let Some(rest) = name.strip_prefix("libclang") else {
            return false;
        };
        let suffix = env::consts::DLL_SUFFIX;
        let versioned = rest.find(suffix).is_some_and(|at| {
            let after = &rest[at + suffix.len()..];
            (at == 0 || rest.starts_with('-')) && (after.is_empty() || after.starts_with('.'))
        });
        versioned && !rest.starts_with("-cpp")
    });
    named && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_told_from_its_neighbours_by_its_name() {
        let directory = env::temp_dir().join(format!("alluvium-xtask-libclang-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let suffix = env::consts::DLL_SUFFIX;
        for (name, is_one) in [
            (format!("libclang{suffix}"), true),
            (format!("libclang-14{suffix}"), true),
            (format!("libclang{suffix}.1"), true),
            (format!("libclang-14{suffix}.14.0.6"), true),
            (format!("libclang-cpp{suffix}.14"), false),
            (format!("libclangAST{suffix}"), false),
            ("libclangAST.a".to_owned(), false),
            ("libclang".to_owned(), false),
        ] {
            let path = directory.join(&name);
            assert!(!is_libclang(&path), "{name} is not there yet");
            fs::write(&path, "").unwrap();
            assert_eq!(is_libclang(&path), is_one, "{name}");
            assert_eq!(holds_libclang(&directory), is_one, "{name}");
            fs::remove_file(&path).unwrap();
        }
        fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn a_compiler_that_is_not_there_says_so() {
        let error = headers(Path::new("no/such/compiler")).unwrap_err();
        assert_eq!(error.to_string(), "it cannot be run");
    }
}
