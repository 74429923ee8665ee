package larder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	c, ctx := open(t), context.Background()
	for _, alias := range aliases {
		store := openStore(t, c, alias)
		if err := store.Set(ctx, "stats", "x", Default); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 2; i++ {
			if _, err := store.Get(ctx, "stats"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Get(ctx, "no such key"); !errors.Is(err, ErrMiss) {
			t.Fatal(err)
		}
		if _, err := store.Delete(ctx, "stats"); err != nil {
			t.Fatal(err)
		}
		stats, err := store.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if stats.Sets != 1 || stats.Hits != 2 || stats.Misses != 1 || stats.Deletes != 1 || len(stats.Errors) != 0 {
			t.Errorf("%s: %+v", alias, stats)
		}
		if stats.BytesRead != 2*stats.BytesWritten || stats.BytesWritten == 0 {
			t.Errorf("%s: %d bytes read, %d written", alias, stats.BytesRead, stats.BytesWritten)
		}
		if stats.LatencyCount == 0 || stats.LatencyP50 > stats.LatencyMax || stats.LatencyMax > time.Minute {
			t.Errorf("%s: %+v", alias, stats)
		}
	}
	text, err := c.Prometheus()
	if err != nil || !strings.Contains(text, "\nlarder_hits_total{alias=\"memory\"} 2\n") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestErrorsByKind(t *testing.T) {
	store := openStore(t, open(t), "down")
	for i := 0; i < 2; i++ {
		if _, err := store.Get(context.Background(), "k"); err == nil {
			t.Fatal("nobody listens there")
		}
	}
	stats, err := store.Stats()
	if err != nil || stats.Failures != 2 || stats.Errors["LARDER_ECONNECTION"] != 2 || len(stats.Errors) != 1 {
		t.Errorf("%v: %+v", err, stats)
	}
}

func TestPipelineStats(t *testing.T) {
	c := open(t)
	pipeline := openPipeline(t, c, func(_ context.Context, token string) (any, error) {
		if strings.Contains(token, "nobody") {
			return nil, ErrMiss
		}
		if strings.Contains(token, "down") {
			return nil, errors.New("the service is down")
		}
		return "loaded", nil
	})
	wantFound(t, Loaded, "loaded")(pipeline.Get(background, summoner("Ahri")))
	wantFound(t, 0, "loaded")(pipeline.Get(background, summoner("Ahri")))
	_, err := pipeline.Get(background, summoner("nobody"))
	wantError(t, ErrMiss, err)
	if _, err := pipeline.Get(background, summoner("down")); err == nil {
		t.Fatal("the service is down")
	}
	want(t, true)(openStore(t, c, "memory").Delete(background, summoner("Ahri")))
	wantFound(t, 1, "loaded")(pipeline.Get(background, summoner("Ahri")))
	want(t, true)(pipeline.Set(background, summoner("Azir"), "set"))
	want(t, true)(pipeline.Delete(background, summoner("Azir")))
	stats, err := pipeline.Stats()
	if err != nil || stats.Hits != 2 || stats.Misses != 1 || stats.Loads != 3 || stats.NotFound != 1 ||
		stats.LoadFailures != 1 || stats.WrittenBack != 1 || stats.Sets != 1 || stats.Deletes != 1 || stats.Failures != 1 ||
		len(stats.Errors) != 1 || stats.Errors["LARDER_ESERVER"] != 1 || stats.LatencyCount == 0 {
		t.Errorf("%v: %+v", err, stats)
	}
	if len(stats.Stores) != 2 || stats.Stores[0].Hits != 1 || stats.Stores[1].Hits != 1 || stats.Stores[1].Sets != 2 {
		t.Errorf("%+v", stats.Stores)
	}
}

func TestStatsOfWhatIsClosed(t *testing.T) {
	c := open(t)
	store, pipeline := openStore(t, c, "memory"), openPipeline(t, c, nil)
	if err := c.Close(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Stats(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := pipeline.Stats(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := c.Prometheus(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
