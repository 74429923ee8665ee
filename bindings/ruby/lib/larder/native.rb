# frozen_string_literal: true

require "ffi"

module Larder
  # The C functions, as include/larder.h declares them. Handles go through Ruby as pointers that nobody reads through.
  #
  # What can wait for a server or a disk is declared `blocking`: other Ruby threads run meanwhile. What never blocks is
  # not, since giving up Ruby's lock costs more than the call.
  module Native
    extend FFI::Library

    folder = ENV["LARDER_LIBRARY_DIR"]
    ffi_lib(folder ? File.join(folder, "liblarder.so") : ["liblarder.so.0", "liblarder.so"])

    # Texts and values are given as Ruby's own strings, which FFI does not copy: `Convert` makes them private copies.
    attach_function :larder_status_name, [:int32], :string
    attach_function :larder_version, [], :string
    attach_function :larder_live, [:int32], :int64

    attach_function :larder_error_message, [:pointer], :string
    attach_function :larder_error_retriable, [:pointer], :int32
    attach_function :larder_error_release, [:pointer], :void

    attach_function :larder_open, %i[pointer size_t pointer pointer pointer], :int32
    attach_function :larder_open_file, %i[string pointer pointer pointer], :int32, blocking: true
    attach_function :larder_warning, %i[pointer size_t pointer size_t pointer pointer], :int32
    attach_function :larder_shutdown, %i[pointer int64 pointer], :int32, blocking: true
    attach_function :larder_store_open, %i[pointer string pointer pointer], :int32, blocking: true
    attach_function :larder_store_close, [:pointer], :int32
    attach_function :larder_store_supports, %i[pointer int32], :int32
    attach_function :larder_stats, %i[pointer pointer pointer], :int32
    attach_function :larder_stats_errors, %i[pointer int32 pointer pointer], :int32
    attach_function :larder_prometheus, %i[pointer pointer size_t pointer pointer], :int32

    key = %i[pointer pointer size_t]
    write = %i[pointer size_t int32 int64 pointer pointer]
    attach_function :larder_get, [*key, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_set, [*key, *write], :int32, blocking: true
    attach_function :larder_add, [*key, *write], :int32, blocking: true
    attach_function :larder_expire, [*key, :int64, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_ttl, [*key, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_persist, [*key, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_delete, [*key, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_has, [*key, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_incr, [*key, :int64, :pointer, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_expire_at, [*key, :int64, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_delete_pattern, [*key, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_lock, [*key, :int64, :int64, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_unlock, [*key, :pointer, :size_t, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_lock_extend, [*key, :pointer, :size_t, :int64, :int32, :pointer, :pointer], :int32,
                    blocking: true
    attach_function :larder_clear, %i[pointer int32 pointer pointer], :int32, blocking: true
    attach_function :larder_store_ping, %i[pointer pointer pointer], :int32, blocking: true
    attach_function :larder_session, [*key, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_create_table, %i[pointer pointer pointer], :int32, blocking: true
    attach_function :larder_table_sql, %i[pointer pointer size_t pointer pointer], :int32

    attach_function :larder_pipeline_open, %i[pointer string pointer pointer pointer], :int32, blocking: true
    attach_function :larder_pipeline_close, [:pointer], :int32
    attach_function :larder_pipeline_get, [*key, :pointer, :pointer, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_pipeline_get_many, %i[pointer pointer pointer size_t pointer pointer pointer pointer pointer],
                    :int32, blocking: true
    attach_function :larder_pipeline_set, [*key, :pointer, :size_t, :int32, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_pipeline_delete, [*key, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_pipeline_contains, [*key, :pointer, :pointer], :int32, blocking: true
    attach_function :larder_pipeline_clear, %i[pointer int32 pointer pointer], :int32, blocking: true
    attach_function :larder_pipeline_expire, %i[pointer pointer pointer pointer], :int32, blocking: true
    attach_function :larder_pipeline_token, %i[pointer pointer pointer pointer pointer], :int32
    attach_function :larder_pipeline_stats, %i[pointer pointer pointer], :int32
    attach_function :larder_pipeline_stats_errors, %i[pointer int32 pointer pointer], :int32
    attach_function :larder_pipeline_level_stats, %i[pointer int32 pointer pointer], :int32
    attach_function :larder_load_done, %i[uint64 int32 pointer size_t int32 int64 string pointer], :int32

    attach_function :larder_token_new, %i[string string string pointer size_t pointer size_t pointer pointer pointer], :int32
    attach_function :larder_token_text, %i[pointer pointer pointer pointer], :int32
    attach_function :larder_token_release, [:pointer], :void

    attach_function :larder_value_kind, [:pointer], :int32
    attach_function :larder_value_text, %i[pointer pointer pointer pointer], :int32
    attach_function :larder_value_bytes, %i[pointer pointer pointer pointer], :int32
    attach_function :larder_value_json, %i[pointer pointer pointer pointer], :int32
    attach_function :larder_value_release, [:pointer], :void

    attach_function :larder_queue_open, %i[pointer size_t int32 pointer pointer], :int32
    attach_function :larder_submit_packed, %i[pointer pointer size_t size_t size_t pointer pointer pointer], :int32
    attach_function :larder_queue_poll, %i[pointer pointer size_t size_t int64 pointer pointer], :int32
    attach_function :larder_queue_wait_handle, %i[pointer pointer pointer], :int32
    attach_function :larder_queue_wake, [:pointer], :int32
    attach_function :larder_queue_close, [:pointer], :int32
    attach_function :larder_events_clear, %i[pointer size_t size_t], :void
    attach_function :larder_cancel, %i[pointer uint64], :int32
  end

  # Statuses that are no failures.
  OK = 0
  MISS = 1
  NOT_STORED = 2
  EMPTY = 3
  STALE = 6
  NOT_KEPT = 7
  IGNORED = 8
  LOSSY = 9

  # The version of the library.
  VERSION = Native.larder_version
end
