# frozen_string_literal: true

module Larder
  # A call failed. The message names the operation, the alias and the server, and never holds a password or a value.
  class Error < StandardError
    # The number that the C function answered, below 0.
    attr_reader :status

    def initialize(message, status, retriable)
      super(message)
      @status = status
      @retriable = retriable
    end

    # Whether trying the same again can help.
    def retriable?
      @retriable
    end

    # The status's name, such as "LARDER_ETIMEOUT".
    def status_name
      Native.larder_status_name(status)
    end

    # The exception for a failure. The native error is only read.
    def self.from(status, native)
      name = Native.larder_status_name(status)
      message = native.null? ? name : Native.larder_error_message(native).dup.force_encoding(Encoding::UTF_8)
      CLASSES.fetch(status, Error).new(message, status, Native.larder_error_retriable(native) == 1)
    end
  end

  class ConfigError < Error; end
  class InvalidError < Error; end
  # The handle is closed.
  class ClosedError < Error; end
  class UnsupportedError < Error; end
  class TypeMismatchError < Error; end
  class UndecodableError < Error; end
  class ConnectionError < Error; end
  # The deadline passed. A write may have been carried out all the same.
  class TimeoutError < Error; end
  class ServerError < Error; end
  # The queue is full.
  class BusyError < Error; end
  # The call would wait for itself.
  class DeadlockError < Error; end
  # The queue or the operation belongs to the parent process.
  class ForkedError < Error; end
  class ShutdownError < Error; end
  # The operation was cancelled. A write may have been carried out all the same.
  class CancelledError < Error; end

  Error::CLASSES = {
    -1 => ConfigError, -2 => InvalidError, -3 => ClosedError, -4 => UnsupportedError, -5 => TypeMismatchError,
    -6 => UndecodableError, -9 => ConnectionError, -10 => TimeoutError, -11 => ServerError, -13 => BusyError, -14 => DeadlockError,
    -15 => ForkedError, -16 => ShutdownError, -17 => CancelledError
  }.freeze
end
