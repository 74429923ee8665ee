//! Settings that name a Python class: the one that larder has, others that it knows, and strangers.

use super::names::did_you_mean;
use super::place::{Report, Setting};
use crate::error::Result;

/// The classes that a setting can name.
pub(super) struct Classes {
    /// What they are, in a word.
    pub noun: &'static str,
    /// What larder does as these do.
    pub same: &'static [&'static str],
    /// What it does not have yet.
    pub later: &'static [&'static str],
    /// Other names that begin so are spelling mistakes; the rest are an application's own classes.
    pub home: &'static str,
}

impl Classes {
    /// `None` where larder does what the named class does, or why not.
    pub fn lacking(&self, setting: &Setting<'_>, report: &Report) -> Result<Option<String>> {
        let path = setting.text(report)?;
        if self.same.contains(&path) {
            return Ok(None);
        }
        let shown = report.shown(setting.value);
        let noun = self.noun;
        if self.later.contains(&path) {
            return Ok(Some(format!("{}: the {noun} {shown} is not in this version of larder", setting.place)));
        }
        if path.starts_with(self.home) || !path.contains('.') {
            let known = [self.same, self.later].concat();
            let hint = did_you_mean(path, &known);
            return Err(setting.place.error(format_args!("{shown} is not a {noun}{hint}")));
        }
        Ok(Some(format!("{}: larder cannot use a {noun} of your own, {shown}", setting.place)))
    }
}
