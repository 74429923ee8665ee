//! Calls that a pickle asks for. None is made: a few names on a list become native values, the rest stays data (PK-7).

use super::machine::bad;
use crate::error::Result;
use crate::value::arena::{GroupKind, Node, Span, Tables};
use crate::value::global::Known;

/// The longest name that is put together for a nested class.
const LONGEST_NAME: usize = 1024;

/// `callable(*args)`.
pub fn call(tables: &mut Tables, callable: Node, args: Node) -> Result<Node> {
    let args = tuple(tables, args)?;
    check_callable(callable)?;
    let Some(first) = three(tables, args) else { return object(tables, callable, args) };
    let native = match (tables.known(callable), first) {
        (Known::CodecsEncode, [Some(Node::Text { span: text, .. }), Some(Node::Text { span: how, .. }), None]) => {
            encode(tables, text, how)?
        }
        (Known::Bytes, [None, ..]) => Some(Node::Bytes(Span::default())),
        (Known::Bytes, [Some(Node::Bytes(span)), None, _]) => Some(Node::Bytes(span)),
        (Known::ByteArray, [None, ..]) => Some(Node::ByteArray(Span::default())),
        (Known::ByteArray, [Some(Node::Bytes(span)), None, _]) => Some(Node::ByteArray(span)),
        (Known::ByteArray, [Some(Node::Text { span: text, .. }), Some(Node::Text { span: how, .. }), None]) => {
            match encode(tables, text, how)? {
                Some(Node::Bytes(span)) => Some(Node::ByteArray(span)),
                _ => None,
            }
        }
        (Known::SafeString, [Some(Node::Text { span, .. }), None, _]) => Some(Node::Safe(span)),
        (Known::GetAttr, [Some(Node::Global(owner)), Some(Node::Text { span, .. }), None]) => {
            attribute(tables, owner, span)?
        }
        (Known::Reconstructor, [Some(class), Some(base), Some(state)]) => {
            return reconstruct(tables, class, base, state);
        }
        (Known::NewObj, [Some(class), ..]) => {
            let rest: Vec<Node> = tables.iter(args).skip(1).collect();
            let args = tables.add_group_of(GroupKind::Tuple, &rest)?;
            return new_object(tables, class, Node::Group(args), None);
        }
        (Known::NewObjEx, [Some(class), Some(args), Some(kwargs)]) => {
            return new_object(tables, class, args, Some(kwargs));
        }
        (known, first) => container(tables, known, first)?,
    };
    native.map_or_else(|| object(tables, callable, args), Ok)
}

/// `class.__new__(class, *args, **kwargs)`.
pub fn new_object(tables: &mut Tables, class: Node, args: Node, kwargs: Option<Node>) -> Result<Node> {
    let group = tuple(tables, args)?;
    check_callable(class)?;
    let known = tables.known(class);
    if known == Known::SafeString
        && let Some(&[Node::Text { span, .. }]) = tables.as_slice(group)
    {
        return Ok(Node::Safe(span));
    }
    if kwargs.is_none()
        && let Some(kind) = container_kind(known)
        && matches!(kind, GroupKind::OrderedDict | GroupKind::DefaultDict | GroupKind::Counter | GroupKind::Deque)
    {
        return Ok(Node::Group(tables.add_group(kind)?));
    }
    let made = object(tables, class, group)?;
    if let Some(kwargs) = kwargs {
        let Node::Group(group) = kwargs else { return Err(bad("the keyword arguments of an object are no dict")) };
        if tables.group_kind(group) != GroupKind::Dict {
            return Err(bad("the keyword arguments of an object are no dict"));
        }
        let some = tables.group_len(group) > 0;
        if let Node::Object(id) = made
            && let Some(object) = tables.object_mut(id)
        {
            object.kwargs = some.then_some(kwargs);
        }
    }
    Ok(made)
}

/// `object.__setstate__(state)`, or the state into `object.__dict__`.
pub fn build(tables: &mut Tables, target: Node, state: Node) -> Result<()> {
    match target {
        Node::Object(id) => {
            if let Some(object) = tables.object_mut(id) {
                object.state = Some(state);
            }
            Ok(())
        }
        // The attributes of a subclass-able container; what it holds counts.
        Node::Group(id)
            if matches!(
                tables.group_kind(id),
                GroupKind::OrderedDict | GroupKind::DefaultDict | GroupKind::Counter | GroupKind::Deque
            ) =>
        {
            Ok(())
        }
        Node::Safe(_) => Ok(()),
        _ if matches!(state, Node::None) => Ok(()),
        _ => Err(bad("a state is given to a value that has none")),
    }
}

fn object(tables: &mut Tables, class: Node, args: u32) -> Result<Node> {
    Ok(Node::Object(tables.add_object(class, args)?))
}

fn check_callable(node: Node) -> Result<()> {
    match node {
        Node::Global(_) | Node::Object(_) => Ok(()),
        _ => Err(bad("something is called that is no class or function")),
    }
}

fn tuple(tables: &Tables, args: Node) -> Result<u32> {
    match args {
        Node::Group(id) if tables.group_kind(id) == GroupKind::Tuple => Ok(id),
        _ => Err(bad("the arguments of a call are no tuple")),
    }
}

/// The first three arguments; `None` if there are more.
fn three(tables: &Tables, args: u32) -> Option<[Option<Node>; 3]> {
    let mut items = tables.iter(args);
    let first = [items.next(), items.next(), items.next()];
    items.next().is_none().then_some(first)
}

fn container_kind(known: Known) -> Option<GroupKind> {
    Some(match known {
        Known::List => GroupKind::List,
        Known::Tuple => GroupKind::Tuple,
        Known::Set => GroupKind::Set,
        Known::FrozenSet => GroupKind::FrozenSet,
        Known::Deque => GroupKind::Deque,
        Known::Dict => GroupKind::Dict,
        Known::OrderedDict => GroupKind::OrderedDict,
        Known::DefaultDict => GroupKind::DefaultDict,
        Known::Counter => GroupKind::Counter,
        _ => return None,
    })
}

/// `set([…])`, `OrderedDict()`, `defaultdict(list)`, `deque((), 5)` and the like.
fn container(tables: &mut Tables, known: Known, args: [Option<Node>; 3]) -> Result<Option<Node>> {
    let Some(kind) = container_kind(known) else { return Ok(None) };
    // The factory of a defaultdict and the length of a deque are not kept.
    let source = match (kind, args) {
        (_, [None, ..]) | (GroupKind::DefaultDict, [Some(_), None, _]) => None,
        (GroupKind::DefaultDict, [_, source, None])
        | (GroupKind::Deque, [source, Some(Node::Int(_) | Node::None), None])
        | (_, [source, None, _]) => source,
        _ => return Ok(None),
    };
    let Some(source) = source else { return Ok(Some(Node::Group(tables.add_group(kind)?))) };
    let Node::Group(from) = source else { return Ok(None) };
    let id = match (kind.holds_pairs(), tables.group_kind(from).holds_pairs()) {
        (true, true) | (false, false) => tables.add_copy(kind, from)?,
        (true, false) if kind != GroupKind::Counter => {
            let Some(pairs) = rows(tables, from) else {
                // The same list can be handed to many calls, and what is no dict makes no nodes that would count.
                tables.spend(tables.group_len(from))?;
                return Ok(None);
            };
            tables.add_group_of(kind, &pairs)?
        }
        _ => return Ok(None),
    };
    Ok(Some(Node::Group(id)))
}

/// The keys and values of `[(key, value), …]`, as Python 2 wrote an OrderedDict.
fn rows(tables: &Tables, group: u32) -> Option<Vec<Node>> {
    let mut pairs = Vec::with_capacity(2 * tables.group_len(group));
    for row in tables.iter(group) {
        let Node::Group(row) = row else { return None };
        if tables.group_len(row) != 2 || tables.group_kind(row).holds_pairs() {
            return None;
        }
        pairs.extend(tables.iter(row));
    }
    Some(pairs)
}

/// `_codecs.encode(text, "latin1")`: the bytes of protocols 0 to 2 (pitfall 5).
fn encode(tables: &mut Tables, text: Span, how: Span) -> Result<Option<Node>> {
    if !matches!(tables.slice(how), b"latin1" | b"latin-1" | b"iso-8859-1") {
        return Ok(None);
    }
    let bytes = tables.latin1(text)?.ok_or_else(|| bad("text in place of bytes is not Latin-1"))?;
    Ok(Some(Node::Bytes(bytes)))
}

/// `getattr(module.Outer, "Inner")`: the nested name.
fn attribute(tables: &mut Tables, owner: u32, attribute: Span) -> Result<Option<Node>> {
    let Some(owner) = tables.global(owner).copied() else { return Ok(None) };
    let (outer, inner) = (tables.slice(owner.name), tables.slice(attribute));
    if outer.len().saturating_add(inner.len()) >= LONGEST_NAME {
        return Ok(None);
    }
    let name = [outer, inner].join(&b'.');
    let name = tables.keep(&name)?;
    Ok(Some(Node::Global(tables.add_global(owner.module, name)?)))
}

/// `copyreg._reconstructor(class, base, state)`: an instance in protocols 0 and 1.
fn reconstruct(tables: &mut Tables, class: Node, base: Node, state: Node) -> Result<Node> {
    check_callable(class)?;
    let args = match (tables.known(class), tables.known(base), state) {
        (Known::SafeString, _, Node::Text { span, .. }) => return Ok(Node::Safe(span)),
        (_, Known::Object, _) => tables.add_group(GroupKind::Tuple)?,
        _ => tables.add_group_of(GroupKind::Tuple, &[state])?,
    };
    object(tables, class, args)
}
