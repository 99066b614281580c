//! Redis, a proxy in front of it for server three, three servers and the balancer, on free ports of loopback.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const NAMES: [&str; 3] = ["one", "two", "three"];

pub struct Cluster {
    pub chat: String,
    addresses: Vec<String>,
    redis_port: String,
    proxy_port: String,
    folder: PathBuf,
    redis: Option<Child>,
    proxy: Option<Child>,
    haproxy: Option<Child>,
    servers: Vec<Option<Child>>,
}

fn example(file: &str) -> String {
    format!("{}/../../examples/many_machines/{file}", env!("CARGO_MANIFEST_DIR"))
}

impl Cluster {
    pub fn start_all() -> Cluster {
        let free: Vec<_> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<_> =
            free.iter().map(|l| l.local_addr().unwrap().port().to_string()).collect();
        drop(free);
        let at = |i: usize| format!("127.0.0.1:{}", ports[i]);
        let folder = env::temp_dir().join(format!("many_machines_{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let addresses = (1..4).map(at).collect();
        let mut cluster = Cluster {
            chat: at(0),
            addresses,
            redis_port: ports[4].clone(),
            proxy_port: ports[5].clone(),
            folder,
            redis: None,
            proxy: None,
            haproxy: None,
            servers: vec![None, None, None],
        };
        cluster.start_redis();
        let config = format!(
            "defaults\n mode tcp\n timeout connect 2s\n timeout client 60s\n timeout server 60s\nlisten redis\n bind 127.0.0.1:{}\n server redis 127.0.0.1:{}\n",
            cluster.proxy_port, cluster.redis_port
        );
        let file = cluster.folder.join("proxy.cfg");
        std::fs::write(&file, config).unwrap();
        cluster.proxy = Some(quiet(Command::new("haproxy").arg("-f").arg(file)));
        (0..3).for_each(|i| cluster.start(i));
        cluster.restart_haproxy();
        cluster
    }

    pub fn start_redis(&mut self) {
        self.redis = Some(quiet(
            Command::new("redis-server")
                .arg(example("redis.conf"))
                .args(["--port", &self.redis_port])
                .arg("--dir")
                .arg(&self.folder),
        ));
    }

    pub fn kill_redis(&mut self) {
        end(&mut self.redis);
    }

    pub fn wipe(&self) {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.redis_port)).unwrap();
        stream.write_all(b"FLUSHALL\r\n").unwrap();
        assert!(stream.read(&mut [0; 16]).unwrap() > 0);
    }

    pub fn start(&mut self, i: usize) {
        let port = if i == 2 { &self.proxy_port } else { &self.redis_port };
        let program = env::current_exe().unwrap().with_file_name("server");
        let mut command = Command::new(program);
        command.arg(&self.addresses[i]).args([
            "--name",
            NAMES[i],
            "--redis",
            &format!("redis://127.0.0.1:{port}"),
        ]);
        self.servers[i] = Some(quiet(command.stdin(Stdio::piped())));
        for _ in 0..100 {
            if self.health(i) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("server {} is not ready after five seconds", NAMES[i]);
    }

    fn health(&self, i: usize) -> bool {
        let mut answer = String::new();
        let Ok(mut stream) = TcpStream::connect(&self.addresses[i]) else { return false };
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: chat\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200")
    }

    pub fn kill(&mut self, i: usize) {
        end(&mut self.servers[i]);
    }

    pub fn restart_haproxy(&mut self) {
        end(&mut self.haproxy);
        let mut command = Command::new("haproxy");
        command.arg("-f").arg(example("haproxy.cfg")).env("CHAT", &self.chat);
        for (name, address) in ["ONE", "TWO", "THREE"].iter().zip(&self.addresses) {
            command.env(name, address);
        }
        self.haproxy = Some(quiet(&mut command));
        sleep(Duration::from_millis(700));
    }

    /// Each server drains, ends and starts anew.
    pub fn roll(&mut self) {
        for i in 0..3 {
            let mut server = self.servers[i].take().unwrap();
            server.stdin.as_mut().unwrap().write_all(b"drain\n").unwrap();
            assert!(server.wait().unwrap().success());
            self.start(i);
            sleep(Duration::from_millis(700));
        }
    }

    pub fn signal(&self, which: &str, signal: &str) {
        let child = if which == "redis" { &self.redis } else { &self.proxy };
        let id = child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success()
        );
    }
}

fn quiet(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.servers
            .iter_mut()
            .chain([&mut self.haproxy, &mut self.proxy, &mut self.redis])
            .for_each(end);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
