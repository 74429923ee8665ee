package larder

// #include <stdlib.h>
// #include <larder.h>
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unsafe"
)

// Loader is a program's own source, the last one: it is called with the token (or key) that no store has, in a goroutine
// of its own, once for all who want it at the same time. What it gives is stored as Set would store it. An error for which
// errors.Is(err, ErrMiss) holds says that there is no such thing, which is final; others fail the gets that wait. Its ctx
// is done when nobody can wait any more, and when the Context is closed; it also tells larder who is asking, so hand it on.
type Loader func(ctx context.Context, token string) (any, error)

// Levels of what was found.
const (
	// Loaded: no store had it.
	Loaded = int(C.LARDER_LEVEL_LOADED)
	// Refreshing: a store of several had it; it is over, and is being loaded anew.
	Refreshing = int(C.LARDER_LEVEL_STALE)
)

// Found is a value of a pipeline, and where it was.
type Found struct {
	*Value
	// Level is the store, from 0, or Loaded.
	Level int
	// Stale says that it is over, and is being loaded anew.
	Stale bool
}

// Pipeline is several stores in order, and a loader behind them, as Pyot has them. Any goroutine may use it. It lives as long
// as its context. Operations end when their ctx does, as those of a Store.
type Pipeline struct {
	context *Context
	handle  *C.larder_pipeline
	name    string
	loader  Loader
}

// Pipeline opens a pipeline of the configuration; the loader may be nil. It never connects.
func (c *Context) Pipeline(name string, loader Loader) (*Pipeline, error) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var handle *C.larder_pipeline
	var failure *C.larder_error
	if status := C.larder_pipeline_open(c.handle, text, nil, &handle, &failure); status < 0 {
		return nil, take(status, failure)
	}
	c.pipelines = append(c.pipelines, handle)
	return &Pipeline{context: c, handle: handle, name: name, loader: loader}, nil
}

// WithLoader is the same pipeline with another loader; with nil only the stores are asked.
func (p *Pipeline) WithLoader(loader Loader) *Pipeline {
	other := *p
	other.loader = loader
	return &other
}

func (p *Pipeline) do(ctx context.Context, asked request) (answer, error) {
	asked.pipeline, asked.alias = p.handle, p.name
	return p.context.do(ctx, asked)
}

// Get gets the value of a token: the stores are asked in order, then the loader; ErrMiss where there is none.
func (p *Pipeline) Get(ctx context.Context, token string) (*Found, error) {
	if err := inLoad(ctx, p.name, token); err != nil && p.loader != nil {
		return nil, err
	}
	got, err := p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_GET, key: token, loader: p.loader, loads: p.name})
	switch {
	case err != nil:
		return nil, err
	case got.value == nil:
		return nil, ErrMiss
	}
	return &Found{Value: got.value, Level: int(got.level), Stale: got.status == C.LARDER_STALE}, nil
}

// GetMany gets the values of several tokens, with one batch to each store; those that are nowhere are left out.
func (p *Pipeline) GetMany(ctx context.Context, tokens ...string) (map[string]*Found, error) {
	for _, token := range tokens {
		if err := inLoad(ctx, p.name, token); err != nil && p.loader != nil {
			return nil, err
		}
	}
	got, err := p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_GET_MANY, keys: tokens, loader: p.loader, loads: p.name})
	found := make(map[string]*Found, len(got.values))
	for i, value := range got.values {
		if value != nil {
			level := int(got.levels[i])
			found[tokens[i]] = &Found{Value: value, Level: level, Stale: level == Refreshing}
		}
	}
	return found, err
}

// Set sets a value in all stores, each for as long as its EXPIRATIONS say, and tells whether one of them keeps it.
func (p *Pipeline) Set(ctx context.Context, token string, value any) (bool, error) {
	format, text, err := formatted(value)
	if err != nil {
		return false, err
	}
	return isThere(p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_SET, key: token, format: format, value: text}))
}

// Delete removes a token from all stores, and tells whether one of them had it.
func (p *Pipeline) Delete(ctx context.Context, token string) (bool, error) {
	return isThere(p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_DELETE, key: token}))
}

// Contains tells whether a store has a token, whatever its EXPIRATIONS say. Nothing is loaded.
func (p *Pipeline) Contains(ctx context.Context, token string) (bool, error) {
	return isThere(p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_CONTAINS, key: token}))
}

// ClearPrefix removes what the aliases' prefixes and versions begin from all stores.
func (p *Pipeline) ClearPrefix(ctx context.Context) error {
	_, err := p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_CLEAR_PREFIX})
	return err
}

// ClearEverything removes all that the stores' backends hold, whoever wrote it.
func (p *Pipeline) ClearEverything(ctx context.Context) error {
	_, err := p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_CLEAR_EVERYTHING})
	return err
}

// Expire removes what has expired from stores that do not do that by themselves, and tells how much.
func (p *Pipeline) Expire(ctx context.Context) (int64, error) {
	got, err := p.do(ctx, request{operation: C.LARDER_OP_PIPELINE_EXPIRE})
	return got.number, err
}

// LoadOption says how Store.GetOrLoad loads.
type LoadOption func(*C.larder_load_options)

// WithLoadTimeout is what a load may take, instead of 30 s.
func WithLoadTimeout(timeout time.Duration) LoadOption {
	return func(options *C.larder_load_options) { options.timeout_ms = C.int64_t(milliseconds(timeout)) }
}

// WithLoadLock lets processes load one after the other, under redis-py's lock, held for so long at the most. Redis only.
func WithLoadLock(ttl time.Duration) LoadOption {
	return func(options *C.larder_load_options) { options.lock_ms = C.int64_t(milliseconds(ttl)) }
}

// WithGrace keeps a value so much longer, and hands it out while one caller loads it anew.
func WithGrace(grace time.Duration) LoadOption {
	return func(options *C.larder_load_options) { options.grace_ms = C.int64_t(milliseconds(grace)) }
}

// WithEarly loads values anew before they expire, with a chance that grows towards the end; 1 is usual, more is earlier.
func WithEarly(beta float64) LoadOption {
	return func(options *C.larder_load_options) { options.early = C.double(beta) }
}

// WithJitter shortens times to live by up to this part, at random.
func WithJitter(part float64) LoadOption {
	return func(options *C.larder_load_options) { options.jitter = C.double(part) }
}

// GetOrLoad gets a value; where there is none the loader is asked, and what it gives is set. All who want it at the same
// time share one load. ErrMiss where the loader says so.
func (s *Store) GetOrLoad(ctx context.Context, key string, ttl time.Duration, loader Loader, options ...LoadOption) (*Found, error) {
	if loader == nil {
		return nil, fmt.Errorf("larder: the loader is nil")
	}
	name := s.alias + "\x00" + s.version
	if err := inLoad(ctx, name, key); err != nil {
		return nil, err
	}
	asked := request{operation: C.LARDER_OP_GET_OR_LOAD, key: key, ttl: milliseconds(ttl), loader: loader, loads: name}
	if len(options) > 0 {
		asked.options = &C.larder_load_options{struct_size: C.sizeof_larder_load_options}
		for _, option := range options {
			option(asked.options)
		}
	}
	got, err := s.do(ctx, asked)
	switch {
	case err != nil:
		return nil, err
	case got.value == nil:
		return nil, ErrMiss
	}
	return &Found{Value: got.value, Level: int(got.level), Stale: got.status == C.LARDER_STALE}, nil
}

// formatted is a value in larder's terms.
func formatted(value any) (format C.int32_t, text string, err error) {
	switch value := value.(type) {
	case []byte:
		return C.LARDER_BYTES, string(value), nil
	case string:
		return C.LARDER_TEXT, value, nil
	case json.RawMessage:
		return C.LARDER_JSON, string(value), nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return 0, "", fmt.Errorf("larder: %w", err)
	}
	return C.LARDER_JSON, string(encoded), nil
}
