# frozen_string_literal: true

module Larder
  # A call to a service, whose text names its answer in a pipeline: the same text that Pyot makes of it.
  #
  #     token = Larder::Token.new("lol", "na1", "summoner_v4_by_name", params: { name: "Hide on bush" })
  #     token.to_s          # => "lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}"
  #     pipeline.get(token) # as PYOT and UNICODE of the pipeline write it
  #
  # The order of the Hashes is part of the name, as the endpoint has it; 7, 7.0 and "7" make three tokens. Queries that are
  # nil are left out, as in Pyot.
  class Token
    FORM_AT = 4
    UNICODE_AT = 8
    OPTIONS_SIZE = 16 # sizeof(larder_token_options)
    private_constant :FORM_AT, :UNICODE_AT, :OPTIONS_SIZE

    # @param server [String, nil] nil where there is none
    # @param pyot [Integer, nil] 3 or 6: as that version of Pyot writes it; nil: as the pipeline says, without one 3
    # @param unicode [String, nil] such as "15.0": that of the Python beside it; nil: as the pipeline says
    def initialize(model, server, method, params: {}, queries: {}, pyot: nil, unicode: nil)
      @names = [model, server || "", method].map { |name| Convert.key(name) }
      @params = Token.object(params)
      @queries = Token.object(queries.compact)
      @pyot = pyot || 0
      @unicode = unicode&.to_s
      freeze
    end

    # Its text where no pipeline says how it is written.
    def to_s
      shown { |*arguments| Native.larder_token_text(*arguments) }
    end

    # Its text as a pipeline writes it.
    def text_in(pipeline)
      shown { |*arguments| Native.larder_pipeline_token(pipeline.handle, *arguments) }
    end

    # The JSON of a Hash. What JSON makes a text of without being asked is refused.
    def self.object(hash)
      fields = hash.to_h.transform_keys { |name| Convert.key(name) }
      fields.each do |name, value|
        case value
        when String, Symbol then fields[name] = Convert.text(value)
        when nil, true, false, Integer, Float, Array, Hash then next
        else raise TypeError, "#{value.class} cannot be in a token; make it a String, a number, an Array or a Hash"
        end
      end
      JSON.generate(fields, allow_nan: true)
    end

    private

    # Makes the token, and asks for its text. It is freed at once: Ruby keeps only what it is made of.
    def shown
      Thread.handle_interrupt(Object => :never) do
        out = FFI::MemoryPointer.new(:uint64, 4) # token, text, length, error
        status = make(out)
        status = yield(out.get_pointer(0), out + 8, out + 16, out + 24) unless status.negative?
        raise Error.from(status, out.get_pointer(24)) if status.negative?

        out.get_pointer(8).read_bytes(out.get_uint64(16)).force_encoding(Encoding::UTF_8)
      ensure
        Native.larder_token_release(out.get_pointer(0))
        Native.larder_error_release(out.get_pointer(24))
      end
    end

    def make(out)
      options = FFI::MemoryPointer.new(OPTIONS_SIZE)
      options.put_uint32(0, OPTIONS_SIZE)
      options.put_int32(FORM_AT, @pyot)
      unicode = @unicode && FFI::MemoryPointer.from_string(@unicode)
      options.put_pointer(UNICODE_AT, unicode)
      Native.larder_token_new(*@names, @params, @params.bytesize, @queries, @queries.bytesize, options, out, out + 24)
    end
  end
end
