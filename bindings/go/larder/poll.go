package larder

/*
#include <stdlib.h>
#include <larder.h>

// What the Go side copies: a value's kind, and where its bytes are.
typedef struct {
	const void *bytes;
	size_t len;
	larder_error *error;
	larder_status status;
	int32_t kind;
} larder_go_view;

static void larder_go_look(const larder_value *value, larder_go_view *view)
{
	view->bytes = NULL, view->len = 0, view->error = NULL, view->status = LARDER_OK, view->kind = 0;
	if (value == NULL)
		return;
	view->kind = larder_value_kind(value);
	if (view->kind == LARDER_KIND_BYTES)
		view->status = larder_value_bytes(value, &view->bytes, &view->len, &view->error);
	else if (view->kind == LARDER_KIND_TEXT)
		view->status = larder_value_text(value, (const char **)&view->bytes, &view->len, &view->error);
	else
		view->status = larder_value_json(value, (const char **)&view->bytes, &view->len, &view->error);
}

// Polls, and looks at every value, in one call from Go. The caller releases the errors of the views.
static larder_status larder_go_poll(larder_queue *queue, larder_event *events, larder_go_view *views, size_t capacity,
                                    int64_t timeout_ms, size_t *n)
{
	larder_status status = larder_queue_poll(queue, events, capacity, sizeof(larder_event), timeout_ms, n, NULL);
	for (size_t i = 0; i < *n; i++)
		larder_go_look(events[i].value, &views[i]);
	return status;
}
*/
import "C"

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// atOnce is how many events are taken at the most in one go.
const atOnce = 256

// poller takes answers until nothing comes any more, and hands them to those who wait.
func (c *Context) poller() {
	defer close(c.polled)
	if c.file != nil {
		defer c.file.Close()
	}
	// C's memory, since C's pointers stand in it
	events := (*C.larder_event)(C.calloc(atOnce, C.sizeof_larder_event))
	views := (*C.larder_go_view)(C.calloc(atOnce, C.sizeof_larder_go_view))
	defer C.free(unsafe.Pointer(events))
	defer C.free(unsafe.Pointer(views))
	var n C.size_t
	var status C.larder_status
	poll := func(timeout C.int64_t) bool {
		status = C.larder_go_poll(c.queue, events, views, atOnce, timeout, &n)
		return status != C.LARDER_EMPTY
	}
	for wait := c.waiter(poll); ; {
		wait()
		if status < 0 {
			return
		}
		looked := unsafe.Slice(views, int(n))
		for i := range unsafe.Slice(events, int(n)) {
			c.dispatch(&unsafe.Slice(events, int(n))[i], &looked[i])
		}
		C.larder_events_clear(events, n, C.sizeof_larder_event)
	}
}

// waiter makes the function that waits for events: in C, or in Go's network poller.
func (c *Context) waiter(poll func(C.int64_t) bool) func() {
	if c.file == nil {
		return func() { poll(-1) }
	}
	connection, err := c.file.SyscallConn()
	return func() {
		if err == nil {
			// Go's poller tells each ringing once: that is why this polls until the queue is empty before it waits
			if err = connection.Read(func(uintptr) bool { return poll(0) }); err == nil {
				return
			}
		}
		c.strays.Add(1) // it cannot fail: openHandle has tried it
		poll(-1)
	}
}

// openHandle makes a file of the queue's wait handle, for Go's network poller.
func (c *Context) openHandle() error {
	var handle C.int32_t
	var failure *C.larder_error
	if status := C.larder_queue_wait_handle(c.queue, &handle, &failure); status < 0 {
		return take(status, failure)
	}
	// a duplicate, because a File owns its descriptor
	duplicate, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(handle), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return os.NewSyscallError("fcntl", errno)
	}
	c.file = os.NewFile(duplicate, "larder queue")
	return c.file.SetReadDeadline(time.Time{}) // an error where the network poller cannot wait for it
}

// dispatch copies what an event says, and hands it to the goroutine that waits for it.
func (c *Context) dispatch(event *C.larder_event, view *C.larder_go_view) {
	if event.kind == C.LARDER_EVENT_LOAD {
		c.load(event)
		return
	}
	got := answer{status: event.status, number: int64(event.number), level: int32(event.level)}
	if event.levels != nil {
		for _, level := range unsafe.Slice(event.levels, int(event.n)) {
			got.levels = append(got.levels, int32(level))
		}
	}
	if event.error != nil {
		got.err = show(event.status, event.error)
	}
	if event.value != nil {
		got.value, got.err = copied(view)
	}
	for _, value := range unsafe.Slice(event.values, int(event.n)) {
		var view C.larder_go_view
		C.larder_go_look(value, &view)
		one, err := copied(&view)
		if err != nil {
			got.err = err
		}
		got.values = append(got.values, one)
	}
	tag := uint64(event.tag)
	if index := uint32(tag); index >= capacity || !c.slots[index].finish(tag, got) {
		c.strays.Add(1)
	}
}

// copied makes a Go value of what C showed; nil for a miss.
func copied(view *C.larder_go_view) (*Value, error) {
	if view.status < 0 {
		return nil, take(view.status, view.error)
	}
	if view.kind == 0 {
		return nil, nil
	}
	return &Value{kind: Kind(view.kind), data: C.GoBytes(view.bytes, C.int(view.len))}, nil
}

// failAll answers whoever still waits when nothing will come any more, and tells how many that were. What has not been
// submitted yet is answered when it is.
func (c *Context) failAll() (count int64) {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	for i := range c.slots {
		s := &c.slots[i]
		tag := s.sent.Load()
		if s.finish(tag, answer{status: C.LARDER_ESHUTDOWN, err: ErrClosed}) {
			count++
		}
	}
	return count
}
