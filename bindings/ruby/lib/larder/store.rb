# frozen_string_literal: true

module Larder
  # An open alias. Any thread may use it, and so may forked children, without doing anything. While a call waits, other
  # threads run.
  #
  # Every operation takes `version:` (the key's version), `timeout:` (the total time that it may take, in seconds; nil: the
  # alias's own) and `final_key: true` (no prefix and no version are added). A call cannot be interrupted: see README.md.
  class Store
    CALL_SIZE = 32 # sizeof(larder_call)
    FINAL_KEY = 1
    private_constant :CALL_SIZE, :FINAL_KEY

    # The handle, for the other classes of this library.
    attr_reader :handle

    def initialize(context, name)
      @context = context
      @name = Convert.key(name)
      places = FFI::MemoryPointer.new(:pointer, 2)
      status = Native.larder_store_open(context.handle, @name, places, places + 8)
      Convert.raise_error(status, places.get_pointer(8)) if status.negative?
      @handle = places.get_pointer(0)
    end

    # Closes the store; harmless for one that is closed.
    def close
      Native.larder_store_close(handle)
      nil
    end

    # The value, or `default` where there is none.
    def get(key, default = nil, **options)
      fetch(key, **options) { default }
    end

    # The value; where there is none what the block gives, or a KeyError.
    def fetch(key, **options)
      found = perform(:larder_get, key, options) do |status, out|
        [MISS, IGNORED].include?(status) ? nil : [Convert.incoming(out.get_pointer(0))]
      end
      return found.first if found
      raise KeyError.new("key not found: #{key.inspect}", receiver: self, key: key) unless block_given?

      yield key
    end

    # The value; where there is none what the block gives for the key, which is set. All who want it at the same time, in
    # this process, share one load. nil says that there is none, and is not set.
    #
    #     store.get_or_load("report", ttl: 60) { |key| make_report }
    #
    # @param options `timeout:` and `version:`
    def get_or_load(key, ttl: :default, **options, &loader)
      raise ArgumentError, "get_or_load needs a block" unless loader

      request = { operation: :get_or_load, store: self, key: Convert.key(key), ttl: ttl, **options }
      event = Loading.get(@context, request, [:store, @name, options[:version]&.to_s], &loader)
      raise event.error if event.error

      event.value
    end

    # Sets a value.
    # @param ttl [Numeric, nil, :default] seconds; nil never expires; :default is the alias's TIMEOUT
    # @return [Boolean] whether it is kept
    def set(key, value, ttl: :default, **options)
      write(:larder_set, key, value, ttl, options)
    end

    # Sets a value where there is none. As #set.
    def add(key, value, ttl: :default, **options)
      write(:larder_add, key, value, ttl, options)
    end

    # Whether there was something to delete.
    def delete(key, **options)
      perform(:larder_delete, key, options) { |status| status == OK }
    end

    # Whether the key is there.
    def has?(key, **options)
      perform(:larder_has, key, options) { |status| status == OK }
    end
    alias key? has?

    # Adds to a number. A KeyError where there is none.
    # @return [Integer, Float] the new number
    def incr(key, delta = 1, **options)
      perform(:larder_incr, key, options, delta) do |status, out|
        raise KeyError.new("key not found: #{key.inspect}", receiver: self, key: key) if status == MISS

        status == IGNORED ? nil : Convert.incoming(out.get_pointer(0))
      end
    end

    # Seconds that are left; infinite for a key that never expires; nil where there is none.
    def ttl(key, **options)
      perform(:larder_ttl, key, options) { |status, out| status == OK ? Convert.seconds(out.get_int64(8)) : nil }
    end

    # Gives a key another time to live, as Django's touch; false where there is none.
    def expire(key, ttl, **options)
      perform(:larder_expire, key, options, Convert.ttl(ttl)) { |status| status == OK }
    end

    # Makes a key never expire.
    def persist(key, **options)
      perform(:larder_persist, key, options) { |status| status == OK }
    end

    # Makes a key expire at a moment, a Time or Unix time in seconds; false where there is none.
    def expire_at(key, moment, **options)
      raise ArgumentError, "a moment is a Time or a number, not #{moment.class}" unless [Time, Numeric].any? { |kind| kind === moment }

      ms = (moment.to_r * 1000).floor.clamp(Convert::TTL_DEFAULT, Convert::TTL_FOREVER)
      perform(:larder_expire_at, key, options, ms) { |status| [OK, NOT_KEPT].include?(status) }
    end

    # Removes the keys that match a Redis glob pattern. Many keys take long: give it a `timeout:`.
    # @return [Integer] how many
    def delete_pattern(pattern, **options)
      perform(:larder_delete_pattern, pattern, options) { |_status, out| out.get_int64(8) }
    end

    # Takes a lock, which django-redis' cache.lock(key) takes as well. Only Redis has locks.
    #
    #     store.lock("report", ttl: 30, wait: 5) { make_report }
    #
    # @param ttl [Numeric, nil] for how many seconds; nil: until it is unlocked, whatever becomes of this process
    # @param wait [Numeric, nil] for how many seconds to wait while somebody else holds it; nil: for ever. Interrupts
    #   come through meanwhile.
    # @return [String, nil] the token, for #unlock and #extend_lock; nil while somebody else holds it. With a block: what
    #   that gives, with the token as its parameter; the lock is let go of after it.
    def lock(key, ttl:, wait: 0, **options)
      token = wait_for_lock(key, Convert.ttl(ttl), wait, options)
      return token unless token && block_given?

      begin
        yield token
      ensure
        unlock(key, token, **options)
      end
    end

    # Lets go of a lock; false when this token does not hold it (any more).
    def unlock(key, token, **options)
      perform(:larder_unlock, key, options, token.dup, token.bytesize) { |status| status == OK }
    end

    # Gives a lock so many seconds more, or with `replace: true` so many from now on; false when this token does not hold
    # it (any more).
    def extend_lock(key, token, ttl, replace: false, **options)
      how = replace ? 1 : 0
      perform(:larder_lock_extend, key, options, token.dup, token.bytesize, Convert.ttl(ttl), how) { |status| status == OK }
    end

    # Removes this alias's keys; with `everything: true` all that the backend holds, whoever wrote it.
    def clear(everything: false)
      simple { |error| Native.larder_clear(handle, everything ? 2 : 1, nil, error) }
    end

    # Whether the backend can be used now; raises why not.
    def ping
      simple { |error| Native.larder_store_ping(handle, nil, error) }
    end

    # What this store has seen in this process.
    # @return [Stats]
    def stats
      Stats.of(handle)
    end

    # The session of django.contrib.sessions (cache back end) of a `sessionid` cookie, as a Hash with what Django keeps
    # there: `session["_auth_user_id"]`, a String. nil where there is none, and for what cannot be a session key. Nothing is
    # made or prolonged. It does not prove that the user may still log in: see docs/sessions.md.
    def session(cookie, **options)
      key = cookie.to_s
      return nil unless key.ascii_only?

      perform(:larder_session, key, options) do |status, out|
        status == OK || status == LOSSY ? Convert.incoming(out.get_pointer(0)) : nil
      end
    end

    # Makes the table of a database cache, where it is not there.
    def create_table
      simple { |error| Native.larder_create_table(handle, nil, error) }
    end

    # The SQL with which #create_table makes it.
    def table_sql
      needed = FFI::MemoryPointer.new(:size_t)
      simple { |error| Native.larder_table_sql(handle, nil, 0, needed, error) }
      buffer = FFI::MemoryPointer.new([needed.read(:size_t), 1].max)
      simple { |error| Native.larder_table_sql(handle, buffer, buffer.size, needed, error) }
      buffer.read_bytes(needed.read(:size_t)).force_encoding(Encoding::UTF_8)
    end

    private

    # A call cannot be interrupted, so that long waiting takes several.
    def wait_for_lock(key, ttl, wait, options)
      clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
      wait.nil? || Convert.milliseconds(wait, "wait is a number of seconds or nil")
      ends = wait && clock.call + wait
      loop do
        left = ends ? [ends - clock.call, 0].max : LOCK_SLICE
        ms = ([left, LOCK_SLICE].min * 1000).ceil
        token = perform(:larder_lock, key, options, ttl, ms) { |status, out| status == OK ? Convert.incoming(out.get_pointer(0)) : nil }
        return token if token || left < LOCK_SLICE
      end
    end

    def write(function, key, value, ttl, options)
      bytes, format = Convert.outgoing(value)
      perform(function, key, options, bytes, bytes.bytesize, format, Convert.ttl(ttl)) { |status| status == OK }
    end

    # Calls a function on a key, and gives its status and what it told (a value, then a number) to the block. Interrupts
    # (Thread#raise, Timeout) come before or after that: in between, what the function handed out could be lost.
    def perform(function, key, options, *arguments)
      key = Convert.key(key)
      out = FFI::MemoryPointer.new(:uint64, 3)
      call, _version = options.empty? ? nil : call_of(**options)
      places = RESULTS.fetch(function, []).map { |place| out + place }
      Thread.handle_interrupt(Object => :never) do
        status = Native.public_send(function, handle, key, key.bytesize, *arguments, call, *places, out + 16)
        raise Error.from(status, out.get_pointer(16)) if status.negative?

        yield status, out
      ensure
        Native.larder_value_release(out.get_pointer(0))
        Native.larder_error_release(out.get_pointer(16))
      end
    end

    # Where a function's results go: a value at 0, a number at 8.
    RESULTS = {
      larder_get: [0], larder_session: [0], larder_ttl: [8], larder_incr: [8, 0], larder_lock: [0], larder_delete_pattern: [8]
    }.freeze
    LOCK_SLICE = 0.25 # seconds
    private_constant :RESULTS, :LOCK_SLICE

    def simple
      error = FFI::MemoryPointer.new(:pointer)
      status = yield error
      Convert.raise_error(status, error.read_pointer) if status.negative?
      true
    end

    # A larder_call, and the memory that it points to.
    def call_of(version: nil, timeout: nil, final_key: false)
      text = version && FFI::MemoryPointer.from_string(version.to_s) # even an empty one would be another version
      call = FFI::MemoryPointer.new(CALL_SIZE)
      call.put_uint32(0, CALL_SIZE)
      call.put_uint32(4, final_key ? FINAL_KEY : 0)
      call.put_int64(8, Convert.timeout(timeout))
      call.put_pointer(16, text)
      call.put_uint64(24, version ? version.to_s.bytesize : 0)
      [call, text]
    end
  end
end
