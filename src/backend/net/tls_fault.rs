//! What goes wrong with TLS, said so that one knows what to do. Nothing of a key is ever in it.

use rustls::{AlertDescription, CertificateError, Error as Failure, InvalidMessage};

use crate::config::Tls;
use crate::error::{Error, Kind};

/// What messages say of a server and of what it is measured by.
pub(super) struct Peer {
    host: Box<str>,
    /// The settings whose certificates are trusted, with their paths; empty where the system's are.
    trusted: Box<str>,
}

impl Peer {
    /// The server at `host`.
    pub(super) fn new(host: &str, settings: &Tls) -> Self {
        let path = |name, path: &std::path::Path| format!("{name} ({})", path.display());
        let file = settings.ca_file.as_ref().map(|named| path("ssl_ca_certs", &named.value));
        let folder = settings.ca_folder.as_ref().map(|named| path("ssl_ca_path", &named.value));
        let data = settings.ca_data.as_ref().map(|_| "ssl_ca_data".to_owned());
        let trusted: Vec<_> = file.into_iter().chain(folder).chain(data).collect();
        Self { host: host.into(), trusted: trusted.join(" or ").into() }
    }

    fn untrusted(&self) -> String {
        let (by, what_to_do) = match &*self.trusted {
            "" => ("this system", "name the issuer's certificate in ssl_ca_certs"),
            own => (own, "put the issuer's certificate there"),
        };
        format!("the server's certificate comes from an issuer that is not trusted by {by}: {what_to_do}")
    }
}

/// The error of a handshake with a server.
pub(super) fn failed(failure: &Failure, peer: &Peer) -> Error {
    let reason = format!("cannot connect: {}", said(failure, peer));
    // Certificates do not change by trying again; what came garbled may come whole.
    let passing = matches!(failure, Failure::InvalidMessage(_) | Failure::DecryptError);
    Error::new(Kind::Connection, reason).retriable_if(passing)
}

/// What went wrong, in words.
pub(super) fn said(failure: &Failure, peer: &Peer) -> String {
    match failure {
        Failure::InvalidCertificate(why) => certificate(why, peer),
        Failure::AlertReceived(alert) => refused(*alert),
        Failure::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what the server says is not TLS; does it speak TLS on this port?".to_owned()
        }
        Failure::PeerIncompatible(why) => {
            format!("the server has no version or cipher of TLS in common with larder (1.2 and 1.3): {why:?}")
        }
        other => format!("TLS failed: {other}"),
    }
}

fn certificate(why: &CertificateError, peer: &Peer) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it, or set this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: set this machine's clock".to_owned()
        }
        CertificateError::UnknownIssuer => peer.untrusted(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the server's certificate is not for the name {}: use a name that it is for, or set \
             ssl_check_hostname to false",
            peer.host
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers: issue one with the purpose serverAuth".to_owned()
        }
        // webpki's own words, such as that an authority's certificate cannot be a server's
        other => format!("the server's certificate cannot be used: {other}"),
    }
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server wants a client's certificate: set ssl_certfile and ssl_keyfile".to_owned()
        }
        AlertDescription::HandshakeFailure => {
            "the server refused (handshake failure): it has no cipher in common with \
                                               larder, or wants a client's certificate (ssl_certfile, ssl_keyfile)"
                .to_owned()
        }
        AlertDescription::ProtocolVersion => {
            "the server refused the version of TLS: larder speaks 1.2 and 1.3, see ssl_min_version".to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            format!("the server refused the client's certificate ({alert:?}): check ssl_certfile and what it trusts")
        }
        other => format!("the server ended TLS ({other:?})"),
    }
}
