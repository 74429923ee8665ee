//! Certificates and keys for TLS: which authorities are trusted, who the client is, and how much of a server's
//! certificate is checked.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::fault;
use crate::config::{CertificateCheck, Named, Tls};
use crate::error::{Error, Kind, Result};

/// Files of certificates are never larger.
const LARGEST_FILE: u64 = 16 << 20;

/// The cryptography. It is named wherever it is used: nothing is installed for the whole process.
pub(super) fn provider() -> CryptoProvider {
    ring::default_provider()
}

/// Reads what a client needs. Fails with `Kind::Config` and the JSON path of what is wrong.
pub(super) fn client(settings: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(provider());
    let versions: &[_] = if settings.only_newest {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
    let builder = builder.map_err(|error| Error::new(Kind::Config, format!("TLS cannot be set up: {error}")))?;
    let verifier: Arc<dyn ServerCertVerifier> = match settings.check {
        CertificateCheck::Nothing => Arc::new(Anyone { schemes: schemes(&provider) }),
        CertificateCheck::Full => web_pki(settings, &provider)?,
        CertificateCheck::NotName => Arc::new(AnyName(web_pki(settings, &provider)?)),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let Some(certificate) = &settings.certificate else { return Ok(builder.with_no_client_auth()) };
    let chain = read_certificates(certificate)?;
    let named = settings.key.as_ref().unwrap_or(certificate);
    let key = read_key(named)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => wrong(named, "is not the key of ssl_certfile's certificate"),
        other => wrong(named, &format!("cannot be used: {other}")),
    })
}

fn schemes(provider: &CryptoProvider) -> Vec<SignatureScheme> {
    provider.signature_verification_algorithms.supported_schemes()
}

fn web_pki(settings: &Tls, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let roots = Arc::new(roots(settings)?);
    WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|error| Error::new(Kind::Config, format!("TLS cannot be set up: {error}")))
}

/// The authorities that are named, else the system's.
fn roots(settings: &Tls) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &settings.ca_file {
        trust(&mut roots, file, read_certificates(file)?)?;
    }
    if let Some(folder) = &settings.ca_folder {
        let listed = fs::read_dir(&folder.value).map_err(|error| unreadable(folder, &error))?;
        for entry in listed {
            let path = entry.map_err(|error| unreadable(folder, &error))?.path();
            // Other files lie there too; what has no certificate is passed over.
            if let Ok(bytes) = read(&path) {
                roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).flatten());
            }
        }
        if roots.is_empty() {
            return Err(wrong(folder, "has no file with a certificate (PEM)"));
        }
    }
    if let Some(text) = &settings.ca_data {
        let certificates = parse(text.value.as_bytes()).map_err(|why| wrong(text, &why))?;
        trust(&mut roots, text, certificates)?;
    }
    if settings.ca_file.is_none() && settings.ca_folder.is_none() && settings.ca_data.is_none() {
        // Some of a system's certificates may be odd: the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let reason = "this system has no certificates to trust (Debian: ca-certificates); set ssl_ca_certs";
            return Err(Error::new(Kind::Config, reason));
        }
    }
    Ok(roots)
}

fn trust<T>(roots: &mut RootCertStore, named: &Named<T>, certificates: Vec<CertificateDer<'static>>) -> Result<()> {
    for certificate in certificates {
        roots.add(certificate).map_err(|error| wrong(named, &format!("has a certificate that is broken: {error}")))?;
    }
    Ok(())
}

fn read_certificates(file: &Named<std::path::PathBuf>) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(&file.value).map_err(|error| unreadable(file, &error))?;
    parse(&bytes).map_err(|why| wrong(file, &format!("{} {why}", file.value.display())))
}

/// The certificates in a text, one at least.
fn parse(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("is no whole PEM text: {}", of_pem(&error)))?;
    if certificates.is_empty() { Err("has no certificate (PEM)".to_owned()) } else { Ok(certificates) }
}

fn read_key(file: &Named<std::path::PathBuf>) -> Result<PrivateKeyDer<'static>> {
    let bytes = read(&file.value).map_err(|error| unreadable(file, &error))?;
    let has = |text: &[u8]| memchr::memmem::find(&bytes, text).is_some();
    if has(b"ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") {
        let why = "is an encrypted key, which larder cannot read even with ssl_password: decrypt it \
                   (openssl pkey -in encrypted.pem -out key.pem)";
        return Err(wrong(file, why));
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let path = file.value.display();
            wrong(file, &format!("{path} has no private key (PEM): set ssl_keyfile to the file that has it"))
        }
        other => wrong(file, &format!("{} is no whole PEM text: {}", file.value.display(), of_pem(&other))),
    })
}

/// What is wrong with a PEM text, without quoting it.
fn of_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is odd",
        pem::Error::Base64Decode(_) => "its base64 is broken",
        _ => "it cannot be read",
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    // Opening a pipe would wait.
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable<T: AsRef<Path>>(named: &Named<T>, error: &std::io::Error) -> Error {
    let path = named.value.as_ref().display();
    wrong(named, &format!("cannot read {path}: {}", fault::reason(error)))
}

fn wrong<T>(named: &Named<T>, what: &str) -> Error {
    Error::new(Kind::Config, format!("{}: {what}", named.place))
}

/// Takes every certificate (`ssl_cert_reqs` none): the conversation is secret, but nobody knows with whom. Signatures
/// would only show that it is somebody's, so that odd old certificates need not be understood.
#[derive(Debug)]
struct Anyone {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Anyone {
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
        self.schemes.clone()
    }
}

/// Checks all but the name (`ssl_check_hostname` false).
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is what is looked at last: who gets there has passed everything else.
        match self.0.verify_server_cert(certificate, between, name, stapled, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
