# frozen_string_literal: true

require "io/wait"

module Larder
  # A completion queue: many operations at once, without a thread for each. Every request that is accepted gives exactly
  # one event, whatever happens; nothing is ordered but operations on one key.
  #
  #     queue = context.queue
  #     queue.submit([{ operation: :get, store: store, key: "a", tag: 1 }, { operation: :get, store: store, key: "b", tag: 2 }])
  #     queue.take.each { |event| puts event.tag, event.value }
  #
  # Waiting is done by Ruby (`IO#wait_readable`), so that threads and, under a Fiber scheduler, fibers run meanwhile. A
  # queue belongs to the process that opened it: in a forked child it raises ForkedError; open another one there.
  class Queue
    # How an operation ended. `status` is what the function of the same name answers; `value` what a get found, or the
    # new number of an incr, or a lock's token; `number` the other numbers, as larder_event in larder.h has them; `error` an Error, else nil. `level` is the store
    # of a pipeline that had the value, from 0, or -1 where it was loaded. Where `load` is not nil, nothing has ended:
    # it is a Load that waits for an answer, and the request's own event follows.
    Event = Struct.new(:operation, :tag, :op, :status, :value, :number, :error, :level, :load) do
      # Whether a key was there, a value was written, …
      def ok?
        status == OK || status == LOSSY
      end
    end

    OPERATIONS = {
      clear_prefix: 2, ttl: 3, persist: 4, get: 16, set: 17, add: 18, expire: 19, delete: 20, has: 21, incr: 22, ping: 29,
      session: 30, create_table: 31, expire_at: 32, lock: 33, unlock: 34, lock_extend: 35, delete_pattern: 36,
      pipeline_get: 48, pipeline_set: 50, pipeline_delete: 51, pipeline_contains: 52, pipeline_clear_prefix: 53,
      pipeline_clear_everything: 54, pipeline_expire: 55, get_or_load: 56
    }.freeze
    NAMES = OPERATIONS.invert.freeze

    PACKED = "l2Q6q3L2Q4" # larder_packed
    PACKED_SIZE = 120
    EVENT = "l2Q2lLqQ6lLQqQ" # larder_event
    EVENT_SIZE = 120
    VALUE_AT = 40
    ERROR_AT = 64
    TEXT_AT = 72
    LEVEL_AT = 88
    LOAD_EVENT = 16 # a flag
    LOAD_KIND = 3
    AT_ONCE = 256
    private_constant :PACKED, :PACKED_SIZE, :EVENT, :EVENT_SIZE, :VALUE_AT, :ERROR_AT, :TEXT_AT, :LEVEL_AT, :LOAD_EVENT,
                     :LOAD_KIND, :AT_ONCE

    # @param capacity [Integer] how many operations may be accepted and not yet taken; more raise BusyError
    def initialize(context, capacity: 4096)
      @context = context
      places = FFI::MemoryPointer.new(:pointer, 2)
      status = Native.larder_queue_open(context.handle, capacity, 0, places, places + 8)
      Convert.raise_error(status, places.get_pointer(8)) if status.negative?
      @handle = places.get_pointer(0)
    end

    # Submits requests, each a Hash: `operation:` (see OPERATIONS), `store:`, `key:`, `tag:` (a number that comes back in
    # the event), and where it needs them `value:`, `ttl:`, `delta:`, `version:`, `timeout:`. What these are for locks
    # (`value:` the token, `delta:` how long to wait in ms) and for `expire_at` (`delta:` ms since 1970) is said at
    # larder_request in larder.h. Operations on a pipeline have a `pipeline:` in place of the store, and as the `key:` a
    # token, a Token or its text; with `load: true` a `pipeline_get` or `get_or_load` that finds nothing gives an event with a `load` before its own.
    #
    # They are accepted from the first on. Where one is refused, the error tells why, and its `accepted` how many were
    # accepted before it: those give events.
    # @return [Array<Integer>] the ids of the operations, for #cancel
    def submit(requests)
      return [] if requests.empty?

      buffer = pack(requests)
      ops = FFI::MemoryPointer.new(:uint64, requests.size)
      places = FFI::MemoryPointer.new(:uint64, 2)
      status = Native.larder_submit_packed(@handle, buffer, buffer.bytesize, requests.size, PACKED_SIZE, ops, places,
                                           places + 8)
      refuse(status, places) if status.negative?
      ops.read_array_of_uint64(requests.size)
    end

    # What has ended, without waiting; an empty Array where nothing has. ShutdownError when nothing will come any more.
    # @return [Array<Event>]
    def poll(max: AT_ONCE)
      events = FFI::MemoryPointer.new(EVENT_SIZE, max)
      places = FFI::MemoryPointer.new(:uint64, 2)
      status = Native.larder_queue_poll(@handle, events, max, EVENT_SIZE, 0, places, places + 8)
      Convert.raise_error(status, places.get_pointer(8)) if status.negative?
      Array.new(places.get_uint64(0)) { |index| event(events + index * EVENT_SIZE) }
    ensure
      Native.larder_events_clear(events, max, EVENT_SIZE) if events
    end

    # Waits for events, at most `timeout` seconds, and takes some.
    # @return [Array<Event>] empty when the time was over, or #wake was called
    def take(max: AT_ONCE, timeout: nil)
      # waiting first: a poll that finds nothing uses up a #wake
      to_io.wait_readable(timeout) ? poll(max: max) : []
    end

    # Lets one #take go that waits, or the next one.
    def wake
      status = Native.larder_queue_wake(@handle)
      raise Error.from(status, FFI::Pointer::NULL) if status.negative?
    end

    # Ends an operation early: its event comes at once, with a CancelledError.
    # @return [Boolean] false when it has ended already
    def cancel(operation)
      status = Native.larder_cancel(@context.handle, operation)
      raise Error.from(status, FFI::Pointer::NULL) if status.negative?

      status == OK
    end

    # An IO that is readable while #poll would give something, for IO.select and event loops. Never read from it.
    #
    # A duplicate, because an IO owns its descriptor; larder's own is closed with the queue.
    def to_io
      # asked each time: in a forked child the duplicate is still there, and would wait for the parent's events
      places = FFI::MemoryPointer.new(:pointer, 2)
      status = Native.larder_queue_wait_handle(@handle, places, places + 8)
      Convert.raise_error(status, places.get_pointer(8)) if status.negative?
      @io ||= IO.for_fd(places.get_int32(0), "r", autoclose: false).dup
    end

    # Closes the queue; operations that still run end without an event. Harmless for one that is closed.
    def close
      Native.larder_queue_close(@handle)
      @io&.close
      @io = nil
    end

    private

    # One flat text: the requests, then the bytes that they point to by offsets.
    def pack(requests)
      head = String.new(capacity: requests.size * PACKED_SIZE)
      tail = String.new
      begins = requests.size * PACKED_SIZE
      put = lambda do |bytes|
        at = begins + tail.bytesize
        tail << bytes.b
        [at, bytes.bytesize]
      end
      requests.each { |request| head << pack_one(put, **request) }
      head << tail
    end

    def pack_one(put, operation:, store: nil, pipeline: nil, load: false, key: "", tag: 0, ttl: :default, delta: 0,
                 version: nil, timeout: nil, **value)
      bytes, format = value.key?(:value) ? Convert.outgoing(value[:value]) : ["", 0]
      unknown = value.keys - [:value]
      raise ArgumentError, "unknown keywords: #{unknown.join(', ')}" unless unknown.empty?

      raise ArgumentError, "a request needs a store or a pipeline" unless store || pipeline

      key = pipeline.text_of(key) if pipeline
      handles = [store, pipeline].map { |opened| opened ? opened.handle.address : 0 }
      [OPERATIONS.fetch(operation), format, handles[0], tag, *put.(Convert.key(key)), *put.(bytes),
       Convert.ttl(ttl), delta, Convert.timeout(timeout), load ? LOAD_EVENT : 0, 0, *put.(version.to_s), handles[1],
       0].pack(PACKED)
    end

    def refuse(status, places)
      error = Error.from(status, places.get_pointer(8))
      accepted = places.get_uint64(0)
      error.define_singleton_method(:accepted) { accepted }
      raise error
    ensure
      Native.larder_error_release(places.get_pointer(8))
    end

    def load(place, operation, tag, number)
      token = place.get_pointer(TEXT_AT).read_bytes(place.get_uint64(TEXT_AT + 8)).force_encoding(Encoding::UTF_8)
      Event.new(NAMES.fetch(operation), tag, 0, OK, nil, 0, nil, 0, Load.new(number, token))
    end

    # What an event says. A value that cannot be shown becomes the event's error.
    def event(place)
      kind, operation, tag, op, status, _n, number = place.read_bytes(EVENT_SIZE).unpack(EVENT)
      return load(place, operation, tag, number) if kind == LOAD_KIND

      value, error = place.get_pointer(VALUE_AT), place.get_pointer(ERROR_AT)
      told = Event.new(NAMES.fetch(operation), tag, op, status, nil, number, nil, place.get_int32(LEVEL_AT))
      told.error = Error.from(status, error) if status.negative?
      told.value = Convert.incoming(value) unless value.null?
      told
    rescue Error, JSON::ParserError => e
      told.error = e
      told
    end
  end
end
