package larder

// #include <larder.h>
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// request is one operation, in Go's terms.
type request struct {
	operation C.int32_t
	format    C.int32_t
	store     *C.larder_store
	key       string
	keys      []string // where there are several
	version   string
	value     string // of any bytes
	ttl       int64  // in ms
	delta     int64
	timeout   int64  // in ms; 0: the alias's own
	alias     string // for messages
	pipeline  *C.larder_pipeline
	loader    Loader // for what is not there
	loads     string // what it loads for
	options   *C.larder_load_options
}

// names are those of the C functions, as they stand in messages.
var names = map[C.int32_t]string{
	C.LARDER_OP_GET: "get", C.LARDER_OP_SET: "set", C.LARDER_OP_ADD: "add", C.LARDER_OP_DELETE: "delete",
	C.LARDER_OP_HAS: "has", C.LARDER_OP_INCR: "incr", C.LARDER_OP_TTL: "ttl", C.LARDER_OP_EXPIRE: "expire",
	C.LARDER_OP_GET_MANY: "get_many", C.LARDER_OP_DELETE_MANY: "delete_many", C.LARDER_OP_CLEAR_EVERYTHING: "clear",
	C.LARDER_OP_PING: "ping", C.LARDER_OP_SESSION: "session", C.LARDER_OP_CREATE_TABLE: "create_table",
	C.LARDER_OP_EXPIRE_AT: "expire_at", C.LARDER_OP_DELETE_PATTERN: "delete_pattern", C.LARDER_OP_LOCK: "lock",
	C.LARDER_OP_UNLOCK: "unlock", C.LARDER_OP_LOCK_EXTEND: "lock_extend", C.LARDER_OP_GET_OR_LOAD: "get_or_load",
	C.LARDER_OP_PIPELINE_GET: "get", C.LARDER_OP_PIPELINE_GET_MANY: "get_many", C.LARDER_OP_PIPELINE_SET: "set",
	C.LARDER_OP_PIPELINE_DELETE: "delete", C.LARDER_OP_PIPELINE_CONTAINS: "contains",
	C.LARDER_OP_PIPELINE_CLEAR_PREFIX: "clear", C.LARDER_OP_PIPELINE_CLEAR_EVERYTHING: "clear",
	C.LARDER_OP_PIPELINE_EXPIRE: "expire",
}

// ended is what ctx says why the operation has no other answer, or nil.
func (r *request) ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		on := "alias"
		if r.pipeline != nil {
			on = "pipeline"
		}
		return fmt.Errorf("larder: %s on %s '%s': %w", names[r.operation], on, r.alias, err)
	}
	return nil
}

// answer is how one operation ended.
type answer struct {
	status C.larder_status
	number int64
	value  *Value
	values []*Value // of several keys
	level  int32
	levels []int32
	err    error
}

// slot is a place for an operation under way. Its index, and how often it was used, are the operation's tag.
type slot struct {
	index   uint32
	uses    uint32
	tag     atomic.Uint64 // of the operation under way, else 0; whoever sets it to 0 answers
	request request
	op      atomic.Uint64 // its id, of the last batch that it was in
	sent    atomic.Uint64 // its tag, once that batch was accepted
	answer  answer
	done    chan struct{}
}

func (s *slot) finish(tag uint64, answer answer) bool {
	if tag == 0 || !s.tag.CompareAndSwap(tag, 0) {
		return false
	}
	s.answer = answer
	s.done <- struct{}{}
	return true
}

// do carries out an operation. When ctx is done first, the operation is cancelled, and ctx's error is the answer unless the
// operation had ended. The alias's own time holds beside it.
func (c *Context) do(ctx context.Context, asked request) (answer, error) {
	if err := asked.ended(ctx); err != nil {
		return answer{}, err
	}
	var s *slot
	select {
	case s = <-c.free:
	case <-ctx.Done():
		return answer{}, asked.ended(ctx)
	case <-c.closing:
		return answer{}, ErrClosed
	}
	s.uses++
	s.request = asked
	tag := uint64(s.uses)<<32 | uint64(s.index) | 1<<63
	if asked.loader != nil {
		outer, _ := ctx.Value(insideKey{}).(*inside)
		c.loaders.add(tag, loading{loader: asked.loader, name: asked.loads, outer: outer})
		defer c.loaders.retire(tag)
	}
	s.tag.Store(tag)
	c.submit(s)
	select {
	case <-s.done:
	case <-ctx.Done():
		c.cancel(s)
		<-s.done // at once: what was accepted always has an answer
	}
	got := s.answer
	s.request, s.answer = request{}, answer{}
	c.free <- s
	if got.status == C.LARDER_ECANCELLED && ctx.Err() != nil {
		return got, asked.ended(ctx)
	}
	return got, got.err
}

// submit hands an operation to whoever submits the next batch: the first that comes, for all that gather meanwhile.
func (c *Context) submit(s *slot) {
	c.gathering.Lock()
	c.gathered = append(c.gathered, s)
	leads := !c.led
	c.led = true
	c.gathering.Unlock()
	if leads {
		c.lead()
	}
}

// lead submits what has gathered, and lets somebody else lead where more has come meanwhile.
func (c *Context) lead() {
	runtime.Gosched() // those who are about to ask come along
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.gathering.Lock()
	c.batch, c.gathered = c.gathered, c.batch[:0]
	c.gathering.Unlock()
	c.flush(c.batch)
	c.gathering.Lock()
	defer c.gathering.Unlock()
	if c.led = len(c.gathered) > 0; c.led {
		go c.lead()
	}
}

// cancel ends an operation early, if it has not ended.
func (c *Context) cancel(s *slot) {
	c.gathering.Lock()
	for i, other := range c.gathered {
		if other == s { // not submitted yet
			c.gathered = append(c.gathered[:i], c.gathered[i+1:]...)
			c.gathering.Unlock()
			s.finish(s.tag.Load(), answer{status: C.LARDER_ECANCELLED, err: context.Canceled})
			return
		}
	}
	c.gathering.Unlock()
	c.flushing.Lock() // its batch has been submitted then, and its id is known
	op := s.op.Load()
	c.flushing.Unlock()
	C.larder_cancel(c.handle, C.larder_op(op))
}

// flush submits a batch. What is refused is answered here.
func (c *Context) flush(batch []*slot) {
	for len(batch) > 0 {
		length := c.encode(batch)
		var accepted C.size_t
		var failure *C.larder_error
		status := C.larder_submit_packed(c.queue, unsafe.Pointer(&c.buffer[0]), C.size_t(length), C.size_t(len(batch)),
			C.sizeof_larder_packed, &c.ops[0], &accepted, &failure)
		c.flushes.Add(1)
		for i, s := range batch[:accepted] {
			// it may have ended, and another operation have its place: that one's batch writes over this
			s.op.Store(uint64(c.ops[i]))
			s.sent.Store(c.tags[i])
		}
		batch = batch[accepted:]
		if status >= 0 || len(batch) == 0 {
			return
		}
		refused := batch[:1] // the others may be fine
		if status == C.LARDER_ESHUTDOWN || status == C.LARDER_EHANDLE || status == C.LARDER_EFORKED {
			refused = batch
		}
		err := take(status, failure)
		for _, s := range refused {
			s.finish(s.tag.Load(), answer{status: status, err: err})
		}
		batch = batch[len(refused):]
	}
}

// encode writes a batch into the buffer, as larder_submit_packed wants it: the requests, tables of several keys, bytes. It
// tells how many bytes that are.
func (c *Context) encode(batch []*slot) int {
	words, bytes := len(batch)*C.sizeof_larder_packed/8, 0
	for _, s := range batch {
		words += 2 * len(s.request.keys)
		if s.request.options != nil {
			words += C.sizeof_larder_load_options / 8
		}
		bytes += len(s.request.key) + len(s.request.value) + len(s.request.version)
		for _, key := range s.request.keys {
			bytes += len(key)
		}
	}
	need := words + (bytes+7)/8
	if need > cap(c.buffer) || cap(c.buffer) > 1<<17 { // one that grew beyond 1 MiB is given back
		c.buffer = make([]uint64, need)
	}
	if len(batch) > len(c.ops) {
		c.ops, c.tags = make([]C.larder_op, len(batch)), make([]uint64, len(batch))
	}
	c.buffer = c.buffer[:need]
	start := unsafe.Pointer(&c.buffer[0])
	packed := unsafe.Slice((*C.larder_packed)(start), len(batch))
	flat := unsafe.Slice((*byte)(start), need*8)
	table, at := len(batch)*C.sizeof_larder_packed/8, words*8
	put := func(text string) (offset, length C.uint64_t) {
		offset, length = C.uint64_t(at), C.uint64_t(len(text))
		at += copy(flat[at:], text)
		return
	}
	for i, s := range batch {
		asked := &s.request
		c.tags[i] = s.tag.Load()
		packed[i] = C.larder_packed{
			operation: asked.operation, format: asked.format, store: C.uint64_t(uintptr(unsafe.Pointer(asked.store))),
			tag: C.uint64_t(c.tags[i]), ttl_ms: C.int64_t(asked.ttl), delta: C.int64_t(asked.delta),
			n: C.uint32_t(len(asked.keys)), timeout_ms: C.int64_t(asked.timeout),
			pipeline: C.uint64_t(uintptr(unsafe.Pointer(asked.pipeline))),
		}
		if asked.loader != nil {
			packed[i].flags = C.LARDER_CALL_LOAD_EVENT
		}
		if asked.options != nil {
			packed[i].load_options = C.uint64_t(table * 8)
			*(*C.larder_load_options)(unsafe.Pointer(&c.buffer[table])) = *asked.options
			table += C.sizeof_larder_load_options / 8
		}
		packed[i].key, packed[i].key_len = put(asked.key)
		packed[i].value, packed[i].value_len = put(asked.value)
		packed[i].version, packed[i].version_len = put(asked.version)
		if len(asked.keys) > 0 {
			packed[i].key = C.uint64_t(table * 8)
		}
		for _, key := range asked.keys {
			offset, length := put(key)
			c.buffer[table], c.buffer[table+1] = uint64(offset), uint64(length)
			table += 2
		}
	}
	return at
}
