//! A plain or TLS connection of the test side, and reading HTTP/1 from it.

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// One connection, with or without TLS.
#[derive(Debug)]
pub enum Wire {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP; the server's certificate is not verified.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Connects; `tls` holds the server name to ask for, an empty one asks for none. `timeout` bounds the connect and
    /// every read and write after it.
    pub fn connect(port: u16, tls: Option<&str>, timeout: Duration) -> io::Result<Self> {
        let tcp = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), timeout)?;
        tcp.set_read_timeout(Some(timeout))?;
        tcp.set_write_timeout(Some(timeout))?;
        tcp.set_nodelay(true)?;
        let Some(name) = tls else { return Ok(Self::Plain(tcp)) };
        let name = if name.is_empty() {
            ServerName::from(Ipv4Addr::LOCALHOST)
        } else {
            ServerName::try_from(name.to_owned()).map_err(io::Error::other)?
        };
        let connection = ClientConnection::new(client_config(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// The TCP connection underneath.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buf),
            // A peer that closes without close_notify has closed all the same.
            Self::Tls(tls) => match tls.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A header line as name (lower case) and value, decoded as Latin-1, white space around them removed.
pub fn split_header(line: &[u8]) -> (String, String) {
    let text = latin1(line);
    let (name, value) = text.split_once(':').unwrap_or((&text, ""));
    (name.trim().to_ascii_lowercase(), value.trim().to_owned())
}

/// Bytes as characters of the same number.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// Reads header lines up to the empty line.
pub fn read_headers(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if matches!(line.as_slice(), b"\r\n" | b"\n" | b"") {
            return Ok(headers);
        }
        headers.push(split_header(&line));
    }
}

/// One line with its end; empty at the end of the stream. Refuses lines over 1 MiB.
pub fn read_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(1 << 20).read_until(b'\n', &mut line)?;
    if line.len() == 1 << 20 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
    }
    Ok(line)
}

/// The number before `;` in a chunk's size line.
pub fn chunk_size(line: &[u8]) -> Option<u64> {
    let text = line.split(|&b| b == b';').next()?;
    u64::from_str_radix(std::str::from_utf8(text).ok()?.trim(), 16).ok()
}

fn client_config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let schemes = provider.signature_verification_algorithms.supported_schemes();
            #[allow(clippy::expect_used)] // the default provider supports the default versions
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("default versions");
            let verifier = Arc::new(AnyCertificate(schemes));
            Arc::new(
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
                    .with_no_client_auth(),
            )
        })
        .clone()
}

#[derive(Debug)]
struct AnyCertificate(Vec<SignatureScheme>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
