package larder

// #include <larder.h>
import "C"

import (
	"context"
	"errors"
	"time"
)

// ErrLocked: somebody else holds the lock.
var ErrLocked = errors.New("larder: somebody else holds the lock")

// lockSlice is how long one operation waits for a lock, in ms. Then another one does.
const lockSlice = 10 * 60 * 1000

// Lock is a lock that is held: the same that cache.lock(key) of django-redis and Lock of redis-py take. Any goroutine may use
// it.
type Lock struct {
	store *Store
	key   string
	token string
}

// Lock takes a lock and waits for it until ctx is done, however short the alias's own time is. It is lost after ttl, unless it
// is extended; Forever holds it until it is unlocked, whatever becomes of this process. Only Redis has locks.
func (s *Store) Lock(ctx context.Context, key string, ttl time.Duration) (*Lock, error) {
	for {
		lock, err := s.lock(ctx, request{key: key, ttl: milliseconds(ttl), delta: -1, timeout: lockSlice})
		if err != ErrLocked {
			return lock, err
		}
	}
}

// TryLock takes a lock, or answers ErrLocked at once.
func (s *Store) TryLock(ctx context.Context, key string, ttl time.Duration) (*Lock, error) {
	return s.lock(ctx, request{key: key, ttl: milliseconds(ttl)})
}

func (s *Store) lock(ctx context.Context, asked request) (*Lock, error) {
	asked.operation = C.LARDER_OP_LOCK
	got, err := s.do(ctx, asked)
	switch {
	case err != nil:
		return nil, err
	case got.status == C.LARDER_NOT_STORED:
		return nil, ErrLocked
	}
	return s.LockOf(asked.key, string(got.value.data)), nil
}

// LockOf is the lock with a token that somebody else has taken, and handed on.
func (s *Store) LockOf(key, token string) *Lock { return &Lock{store: s, key: key, token: token} }

// Token is what makes the lock its owner's.
func (l *Lock) Token() string { return l.token }

// Unlock lets go of the lock, and tells whether it was still held: its time may be over, and somebody else have it.
func (l *Lock) Unlock(ctx context.Context) (bool, error) {
	return isThere(l.store.do(ctx, request{operation: C.LARDER_OP_UNLOCK, key: l.key, value: l.token}))
}

// Extend gives the lock so much more time, and tells whether it is still held. One that never expires is not extended.
func (l *Lock) Extend(ctx context.Context, ttl time.Duration) (bool, error) {
	return l.extend(ctx, ttl, C.LARDER_EXTEND_ADD)
}

// Renew gives the lock so much time from now on, and tells whether it is still held.
func (l *Lock) Renew(ctx context.Context, ttl time.Duration) (bool, error) {
	return l.extend(ctx, ttl, C.LARDER_EXTEND_REPLACE)
}

func (l *Lock) extend(ctx context.Context, ttl time.Duration, how int64) (bool, error) {
	asked := request{operation: C.LARDER_OP_LOCK_EXTEND, key: l.key, value: l.token, ttl: milliseconds(ttl), delta: how}
	return isThere(l.store.do(ctx, asked))
}
