package larder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var background = context.Background()

// want stops the test unless an operation answered this, without an error.
func want[T any](t *testing.T, wanted T) func(T, error) {
	t.Helper()
	return func(got T, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, wanted) {
			t.Fatalf("%v, %v; not %v", got, err, wanted)
		}
	}
}

func wantError(t *testing.T, wanted, err error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Fatalf("%v, not %v", err, wanted)
	}
}

func TestValues(t *testing.T) {
	c := open(t)
	for _, alias := range aliases {
		store := openStore(t, c, alias)
		for _, one := range []struct {
			value any
			kind  Kind
			data  string
		}{
			{"", Text, ""}, {"héllo", Text, "héllo"}, {[]byte{}, Bytes, ""}, {[]byte{0, 255}, Bytes, "\x00\xff"},
			{nil, Null, "null"}, {true, Bool, "true"}, {-5, Int, "-5"}, {1.5, Float, "1.5"},
			{[]int{1, 2}, List, "[1, 2]"}, {map[string]any{"a": nil}, Dict, `{"a": null}`},
			{json.RawMessage("1208925819614629174706176"), Int, "1208925819614629174706176"},
		} {
			if err := store.Set(background, "v", one.value, time.Minute); err != nil {
				t.Fatal(err)
			}
			value, err := store.Get(background, "v")
			if err != nil || value.Kind() != one.kind || value.String() != one.data {
				t.Fatalf("%s: %v became %v, %v", alias, one.value, value, err)
			}
		}
	}
}

func TestDecode(t *testing.T) {
	store := openStore(t, open(t), "memory")
	var text string
	var data []byte
	var user struct{ Level int }
	decode := func(value, target any) error {
		if err := store.Set(background, "v", value, Default); err != nil {
			t.Fatal(err)
		}
		got, err := store.Get(background, "v")
		if err != nil {
			t.Fatal(err)
		}
		return got.Decode(target)
	}
	if err := decode("text", &text); err != nil || text != "text" {
		t.Fatal(text, err)
	}
	if err := decode([]byte{1, 2}, &data); err != nil || !bytes.Equal(data, []byte{1, 2}) {
		t.Fatal(data, err)
	}
	if err := decode(map[string]int{"Level": 7}, &user); err != nil || user.Level != 7 {
		t.Fatal(user, err)
	}
	if decode("7", &user.Level) == nil || decode("text", &data) == nil || decode(7, &text) == nil {
		t.Fatal("one kind became another")
	}
}

func TestOperations(t *testing.T) {
	c := open(t)
	for _, alias := range aliases {
		s := openStore(t, c, alias)
		wantError(t, nil, s.ClearEverything(background))
		wantError(t, nil, s.Ping(background))
		_, err := s.Get(background, "a")
		wantError(t, ErrMiss, err)
		_, err = s.TTL(background, "a")
		wantError(t, ErrMiss, err)
		_, err = s.Incr(background, "n", 1)
		wantError(t, ErrMiss, err)
		want(t, true)(s.Add(background, "a", "1", Forever))
		want(t, false)(s.Add(background, "a", "2", Forever))
		want(t, Forever)(s.TTL(background, "a"))
		want(t, true)(s.Expire(background, "a", time.Minute))
		if left, err := s.TTL(background, "a"); err != nil || left > time.Minute || left < 50*time.Second {
			t.Fatal(left, err)
		}
		want(t, true)(s.Has(background, "a"))
		want(t, true)(s.Delete(background, "a"))
		want(t, false)(s.Delete(background, "a"))
		want(t, false)(s.Has(background, "a"))
		want(t, false)(s.Expire(background, "a", time.Minute))
		wantError(t, nil, s.Set(background, "n", 40, Default))
		want(t, int64(42))(s.Incr(background, "n", 2))
		wantError(t, nil, s.WithVersion("2").Set(background, "v", "two", Default))
		_, err = s.Get(background, "v")
		wantError(t, ErrMiss, err)
		many, err := s.GetMany(background, "n", "none")
		if err != nil || len(many) != 1 || many["n"].String() != "42" {
			t.Fatal(many, err)
		}
		many, err = s.GetMany(background)
		if err != nil || len(many) != 0 {
			t.Fatal(many, err)
		}
		want(t, int64(1))(s.DeleteMany(background, "n", "none"))
	}
}

func TestSessions(t *testing.T) {
	c := open(t)
	for _, alias := range aliases {
		s := openStore(t, c, alias)
		session := map[string]any{"_auth_user_id": "7", "cart": []int{1, 2}}
		wantError(t, nil, s.Set(background, "django.contrib.sessions.cache0123456789abcdef", session, time.Minute))
		var found struct {
			User string `json:"_auth_user_id"`
			Cart []int  `json:"cart"`
		}
		value, err := s.Session(background, "0123456789abcdef")
		if err != nil || value.Decode(&found) != nil || found.User != "7" || !reflect.DeepEqual(found.Cart, []int{1, 2}) {
			t.Fatal(value, err)
		}
		for _, cookie := range []string{"", "1234567", "0123456789abcdeg", "0123456789abcdef\r\n", "\xff\xff\xff\xff\xff\xff\xff\xff",
			strings.Repeat("é", 16), strings.Repeat("a", 1<<20)} {
			_, err := s.Session(background, cookie)
			wantError(t, ErrMiss, err)
		}
	}
}

func TestTable(t *testing.T) {
	var failure *Error
	memory := openStore(t, open(t), "memory")
	if _, err := memory.TableSQL(); !errors.As(err, &failure) || failure.Name != "LARDER_EUNSUPPORTED" {
		t.Fatal(err)
	}
	if err := memory.CreateTable(background); !errors.As(err, &failure) || failure.Name != "LARDER_EUNSUPPORTED" {
		t.Fatal(err)
	}
	c, err := Open(`{"CACHES": {"a": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}},
		"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "` + filepath.Join(t.TempDir(), "site.sqlite3") + `"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(5 * time.Second)
	s := openStore(t, c, "a")
	sql, err := s.TableSQL()
	if err != nil || !strings.HasPrefix(sql, "CREATE TABLE ") || !strings.Contains(sql, "CREATE INDEX ") {
		t.Fatal(sql, err)
	}
	if s.Set(background, "k", "v", Default) == nil {
		t.Fatal("there is no table")
	}
	wantError(t, nil, s.CreateTable(background))
	wantError(t, nil, s.CreateTable(background)) // nothing to do
	wantError(t, nil, s.Set(background, "k", "v", Default))
	want(t, true)(s.Has(background, "k"))
}

func TestErrors(t *testing.T) {
	_, err := Open(`{"CACHES": {"a": {"BACKEND": "none"}}}`)
	var failure *Error
	if !errors.As(err, &failure) || failure.Name != "LARDER_ECONFIG" || failure.Retriable {
		t.Fatal(err)
	}
	if _, err = OpenFile("/nonexistent/caches.json"); !errors.As(err, &failure) || failure.Name != "LARDER_EIO" {
		t.Fatal(err)
	}
	c := open(t)
	if _, err = c.Store("unknown"); !errors.As(err, &failure) {
		t.Fatal(err)
	}
	_, err = openStore(t, c, "down").Get(background, "k")
	if !errors.As(err, &failure) || failure.Name != "LARDER_ECONNECTION" || !failure.Retriable ||
		!strings.Contains(failure.Message, "down") {
		t.Fatal(err)
	}
	store := openStore(t, c, "memory")
	if _, err = store.Get(background, "\xff"); !errors.As(err, &failure) || failure.Name != "LARDER_EINVAL" {
		t.Fatal(err)
	}
	if err = store.Set(background, "k", func() {}, Default); err == nil {
		t.Fatal("a function was stored")
	}
	wantError(t, nil, store.Set(background, "text", "t", Default))
	if _, err = store.Incr(background, "text", 1); !errors.As(err, &failure) || failure.Name != "LARDER_ETYPE" {
		t.Fatal(err)
	}
	wantError(t, nil, store.Set(background, "float", 1.5, Default))
	if _, err = store.Incr(background, "float", 1); err == nil || !strings.Contains(err.Error(), "2.5") {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "caches.json")
	if err := os.WriteFile(path, []byte(configuration(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, nil, openStore(t, c, "memory").Ping(background))
	wantError(t, nil, c.Close(time.Second))
	wantError(t, nil, c.Close(time.Second))
}

func TestDeadline(t *testing.T) {
	store := openStore(t, open(t), "silent")
	ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := store.Get(ctx, "k")
	wantError(t, context.DeadlineExceeded, err)
	if took := time.Since(began); took > 2*time.Second {
		t.Fatalf("it took %v", took)
	}
	_, err = store.Get(ctx, "k")
	wantError(t, context.DeadlineExceeded, err)
	if err.Error() != "larder: get on alias 'silent': context deadline exceeded" {
		t.Fatal(err)
	}
}

// A deadline that is farther away does not lengthen the alias's own time.
func TestDeadlineOfTheAlias(t *testing.T) {
	store := openStore(t, open(t), "short")
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	_, err := store.Get(ctx, "k")
	var failure *Error
	if !errors.As(err, &failure) || failure.Name != "LARDER_ETIMEOUT" || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
}

func TestCancel(t *testing.T) {
	store := openStore(t, open(t), "silent")
	ctx, cancel := context.WithCancel(background)
	time.AfterFunc(20*time.Millisecond, cancel)
	began := time.Now()
	_, err := store.Get(ctx, "k")
	wantError(t, context.Canceled, err)
	if took := time.Since(began); took > 2*time.Second {
		t.Fatalf("it took %v", took)
	}
	_, err = store.Get(ctx, "k")
	wantError(t, context.Canceled, err)
}

// Operations that wait, for an answer or for a place, end with the context.
func TestCloseEndsWhatWaits(t *testing.T) {
	c := open(t)
	store := openStore(t, c, "silent")
	const waiting = capacity + 100
	ended := make(chan error, waiting)
	for i := 0; i < waiting; i++ {
		go func() {
			_, err := store.Get(background, "k")
			ended <- err
		}()
	}
	for len(c.free) > 0 {
		time.Sleep(time.Millisecond)
	}
	wantError(t, nil, c.Close(200*time.Millisecond))
	for i := 0; i < waiting; i++ {
		select {
		case err := <-ended:
			wantError(t, ErrClosed, err)
		case <-time.After(10 * time.Second):
			t.Fatal("an operation waits for ever")
		}
	}
	_, err := store.Get(background, "k")
	wantError(t, ErrClosed, err)
	_, err = c.Store("memory")
	wantError(t, ErrClosed, err)
}

// A shutdown that is given no time: whoever waits is answered all the same, and a second one ends what is left.
func TestCloseWithoutTime(t *testing.T) {
	c := open(t)
	store := openStore(t, c, "silent")
	ended := make(chan error, 100)
	for i := 0; i < cap(ended); i++ {
		go func() {
			_, err := store.Get(background, "k")
			ended <- err
		}()
	}
	time.Sleep(20 * time.Millisecond)
	if err := c.Close(0); err != nil {
		wantError(t, context.DeadlineExceeded, err)
	}
	for i := 0; i < cap(ended); i++ {
		wantError(t, ErrClosed, <-ended)
	}
}
