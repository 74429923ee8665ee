# frozen_string_literal: true

require "minitest/autorun"
require "socket"
require "tmpdir"
require "fileutils"
require "larder"

# A Redis server of the tests' own: this machine only, nothing on disk, ended with the tests.
module RedisServer
  module_function

  def port
    @port ||= start
  end

  def start
    folder = Dir.mktmpdir("larder-ruby-")
    port = free_port
    pid = Process.spawn("redis-server", "--bind", "127.0.0.1", "--port", port.to_s, "--save", "", "--appendonly", "no",
                        "--dir", folder, in: File::NULL, out: File::NULL)
    owner = Process.pid
    Minitest.after_run { stop(pid, folder) if Process.pid == owner }
    wait_until_it_answers(pid, port)
    port
  end

  def stop(pid, folder)
    Process.kill(:KILL, pid)
    Process.wait(pid)
    FileUtils.remove_entry(folder)
  end

  def wait_until_it_answers(pid, port)
    500.times do
      return TCPSocket.new("127.0.0.1", port).close
    rescue Errno::ECONNREFUSED
      raise "redis-server ended at once" if Process.wait(pid, Process::WNOHANG)

      sleep 0.02
    end
    raise "redis-server does not answer"
  end

  # Below the range that outgoing connections take theirs from.
  def free_port
    loop do
      port = rand(16_000...32_000)
      TCPServer.new("127.0.0.1", port).close
      return port
    rescue Errno::EADDRINUSE
      next
    end
  end
end

# A test with a context on memory, files and Redis.
class LarderTest < Minitest::Test
  ALIASES = %w[memory file redis].freeze
  LIVE = { contexts: 1, stores: 2, cursors: 3, values: 4, errors: 5, queues: 6, tokens: 7, pipelines: 8 }.freeze

  # Django keeps 300 entries otherwise.
  ROOM = { "OPTIONS" => { "MAX_ENTRIES" => 1_000_000 } }.freeze

  attr_reader :context

  def setup
    @folder = Dir.mktmpdir("larder-ruby-")
    @context = Larder::Context.open(configuration)
  end

  # Everything that a test opened it has to close, but for the context.
  def teardown
    context.close
    FileUtils.remove_entry(@folder)
    LIVE.each { |what, kind| assert_equal 0, Larder::Native.larder_live(kind), "#{what} are left" }
  end

  def configuration
    { "CACHES" => {
      "memory" => { "BACKEND" => "django.core.cache.backends.locmem.LocMemCache", **ROOM },
      "file" => { "BACKEND" => "django.core.cache.backends.filebased.FileBasedCache", "LOCATION" => @folder, **ROOM },
      "redis" => { "BACKEND" => "django_redis.cache.RedisCache",
                   "LOCATION" => "redis://127.0.0.1:#{RedisServer.port}/1" },
      "down" => { "BACKEND" => "django_redis.cache.RedisCache", "LOCATION" => "redis://127.0.0.1:1/0" }
    }, "PIPELINES" => { "LOL" => [
      { "BACKEND" => "pyot.stores.DjangoCache", "ALIAS" => "memory", "EXPIRATIONS" => { "summoner_v4_by_name" => 120 } },
      { "BACKEND" => "pyot.stores.DjangoCache", "ALIAS" => "file",
        "EXPIRATIONS" => { "summoner_v4_by_name" => "10m", "match_v4_match" => -1 } }
    ] } }
  end

  def with_store(name)
    store = context.store(name)
    yield store
  ensure
    store&.close
  end

  def with_queue(**options)
    queue = context.queue(**options)
    yield queue
  ensure
    queue&.close
  end

  # Takes events until there are so many; a queue that says nothing for long is a failure.
  def collect(queue, count)
    events = []
    while events.size < count
      some = queue.take(timeout: 20)
      raise "only #{events.size} of #{count} events came" if some.empty?

      events.concat(some)
    end
    events
  end
end
