//! nginx and HAProxy with the header edits that the gateway makes, and the origin behind all of them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use kong_tests::{Client, Process};

use super::{LOAD_CORE, PROXY_CORE};
use crate::install;

/// An nginx that answers every request with 100 bytes.
pub(crate) fn origin(dir: &Path, port: u16) -> anyhow::Result<Process> {
    let server = format!(
        "server {{ listen 127.0.0.1:{port} backlog=4096; keepalive_requests 1000000000; default_type text/plain;\n\
         location / {{ return 200 \"{}\"; }} }}",
        "x".repeat(100)
    );
    start_nginx(dir, "origin", &server, LOAD_CORE, port)
}

/// An nginx that forwards as the gateway does: the same request and response headers, upstream keep-alive.
pub(crate) fn nginx(dir: &Path, name: &str, origin: u16, http: u16, https: u16) -> anyhow::Result<Process> {
    let (certificate, key) = certificate(dir)?;
    let server = format!(
        "upstream origin {{ server 127.0.0.1:{origin}; keepalive 512; keepalive_requests 10000; }}\n\
         server {{\n\
           listen 127.0.0.1:{http} backlog=4096;\n\
           listen 127.0.0.1:{https} ssl backlog=4096;\n\
           ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;\n\
           keepalive_requests 10000;\n\
           location /r0/ {{\n\
             proxy_pass http://origin/;\n\
             proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\";\n\
             proxy_set_header Host 127.0.0.1:{origin};\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             proxy_set_header X-Forwarded-Proto $scheme;\n\
             proxy_set_header X-Forwarded-Host $host;\n\
             proxy_set_header X-Forwarded-Port $server_port;\n\
             proxy_set_header X-Forwarded-Path $request_uri;\n\
             proxy_set_header X-Forwarded-Prefix /r0/;\n\
             proxy_set_header X-Real-IP $remote_addr;\n\
             proxy_set_header Via \"1.1 nginx\";\n\
             proxy_set_header X-Kong-Request-Id $request_id;\n\
             add_header Via \"1.1 nginx\";\n\
             add_header X-Kong-Upstream-Latency $upstream_header_time;\n\
             add_header X-Kong-Proxy-Latency $request_time;\n\
             add_header X-Kong-Request-Id $request_id;\n\
           }}\n\
         }}"
    );
    start_nginx(dir, name, &server, PROXY_CORE, http)
}

fn start_nginx(dir: &Path, name: &str, server: &str, core: &str, port: u16) -> anyhow::Result<Process> {
    let home = dir.join(name);
    std::fs::create_dir_all(&home)?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", home.display()))
        .concat();
    // As root, workers would otherwise run as another user, who may not read the directory.
    let config = format!(
        "user root;\nworker_processes 1;\ndaemon off;\npid {0}/pid;\nerror_log {0}/error.log;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; {temporary}\n{server}\n}}\n",
        home.display()
    );
    let file = home.join("nginx.conf");
    std::fs::write(&file, config)?;
    let nginx = install::find("nginx").context("no nginx")?;
    let mut command = Command::new("taskset");
    command
        .args(["-c", core])
        .arg(nginx)
        .arg("-p")
        .arg(&home)
        .arg("-c")
        .arg(&file);
    started(&mut command, port, &home.join("error.log"))
}

/// An HAProxy that forwards as the gateway does.
pub(crate) fn haproxy(dir: &Path, origin: u16, port: u16) -> anyhow::Result<Process> {
    let file = dir.join("haproxy.cfg");
    let config = format!(
        "global\n  nbthread 1\n  maxconn 8192\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always\n\
         frontend in\n  bind 127.0.0.1:{port}\n  unique-id-format %[uuid()]\n  default_backend origin\n\
         backend origin\n  option forwardfor\n\
         \x20 http-request set-header X-Forwarded-Proto http\n\
         \x20 http-request set-header X-Forwarded-Host %[req.hdr(host)]\n\
         \x20 http-request set-header X-Forwarded-Port %[dst_port]\n\
         \x20 http-request set-header X-Forwarded-Path %[path]\n\
         \x20 http-request set-header X-Forwarded-Prefix /r0/\n\
         \x20 http-request set-header X-Real-IP %[src]\n\
         \x20 http-request set-header Via \"1.1 haproxy\"\n\
         \x20 http-request set-header X-Kong-Request-Id %[unique-id]\n\
         \x20 http-request set-header Host 127.0.0.1:{origin}\n\
         \x20 http-response set-header Via \"1.1 haproxy\"\n\
         \x20 http-response set-header X-Kong-Upstream-Latency %Tr\n\
         \x20 http-response set-header X-Kong-Proxy-Latency %Ta\n\
         \x20 http-response set-header X-Kong-Request-Id %[unique-id]\n\
         \x20 server origin 127.0.0.1:{origin} pool-max-conn 512\n"
    );
    std::fs::write(&file, config)?;
    let haproxy = install::find("haproxy").context("no haproxy")?;
    let mut command = Command::new("taskset");
    command
        .args(["-c", PROXY_CORE])
        .arg(haproxy)
        .arg("-db")
        .arg("-f")
        .arg(&file);
    started(&mut command, port, &dir.join("haproxy.log"))
}

fn started(command: &mut Command, port: u16, log: &Path) -> anyhow::Result<Process> {
    let output = std::fs::File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut process = Process::spawn(command)?;
    for _ in 0..200 {
        if Client::new(port)
            .timeout(Duration::from_secs(1))
            .get("/r0/x")
            .is_ok_and(|r| r.status == 200)
        {
            return Ok(process);
        }
        if process.exited().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    bail!(
        "does not answer on port {port}:\n{}",
        std::fs::read_to_string(log).unwrap_or_default()
    )
}

/// A self-signed certificate like the gateway's default one for elliptic curves.
fn certificate(dir: &Path) -> anyhow::Result<(String, String)> {
    let (certificate, key) = (dir.join("bench.crt"), dir.join("bench.key"));
    if !certificate.exists() {
        let status = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args(["-subj", "/CN=localhost", "-days", "30"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("openssl req: {status}");
        }
    }
    Ok((
        certificate.to_string_lossy().into_owned(),
        key.to_string_lossy().into_owned(),
    ))
}
