package larder

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

const goroutines, rounds = 64, 1000

// grow makes the goroutine's stack larger, so that the collector moves it, and shrinks it again later.
func grow(depth int) byte {
	var room [256]byte
	room[depth%len(room)] = byte(depth)
	if depth > 0 {
		room[0] = grow(depth - 1)
	}
	return room[depth%len(room)]
}

// load lets many goroutines set and get at once. Values embed their keys: nobody may get another key's.
func load(t *testing.T, store *Store, grown int) {
	var group sync.WaitGroup
	for g := 0; g < goroutines; g++ {
		group.Add(1)
		go func(g int) {
			defer group.Done()
			padding := strings.Repeat("p", g*7)
			for i := 0; i < rounds/2; i++ {
				key := fmt.Sprintf("key:%d:%d", g, i%50)
				if err := store.Set(background, key, fmt.Sprintf("%s=%d%s", key, i, padding), time.Minute); err != nil {
					t.Errorf("set: %v", err)
					return
				}
				if grown > 0 && i%10 == 0 {
					grow(grown)
				}
				value, err := store.Get(background, key)
				if err != nil || value.String() != fmt.Sprintf("%s=%d%s", key, i, padding) {
					t.Errorf("%s: %v, %v", key, value, err)
					return
				}
			}
		}(g)
	}
	group.Wait()
}

func eachWay(t *testing.T, run func(t *testing.T, c *Context)) {
	t.Run("blocking", func(t *testing.T) { run(t, open(t)) })
	t.Run("netpoller", func(t *testing.T) { run(t, open(t, WithNetpoller())) })
}

func TestLoad(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Context) {
		for _, alias := range []string{"memory", "redis"} {
			before := c.flushes.Load()
			load(t, openStore(t, c, alias), 0)
			t.Logf("%s: %d operations in %d batches", alias, goroutines*rounds, c.flushes.Load()-before)
		}
	})
}

// TestCollector runs the same while the collector runs all the time and moves stacks, and meets the handles, which look
// like pointers, wherever it looks.
func TestCollector(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	c := open(t)
	stores := []*Store{openStore(t, c, "memory"), openStore(t, c, "redis")}
	kept := c.handles()
	scattered := make([]*[]unsafe.Pointer, 100)
	for i := range scattered {
		some := append([]unsafe.Pointer(nil), kept...)
		scattered[i] = &some
	}
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Add(1)
	go func() {
		defer collector.Done()
		onStack := [4]unsafe.Pointer{kept[0], kept[1], kept[2], kept[3]}
		for {
			select {
			case <-stop:
				runtime.KeepAlive(onStack)
				return
			default:
				grow(200)
				runtime.GC()
			}
		}
	}()
	for _, store := range stores {
		load(t, store, 100)
	}
	close(stop)
	collector.Wait()
	for _, some := range scattered {
		for i, handle := range *some {
			if handle != kept[i] {
				t.Fatal("a handle changed")
			}
		}
	}
}

// TestCancels cancels at random, while a server answers and one does not: each operation ends once, with a value of its own
// key, or with the reason.
func TestCancels(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Context) {
		redis, silent := openStore(t, c, "redis"), openStore(t, c, "silent")
		for g := 0; g < goroutines; g++ {
			wantError(t, nil, redis.Set(background, fmt.Sprint("c", g), fmt.Sprint("c", g), Default))
		}
		var group sync.WaitGroup
		var values, ended atomic.Int64
		for g := 0; g < goroutines; g++ {
			group.Add(1)
			go func(g int) {
				defer group.Done()
				random := rand.New(rand.NewSource(int64(g)))
				for i := 0; i < 100; i++ {
					ctx, cancel := context.WithCancel(background)
					if i%3 == 0 {
						ctx, cancel = context.WithTimeout(background, time.Duration(random.Intn(2000))*time.Microsecond)
					} else {
						time.AfterFunc(time.Duration(random.Intn(2000))*time.Microsecond, cancel)
					}
					store := redis
					if i%10 == 0 {
						store = silent
					}
					value, err := store.Get(ctx, fmt.Sprint("c", g))
					cancel()
					switch {
					case err == nil && value.String() == fmt.Sprint("c", g):
						values.Add(1)
					case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
						ended.Add(1)
					default:
						t.Errorf("c%d: %v, %v", g, value, err)
					}
				}
			}(g)
		}
		group.Wait()
		if values.Load() == 0 || ended.Load() == 0 {
			t.Fatalf("%d values and %d cancels", values.Load(), ended.Load())
		}
		load(t, redis, 0)
	})
}

// TestCloseUnderLoad closes while goroutines go on asking: each of them hears of it, and none waits for ever.
func TestCloseUnderLoad(t *testing.T) {
	for round := 0; round < 10; round++ {
		var options []Option
		if round%2 == 1 {
			options = append(options, WithNetpoller())
		}
		c := open(t, options...)
		stores := []*Store{openStore(t, c, "memory"), openStore(t, c, "redis")}
		var group sync.WaitGroup
		var done atomic.Int64
		for g := 0; g < goroutines; g++ {
			group.Add(1)
			go func(g int) {
				defer group.Done()
				for key := fmt.Sprint("l", g); ; {
					if err := stores[g%2].Set(background, key, key, time.Minute); err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Errorf("%v", err)
						}
						return
					}
					done.Add(1)
				}
			}(g)
		}
		for done.Load() < 500 {
			time.Sleep(time.Millisecond)
		}
		wantError(t, nil, c.Close(10*time.Second))
		group.Wait()
	}
}
