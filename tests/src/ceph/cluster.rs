//! The daemons, and the configuration that lets them run as anybody, anywhere, without a device.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::guardian::{Daemon, Directory};
use crate::nats_server::free_port;

const CLUSTER_ID: &str = "0a11ce90-0000-4000-8000-000000000001";
const OSD_ID: &str = "0a11ce90-0000-4000-8000-000000000002";
const GATEWAY: &str = "client.rgw";

/// A monitor, an OSD and a gateway.
#[derive(Debug)]
pub(super) struct Cluster {
    gateway: u16,
    installation: Installation,
    /// The clients before the servers.
    daemons: Vec<Daemon>,
    directory: Directory,
}

impl Cluster {
    /// Starts the daemons. They answer later.
    pub(super) fn start() -> Result<Self> {
        let installation = Installation::find()?;
        let directory = Directory::create("alluvium-ceph-")?;
        let (monitor, gateway) = (free_port(), free_port());
        let place = directory.path();
        for name in ["mon", "osd", "rgw"] {
            fs::create_dir(place.join(name))?;
        }
        fs::write(
            place.join("ceph.conf"),
            configuration(place, &installation, monitor, gateway),
        )?;
        let mut cluster = Self {
            gateway,
            installation,
            daemons: Vec::new(),
            directory,
        };
        cluster.make(monitor)?;
        Ok(cluster)
    }

    fn make(&mut self, monitor: u16) -> Result<()> {
        let map = self.directory.path().join("monmap").display().to_string();
        let address = format!("[v2:127.0.0.1:{monitor}/0]");
        self.run(
            "monmaptool",
            &["--create", "--fsid", CLUSTER_ID, "--addv", "a", &address, &map],
        )?;
        self.run(
            "ceph-mon",
            &["--mkfs", "-i", "a", "--fsid", CLUSTER_ID, "--monmap", &map],
        )?;
        self.daemon("ceph-mon", &["-f", "-i", "a"])?;
        self.run("ceph-osd", &["--mkfs", "-i", "0", "--osd-uuid", OSD_ID])?;
        self.daemon("ceph-osd", &["-f", "-i", "0"])?;
        self.daemon("radosgw", &["-f", "-n", GATEWAY])
    }

    /// Where the gateway listens.
    pub(super) fn gateway(&self) -> u16 {
        self.gateway
    }

    /// Makes a user of the gateway.
    pub(super) fn create_user(&self, access_key: &str, secret_key: &str) -> Result<()> {
        let user = [
            "user",
            "create",
            "--uid",
            "alluvium",
            "--display-name",
            "alluvium",
        ];
        let keys = ["--access-key", access_key, "--secret-key", secret_key];
        self.run(
            "radosgw-admin",
            &[&["-n", GATEWAY], &user[..], &keys[..]].concat(),
        )
    }

    /// What the daemons have logged.
    pub(super) fn log(&self) -> String {
        self.daemons.iter().map(Daemon::log).collect()
    }

    fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let configuration = self.directory.path().join("ceph.conf").display().to_string();
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        ["-c".to_owned(), configuration]
            .into_iter()
            .chain(arguments)
            .collect()
    }

    /// Runs one of Ceph's programs to its end.
    fn run(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(self.installation.program(name))
            .args(self.arguments(arguments))
            .env("LD_LIBRARY_PATH", self.installation.libraries())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {name}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} failed: {}", said.trim());
        Ok(())
    }

    fn daemon(&mut self, name: &str, arguments: &[&str]) -> Result<()> {
        let log = self.directory.path().join(format!("{name}.out"));
        let libraries = format!("LD_LIBRARY_PATH={}", self.installation.libraries());
        let program = self.installation.program(name).display().to_string();
        let mut all = vec![libraries, program];
        all.extend(self.arguments(arguments));
        self.daemons
            .insert(0, Daemon::start(log, Path::new("env"), &all)?);
        Ok(())
    }
}

/// Where Ceph is: `/`, or where its packages were unpacked.
#[derive(Debug)]
struct Installation(PathBuf);

impl Installation {
    /// The one that a variable names, or the unpacked one.
    fn find() -> Result<Self> {
        let root = std::env::var_os("ALLUVIUM_CEPH").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/ceph"),
            PathBuf::from,
        );
        let found = Self(root);
        let program = found.program("radosgw");
        ensure!(
            program.exists(),
            "there is no {}: run `cargo xtask setup --full` first",
            program.display()
        );
        Ok(found)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.0.join("usr/bin").join(name)
    }

    fn library(&self) -> PathBuf {
        self.0.join(format!("usr/lib/{ARCH}-linux-gnu"))
    }

    /// Where the linker looks.
    fn libraries(&self) -> String {
        let library = self.library();
        let old = self.0.join(format!("lib/{ARCH}-linux-gnu"));
        format!(
            "{}:{}:{}",
            library.display(),
            library.join("ceph").display(),
            old.display()
        )
    }
}

fn configuration(place: &Path, installation: &Installation, monitor: u16, gateway: u16) -> String {
    let library = installation.library();
    format!(
        "\
[global]
fsid = {CLUSTER_ID}
mon host = [v2:127.0.0.1:{monitor}/0]
public network = 127.0.0.0/8
ms bind ipv6 = false
run dir = {place}
admin socket = {place}/$name.$pid.asok
log file = {place}/$name.log
pid file =
crash dir = {place}
plugin dir = {library}/ceph
erasure code dir = {library}/ceph/erasure-code
osd class dir = {library}/rados-classes

# Without authentication, connections must not be encrypted either: a client would wait for ever.
auth cluster required = none
auth service required = none
auth client required = none
ms cluster mode = crc
ms service mode = crc
ms client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
ms mon client mode = crc

mon data = {place}/mon
# A machine whose disk is nearly full stops a monitor else.
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
mon max pg per osd = 1000

osd data = {place}/osd
osd objectstore = memstore
memstore device bytes = 8G
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0

[{GATEWAY}]
# Without it every answer of some kilobytes waits for 40 ms.
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw data = {place}/rgw
# What is deleted is in memory until it is collected: not in two hours, but soon.
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 5
",
        place = place.display(),
        library = library.display(),
    )
}
