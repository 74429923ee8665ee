package larder

/*
#include <larder.h>
*/
import "C"

import (
	"time"
	"unsafe"
)

// Stats is what a store has seen in this process since it was opened: see docs/statistics.md.
type Stats struct {
	Hits, Misses, Stale, Skipped, NearHits uint64
	Sets, Deletes                          uint64
	BytesRead, BytesWritten                uint64 // as they are stored
	Loads, SharedLoads                     uint64

	Failures, Timeouts, Ignored uint64
	Errors                      map[string]uint64 // failures by status, such as "LARDER_ETIMEOUT"; those that came

	Servers, BreakersOpen                   uint32
	BreakerOpened, BreakerRefused           uint64
	Connections, Connected, ConnectFailures uint64

	// LatencyCount is how many operations were measured. Quantiles are off by at most 6.25 %.
	LatencyCount                                    uint64
	LatencyP50, LatencyP90, LatencyP99, LatencyP999 time.Duration
	LatencyMax                                      time.Duration
}

// Stats tells what the store has seen.
func (s *Store) Stats() (Stats, error) {
	var failure *C.larder_error
	told := C.larder_store_stats{struct_size: C.sizeof_larder_store_stats}
	if status := C.larder_stats(s.handle, &told, &failure); status < 0 {
		return Stats{}, take(status, failure)
	}
	stats := seen(&told)
	stats.Errors = errorsBy(func(status C.larder_status, count *C.uint64_t) C.larder_status {
		return C.larder_stats_errors(s.handle, status, count, nil)
	})
	return stats, nil
}

func seen(told *C.larder_store_stats) Stats {
	return Stats{
		Hits: uint64(told.hits), Misses: uint64(told.misses), Stale: uint64(told.stale), Skipped: uint64(told.skipped),
		NearHits: uint64(told.near_hits), Sets: uint64(told.sets), Deletes: uint64(told.deletes),
		BytesRead: uint64(told.bytes_read), BytesWritten: uint64(told.bytes_written), Loads: uint64(told.loads),
		SharedLoads: uint64(told.shared_loads), Failures: uint64(told.failures), Timeouts: uint64(told.timeouts),
		Ignored: uint64(told.ignored), Servers: uint32(told.servers),
		BreakersOpen: uint32(told.breakers_open), BreakerOpened: uint64(told.breaker_opened),
		BreakerRefused: uint64(told.breaker_refused), Connections: uint64(told.connections),
		Connected: uint64(told.connected), ConnectFailures: uint64(told.connect_failures),
		LatencyCount: uint64(told.latency_count), LatencyP50: time.Duration(told.latency_p50_ns),
		LatencyP90: time.Duration(told.latency_p90_ns), LatencyP99: time.Duration(told.latency_p99_ns),
		LatencyP999: time.Duration(told.latency_p999_ns), LatencyMax: time.Duration(told.latency_max_ns),
	}
}

// errorsBy asks for every failure of this version; they are -1, -2 and so on.
func errorsBy(ask func(C.larder_status, *C.uint64_t) C.larder_status) map[string]uint64 {
	found := map[string]uint64{}
	for status := C.larder_status(-1); ; status-- {
		var count C.uint64_t
		if ask(status, &count) < 0 {
			return found
		}
		if count > 0 {
			found[C.GoString(C.larder_status_name(status))] = uint64(count)
		}
	}
}

// PipelineStats is what a pipeline has seen in this process since it was opened: see docs/statistics.md.
type PipelineStats struct {
	Hits, Misses, Stale, Skipped uint64
	WrittenBack, Sets, Deletes   uint64

	Failures, Timeouts, ErrorsSkipped uint64
	Errors                            map[string]uint64 // as in Stats; those that were passed over are the stores'

	Loads, SharedLoads, LoadFailures, NotFound, Refreshes uint64

	// LatencyCount is how many operations were measured, loads included. Quantiles are off by at most 6.25 %.
	LatencyCount                                    uint64
	LatencyP50, LatencyP90, LatencyP99, LatencyP999 time.Duration
	LatencyMax                                      time.Duration

	// Stores is what each store has seen by this pipeline, in their order; their Errors are nil.
	Stores []Stats
}

// Stats tells what the pipeline has seen.
func (p *Pipeline) Stats() (PipelineStats, error) {
	var failure *C.larder_error
	told := C.larder_pipeline_numbers{struct_size: C.sizeof_larder_pipeline_numbers}
	if status := C.larder_pipeline_stats(p.handle, &told, &failure); status < 0 {
		return PipelineStats{}, take(status, failure)
	}
	stores := make([]Stats, int(told.levels))
	for level := range stores {
		one := C.larder_store_stats{struct_size: C.sizeof_larder_store_stats}
		if status := C.larder_pipeline_level_stats(p.handle, C.int32_t(level), &one, &failure); status < 0 {
			return PipelineStats{}, take(status, failure)
		}
		stores[level] = seen(&one)
	}
	return PipelineStats{
		Hits: uint64(told.hits), Misses: uint64(told.misses), Stale: uint64(told.stale), Skipped: uint64(told.skipped),
		WrittenBack: uint64(told.written_back), Sets: uint64(told.sets), Deletes: uint64(told.deletes),
		Failures: uint64(told.failures), Timeouts: uint64(told.timeouts), ErrorsSkipped: uint64(told.errors_skipped),
		Errors: errorsBy(func(status C.larder_status, count *C.uint64_t) C.larder_status {
			return C.larder_pipeline_stats_errors(p.handle, status, count, nil)
		}),
		Loads: uint64(told.loads), SharedLoads: uint64(told.shared_loads), LoadFailures: uint64(told.load_failures),
		NotFound: uint64(told.not_found), Refreshes: uint64(told.refreshes),
		LatencyCount: uint64(told.latency_count), LatencyP50: time.Duration(told.latency_p50_ns),
		LatencyP90: time.Duration(told.latency_p90_ns), LatencyP99: time.Duration(told.latency_p99_ns),
		LatencyP999: time.Duration(told.latency_p999_ns), LatencyMax: time.Duration(told.latency_max_ns),
		Stores: stores,
	}, nil
}

// Prometheus tells what the context's stores have seen in this process, as text for Prometheus: serve it as
// "text/plain; version=0.0.4".
func (c *Context) Prometheus() (string, error) {
	var needed C.size_t
	for {
		buffer := make([]byte, int(needed)+4096) // counters get longer between two calls
		var failure *C.larder_error
		place := (*C.char)(unsafe.Pointer(&buffer[0]))
		status := C.larder_prometheus(c.handle, place, C.size_t(len(buffer)), &needed, &failure)
		if status < 0 {
			return "", take(status, failure)
		}
		if status == C.LARDER_OK {
			return string(buffer[:int(needed)]), nil
		}
	}
}
