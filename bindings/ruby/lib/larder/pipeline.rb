# frozen_string_literal: true

module Larder
  # A load that a queue's event asks for: answer it once, by one of its methods, from any thread. What comes too late is
  # taken no notice of.
  class Load
    # The token, or the key of `get_or_load`.
    attr_reader :token

    def initialize(number, token)
      @number = number
      @token = token
    end

    # The value; `ttl:` in seconds, nil for ever, :default what the configuration (or the request) says.
    # @return [Boolean] false when nobody waits for it any more, or it was answered
    def done(value, ttl: :default)
      bytes, format = Convert.outgoing(value)
      answer(OK, bytes, bytes.bytesize, format, Convert.ttl(ttl), nil)
    end

    # There is no such thing, which is final.
    def none
      answer(MISS, nil, 0, 0, Convert::TTL_DEFAULT, nil)
    end

    # It failed. Never put a password, a key or a value into the message: all who wait get it.
    def fail(message)
      words = message.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).delete("\0")
      answer(SERVER_FAILURE, nil, 0, 0, Convert::TTL_DEFAULT, words.strip.empty? ? nil : words)
    end

    SERVER_FAILURE = -11
    private_constant :SERVER_FAILURE

    private

    def answer(*arguments)
      error = FFI::MemoryPointer.new(:pointer)
      status = Native.larder_load_done(@number, *arguments, error)
      return status == OK if status >= 0

      Convert.raise_error(status, error.read_pointer)
    rescue ClosedError
      false
    end
  end

  # Gets with a block as the loader. They go through a completion queue of their own, so that the block is called by Ruby
  # alone, on the thread (and fiber) that asks, with nothing of C's below it: it can raise, be interrupted, and leave.
  module Loading
    # How long a load that is to come is waited for, in seconds. Where another store has a fresh value none does.
    REFRESH_WAIT = 0.25
    # Loads that this fiber is inside of.
    INSIDE = :larder_loads

    module_function

    # Submits one request with a load event, and serves it until it has ended.
    # @return [Queue::Event]
    def get(context, request, name)
      key = [name, request[:key]]
      inside = Thread.current[INSIDE] || []
      raise DeadlockError.new("a loader cannot wait for what it is loading itself", -14, false) if inside.include?(key)

      queue = context.queue(capacity: 1)
      queue.submit([request.merge(load: true)])
      loop do
        queue.take(max: 1).each do |event|
          unless event.load
            refresh(queue, inside, key) { |token| yield token } if event.number == 1
            return event
          end
          serve(event.load, inside, key) { |token| yield token }
        end
      end
    ensure
      queue&.close
    end

    # The get that is to load a value anew (grace, early) does so before it hands the old one out: afterwards nobody would.
    def refresh(queue, inside, key)
      queue.take(max: 1, timeout: REFRESH_WAIT).each do |event|
        serve(event.load, inside, key) { |token| yield token } if event.load
      end
    rescue StandardError
      nil # there is a value; the next one who gets it tries again
    end

    # Calls the block, and answers however it ends. A failure of this load comes out of the get as it is.
    def serve(load, inside, key)
      ended = false
      Thread.current[INSIDE] = inside + [key]
      value = yield load.token
      ended = true
      value.nil? ? load.none : load.done(value)
    rescue StandardError => e
      ended = true
      load.fail("#{e.class}: #{e.message}")
      raise
    ensure
      Thread.current[INSIDE] = inside
      load.fail("the loader was interrupted") unless ended
    end
  end

  # Several stores in order, and a loader behind them, as Pyot has them. Any thread may use it, and so may forked children.
  #
  #     pipeline = context.pipeline("LOL") { |token| service.ask(token) } # nil: there is no such thing
  #     pipeline.get(token)
  #
  # The block is called on the thread that gets, once for all who want one token at the same time. What it gives is stored
  # as `set` would store it.
  #
  # A token is a Token, or its text. Every operation takes `timeout:`, the total time that it may take, in seconds.
  class Pipeline
    # A value, which store had it (from 0; :loaded: none), and whether it is over and being loaded anew.
    Found = Struct.new(:value, :level, :stale)

    # The handle, for the other classes of this library.
    attr_reader :handle

    CALL_SIZE = 40 # sizeof(larder_pipeline_call)
    NO_LOAD = 8
    NO_LEVEL = -2
    LOADED = -1
    private_constant :CALL_SIZE, :NO_LOAD, :NO_LEVEL, :LOADED

    def initialize(context, name, &loader)
      @context = context
      @name = Convert.key(name)
      @loader = loader
      places = FFI::MemoryPointer.new(:pointer, 2)
      status = Native.larder_pipeline_open(context.handle, @name, nil, places, places + 8)
      Convert.raise_error(status, places.get_pointer(8)) if status.negative?
      @handle = places.get_pointer(0)
    end

    # Closes the pipeline; harmless for one that is closed.
    def close
      Native.larder_pipeline_close(handle)
      nil
    end

    # The value of a token, or nil where no store has it and the loader neither. `load: false` asks the stores alone.
    def get(token, **options)
      find(token, **options)&.value
    end

    # The same with where it was.
    # @return [Found, nil]
    def find(token, load: true, **options)
      return find_stored(token, options) unless load && @loader

      request = { operation: :pipeline_get, pipeline: self, key: text_of(token), **options }
      event = Loading.get(@context, request, [:pipeline, @name]) { |wanted| @loader.call(wanted) }
      raise event.error if event.error

      event.status == MISS ? nil : found(event.value, event.level, event.status == STALE)
    end

    # The values of several tokens: one batch to each store, then the loader for each that no store has. What is nowhere is
    # left out.
    # @return [Hash]
    def get_many(tokens, **options)
      tokens = tokens.to_a
      stored = many_stored(tokens, options)
      return stored unless @loader

      tokens.each_with_object({}) do |token, values|
        value = stored.fetch(token) { get(token, **options) }
        values[token] = value unless value.nil?
      end
    end

    # Sets a value in all stores, each for as long as its EXPIRATIONS say.
    # @return [Boolean] whether one of them keeps it
    def set(token, value, **options)
      bytes, format = Convert.outgoing(value)
      perform(:larder_pipeline_set, token, options, bytes, bytes.bytesize, format) { |status| status == OK }
    end

    # Removes a token from all stores; whether one of them had it.
    def delete(token, **options)
      perform(:larder_pipeline_delete, token, options) { |status| status == OK }
    end

    # Whether a store has a token, whatever its EXPIRATIONS say. Nothing is loaded.
    def contains?(token, **options)
      perform(:larder_pipeline_contains, token, options) { |status| status == OK }
    end

    # Removes the aliases' keys from all stores; with `everything: true` all that the backends hold, whoever wrote it.
    def clear(everything: false, **options)
      call = call_of(options)
      protected { |out| [Native.larder_pipeline_clear(handle, everything ? 2 : 1, call, out + 16), true] }
    end

    # Removes what has expired from stores that do not do that by themselves.
    # @return [Integer] how much
    def expire(**options)
      call = call_of(options)
      protected { |out| [Native.larder_pipeline_expire(handle, call, out + 8, out + 16), out.get_int64(8)] }
    end

    # What the pipeline has seen.
    # @return [PipelineStats]
    def stats
      PipelineStats.of(handle)
    end

    # The text of a token, as this pipeline writes it.
    def text_of(token)
      token.is_a?(Token) ? token.text_in(self) : Convert.key(token)
    end

    private

    def found(value, level, stale)
      Found.new(value, level == LOADED ? :loaded : level, stale)
    end

    def find_stored(token, options)
      perform(:larder_pipeline_get, token, options, results: [0, 8]) do |status, out|
        status == MISS ? nil : found(Convert.incoming(out.get_pointer(0)), out.get_int32(8), status == STALE)
      end
    end

    def many_stored(tokens, options)
      return {} if tokens.empty?

      keys = tokens.map { |token| text_of(token) }
      texts = FFI::MemoryPointer.new(:pointer, keys.size)
      copies = keys.map { |key| FFI::MemoryPointer.new([key.bytesize, 1].max).put_bytes(0, key) }
      texts.write_array_of_pointer(copies)
      lens = FFI::MemoryPointer.new(:size_t, keys.size).write_array_of_uint64(keys.map(&:bytesize))
      values = FFI::MemoryPointer.new(:pointer, keys.size)
      take_many(tokens, texts, lens, values, call_of(options))
    end

    def take_many(tokens, texts, lens, values, call)
      protected do |out|
        status = Native.larder_pipeline_get_many(handle, texts, lens, tokens.size, call, values, nil, nil, out + 16)
        pairs = tokens.zip(values.read_array_of_pointer(tokens.size)).reject { |_token, value| value.null? }
        [status, pairs.to_h { |token, value| [token, Convert.incoming(value)] }]
      ensure
        values.read_array_of_pointer(tokens.size).each { |value| Native.larder_value_release(value) }
      end
    end

    # Calls a function on a token, and gives its status and what it told to the block.
    def perform(function, token, options, *arguments, results: [])
      key = text_of(token)
      call = call_of(options)
      protected do |out|
        places = results.map { |place| out + place }
        status = Native.public_send(function, handle, key, key.bytesize, *arguments, call, *places, out + 16)
        [status, status.negative? ? nil : yield(status, out)]
      end
    end

    # Interrupts come before or after: in between, what the function handed out could be lost. See Store#perform.
    def protected
      out = FFI::MemoryPointer.new(:uint64, 3)
      Thread.handle_interrupt(Object => :never) do
        status, result = yield out
        raise Error.from(status, out.get_pointer(16)) if status.negative?

        result
      ensure
        Native.larder_value_release(out.get_pointer(0))
        Native.larder_error_release(out.get_pointer(16))
      end
    end

    # A larder_pipeline_call.
    def call_of(options)
      timeout = Convert.timeout(options[:timeout])
      unknown = options.keys - [:timeout]
      raise ArgumentError, "unknown keywords: #{unknown.join(', ')}" unless unknown.empty?

      call = FFI::MemoryPointer.new(CALL_SIZE)
      call.put_uint32(0, CALL_SIZE)
      call.put_uint32(4, NO_LOAD)
      call.put_int64(8, timeout)
    end
  end
end
