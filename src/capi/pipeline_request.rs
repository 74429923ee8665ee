//! Requests of a completion queue that are about a pipeline, or that load.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Instant;

use super::argument::{self, LARDER_CALL_LOAD_EVENT, LARDER_CALL_NO_LOAD, invalid};
use super::event::{Pending, What};
use super::get_or_load::around;
use super::home::Context;
use super::load::{Sources, larder_load_fn, larder_load_options};
use super::pipeline::{self, larder_pipeline};
use super::pipeline_token::Given;
use super::request::{
    Borrowed, LARDER_OP_GET_OR_LOAD, LARDER_OP_PIPELINE_CLEAR_EVERYTHING, LARDER_OP_PIPELINE_CLEAR_PREFIX,
    LARDER_OP_PIPELINE_CONTAINS, LARDER_OP_PIPELINE_DELETE, LARDER_OP_PIPELINE_EXPIRE, LARDER_OP_PIPELINE_GET,
    LARDER_OP_PIPELINE_GET_MANY, LARDER_OP_PIPELINE_SET, larder_packed, larder_request,
};
use super::store::{self, larder_store};
use super::token;
use crate::backend::{Ticket, When};
use crate::error::Result;
use crate::pyot::ask::{Ask, Operation, TokenRef};
use crate::pyot::pipeline::{Pipeline, Prepared};
use crate::pyot::token::Token;
use crate::runtime::Queue;
use crate::store::Scope;

const LOAD_FLAGS: u32 = LARDER_CALL_NO_LOAD | LARDER_CALL_LOAD_EVENT;

/// What a request asks for that is about a pipeline, or that loads.
pub(crate) struct Loading {
    /// The pipeline's handle; 0: it loads for a store.
    pipeline: u64,
    load: larder_load_fn,
    user_data: *mut c_void,
    options: Option<larder_load_options>,
    /// Made tokens; otherwise there are texts.
    tokens: Vec<Arc<Token>>,
    flags: u32,
    /// Those that others have too.
    pub other_flags: u32,
    timeout_ms: i64,
}

impl Loading {
    /// `None` for the operations of stores.
    ///
    /// # Safety
    /// The request's pointers are NULL or lead to what they should.
    pub unsafe fn of(request: &larder_request) -> Result<Option<Box<Self>>> {
        let (is_of_pipeline, loads) = (is_of_pipeline(request.operation), loads(request.operation));
        if !loads && (request.load.is_some() || !request.load_options.is_null()) {
            return Err(invalid("a loader is for LARDER_OP_PIPELINE_GET, _PIPELINE_GET_MANY and _GET_OR_LOAD"));
        }
        if !is_of_pipeline && !request.tokens.is_null() {
            return Err(invalid("tokens are for LARDER_OP_PIPELINE_…"));
        }
        if !is_of_pipeline && !loads {
            return Ok(None);
        }
        // SAFETY: by this function's own contract.
        let (options, tokens) = unsafe { (larder_load_options::read(request.load_options)?, made(request)?) };
        let (pipeline, has_version) = (request.pipeline as u64, !request.version.is_null());
        let (load, user_data) = (request.load, request.load_user_data);
        let parts = (pipeline, options, has_version);
        let made = Self::new(request.operation, parts, (load, user_data), request.flags, request.timeout_ms);
        Ok(Some(Box::new(Self { tokens, ..made? })))
    }

    /// The same of a packed request.
    pub fn of_packed(request: &larder_packed, buffer: &[u8]) -> Result<Option<Box<Self>>> {
        let (is_of_pipeline, loads) = (is_of_pipeline(request.operation), loads(request.operation));
        if !is_of_pipeline && !loads {
            return Ok(None);
        }
        let options = larder_load_options::inside(buffer, request.load_options)?;
        let (pipeline, has_version) = (request.pipeline, request.version_len > 0);
        let none = (None, std::ptr::null_mut());
        let parts = (pipeline, options, has_version);
        Ok(Some(Box::new(Self::new(request.operation, parts, none, request.flags, request.timeout_ms)?)))
    }

    fn new(
        operation: i32,
        (pipeline, options, has_version): (u64, Option<larder_load_options>, bool),
        (load, user_data): (larder_load_fn, *mut c_void),
        flags: u32,
        timeout_ms: i64,
    ) -> Result<Self> {
        let tokens = Vec::new();
        if operation == LARDER_OP_GET_OR_LOAD {
            if load.is_none() && flags & LOAD_FLAGS == 0 {
                return Err(invalid("LARDER_OP_GET_OR_LOAD needs a loader, or LARDER_CALL_LOAD_EVENT"));
            }
            let (flags, other_flags) = (flags & LOAD_FLAGS, flags & !LOAD_FLAGS);
            return Ok(Self { pipeline: 0, load, user_data, options, tokens, flags, other_flags, timeout_ms });
        }
        if has_version || options.is_some() {
            return Err(invalid("a pipeline has no versions, and its LOAD says how it loads"));
        }
        if flags & LARDER_CALL_LOAD_EVENT != 0 && !loads(operation) {
            return Err(invalid("LARDER_CALL_LOAD_EVENT is for what loads"));
        }
        Ok(Self { pipeline, load, user_data, options, tokens, flags, other_flags: 0, timeout_ms })
    }

    /// The tokens of a request.
    fn given<'r>(&'r self, request: &'r Borrowed<'_>, pipeline: &Pipeline) -> Result<Vec<Given<'r>>> {
        if !self.tokens.is_empty() {
            return self.tokens.iter().map(|token| Given::made(pipeline, token)).collect();
        }
        Ok(match &request.several {
            Some(several) => several.keys.iter().map(|token| Given::Text(token)).collect(),
            None if request.operation == LARDER_OP_PIPELINE_GET_MANY => Vec::new(),
            None => vec![Given::Text(request.key)],
        })
    }

    fn ask(&self, context: &Context, name: &str, queue: (&Arc<Queue<Pending>>, u64, i32)) -> Result<Ask> {
        let sources = Sources { loads: &context.loads, name, queue: Some(queue) };
        sources.ask(self.flags, self.timeout_ms, self.load, self.user_data)
    }
}

/// The made tokens of a request.
///
/// # Safety
/// `tokens` is NULL or has as many as the operation takes.
unsafe fn made(request: &larder_request) -> Result<Vec<Arc<Token>>> {
    if request.tokens.is_null() {
        return Ok(Vec::new());
    }
    let is_twice = match request.operation {
        LARDER_OP_PIPELINE_GET_MANY => !request.keys.is_null() || !request.key_lens.is_null(),
        _ => !request.key.is_null() || request.key_len > 0,
    };
    if is_twice {
        return Err(invalid("the token is given twice, as a key and as a larder_token; give one of them"));
    }
    let n = if request.operation == LARDER_OP_PIPELINE_GET_MANY { request.n as usize } else { 1 };
    // SAFETY: by this function's own contract.
    let tokens = unsafe { argument::array(request.tokens, n, "tokens") }?.iter();
    // SAFETY: each is NULL or a token that the host holds.
    tokens.map(|token| unsafe { token::borrow(*token) }.cloned()).collect()
}

/// Whether an operation is about a pipeline.
fn is_of_pipeline(operation: i32) -> bool {
    (LARDER_OP_PIPELINE_GET..=LARDER_OP_PIPELINE_EXPIRE).contains(&operation)
}

/// Whether it can load.
fn loads(operation: i32) -> bool {
    matches!(operation, LARDER_OP_PIPELINE_GET | LARDER_OP_PIPELINE_GET_MANY | LARDER_OP_GET_OR_LOAD)
}

/// An operation on a pipeline that is fine.
pub(super) struct Work {
    pipeline: Arc<Pipeline>,
    prepared: Prepared,
    number: i32,
}

impl Work {
    /// Looks at a request's arguments.
    pub fn new(
        request: &Borrowed<'_>,
        loading: &Loading,
        context: &Arc<Context>,
        queue: &Arc<Queue<Pending>>,
    ) -> Result<Self> {
        let number = request.operation;
        let to = (queue, request.tag, number);
        if request.when != When::Always {
            return Err(invalid("NX and XX are for LARDER_OP_SET"));
        }
        if number == LARDER_OP_GET_OR_LOAD {
            let open = store::borrow(request.store as *const larder_store)?;
            if !Arc::ptr_eq(&open.context, context) {
                return Err(invalid("the store is not of the queue's context"));
            }
            let (version, final_key) = (request.call.version.map(Into::into), request.call.final_key);
            let ask = Ask { version, final_key, ..loading.ask(context, open.store.name(), to)? };
            let pipeline = around(&open, loading.options.as_ref())?;
            let operation = Operation::GetOrLoad { key: request.key, ttl: argument::ttl(request.ttl_ms) };
            let prepared = pipeline.prepare(&operation, &ask)?;
            return Ok(Self { pipeline, prepared, number });
        }
        let open = pipeline::borrow(loading.pipeline as *const larder_pipeline)?;
        if !Arc::ptr_eq(&open.context, context) {
            return Err(invalid("the pipeline is not of the queue's context"));
        }
        let ask = loading.ask(context, open.pipeline.name(), to)?;
        let given = loading.given(request, &open.pipeline)?;
        let tokens: Vec<_> = given.iter().map(Given::as_ref).collect();
        let prepared = open.pipeline.prepare(&operation(request, &tokens)?, &ask)?;
        Ok(Self { pipeline: open.pipeline.clone(), prepared, number })
    }

    /// What is left in the queue until the answer comes.
    pub fn pending(&self) -> What {
        What::Pipeline(self.pipeline.clone(), self.prepared.asked, self.number)
    }

    /// Begins it; its clock runs since `now`.
    pub fn begin(mut self, now: Instant, ticket: Ticket) {
        self.prepared.start_clock(now);
        self.pipeline.begin(self.prepared, ticket);
    }
}

fn operation<'r>(request: &'r Borrowed<'_>, tokens: &'r [TokenRef<'r>]) -> Result<Operation<'r>> {
    let token = tokens.first().copied().unwrap_or_else(|| TokenRef::from(""));
    Ok(match request.operation {
        LARDER_OP_PIPELINE_GET => Operation::Get { token },
        LARDER_OP_PIPELINE_GET_MANY => Operation::GetMany { tokens },
        LARDER_OP_PIPELINE_SET => Operation::Set { token, value: argument::input_of(request.value, request.format)? },
        LARDER_OP_PIPELINE_DELETE => Operation::Delete { token },
        LARDER_OP_PIPELINE_CONTAINS => Operation::Contains { token },
        LARDER_OP_PIPELINE_CLEAR_PREFIX => Operation::Clear { scope: Scope::Prefix },
        LARDER_OP_PIPELINE_CLEAR_EVERYTHING => Operation::Clear { scope: Scope::Everything },
        LARDER_OP_PIPELINE_EXPIRE => Operation::Expire,
        other => return Err(invalid(format!("{other} is no operation"))),
    })
}
