# frozen_string_literal: true

module Larder
  # A read configuration, and what its stores share. A forked child goes on with it as if it had opened it.
  class Context
    # The handle, for the other classes of this library.
    attr_reader :handle

    # Opens a configuration, and where a block is given closes it after that. Never connects.
    #
    # @param configuration [Hash, String] Django's CACHES as a Hash or as JSON text; or the path of a file with it
    def self.open(configuration)
      context = new(configuration)
      return context unless block_given?

      begin
        yield context
      ensure
        context.close
      end
    end

    def initialize(configuration)
      places = FFI::MemoryPointer.new(:pointer, 2)
      configuration = JSON.generate(configuration) if configuration.is_a?(Hash)
      if configuration.is_a?(String) && configuration.lstrip.start_with?("{")
        text = Convert.key(configuration)
        status = Native.larder_open(text, text.bytesize, nil, places, places + 8)
      else
        status = Native.larder_open_file(File.path(configuration), nil, places, places + 8)
      end
      Convert.raise_error(status, places.get_pointer(8)) if status.negative?
      @handle = places.get_pointer(0)
    end

    # Opens an alias.
    # @return [Store]
    def store(name)
      Store.new(self, name)
    end

    # Opens a pipeline; the block is its loader. See Pipeline.
    # @return [Pipeline]
    def pipeline(name, &loader)
      Pipeline.new(self, name, &loader)
    end

    # Opens a completion queue. See Queue.
    def queue(**options)
      Queue.new(self, **options)
    end

    # What Django would silently ignore or misread in the configuration.
    # @return [Array<String>]
    def warnings
      room = FFI::MemoryPointer.new(4096)
      needed = FFI::MemoryPointer.new(:size_t)
      (0..).lazy.map do |index|
        status = Native.larder_warning(handle, index, room, room.size, needed, nil)
        status == OK ? room.read_bytes(needed.read(:size_t)).force_encoding(Encoding::UTF_8) : nil
      end.take_while(&:itself).to_a
    end

    # What the context's stores have seen in this process, for Prometheus: serve it as `text/plain; version=0.0.4`.
    # @return [String]
    def prometheus
      error = FFI::MemoryPointer.new(:pointer)
      needed = FFI::MemoryPointer.new(:size_t)
      loop do
        room = FFI::MemoryPointer.new(needed.read(:size_t) + 4096) # counters get longer between two calls
        status = Native.larder_prometheus(handle, room, room.size, needed, error)
        Convert.raise_error(status, error.read_pointer) if status.negative?
        return room.read_bytes(needed.read(:size_t)).force_encoding(Encoding::UTF_8) if status == OK
      end
    end

    # Ends the context: what runs may end for most of that time. Harmless for one that is closed.
    # @param timeout [Numeric] seconds
    def close(timeout: 5)
      error = FFI::MemoryPointer.new(:pointer)
      status = Native.larder_shutdown(handle, (timeout * 1000).ceil, error)
      Convert.raise_error(status, error.read_pointer) if status.negative?
    rescue ClosedError
      nil
    end
  end
end
