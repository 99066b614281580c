//! Redis, the servers, the balancer, and a proxy between Redis and server three, all on loopback;
//! and the faults that the tests cause in them.
//!
//! Each is a separate process, as in `examples/many_machines/run`, with the same configuration files.
//! Dropping the cluster ends all of them.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// For a process to come up, on a machine that has other work to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which processes a cluster has.
pub struct Setup {
    pub servers: usize,
    /// Without it, there is one server, which keeps the messages in its memory.
    pub redis: bool,
    /// With it, server three reaches Redis through a proxy, so that it can be cut off.
    pub balancer: bool,
}

pub struct Cluster {
    /// Where the members go: the balancer, or the servers themselves, one after the other.
    pub doors: Vec<String>,
    servers: Vec<Server>,
    balancer: Option<(String, Option<Child>)>,
    redis: Option<(String, Option<Child>)>,
    proxy: Option<(String, Option<Child>)>,
    folder: PathBuf,
}

struct Server {
    address: String,
    child: Option<Child>,
}

fn example(file: &str) -> String {
    format!("{}/../../examples/many_machines/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Ports that nothing listens on, below those that the system gives to outgoing connections: a server that is started
/// anew finds its port free.
fn free_ports(count: usize) -> Vec<String> {
    let random = RandomState::new().hash_one(std::process::id());
    let all = (0..20_000).map(|i| 10_000 + (random.wrapping_add(i) % 20_000) as u16);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    all.filter(is_free).take(count).map(|port| format!("127.0.0.1:{port}")).collect()
}

impl Cluster {
    pub fn start_all(setup: &Setup) -> Cluster {
        let mut ports = free_ports(6).into_iter();
        let mut next = || ports.next().expect("a free port");
        let folder = env::temp_dir().join(format!("many_machines_{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let servers: Vec<_> =
            (0..setup.servers).map(|_| Server { address: next(), child: None }).collect();
        let mut cluster = Cluster {
            doors: servers.iter().map(|server| server.address.clone()).collect(),
            servers,
            balancer: setup.balancer.then(|| (next(), None)),
            redis: setup.redis.then(|| (next(), None)),
            proxy: setup.balancer.then(|| (next(), None)),
            folder,
        };
        if setup.redis {
            cluster.start_redis();
        }
        cluster.start_proxy();
        (0..setup.servers).for_each(|i| cluster.start(i));
        if let Some((address, _)) = &cluster.balancer {
            cluster.doors = vec![address.clone()];
            cluster.start_balancer();
        }
        cluster
    }

    // The servers.

    /// Starts a server, and waits until it's ready.
    pub fn start(&mut self, i: usize) {
        self.spawn(i);
        self.await_ready(i);
    }

    pub fn spawn(&mut self, i: usize) {
        let built = || env::current_exe().unwrap().with_file_name("server");
        let program = env::var_os("SERVER").map_or_else(built, PathBuf::from);
        let mut command = Command::new(program);
        command.arg(&self.servers[i].address).args(["--name", NAMES[i]]);
        let is_cut_off = i == 2 && self.proxy.is_some();
        let store = if is_cut_off { &self.proxy } else { &self.redis };
        if let Some((address, _)) = store {
            command.args(["--redis", &format!("redis://{address}")]);
        }
        self.servers[i].child = Some(quiet(command.stdin(Stdio::piped())));
    }

    pub fn await_ready(&self, i: usize) {
        let address = &self.servers[i].address;
        assert!(becomes(|| health(address) == Some(200)), "server {} is not ready", NAMES[i]);
    }

    pub fn kill(&mut self, i: usize) {
        end(&mut self.servers[i].child);
    }

    /// The server of that name.
    pub fn index(name: &str) -> usize {
        NAMES.iter().position(|one| *one == name).expect("a server's name")
    }

    pub fn address(&self, i: usize) -> &str {
        &self.servers[i].address
    }

    pub fn last_address(&self) -> &str {
        self.address(self.servers.len() - 1)
    }

    /// Each server drains, ends and starts anew.
    pub fn roll(&mut self) {
        for i in 0..self.servers.len() {
            let mut server = self.servers[i].child.take().unwrap();
            server.stdin.as_mut().unwrap().write_all(b"drain\n").unwrap();
            assert!(server.wait().unwrap().success());
            self.start(i);
        }
    }

    // Redis.

    pub fn start_redis(&mut self) {
        let (address, child) = self.redis.as_mut().unwrap();
        let port = address.rsplit(':').next().unwrap();
        let mut command = Command::new("redis-server");
        command.arg(example("redis.conf")).args(["--port", port, "--dir"]).arg(&self.folder);
        *child = Some(quiet(&mut command));
        assert!(becomes(|| redis(address, "PING").is_some()), "Redis does not answer");
    }

    pub fn kill_redis(&mut self) {
        end(&mut self.redis.as_mut().unwrap().1);
    }

    /// Redis stays up and has nothing any more.
    pub fn wipe(&self) {
        redis(&self.redis.as_ref().unwrap().0, "FLUSHALL").expect("Redis answers");
    }

    /// Redis is killed and comes back on another disk.
    pub fn lose_disk(&mut self) {
        self.kill_redis();
        fs::remove_dir_all(self.data()).unwrap();
        self.start_redis();
    }

    /// A copy of the data as they are now.
    pub fn back_up(&self) {
        copy(&self.data(), &self.folder.join("backup"));
    }

    /// Redis is killed and comes back with the copy.
    pub fn restore(&mut self) {
        self.kill_redis();
        fs::remove_dir_all(self.data()).unwrap();
        fs::rename(self.folder.join("backup"), self.data()).unwrap();
        self.start_redis();
    }

    /// Where Redis keeps its append-only file, by its own default.
    fn data(&self) -> PathBuf {
        self.folder.join("appendonlydir")
    }

    /// Seconds of processor time that the servers have used, and that Redis has.
    pub fn processor_time(&self) -> (f64, f64) {
        let servers = self.servers.iter().filter_map(|server| server.child.as_ref());
        let redis = self.redis.iter().filter_map(|(_, child)| child.as_ref());
        (servers.map(processor_time).sum(), redis.map(processor_time).sum())
    }

    // The balancer, and the proxy between server three and Redis.

    pub fn start_balancer(&mut self) {
        let (address, child) = self.balancer.as_mut().unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-f").arg(example("haproxy.cfg")).env("CHAT", &address);
        for (name, server) in ["ONE", "TWO", "THREE"].iter().zip(&self.servers) {
            command.env(name, &server.address);
        }
        *child = Some(quiet(&mut command));
        assert!(becomes(|| health(address) == Some(200)), "the balancer does not answer");
    }

    pub fn kill_balancer(&mut self) {
        end(&mut self.balancer.as_mut().unwrap().1);
    }

    fn start_proxy(&mut self) {
        let (Some((redis, _)), Some((address, child))) = (&self.redis, &mut self.proxy) else {
            return;
        };
        let config = format!(
            "defaults\n mode tcp\n timeout connect 2s\n timeout client 60s\n timeout server 60s\n\
             listen redis\n bind {address}\n server redis {redis}\n"
        );
        let file = self.folder.join("proxy.cfg");
        fs::write(&file, config).unwrap();
        *child = Some(quiet(Command::new("haproxy").arg("-f").arg(file)));
        assert!(becomes(|| crate::cluster::redis(address, "PING").is_some()), "the proxy is dead");
    }

    /// Redis stands still, for so long. Its connections stay open.
    pub fn pause_redis(&self, pause: Duration) {
        signal(&self.redis, "-STOP");
        sleep(pause);
        signal(&self.redis, "-CONT");
    }

    /// Between server three and Redis no byte passes, until it's joined again. No connection is closed.
    pub fn cut_off_server_three(&self) {
        signal(&self.proxy, "-STOP");
    }

    pub fn join_server_three(&self) {
        signal(&self.proxy, "-CONT");
    }
}

fn signal(process: &Option<(String, Option<Child>)>, signal: &str) {
    let id = process.as_ref().and_then(|(_, child)| child.as_ref()).expect("it runs").id();
    let status = Command::new("kill").args([signal, &id.to_string()]).status();
    assert!(status.unwrap().success());
}

fn processor_time(child: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
    // After the name, which stands in brackets: utime and stime are the 12th and the 13th, in hundredths of a second.
    let fields = stat.rsplit(") ").next().expect("fields").split(' ').skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("ticks") / 100.0).sum()
}

fn becomes(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    true
}

fn ask(address: &str, question: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(question.as_bytes()).ok()?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).ok().filter(|length| *length > 0)?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// The status of `/health`.
fn health(address: &str) -> Option<u16> {
    let answer = ask(address, &format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n"))?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Redis takes commands as plain lines, too. `None`: no answer, or an error (it may still be loading).
fn redis(address: &str, command: &str) -> Option<String> {
    ask(address, &format!("{command}\r\n")).filter(|answer| answer.starts_with('+'))
}

fn quiet(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// SIGKILL, which also ends a process that stands still.
fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.servers.iter_mut().for_each(|server| end(&mut server.child));
        let others = [&mut self.balancer, &mut self.proxy, &mut self.redis];
        others.into_iter().flatten().for_each(|(_, child)| end(child));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the example's script, which finds no `cargo`, so it starts nothing. Returns what it says.
    fn run(port: u16, arguments: &[&str]) -> String {
        let mut command = Command::new("bash");
        command.arg(example("run")).args(arguments).stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("CHAT", format!("127.0.0.1:{port}"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn a_server_that_does_not_run_is_not_killed_and_no_other_is_started() {
        let said = run(1, &["kill", "one"]);
        assert!(said.contains("no server one runs"), "{said}");
    }

    #[test]
    fn a_second_start_leaves_the_first_one_its_folder() {
        let folder = PathBuf::from(example("target/run-2"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("one.pid"), std::process::id().to_string()).unwrap();
        let said = run(2, &[]);
        assert!(folder.join("one.pid").exists() && said.contains("it runs already"), "{said}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
