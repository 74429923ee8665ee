package larder

// #include <stdlib.h>
// #include <larder.h>
import "C"

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"
)

// retired is how many loaders are kept that have lost their request: others may still wait for what it began to load.
const retired = 256

// loaders are those of the requests under way, by tag.
type loaders struct {
	mutex   sync.Mutex
	running map[uint64]loading
	retired [retired]uint64
	next    int
}

// loading is a loader, and what it loads for.
type loading struct {
	loader Loader
	name   string
	outer  *inside // what loads meanwhile, and waits for this
}

func (l *loaders) add(tag uint64, one loading) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.running == nil {
		l.running = make(map[uint64]loading)
	}
	l.running[tag] = one
}

// retire forgets a loader, but not at once.
func (l *loaders) retire(tag uint64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.running, l.retired[l.next])
	l.retired[l.next] = tag
	l.next = (l.next + 1) % retired
}

func (l *loaders) of(tag uint64) (loading, bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	one, ok := l.running[tag]
	return one, ok
}

// insideKey is where a loader's ctx tells what is being loaded.
type insideKey struct{}

type inside struct {
	name, token string
	outer       *inside
}

// inLoad is an error where a loader would wait for itself.
func inLoad(ctx context.Context, name, token string) error {
	at, _ := ctx.Value(insideKey{}).(*inside)
	for ; at != nil; at = at.outer {
		if at.name == name && at.token == token {
			return &Error{Status: C.LARDER_EDEADLOCK, Name: "LARDER_EDEADLOCK",
				Message: "a loader cannot wait for what it is loading itself"}
		}
	}
	return nil
}

// load hands a load event to its loader, in a goroutine.
func (c *Context) load(event *C.larder_event) {
	id, token := event.number, C.GoStringN(event.text, C.int(event.text_len)) // the event does not live as long as the load
	limit := time.Duration(event.timeout_ms) * time.Millisecond
	one, ok := c.loaders.of(uint64(event.tag))
	if !ok {
		finish(id, nil, errors.New("who wanted it has gone"))
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(c.loads, limit)
		defer cancel()
		value, err := one.call(context.WithValue(ctx, insideKey{}, &inside{one.name, token, one.outer}), token)
		finish(id, value, err)
	}()
}

// call calls the loader; one that panics has failed.
func (l loading) call(ctx context.Context, token string) (value any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("it panicked with a %T", panicked)
		}
	}()
	return l.loader(ctx, token)
}

// finish answers a load. That it is too late is nobody's loss.
func finish(load C.int64_t, value any, failure error) {
	status, format, text := C.larder_status(C.LARDER_OK), C.int32_t(0), ""
	if failure == nil {
		format, text, failure = formatted(value)
	}
	var message *C.char
	switch {
	case errors.Is(failure, ErrMiss):
		status = C.LARDER_MISS
	case failure != nil:
		status = C.LARDER_ESERVER
		var known *Error
		if errors.As(failure, &known) && known.Status < 0 {
			status = C.larder_status(known.Status)
		} else if errors.Is(failure, context.DeadlineExceeded) {
			status = C.LARDER_ETIMEOUT
		}
		message = C.CString(failure.Error())
		defer C.free(unsafe.Pointer(message))
	}
	var data unsafe.Pointer
	if bytes := []byte(text); len(bytes) > 0 {
		data = unsafe.Pointer(&bytes[0])
	}
	if status := C.larder_load_done(C.uint64_t(load), status, data, C.size_t(len(text)), format, C.LARDER_TTL_DEFAULT,
		message, nil); status < 0 && status != C.LARDER_EHANDLE {
		// a text that is not UTF-8, or a message with nothing in it
		C.larder_load_done(C.uint64_t(load), C.LARDER_EINVAL, nil, 0, 0, C.LARDER_TTL_DEFAULT, nil, nil)
	}
}
