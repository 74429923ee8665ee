// Package larder opens the caches of a Django settings file, and reads and writes what the Django processes beside it do.
//
//	caches, err := larder.OpenFile("caches.json")
//	store, err := caches.Store("default")
//	err = store.Set(ctx, "greeting", "hello", time.Minute)
//	value, err := store.Get(ctx, "greeting")
//
// All that the goroutines of a program ask goes over one completion queue: requests that come together are submitted
// together, and one goroutine takes the answers. Nothing of Go's memory is kept by C after a call, and no goroutine but
// that one stands in C while it waits.
package larder

/*
#cgo LDFLAGS: -llarder
#include <stdlib.h>
#include <larder.h>
*/
import "C"

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// capacity is how many operations can be under way; more wait in Go.
const capacity = 1024

// Context is a read configuration and its queue. Any goroutine may use it.
type Context struct {
	handle *C.larder_context
	queue  *C.larder_queue
	// The poller waits with Go's network poller, for this duplicate of the queue's wait handle.
	netpoller bool
	file      *os.File

	slots [capacity]slot
	free  chan *slot // the slots that no operation has

	gathering sync.Mutex
	gathered  []*slot // waits to be submitted
	led       bool    // somebody is about to submit it
	flushing  sync.Mutex
	batch     []*slot  // what is being submitted
	buffer    []uint64 // its requests; of words, so that it is aligned
	ops       []C.larder_op
	tags      []uint64

	loaders   loaders
	loads     context.Context // of the loaders; done when Close begins
	endLoads  context.CancelFunc
	closing   chan struct{} // closed when Close begins
	polled    chan struct{} // closed when the poller has ended
	closeOnce sync.Once

	mutex     sync.Mutex
	stores    []*C.larder_store
	pipelines []*C.larder_pipeline
	closed    bool

	strays  atomic.Int64 // what never happens: events that nobody waited for, or that did not come
	flushes atomic.Int64 // batches that were submitted
}

// Option changes how a configuration is opened.
type Option func(*Context)

// WithNetpoller waits for answers with Go's network poller, instead of with a thread that stands in C.
func WithNetpoller() Option { return func(c *Context) { c.netpoller = true } }

// Open reads a configuration: Django's CACHES as JSON. It never connects.
func Open(json string, options ...Option) (*Context, error) {
	text := C.CString(json)
	defer C.free(unsafe.Pointer(text))
	c := &Context{}
	var failure *C.larder_error
	if status := C.larder_open(text, C.size_t(len(json)), nil, &c.handle, &failure); status < 0 {
		return nil, take(status, failure)
	}
	return c.start(options)
}

// OpenFile reads a configuration from a file. It never connects.
func OpenFile(path string, options ...Option) (*Context, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	c := &Context{}
	var failure *C.larder_error
	if status := C.larder_open_file(name, nil, &c.handle, &failure); status < 0 {
		return nil, take(status, failure)
	}
	return c.start(options)
}

func (c *Context) start(options []Option) (*Context, error) {
	var failure *C.larder_error
	if status := C.larder_queue_open(c.handle, capacity, 0, &c.queue, &failure); status < 0 {
		C.larder_shutdown(c.handle, 0, nil)
		return nil, take(status, failure)
	}
	c.free = make(chan *slot, capacity)
	for i := range c.slots {
		c.slots[i].index = uint32(i)
		c.slots[i].done = make(chan struct{}, 1)
		c.free <- &c.slots[i]
	}
	c.loads, c.endLoads = context.WithCancel(context.Background())
	c.closing = make(chan struct{})
	c.polled = make(chan struct{})
	for _, option := range options {
		option(c)
	}
	if c.netpoller {
		if err := c.openHandle(); err != nil {
			c.endLoads()
			C.larder_queue_close(c.queue)
			C.larder_shutdown(c.handle, 0, nil)
			return nil, err
		}
	}
	go c.poller()
	return c, nil
}

// Close ends the context and its stores. Operations that are under way may end for most of that time; those that have not,
// and later ones, fail with ErrClosed. When it returns, no goroutine waits for an answer any more. An error says that
// something of larder's still ran at the end of the time: closing can be tried again.
func (c *Context) Close(timeout time.Duration) error {
	c.closeOnce.Do(func() {
		close(c.closing)
		c.endLoads()
	})
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.closed {
		return nil
	}
	var failure *C.larder_error
	var err error
	if status := C.larder_shutdown(c.handle, C.int64_t(timeout.Milliseconds()), &failure); status < 0 {
		err = take(status, failure)
		C.larder_queue_close(c.queue) // so that the poller ends all the same
	}
	<-c.polled
	if left := c.failAll(); err == nil {
		c.strays.Add(left) // after a shutdown everything has had its event
	}
	for _, store := range c.stores {
		C.larder_store_close(store)
	}
	for _, pipeline := range c.pipelines {
		C.larder_pipeline_close(pipeline)
	}
	C.larder_queue_close(c.queue)
	c.closed = err == nil
	return err
}

// Store opens an alias. It never connects, and lives as long as its context.
func (c *Context) Store(alias string) (*Store, error) {
	name := C.CString(alias)
	defer C.free(unsafe.Pointer(name))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var handle *C.larder_store
	var failure *C.larder_error
	if status := C.larder_store_open(c.handle, name, &handle, &failure); status < 0 {
		return nil, take(status, failure)
	}
	c.stores = append(c.stores, handle)
	return &Store{context: c, handle: handle, alias: alias}, nil
}

// live tells how many objects of a kind are open in this process, for tests.
func live(kind int) int64 { return int64(C.larder_live(C.int32_t(kind))) }

// handles tells the context's handles as a program's memory has them, for tests.
func (c *Context) handles() []unsafe.Pointer {
	all := []unsafe.Pointer{unsafe.Pointer(c.handle), unsafe.Pointer(c.queue)}
	for _, store := range c.stores {
		all = append(all, unsafe.Pointer(store))
	}
	for _, pipeline := range c.pipelines {
		all = append(all, unsafe.Pointer(pipeline))
	}
	return all
}

// Errors for errors.Is.
var (
	// ErrMiss: there is no such key.
	ErrMiss = errors.New("larder: no such key")
	// ErrClosed: the context is closed.
	ErrClosed = errors.New("larder: closed")
)

// Error is a failure that larder tells. The message names the operation, the alias and the server, and holds no value.
type Error struct {
	Status    int    // as the C functions answer it, below 0
	Name      string // such as "LARDER_ETIMEOUT"
	Message   string
	Retriable bool // trying the same again can help
}

func (e *Error) Error() string { return "larder: " + e.Message }

// Is says that a time-out is context.DeadlineExceeded, a cancel context.Canceled, and a shutdown ErrClosed.
func (e *Error) Is(target error) bool {
	switch e.Status {
	case C.LARDER_ETIMEOUT:
		return target == context.DeadlineExceeded
	case C.LARDER_ECANCELLED:
		return target == context.Canceled
	case C.LARDER_ESHUTDOWN, C.LARDER_EHANDLE:
		return target == ErrClosed
	}
	return false
}

// take makes a Go error of a native one, and releases it.
func take(status C.larder_status, failure *C.larder_error) error {
	defer C.larder_error_release(failure)
	return show(status, failure)
}

// show makes a Go error of a native one, which is only read.
func show(status C.larder_status, failure *C.larder_error) error {
	made := &Error{Status: int(status), Name: C.GoString(C.larder_status_name(status))}
	made.Message, made.Retriable = made.Name, false
	if failure != nil {
		made.Message = C.GoString(C.larder_error_message(failure))
		made.Retriable = C.larder_error_retriable(failure) != 0
	}
	return made
}
