//! Ceph with its S3 gateway, which only the full length of the end-to-end tests runs against.
//!
//! On Debian and its kin the distribution's packages are downloaded and unpacked under `target/tools`, without being
//! root and without touching the system: apt gets directories of its own, and nothing is installed. Of what they depend
//! on, that much is unpacked with them as the machine lacks.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::program::{Staging, Version};

/// The environment variable that names a directory with Ceph in its `usr`, and overrules everything else.
pub(super) const VARIABLE: &str = "ALLUVIUM_CEPH";
const PACKAGES: &[&str] = &["ceph-mon", "ceph-osd", "radosgw"];
/// What the tests run of it.
const PROGRAMS: &[&str] = &["ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"];
const AT_LEAST: Version = Version(16, 2);

/// Finds Ceph or brings it: the absolute path of the directory that holds its `usr`.
pub(super) fn bring(directory: &Path) -> Result<PathBuf> {
    if let Some(root) = env::var_os(VARIABLE) {
        let root = path::absolute(&root).with_context(|| format!("{VARIABLE} holds no path"))?;
        check(&root).with_context(|| {
            format!(
                "{VARIABLE} names {}: point it to a directory with Ceph in its usr/bin, or unset it",
                root.display()
            )
        })?;
        eprintln!("setup: ceph: {} (from {VARIABLE})", root.display());
        return Ok(root);
    }
    let installed = PathBuf::from("/");
    let target = directory.join("ceph");
    for root in [installed, target.clone()] {
        if let Ok(version) = check(&root) {
            eprintln!(
                "setup: ceph: {} (version {version}, already there)",
                root.display()
            );
            return Ok(root);
        }
    }
    unpack(directory, &target).map_err(|error| {
        anyhow!(
            "cannot bring Ceph, which only the full length needs: {error:#}. On Debian or Ubuntu give apt-get access to \
             its mirrors, or run `apt-get install --no-install-recommends {}` as root; elsewhere install Ceph {AT_LEAST} \
             or newer and set {VARIABLE} to the directory that holds its usr/bin",
            PACKAGES.join(" ")
        )
    })?;
    Ok(target)
}

fn unpack(directory: &Path, target: &Path) -> Result<()> {
    eprintln!("setup: ceph: downloading {} with apt-get", PACKAGES.join(", "));
    let staging = Staging::new(directory, "ceph")?;
    let apt = Apt::new(staging.path())?;
    apt.run(&["update"])?;
    apt.run(
        &[
            &["install", "--yes", "--download-only", "--no-install-recommends"],
            PACKAGES,
        ]
        .concat(),
    )?;
    let root = staging.path().join("root");
    for package in fs::read_dir(&apt.archives)? {
        let package = package?.path();
        if package.extension() == Some(OsStr::new("deb")) {
            run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root))?;
        }
    }
    // Documents, services and settings of a system that this is none of.
    for rest in ["etc", "var", "usr/share", "usr/sbin"] {
        let rest = root.join(rest);
        if rest.exists() {
            fs::remove_dir_all(&rest).with_context(|| format!("cannot remove {}", rest.display()))?;
        }
    }
    let version = check(&root)?;
    staging.replace(&root, target)?;
    eprintln!("setup: ceph: {} (version {version})", target.display());
    Ok(())
}

/// apt-get in directories of its own.
struct Apt {
    lists: PathBuf,
    archives: PathBuf,
}

impl Apt {
    fn new(directory: &Path) -> Result<Self> {
        let apt = Self {
            lists: directory.join("lists"),
            archives: directory.join("archives"),
        };
        for place in [&apt.lists, &apt.archives] {
            fs::create_dir_all(place.join("partial"))?;
        }
        Ok(apt)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("apt-get");
        for (option, value) in [
            ("Dir::State::lists", self.lists.as_os_str()),
            ("Dir::Cache::archives", self.archives.as_os_str()),
            ("Dir::Cache::pkgcache", OsStr::new("")),
            ("Dir::Cache::srcpkgcache", OsStr::new("")),
            // It is nobody else's, so there is nothing to lock; and apt's own user may not write to it.
            ("Debug::NoLocking", OsStr::new("1")),
            ("APT::Sandbox::User", OsStr::new("")),
        ] {
            let mut pair = std::ffi::OsString::from(option);
            pair.push("=");
            pair.push(value);
            command.arg("-o").arg(pair);
        }
        run(command.arg("-qq").args(arguments))
    }
}

/// Runs a command to its end. What it prints is progress, and stdout is for results.
fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed: it says why above");
    }
    Ok(())
}

/// Whether all programs are there, and the gateway runs and is new enough.
fn check(root: &Path) -> Result<Version> {
    let programs = root.join("usr/bin");
    for program in PROGRAMS {
        if !programs.join(program).is_file() {
            bail!("there is no {program} in {}", programs.display());
        }
    }
    let output = Command::new(programs.join("radosgw"))
        .arg("--version")
        .env("LD_LIBRARY_PATH", libraries(root))
        .stdin(Stdio::null())
        .output()
        .context("cannot run radosgw")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = Version::find(&text).with_context(|| {
        format!(
            "radosgw --version does not answer with a version: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )
    })?;
    if version < AT_LEAST {
        bail!("it is version {version}, and {AT_LEAST} or newer is needed");
    }
    Ok(version)
}

/// Where the programs' libraries are, for the linker: as the end-to-end tests have it.
fn libraries(root: &Path) -> String {
    let architecture = env::consts::ARCH;
    let [new, old] = ["usr/lib", "lib"].map(|lib| root.join(lib).join(format!("{architecture}-linux-gnu")));
    format!(
        "{}:{}:{}",
        new.display(),
        new.join("ceph").display(),
        old.display()
    )
}
