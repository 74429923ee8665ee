package larder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func summoner(name string) string {
	return "lolna1summoner_v4_by_name{'name':_'" + name + "'}{}"
}

func openPipeline(t *testing.T, c *Context, loader Loader) *Pipeline {
	t.Helper()
	pipeline, err := c.Pipeline("LOL", loader)
	if err != nil {
		t.Fatal(err)
	}
	if err := pipeline.ClearEverything(background); err != nil {
		t.Fatal(err)
	}
	return pipeline
}

// wantFound stops the test unless a get found this at this level.
func wantFound(t *testing.T, level int, data string) func(*Found, error) {
	t.Helper()
	return func(got *Found, err error) {
		t.Helper()
		if err != nil || got.Level != level || got.String() != data || got.Stale {
			t.Fatalf("%+v, %v; not %q in store %d", got, err, data, level)
		}
	}
}

func TestPipeline(t *testing.T) {
	var calls atomic.Int64
	pipeline := openPipeline(t, open(t), func(_ context.Context, token string) (any, error) {
		calls.Add(1)
		if strings.Contains(token, "nobody") {
			return nil, fmt.Errorf("no such summoner: %w", ErrMiss)
		}
		return map[string]any{"name": "Ahri"}, nil
	})
	const match = "lolna1match_v4_match{'id':_1}{}"
	wantFound(t, Loaded, `{"name": "Ahri"}`)(pipeline.Get(background, summoner("Ahri")))
	wantFound(t, 0, `{"name": "Ahri"}`)(pipeline.Get(background, summoner("Ahri")))
	wantFound(t, Loaded, `{"name": "Ahri"}`)(pipeline.Get(background, match))
	wantFound(t, 1, `{"name": "Ahri"}`)(pipeline.Get(background, match))
	_, err := pipeline.Get(background, summoner("nobody"))
	wantError(t, ErrMiss, err)
	if calls.Load() != 3 {
		t.Fatal(calls.Load())
	}
	stores := pipeline.WithLoader(nil)
	_, err = stores.Get(background, summoner("Azir"))
	wantError(t, ErrMiss, err)
	want(t, true)(stores.Set(background, summoner("Azir"), "text"))
	want(t, false)(stores.Set(background, "lolna1match_v4_timeline{'id':_1}{}", "kept nowhere"))
	found, err := pipeline.GetMany(background, match, summoner("Azir"), summoner("new"), summoner("nobody"))
	if err != nil || len(found) != 3 || found[match].Level != 1 || found[summoner("Azir")].String() != "text" ||
		found[summoner("new")].Level != Loaded {
		t.Fatal(found, err)
	}
	want(t, true)(pipeline.Contains(background, match))
	want(t, true)(pipeline.Delete(background, match))
	want(t, false)(pipeline.Contains(background, match))
	want(t, int64(0))(pipeline.Expire(background))
	if err := pipeline.ClearPrefix(background); err != nil && !strings.Contains(err.Error(), "EUNSUPPORTED") &&
		!strings.Contains(err.Error(), "file") {
		t.Fatal(err)
	}
	if _, err := pipeline.context.Pipeline("LOI", nil); err == nil || !strings.Contains(err.Error(), `did you mean "LOL"?`) {
		t.Fatal(err)
	}
}

func TestOneLoadForMany(t *testing.T) {
	t.Run("in C", func(t *testing.T) { oneLoadForMany(t) })
	t.Run("netpoller", func(t *testing.T) { oneLoadForMany(t, WithNetpoller()) })
}

func oneLoadForMany(t *testing.T, options ...Option) {
	c := open(t, options...)
	var calls atomic.Int64
	loader := func(ctx context.Context, _ string) (any, error) {
		calls.Add(1)
		time.Sleep(100 * time.Millisecond)
		return "loaded", ctx.Err()
	}
	pipeline, store := openPipeline(t, c, loader), openStore(t, c, "memory")
	for _, get := range []func() (*Found, error){
		func() (*Found, error) { return pipeline.Get(background, summoner("everybody's")) },
		func() (*Found, error) {
			return store.GetOrLoad(background, "everybody's", time.Minute, loader, WithJitter(0.1), WithEarly(1))
		},
	} {
		calls.Store(0)
		var group sync.WaitGroup
		for i := 0; i < 500; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				got, err := get()
				if err != nil || got.String() != "loaded" {
					t.Errorf("%v, %v", got, err)
				}
			}()
		}
		group.Wait()
		if calls.Load() != 1 {
			t.Fatalf("%d loads", calls.Load())
		}
	}
}

func TestLoaderFails(t *testing.T) {
	pipeline := openPipeline(t, open(t), nil)
	for _, one := range []struct {
		loader Loader
		words  string
	}{
		{func(context.Context, string) (any, error) { return nil, errors.New("the service is down") }, "the service is down"},
		{func(context.Context, string) (any, error) { panic("secret") }, "it panicked with a string"},
		{func(context.Context, string) (any, error) { return "\xff", nil }, "loader"},
		{func(context.Context, string) (any, error) { return make(chan int), nil }, "chan int"},
		{func(context.Context, string) (any, error) { return nil, errors.New("") }, "loader"},
	} {
		_, err := pipeline.WithLoader(one.loader).Get(background, summoner("none"))
		var failure *Error
		if !errors.As(err, &failure) || !strings.Contains(err.Error(), one.words) || strings.Contains(err.Error(), "secret") {
			t.Fatalf("%v", err)
		}
	}
}

func TestLoadDeadlines(t *testing.T) {
	release := make(chan struct{})
	c := open(t)
	ended := make(chan error, 10)
	pipeline := openPipeline(t, c, func(ctx context.Context, _ string) (any, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		ended <- ctx.Err()
		return "late", nil
	})
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	_, err := pipeline.Get(ctx, summoner("slow"))
	wantError(t, context.DeadlineExceeded, err)
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// a loader that is told of the end of its context
	stuck := openPipeline(t, c, func(ctx context.Context, _ string) (any, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	answered := make(chan error, 1)
	go func() {
		_, err := stuck.Get(background, summoner("stuck"))
		answered <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if err := c.Close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err == nil {
		t.Fatal("it was loaded")
	}
	wantError(t, context.Canceled, <-ended)
}

func TestLoaderWaitsForItself(t *testing.T) {
	var pipeline *Pipeline
	c := open(t)
	store := openStore(t, c, "memory")
	pipeline = openPipeline(t, c, func(ctx context.Context, token string) (any, error) {
		if _, err := pipeline.Get(ctx, token); err == nil || !strings.Contains(err.Error(), "itself") {
			return nil, fmt.Errorf("it waited: %w", err)
		}
		if _, err := pipeline.GetMany(ctx, token); err == nil {
			return nil, errors.New("it waited")
		}
		_, err := store.GetOrLoad(ctx, "inner", time.Minute, func(ctx context.Context, key string) (any, error) {
			if _, err := pipeline.Get(ctx, token); err == nil {
				return nil, errors.New("it waited")
			}
			_, err := store.GetOrLoad(ctx, key, time.Minute, func(context.Context, string) (any, error) { return 1, nil })
			if err == nil {
				return nil, errors.New("it waited")
			}
			return "inner", nil
		})
		return "outer", err
	})
	wantFound(t, Loaded, "outer")(pipeline.Get(background, summoner("itself")))
}
