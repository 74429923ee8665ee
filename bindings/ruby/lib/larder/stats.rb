# frozen_string_literal: true

module Larder
  # What is counted is read from structs of C: numbers behind a head of a size and one or two smaller ones.
  module Counted
    # Every failure of this version has a number: -1, -2 and so on.
    def self.errors(function, handle)
      count = FFI::MemoryPointer.new(:uint64)
      asks = ->(status) { Native.public_send(function, handle, status, count, nil) == OK }
      known = (1..).lazy.map(&:-@).take_while(&asks)
      found = known.to_h { |status| [Native.larder_status_name(status), count.read_uint64] }
      found.reject { |_name, number| number.zero? }
    end

    # The counters behind a head of so many bytes, with times in seconds; the head is given to the block.
    def self.read(names, head)
      error = FFI::MemoryPointer.new(:pointer)
      stats = FFI::MemoryPointer.new(head + 8 * names.size)
      stats.put_uint32(0, stats.size)
      status = yield stats, error
      Convert.raise_error(status, error.read_pointer) if status.negative?
      found = names.zip(stats.get_array_of_uint64(head, names.size)).to_h
      found.each { |name, ns| found[name] = ns / 1e9 if name.match?(/\Alatency_(p\d+|max)\z/) }
      [found, stats]
    end
  end
  private_constant :Counted

  # What a store has seen in this process since it was opened: see docs/statistics.md. Latencies are in seconds; `errors`
  # tells how often operations failed, by the name of the status, such as "LARDER_ETIMEOUT", without those that never came;
  # it is nil for a store of a pipeline.
  Stats = Struct.new(
    :servers, :breakers_open, :hits, :misses, :failures, :timeouts, :ignored, :breaker_opened, :breaker_refused,
    :connections, :connected, :connect_failures, :sets, :deletes, :stale, :skipped, :bytes_read, :bytes_written,
    :near_hits, :loads, :shared_loads, :latency_count, :latency_p50, :latency_p90, :latency_p99, :latency_p999,
    :latency_max, :errors, keyword_init: true
  ) do
    # Of the store of a handle.
    def self.of(handle)
      stats = read { |*places| Native.larder_stats(handle, *places) }
      stats.errors = Counted.errors(:larder_stats_errors, handle)
      stats
    end

    def self.read(&told)
      found, head = Counted.read(members - %i[servers breakers_open errors], 16, &told)
      new(servers: head.get_uint32(4), breakers_open: head.get_uint32(8), **found)
    end
  end

  # What a pipeline has seen in this process since it was opened: see docs/statistics.md. `stores` is what each of its stores
  # has seen by it, in their order.
  PipelineStats = Struct.new(
    :hits, :misses, :stale, :skipped, :written_back, :sets, :deletes, :failures, :timeouts, :errors_skipped, :loads,
    :shared_loads, :load_failures, :not_found, :refreshes, :latency_count, :latency_p50, :latency_p90, :latency_p99,
    :latency_p999, :latency_max, :errors, :stores, keyword_init: true
  ) do
    # Of the pipeline of a handle.
    def self.of(handle)
      found, head = Counted.read(members - %i[errors stores], 8) do |*places|
        Native.larder_pipeline_stats(handle, *places)
      end
      stores = Array.new(head.get_uint32(4)) do |level|
        Stats.read { |*places| Native.larder_pipeline_level_stats(handle, level, *places) }
      end
      new(**found, errors: Counted.errors(:larder_pipeline_stats_errors, handle), stores: stores)
    end
  end
end
