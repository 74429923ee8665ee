package larder

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// storeOf is an alias of a context of the test's own.
func storeOf(t *testing.T, alias string) *Store {
	t.Helper()
	return openStore(t, open(t), alias)
}

func mustHold(t *testing.T) func(bool, error) {
	return func(held bool, err error) {
		t.Helper()
		if !held || err != nil {
			t.Fatalf("%v, %v", held, err)
		}
	}
}

func TestLocks(t *testing.T) {
	c := open(t)
	store := openStore(t, c, "redis")
	held, ctx := mustHold(t), context.Background()
	lock, err := store.Lock(ctx, "lock", time.Minute)
	if err != nil || len(lock.Token()) != 32 {
		t.Fatal(lock, err)
	}
	if other, err := store.TryLock(ctx, "lock", time.Minute); err != ErrLocked || other != nil {
		t.Fatal(other, err)
	}
	short, cancel := context.WithTimeout(ctx, 150*time.Millisecond)
	defer cancel()
	if other, err := store.Lock(short, "lock", time.Minute); !errors.Is(err, context.DeadlineExceeded) || other != nil {
		t.Fatal(other, err)
	}
	held(lock.Extend(ctx, time.Minute))
	if left, err := store.TTL(ctx, "lock"); err != nil || left < 100*time.Second || left > 120*time.Second {
		t.Fatal(left, err)
	}
	held(lock.Renew(ctx, time.Second))
	held(store.LockOf("lock", lock.Token()).Unlock(ctx))
	if held, err := lock.Unlock(ctx); held || err != nil {
		t.Fatal(held, err)
	}
	if held, err := lock.Renew(ctx, time.Second); held || err != nil {
		t.Fatal(held, err)
	}
	if _, err := store.TryLock(ctx, "lock", Default); err == nil {
		t.Fatal("there is no default")
	}
	if _, err := openStore(t, c, "memory").TryLock(ctx, "lock", time.Minute); err == nil || err == ErrLocked {
		t.Fatal(err)
	}
	if _, err := openStore(t, c, "down").Lock(ctx, "lock", time.Minute); err == nil || err == ErrLocked {
		t.Fatal(err)
	}
}

// A counter that is read and written in two steps.
func TestLocksKeepOthersOut(t *testing.T) {
	store, ctx := storeOf(t, "redis"), context.Background()
	if err := store.Set(ctx, "count", 0, Forever); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for j := 0; j < 10; j++ {
				lock, err := store.Lock(ctx, "counter", Forever)
				if err != nil {
					t.Error(err)
					return
				}
				var count int
				value, err := store.Get(ctx, "count")
				if err == nil {
					err = value.Decode(&count)
				}
				if err == nil {
					err = store.Set(ctx, "count", count+1, Forever)
				}
				if err != nil {
					t.Error(err)
				}
				if held, err := lock.Unlock(ctx); !held || err != nil {
					t.Error(held, err)
				}
			}
		}()
	}
	all.Wait()
	if sum, err := store.Incr(ctx, "count", 0); sum != 40 || err != nil {
		t.Fatal(sum, err)
	}
}

// Whenever it is cancelled, no lock is held that nobody has.
func TestCancelledLocksAreNotKept(t *testing.T) {
	store, ctx := storeOf(t, "redis"), context.Background()
	for i := 0; i < 100; i++ {
		soon, cancel := context.WithTimeout(ctx, time.Duration(i*10)*time.Microsecond)
		if lock, err := store.Lock(soon, "soon", Forever); err == nil {
			mustHold(t)(lock.Unlock(ctx))
		}
		cancel()
		patient, done := context.WithTimeout(ctx, 30*time.Second)
		lock, err := store.Lock(patient, "soon", Forever)
		if err != nil {
			t.Fatal(i, err)
		}
		mustHold(t)(lock.Unlock(ctx))
		done()
	}
}

func TestMomentsAndPatterns(t *testing.T) {
	c, ctx := open(t), context.Background()
	for _, alias := range aliases {
		store, held := openStore(t, c, alias), mustHold(t)
		if err := store.ClearEverything(ctx); err != nil {
			t.Fatal(err)
		}
		if there, err := store.ExpireAt(ctx, "a", time.Now().Add(time.Minute)); there || err != nil {
			t.Fatal(there, err)
		}
		for _, key := range []string{"a", "p1", "p2", "q"} {
			if err := store.Set(ctx, key, "x", Forever); err != nil {
				t.Fatal(err)
			}
		}
		held(store.ExpireAt(ctx, "a", time.Now().Add(time.Minute)))
		if left, err := store.TTL(ctx, "a"); err != nil || left < 50*time.Second || left > time.Minute {
			t.Fatal(left, err)
		}
		held(store.ExpireAt(ctx, "a", time.Now().Add(-time.Minute)))
		patient, done := context.WithTimeout(ctx, 30*time.Second)
		removed, err := store.DeletePattern(patient, "p*")
		done()
		if alias == "file" {
			if err == nil {
				t.Fatal("files have no keys")
			}
			continue
		}
		if removed != 2 || err != nil {
			t.Fatal(removed, err)
		}
		if removed, err := store.DeletePattern(ctx, "*"); removed != 1 || err != nil {
			t.Fatal(removed, err)
		}
	}
}
