//! Whether and how TLS is spoken: redis-py's `ssl` and `ssl_…` (U-7).

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::alias::{CertificateCheck, Named, Tls};
use super::place::{Place, Report, Setting, working_directory};
use super::python::{int, is_true};
use crate::error::Result;

/// Python's `ssl.TLSVersion`.
const TLS_1_3: i64 = 772;
/// Likewise: the highest that there is.
const MAXIMUM_SUPPORTED: i64 = -1;

/// What was said about TLS.
#[derive(Default)]
pub(super) struct Ssl {
    /// Whether it is spoken.
    pub on: bool,
    tls: Tls,
    any_name: bool,
    /// The first setting that means nothing without it.
    used: Option<Place>,
    /// Where `ssl_cert_reqs` is null.
    null: Option<Place>,
}

impl Ssl {
    /// Nothing but what a URL's scheme says.
    pub fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Takes over one argument that redis-py knows; what of it larder does not have.
    pub fn take(&mut self, name: &str, setting: &Setting<'_>, report: &mut Report) -> Result<Option<String>> {
        let given = is_true(setting.value);
        if name == "ssl" {
            self.on |= given;
            return Ok(None);
        }
        if given {
            self.used.get_or_insert_with(|| setting.place.clone());
        }
        let tls = &mut self.tls;
        match name {
            "ssl_cert_reqs" => {
                tls.check = check(setting, report)?;
                self.null = setting.value.is_null().then(|| setting.place.clone());
            }
            "ssl_check_hostname" => self.any_name = !given,
            "ssl_ca_certs" => tls.ca_file = path(setting, report)?,
            "ssl_ca_path" => tls.ca_folder = path(setting, report)?,
            "ssl_ca_data" => tls.ca_data = certificates(setting, report)?,
            "ssl_certfile" => tls.certificate = path(setting, report)?,
            "ssl_keyfile" => tls.key = path(setting, report)?,
            "ssl_min_version" => tls.only_newest = min_version(setting, report)?,
            "ssl_password" => {} // a key that needs it is an error when it is read
            _ if given => return Ok(Some(format!("{}: is not in this version of larder", setting.place))),
            _ => {}
        }
        Ok(None)
    }

    /// How TLS is spoken, if it is.
    pub fn settings(&self, is_socket: bool, report: &mut Report) -> Result<Option<Tls>> {
        if !self.on || is_socket {
            return match &self.used {
                Some(place) => Err(place.error("has a meaning only with a rediss:// address")),
                None => Ok(None),
            };
        }
        if let Some(place) = &self.null {
            report.warn(place, "is null, so that no certificate is checked, as in redis-py");
        }
        let mut tls = self.tls.clone();
        if let (Some(key), None) = (&tls.key, &tls.certificate) {
            let reason = format!("{}: is a key without a certificate, set ssl_certfile too", key.place);
            return Err(crate::error::Error::new(crate::error::Kind::Config, reason));
        }
        if self.any_name && tls.check == CertificateCheck::Full {
            tls.check = CertificateCheck::NotName;
        }
        Ok(Some(tls))
    }
}

fn check(setting: &Setting<'_>, report: &Report) -> Result<CertificateCheck> {
    let number = match setting.value {
        Value::Null => Some(0), // as redis-py has it
        Value::Number(_) => int(setting.value),
        Value::String(text) => match text.trim_start_matches("ssl.").trim_start_matches("VerifyMode.") {
            "none" | "CERT_NONE" | "0" => Some(0),
            "optional" | "CERT_OPTIONAL" | "1" => Some(1),
            "required" | "CERT_REQUIRED" | "2" => Some(2),
            _ => None,
        },
        _ => None,
    };
    match number {
        Some(0) => Ok(CertificateCheck::Nothing),
        Some(1 | 2) => Ok(CertificateCheck::Full), // for a client both are the same in Python
        _ => Err(setting.must_be("\"required\", \"optional\" or \"none\"", report)),
    }
}

/// 1.2 is the least that larder speaks, so that what asks for less is content.
fn min_version(setting: &Setting<'_>, report: &Report) -> Result<bool> {
    let number = match setting.value {
        Value::Null => return Ok(false),
        Value::String(text) => match text.trim_start_matches("ssl.").trim_start_matches("TLSVersion.") {
            "TLSv1_3" | "TLSv1.3" | "772" => Some(TLS_1_3),
            "TLSv1_2" | "TLSv1.2" | "771" | "TLSv1_1" | "TLSv1.1" | "TLSv1" | "MINIMUM_SUPPORTED" => Some(0),
            "MAXIMUM_SUPPORTED" => Some(MAXIMUM_SUPPORTED),
            _ => None,
        },
        Value::Number(_) => {
            int(setting.value).filter(|number| (768..=TLS_1_3).contains(number) || (-2..=-1).contains(number))
        }
        _ => None,
    };
    let number = number.ok_or_else(|| setting.must_be("771 (TLS 1.2) or 772 (TLS 1.3)", report))?;
    Ok(matches!(number, TLS_1_3 | MAXIMUM_SUPPORTED))
}

/// The path of a file or folder. One that is not absolute would mean another file in each working directory.
fn path(setting: &Setting<'_>, report: &mut Report) -> Result<Option<Named<PathBuf>>> {
    if !is_true(setting.value) {
        return Ok(None);
    }
    let path = setting.text(report)?;
    if path.contains('\0') {
        return Err(setting.place.error("has a NUL character, which no path can have"));
    }
    let mut whole = PathBuf::new();
    if !path.starts_with('/') {
        whole = working_directory(&setting.place, "", report)?;
    }
    whole.push(path);
    Ok(Some(named(setting, whole)))
}

fn certificates(setting: &Setting<'_>, report: &Report) -> Result<Option<Named<String>>> {
    if !is_true(setting.value) {
        return Ok(None);
    }
    let text = Setting { secret: true, ..setting.clone() }.text(report)?;
    if !text.contains("-----BEGIN") {
        return Err(setting.place.error("must be certificates in PEM (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(Some(named(setting, text.to_owned())))
}

fn named<T>(setting: &Setting<'_>, value: T) -> Named<T> {
    Named { place: Arc::from(setting.place.to_string()), value }
}
