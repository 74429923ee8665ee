package larder

// #include <larder.h>
import "C"

import (
	"context"
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Times to live.
const (
	// Default is the alias's TIMEOUT.
	Default = time.Duration(math.MinInt64)
	// Forever is no expiry.
	Forever = time.Duration(math.MaxInt64)
)

// Store is an open alias. Any goroutine may use it. It lives as long as its context.
//
// Every operation ends when its ctx does, which cancels it, and at the alias's own TIMEOUT_MS at the latest: a ctx can only
// shorten that. A write that ends so may have been carried out all the same.
type Store struct {
	context *Context
	handle  *C.larder_store
	alias   string
	version string
}

// WithVersion is the same store for keys of another version.
func (s *Store) WithVersion(version string) *Store {
	other := *s
	other.version = version
	return &other
}

func (s *Store) do(ctx context.Context, asked request) (answer, error) {
	asked.store, asked.alias, asked.version = s.handle, s.alias, s.version
	return s.context.do(ctx, asked)
}

// isThere tells whether an operation that works on a key found it, or wrote what it should.
func isThere(got answer, err error) (bool, error) {
	return err == nil && (got.status == C.LARDER_OK || got.status == C.LARDER_LOSSY), err
}

// Get gets a value; ErrMiss where there is none.
func (s *Store) Get(ctx context.Context, key string) (*Value, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_GET, key: key})
	if err == nil && got.value == nil {
		return nil, ErrMiss
	}
	return got.value, err
}

// Set sets a value: []byte becomes Python's bytes, a string str, json.RawMessage and everything else what JSON makes of it.
func (s *Store) Set(ctx context.Context, key string, value any, ttl time.Duration) error {
	_, err := s.write(ctx, C.LARDER_OP_SET, key, value, ttl)
	return err
}

// Add sets a value where there is none, and tells whether it did.
func (s *Store) Add(ctx context.Context, key string, value any, ttl time.Duration) (bool, error) {
	return s.write(ctx, C.LARDER_OP_ADD, key, value, ttl)
}

func (s *Store) write(ctx context.Context, operation C.int32_t, key string, value any, ttl time.Duration) (bool, error) {
	format, text, err := formatted(value)
	if err != nil {
		return false, err
	}
	asked := request{operation: operation, key: key, ttl: milliseconds(ttl), format: format, value: text}
	return isThere(s.do(ctx, asked))
}

// Delete removes a key, and tells whether it was there.
func (s *Store) Delete(ctx context.Context, key string) (bool, error) {
	return isThere(s.do(ctx, request{operation: C.LARDER_OP_DELETE, key: key}))
}

// Has tells whether a key is there.
func (s *Store) Has(ctx context.Context, key string) (bool, error) {
	return isThere(s.do(ctx, request{operation: C.LARDER_OP_HAS, key: key}))
}

// Incr adds to a number and tells the new one; ErrMiss where there is none.
func (s *Store) Incr(ctx context.Context, key string, delta int64) (int64, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_INCR, key: key, delta: delta})
	if err == nil && (got.status == C.LARDER_MISS || got.status == C.LARDER_IGNORED) {
		return 0, ErrMiss
	}
	if err == nil && got.status == C.LARDER_LOSSY {
		return got.number, fmt.Errorf("larder: the new number is %s, not a whole number of 64 bits", got.value.data)
	}
	return got.number, err
}

// TTL tells what is left of a key's time to live: Forever for one that never expires; ErrMiss where there is none.
func (s *Store) TTL(ctx context.Context, key string) (time.Duration, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_TTL, key: key})
	switch {
	case err != nil:
		return 0, err
	case got.status != C.LARDER_OK:
		return 0, ErrMiss
	case got.number > int64(Forever/time.Millisecond):
		return Forever, nil
	}
	return time.Duration(got.number) * time.Millisecond, nil
}

// Expire gives a key another time to live, as Django's touch, and tells whether it is there.
func (s *Store) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return isThere(s.do(ctx, request{operation: C.LARDER_OP_EXPIRE, key: key, ttl: milliseconds(ttl)}))
}

// ExpireAt makes a key expire at a moment, and tells whether it is there.
func (s *Store) ExpireAt(ctx context.Context, key string, moment time.Time) (bool, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_EXPIRE_AT, key: key, delta: moment.UnixMilli()})
	return err == nil && (got.status == C.LARDER_OK || got.status == C.LARDER_NOT_KEPT), err
}

// GetMany gets several values, on servers in one round trip; those that are not there are left out.
func (s *Store) GetMany(ctx context.Context, keys ...string) (map[string]*Value, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_GET_MANY, keys: keys})
	found := make(map[string]*Value, len(got.values))
	for i, value := range got.values {
		if value != nil {
			found[keys[i]] = value
		}
	}
	return found, err
}

// DeleteMany removes several keys, and tells how many were there.
func (s *Store) DeleteMany(ctx context.Context, keys ...string) (int64, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_DELETE_MANY, keys: keys})
	return got.number, err
}

// DeletePattern removes the keys that match a Redis glob pattern, and tells how many. It may take as long as ctx says, without
// ever blocking a server; what was removed before an error stays removed.
func (s *Store) DeletePattern(ctx context.Context, pattern string) (int64, error) {
	asked := request{operation: C.LARDER_OP_DELETE_PATTERN, key: pattern}
	if deadline, ok := ctx.Deadline(); ok {
		asked.timeout = milliseconds(time.Until(deadline))
		if asked.timeout < 1 {
			asked.timeout = 1 // it is over
		}
	}
	got, err := s.do(ctx, asked)
	return got.number, err
}

// ClearEverything removes all that the backend holds, whoever wrote it, as Django's clear does.
func (s *Store) ClearEverything(ctx context.Context) error {
	_, err := s.do(ctx, request{operation: C.LARDER_OP_CLEAR_EVERYTHING})
	return err
}

// Session gets the session of django.contrib.sessions (cache back end) of a sessionid cookie: the dict that Django keeps, of
// which Decode makes what the site has in it; "_auth_user_id" is a string. ErrMiss where there is none, and for whatever else
// a browser sent. Nothing is made or prolonged. It does not prove that the user may still log in: see docs/sessions.md.
func (s *Store) Session(ctx context.Context, cookie string) (*Value, error) {
	got, err := s.do(ctx, request{operation: C.LARDER_OP_SESSION, key: cookie})
	if err == nil && got.value == nil {
		return nil, ErrMiss
	}
	return got.value, err
}

// CreateTable makes the table of a database cache, where it is not there.
func (s *Store) CreateTable(ctx context.Context) error {
	_, err := s.do(ctx, request{operation: C.LARDER_OP_CREATE_TABLE})
	return err
}

// TableSQL is what CreateTable runs. It does not ask the database.
func (s *Store) TableSQL() (string, error) {
	var length C.size_t
	var failure *C.larder_error
	if status := C.larder_table_sql(s.handle, nil, 0, &length, &failure); status < 0 {
		return "", take(status, failure)
	}
	buffer := make([]byte, int(length)+1)
	status := C.larder_table_sql(s.handle, (*C.char)(unsafe.Pointer(&buffer[0])), length, &length, &failure)
	if status < 0 {
		return "", take(status, failure)
	}
	return string(buffer[:length]), nil
}

// Ping tells whether the backend can be used now.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.do(ctx, request{operation: C.LARDER_OP_PING})
	return err
}

// milliseconds rounds up, so that a short time to live is not none.
func milliseconds(ttl time.Duration) int64 {
	switch ttl {
	case Default:
		return C.LARDER_TTL_DEFAULT
	case Forever:
		return C.LARDER_TTL_FOREVER
	}
	ms := ttl.Milliseconds()
	if ttl > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}
