# frozen_string_literal: true

module Larder
  # What a store has seen in this process since it was opened: see docs/statistics.md. Latencies are in seconds; `errors`
  # tells how often operations failed, by the name of the status, such as "LARDER_ETIMEOUT", without those that never came.
  Stats = Struct.new(
    :servers, :breakers_open, :hits, :misses, :failures, :timeouts, :ignored, :breaker_opened, :breaker_refused,
    :connections, :connected, :connect_failures, :sets, :deletes, :stale, :skipped, :bytes_read, :bytes_written,
    :near_hits, :loads, :shared_loads, :latency_count, :latency_p50, :latency_p90, :latency_p99, :latency_p999,
    :latency_max, :errors, keyword_init: true
  ) do
    # Of the store of a handle.
    def self.of(handle)
      error = FFI::MemoryPointer.new(:pointer)
      counters = members - %i[servers breakers_open errors]
      stats = FFI::MemoryPointer.new(16 + 8 * counters.size)
      stats.put_uint32(0, stats.size)
      status = Native.larder_stats(handle, stats, error)
      Convert.raise_error(status, error.read_pointer) if status.negative?
      found = counters.zip(stats.get_array_of_uint64(16, counters.size)).to_h
      found.each { |name, ns| found[name] = ns / 1e9 if name.match?(/\Alatency_(p\d+|max)\z/) }
      new(servers: stats.get_uint32(4), breakers_open: stats.get_uint32(8), **found, errors: errors(handle))
    end

    # Every failure of this version has a number: -1, -2 and so on.
    def self.errors(handle)
      count = FFI::MemoryPointer.new(:uint64)
      known = (1..).lazy.map(&:-@).take_while { |status| Native.larder_stats_errors(handle, status, count, nil) == OK }
      found = known.to_h { |status| [Native.larder_status_name(status), count.read_uint64] }
      found.reject { |_name, number| number.zero? }
    end
    private_class_method :errors
  end
end
