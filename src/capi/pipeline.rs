//! `larder_pipeline`: several stores in order, and a loader behind them.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::argument::{Buffer, name, out, sized};
use super::context::{self, larder_context};
use super::error::larder_error;
use super::guard::{guard, quietly};
use super::handle::{self, Registry};
use super::home::{Context, Home, Of};
use super::load::{
    Host, HostLoader, LARDER_LEVEL_LOADED, LARDER_LEVEL_NONE, LARDER_LEVEL_STALE, Sources, larder_load_fn,
    larder_release_fn,
};
use super::status::{
    LARDER_EHANDLE, LARDER_EMPTY, LARDER_EPANIC, LARDER_MISS, LARDER_NOT_STORED, LARDER_OK, LARDER_SKIPPED,
    LARDER_STALE, LARDER_TRUNCATED, larder_status,
};
use super::token::{self, larder_token};
use crate::backend::Written;
use crate::config::nearest;
use crate::error::{Error, Kind, Result};
use crate::pyot::ask::{Ask, Found};
use crate::pyot::pipeline::Pipeline;
use crate::store::Samples;
use crate::sys::PerProcess;

/// An open pipeline. A checked handle: never read through it.
pub struct larder_pipeline {
    _private: [u8; 0],
}

/// Options of a pipeline. Start from `LARDER_PIPELINE_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pipeline_options {
    /// `sizeof(larder_pipeline_options)`; the struct only grows at its end.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// The last source of every get; NULL: none.
    pub load: larder_load_fn,
    /// Handed to `load`.
    pub load_user_data: *mut c_void,
    /// NULL, or frees the user data.
    pub load_release: larder_release_fn,
}

/// The size of `larder_pipeline_options` in larder 0.1.
const FIRST_OPTIONS_SIZE: usize = 32;

/// What one call on a pipeline asks for. Start from `LARDER_PIPELINE_CALL_INIT`; NULL in place of a call means the
/// pipeline's own settings.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pipeline_call {
    /// `sizeof(larder_pipeline_call)`; the struct only grows at its end.
    pub struct_size: u32,
    /// LARDER_CALL_NO_LOAD, or 0.
    pub flags: u32,
    /// The total time that the call may take, in ms: all stores, waiting for a load. 0: the times of all stores' aliases
    /// together, and for a get that may load what LOAD.TIMEOUT_MS says besides.
    pub timeout_ms: i64,
    /// Another loader than the pipeline's; NULL: the pipeline's own. A load that is under way already is shared, whoever
    /// began it.
    pub load: larder_load_fn,
    /// Handed to `load`. It has to live as long as that can be called, and until it has returned and answered: both can be
    /// after the call. See larder_load_fn.
    pub load_user_data: *mut c_void,
    /// NULL, or the token itself in place of its text, of larder_pipeline_get_many `n` of them; then the text is NULL with
    /// a length of 0. What the token leaves open is written as PYOT and UNICODE of the pipeline say, and log records name
    /// its parameters.
    pub tokens: *const *const larder_token,
}

/// The size of `larder_pipeline_call` in larder 0.1.
const FIRST_CALL_SIZE: usize = 40;

/// A pipeline behind its handle: which one of which configuration, and this process's.
pub(crate) struct OpenPipeline {
    home: Arc<Home>,
    index: usize,
    host: Option<Arc<Host>>,
    open: PerProcess<Here>,
}

/// A pipeline in this process.
pub(crate) struct Here {
    pub pipeline: Arc<Pipeline>,
    pub context: Arc<Context>,
}

pub(crate) static PIPELINES: Registry<OpenPipeline> = Registry::new(0x4C50); // "LP"

/// A pipeline that cannot go away meanwhile.
pub(crate) struct Borrowed(handle::Borrowed<'static, OpenPipeline>);

impl std::ops::Deref for Borrowed {
    type Target = Here;

    fn deref(&self) -> &Here {
        self.0.open.inherited() // `borrow` saw to it that it is this process's
    }
}

/// The pipeline of a handle. A forked child opens its own when it first asks.
pub(crate) fn find(handle: *const larder_pipeline) -> Result<Borrowed> {
    let pipeline = PIPELINES.borrow(handle as u64);
    let pipeline = pipeline.ok_or_else(|| Error::new(Kind::Handle, "the pipeline is NULL, closed, or no pipeline"))?;
    pipeline.open.get_or_make(|_| Here::new(&pipeline.home, pipeline.index, pipeline.host.as_ref()))?;
    Ok(Borrowed(pipeline))
}

/// The pipeline of a handle, ready for an operation.
pub(crate) fn borrow(handle: *const larder_pipeline) -> Result<Borrowed> {
    let pipeline = find(handle)?;
    if pipeline.context.is_shut_down() {
        return Err(Error::new(Kind::Shutdown, "the context is shut down").on_alias(pipeline.pipeline.name()));
    }
    Ok(pipeline)
}

impl OpenPipeline {
    /// # Safety
    /// `name` is NULL or NUL-terminated, `options` NULL or of the size that they tell.
    unsafe fn new(home: Arc<Home>, name: *const c_char, options: *const larder_pipeline_options) -> Result<Self> {
        // SAFETY: by this function's own contract; all zero are valid options.
        let (name, options) = unsafe { (self::name(name, "name")?, sized(options, FIRST_OPTIONS_SIZE, "options")?) };
        let index = index(&home, name)?;
        let host = options.and_then(|it| Host::new(it.load, it.load_user_data, it.load_release)).map(Arc::new);
        let open = PerProcess::new(Here::new(&home, index, host.as_ref())?);
        Ok(Self { home, index, host, open })
    }
}

impl Here {
    fn new(home: &Home, index: usize, host: Option<&Arc<Host>>) -> Result<Self> {
        let context = home.context()?.clone();
        let no_pipeline = || Error::new(Kind::Handle, "no such pipeline");
        let config = context.config.pipelines.get(index).ok_or_else(no_pipeline)?;
        let loader = host.map(|host| HostLoader::shared(host.clone(), &config.name, context.loads.clone()));
        let flights = context.flights(Of::Pipeline, &config.name);
        let pipeline = Arc::new(Pipeline::open(config, &context.around, flights, loader)?);
        let all: Arc<dyn Samples> = pipeline.clone();
        context.sources.add(&all);
        for store in pipeline.stores() {
            let source: Arc<dyn Samples> = store.clone();
            context.sources.add(&source);
        }
        Ok(Self { pipeline, context })
    }

    /// What a call asks for, and its made tokens.
    ///
    /// # Safety
    /// `call` is NULL or has the size that it tells.
    pub unsafe fn ask(&self, call: *const larder_pipeline_call) -> Result<(Ask, *const *const larder_token)> {
        // SAFETY: by this function's own contract; all zero are a valid call.
        let Some(call) = (unsafe { sized(call, FIRST_CALL_SIZE, "pipeline call")? }) else {
            return Ok((Ask::default(), std::ptr::null()));
        };
        let sources = Sources { loads: &self.context.loads, name: self.pipeline.name(), queue: None };
        let ask = sources.ask(call.flags, call.timeout_ms, call.load, call.load_user_data)?;
        Ok((ask, call.tokens))
    }
}

/// Which store had a value.
pub(crate) fn level_of(found: Option<&Found>) -> i32 {
    match found {
        None => LARDER_LEVEL_NONE,
        Some(found) => found.level.map_or(LARDER_LEVEL_LOADED, |level| i32::try_from(level).unwrap_or(i32::MAX)),
    }
}

/// Which store had one of several values.
pub(crate) fn level_among(found: Option<&Found>) -> i32 {
    if found.is_some_and(|found| found.stale) { LARDER_LEVEL_STALE } else { level_of(found) }
}

/// The status of a get.
pub(crate) fn status_of(found: Option<&Found>) -> larder_status {
    match found {
        None => LARDER_MISS,
        Some(found) if found.stale => LARDER_STALE,
        Some(_) => LARDER_OK,
    }
}

/// The status of a set.
pub(crate) fn set_status(written: Written) -> larder_status {
    match written {
        Written::Stored => LARDER_OK,
        Written::NotStored => LARDER_NOT_STORED,
        Written::NotKept => LARDER_SKIPPED, // PY-S4
    }
}

/// Opens a pipeline. Never connects. Handles of one pipeline share their loads.
///
/// @param context the context
/// @param name its name in PIPELINES, in any case, NUL-terminated UTF-8, such as "LOL"
/// @param options NULL, or its loader
/// @param pipeline receives a handle, to be given to larder_pipeline_close; NULL on failure
/// @param err NULL, or receives an error on failure, to be released; then the loader's user data stays the caller's
/// @return LARDER_OK; LARDER_ECONFIG for an unknown pipeline or a store that is not built in; LARDER_EUNSUPPORTED for a
///         LOAD.LOCK whose backend is plugged in and has no locks; LARDER_EINVAL; LARDER_EHANDLE; LARDER_ESHUTDOWN; LARDER_EMEMORY
///
/// Blocks: while a directory is made. Threads: any. Owns: the caller owns the pipeline, which owns the user data. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_open(
    context: *const larder_context,
    name: *const c_char,
    options: *const larder_pipeline_options,
    pipeline: *mut *mut larder_pipeline,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes NULL or a place that can be written.
        let place = unsafe { out(pipeline, "pipeline") }?;
        *place = std::ptr::null_mut();
        let home = context::find(context)?;
        if home.context()?.is_shut_down() {
            return Err(Error::new(Kind::Shutdown, "the context is shut down").during("pipeline_open"));
        }
        // SAFETY: the host passes NULL or a NUL-terminated name, and NULL or options of the size that they tell.
        let opened =
            unsafe { OpenPipeline::new(home, name, options) }.map_err(|error| error.during("pipeline_open"))?;
        let host = opened.host.clone();
        let handle = PIPELINES.insert(opened).ok_or_else(|| Error::new(Kind::Memory, "too many pipelines"))?;
        if let Some(host) = host {
            host.own();
        }
        *place = handle as *mut larder_pipeline;
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

fn index(home: &Home, wanted: &str) -> Result<usize> {
    let pipelines = &home.config.pipelines;
    if let Some(found) = pipelines.iter().position(|known| *known.model == *wanted.to_lowercase()) {
        return Ok(found);
    }
    let names: Vec<&str> = pipelines.iter().map(|known| &*known.name).collect();
    let hint = match nearest(wanted, names.iter().copied()) {
        _ if names.is_empty() => "; it has none".to_owned(),
        Some(near) => format!("; did you mean {near:?}?"),
        None => format!("; it has {}", names.join(", ")),
    };
    Err(Error::new(Kind::Config, format!("PIPELINES has no {wanted:?}{hint}")))
}

/// Closes a pipeline. Operations and loads that still run end by themselves; with the last of them the loader's user data is
/// released.
///
/// @param pipeline taken; NULL is harmless, and so is a pipeline that is closed already
/// @return LARDER_OK; LARDER_EHANDLE when there was nothing to close
///
/// Blocks: never. Threads: any. Owns: takes the pipeline. Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn larder_pipeline_close(pipeline: *mut larder_pipeline) -> larder_status {
    match quietly(|| PIPELINES.close(pipeline as u64)) {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_EHANDLE,
        Err(_) => LARDER_EPANIC,
    }
}

/// Tells the name of a store of a pipeline: its alias, for the `level` of an answer.
///
/// @param pipeline the pipeline
/// @param level the store, 0 for the first
/// @param buffer receives UTF-8 text without a terminator; NULL only with a capacity of 0
/// @param capacity its size in bytes
/// @param needed NULL, or receives the length of the text in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; LARDER_EMPTY when it has no such store; LARDER_TRUNCATED when the buffer is too small;
///         LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_level(
    pipeline: *const larder_pipeline,
    level: i32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes a buffer of its capacity.
        let mut buffer = unsafe { Buffer::new(buffer.cast(), capacity, needed) }?;
        let open = find(pipeline)?;
        let config = open.context.config.pipelines.get(open.0.index);
        let level = config.zip(usize::try_from(level).ok()).and_then(|(config, level)| config.levels.get(level));
        let Some(level) = level else { return Ok(LARDER_EMPTY) };
        Ok(if buffer.fill(level.alias.name.as_bytes()) { LARDER_OK } else { LARDER_TRUNCATED })
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}

/// Tells the text of a token as a pipeline writes it: by its PYOT and UNICODE, where the token leaves them open. For
/// languages that hand out texts rather than tokens.
///
/// @param pipeline the pipeline
/// @param token borrowed; it is finished from now on
/// @param text receives a pointer that lives as long as the token; there is no terminator; NULL on failure
/// @param len receives the length in bytes
/// @param err NULL, or receives an error on failure, to be released
/// @return LARDER_OK; what went wrong while the token was built; LARDER_EINVAL; LARDER_EHANDLE
///
/// Blocks: never. Threads: any. Owns: nothing. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pipeline_token(
    pipeline: *const larder_pipeline,
    token: *const larder_token,
    text: *mut *const c_char,
    len: *mut usize,
    err: *mut *mut larder_error,
) -> larder_status {
    let body = || {
        // SAFETY: the host passes places that are NULL or can be written.
        let (text, len) = unsafe { (out(text, "the place for the pointer")?, out(len, "the place for the length")?) };
        (*text, *len) = (std::ptr::null(), 0);
        // SAFETY: the host passes NULL or a token that it holds.
        let token = unsafe { token::borrow(token) }?;
        let shown = token.text_in(find(pipeline)?.pipeline.style())?;
        (*text, *len) = (shown.as_ptr().cast(), shown.len());
        Ok(LARDER_OK)
    };
    // SAFETY: `err` is NULL or can be written.
    unsafe { guard(err, body) }
}
