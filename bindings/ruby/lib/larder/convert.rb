# frozen_string_literal: true

require "json"

module Larder
  # Between Ruby's values and larder's.
  module Convert
    BYTES = 1
    TEXT = 2
    JSON_TEXT = 3

    KIND_TEXT = 5
    KIND_BYTES = 6
    private_constant :KIND_TEXT, :KIND_BYTES

    TTL_DEFAULT = -(2**63)
    TTL_FOREVER = 2**63 - 1

    module_function

    # A key as UTF-8 bytes. A copy: nobody can change it while a call reads it without Ruby's lock.
    def key(text)
      text = text.name if text.is_a?(Symbol)
      raise TypeError, "a key or an alias is a String or a Symbol, not #{text.class}" unless text.is_a?(String)

      text.encode(Encoding::UTF_8)
    end

    # A text as UTF-8, which a binary String is not.
    def text(text)
      raise EncodingError, "bytes are not a text" if text.is_a?(String) && text.encoding == Encoding::BINARY

      encoded = key(text)
      raise EncodingError, "the text is not valid #{encoded.encoding}" unless encoded.valid_encoding?

      encoded
    end

    # What to store, as bytes of one's own and their format. Binary strings become Python's `bytes`, other strings
    # `str`, everything else what JSON makes of it.
    def outgoing(value)
      case value
      when String
        return [value.dup, BYTES] if value.encoding == Encoding::BINARY

        text = value.encode(Encoding::UTF_8)
        raise EncodingError, "the text is not valid #{value.encoding}" unless text.valid_encoding?

        [text, TEXT]
      when nil, true, false, Integer, Float, Array, Hash
        [JSON.generate(value, allow_nan: true), JSON_TEXT]
      else
        raise TypeError, "#{value.class} cannot be stored; make it a String, a number, an Array or a Hash"
      end
    end

    # A native value as Ruby's: text is UTF-8, bytes are binary, the rest is what its JSON says. The value is only read.
    def incoming(value)
      case Native.larder_value_kind(value)
      when KIND_TEXT then shown(:larder_value_text, value).force_encoding(Encoding::UTF_8)
      when KIND_BYTES then shown(:larder_value_bytes, value)
      else JSON.parse(shown(:larder_value_json, value), allow_nan: true)
      end
    end

    # Seconds, nil for "never expires" or :default for the alias's TIMEOUT, as milliseconds.
    def ttl(seconds)
      case seconds
      when :default then TTL_DEFAULT
      when nil then TTL_FOREVER
      else milliseconds(seconds, "a ttl is a number of seconds, nil or :default").clamp(TTL_DEFAULT + 1, TTL_FOREVER)
      end
    end

    # Seconds, or nil for the alias's own time, as milliseconds.
    def timeout(seconds)
      seconds.nil? ? 0 : milliseconds(seconds, "a timeout is a number of seconds or nil")
    end

    # Asks with is_a?, so that an ActiveSupport::Duration, which says yes, is one.
    def milliseconds(seconds, rule)
      raise ArgumentError, "#{rule}, not #{seconds.class}" unless seconds.is_a?(Numeric)

      (seconds * 1000).ceil
    end

    # The other way: nil for a miss is the caller's; what never expires is infinite.
    def seconds(ms)
      ms == TTL_FOREVER ? Float::INFINITY : ms / 1000.0
    end

    def shown(function, value)
      places = FFI::MemoryPointer.new(:uint64, 3)
      status = Native.public_send(function, value, places, places + 8, places + 16)
      Convert.raise_error(status, places.get_pointer(16)) if status.negative?
      places.get_pointer(0).read_bytes(places.get_uint64(8))
    end

    # Raises what a native error says, and releases it.
    def raise_error(status, native)
      raise Error.from(status, native)
    ensure
      Native.larder_error_release(native)
    end
  end
end
