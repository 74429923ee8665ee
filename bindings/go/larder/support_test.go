package larder

import (
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// redisPort is where the tests' own server listens, on this machine only.
var redisPort int

func TestMain(m *testing.M) {
	os.Exit(withRedis(m.Run))
}

// withRedis runs the tests beside a server that is ended after them.
func withRedis(run func() int) int {
	folder, err := os.MkdirTemp("", "larder-go-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	redisPort = freePort()
	server := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(redisPort), "--save", "",
		"--appendonly", "no", "--dir", folder)
	if err := server.Start(); err != nil {
		panic(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	for tries := 0; ; tries++ {
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", redisPort))
		if err == nil {
			connection.Close()
			return run()
		}
		if tries > 500 {
			panic("redis-server does not answer: " + err.Error())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freePort is below the range that outgoing connections take theirs from.
func freePort() int {
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for {
		port := 16000 + random.Intn(16000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			listener.Close()
			return port
		}
	}
}

var aliases = []string{"memory", "file", "redis"}

// silentServer accepts and never answers, until the test ends.
func silentServer(t *testing.T) int {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freePort()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func configuration(t *testing.T) string {
	const room = `"OPTIONS": {"MAX_ENTRIES": 1000000}`
	return `{"CACHES": {` + strings.Join([]string{
		`"memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", ` + room + `}`,
		fmt.Sprintf(`"file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": %q, %s}`,
			t.TempDir(), room),
		redisAlias("redis", redisPort), redisAlias("silent", silentServer(t)), redisAlias("down", 1),
		strings.Replace(redisAlias("short", silentServer(t)), "{", `{"LARDER": {"TIMEOUT_MS": 50}, `, 1),
	}, ", ") + `}, "PIPELINES": {"LOL": [
		{"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "memory", "EXPIRATIONS": {"summoner_v4_by_name": 120}},
		{"BACKEND": "pyot.stores.DjangoCache", "ALIAS": "file",
			"EXPIRATIONS": {"summoner_v4_by_name": "10m", "match_v4_match": -1}}]}}`
}

func redisAlias(name string, port int) string {
	return fmt.Sprintf(`%q: {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:%d/1"}`, name, port)
}

// open opens a context that is closed with the test; then nothing may be left.
func open(t *testing.T, options ...Option) *Context {
	t.Helper()
	c, err := Open(configuration(t), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(10 * time.Second); err != nil {
			t.Errorf("close: %v", err)
		}
		for kind := 1; kind <= 8; kind++ {
			if left := live(kind); left != 0 {
				t.Errorf("%d objects of kind %d are left", left, kind)
			}
		}
		if strays := c.strays.Load(); strays != 0 {
			t.Errorf("%d events that nobody waited for", strays)
		}
	})
	return c
}

func openStore(t *testing.T, c *Context, alias string) *Store {
	t.Helper()
	store, err := c.Store(alias)
	if err != nil {
		t.Fatal(err)
	}
	return store
}
