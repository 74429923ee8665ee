# frozen_string_literal: true

require "support"
require "timeout"

class StoreTest < LarderTest
  VALUES = [nil, true, false, 0, -1, 2**62, 2**80, 1.5, "", "text", "h\u00E9 \u{1F600}", "\u0000".b, "\xFF\x00".b, [],
            [1, ["two", nil]], {}, { "a" => { "b" => [1.25] } }].freeze

  ALIASES.each do |name|
    define_method("test_values_come_back_on_#{name}") do
      with_store(name) do |store|
        VALUES.each do |value|
          assert store.set("v", value)
          found = store.fetch("v")
          value.nil? ? assert_nil(found) : assert_equal(value, found)
          assert_equal value.encoding, found.encoding if value.is_a?(String)
        end
      end
    end

    define_method("test_operations_on_#{name}") do
      with_store(name) do |store|
        store.clear(everything: true)
        assert store.ping
        assert_nil store.get("a")
        assert_equal 7, store.get("a", 7)
        assert_equal "A", store.fetch("a", &:upcase)
        assert_raises(KeyError) { store.fetch("a") }
        assert_nil store.ttl("a")
        assert store.add("a", "1", ttl: 60)
        refute store.add("a", "2")
        assert_equal "1", store.get("a")
        assert_includes 50..60, store.ttl("a")
        assert store.persist("a")
        assert_equal Float::INFINITY, store.ttl("a")
        assert store.expire("a", 1000)
        assert store.has?("a")
        assert store.delete("a")
        refute store.delete("a")
        refute store.has?("a")
        refute store.set("a", 1, ttl: 0)
        assert_raises(KeyError) { store.incr("n") }
        store.set("n", 41)
        assert_equal 42, store.incr("n")
        assert_equal 40, store.incr("n", -2)
        store.set("k", "two", version: 2)
        assert_nil store.get("k")
        assert_equal "two", store.get("k", version: 2)
      end
    end
  end

  def test_locks
    with_store("redis") do |store|
      store.delete("lock")
      token = store.lock("lock", ttl: 60)
      assert_match(/\A\h{32}\z/, token)
      assert_nil store.lock("lock", ttl: 60)
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      assert_nil store.lock("lock", ttl: 60, wait: 0.6)
      assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC) - began, :>=, 0.6
      refute store.unlock("lock", "another")
      assert store.extend_lock("lock", token, 60)
      assert_includes 100..120, store.ttl("lock")
      assert store.extend_lock("lock", token, 60, replace: true)
      assert_includes 50..60, store.ttl("lock")
      waiting = Thread.new { store.lock("lock", ttl: nil, wait: nil) }
      assert store.unlock("lock", token)
      other = waiting.value
      refute store.extend_lock("lock", token, 60)
      assert_equal Float::INFINITY, store.ttl("lock")
      assert store.unlock("lock", other)
      assert_equal :done, store.lock("lock", ttl: 60) { |held| store.extend_lock("lock", held, 1) && :done }
      assert_raises(RuntimeError) { store.lock("lock", ttl: 60) { raise "in it" } }
      refute store.has?("lock")
      assert_nil(store.lock("lock", ttl: 60) { store.lock("lock", ttl: 60) { flunk } })
      assert_raises(Larder::InvalidError) { store.lock("lock", ttl: :default) }
      assert_raises(ArgumentError) { store.lock("lock", ttl: 60, wait: "1") }
    end
    with_store("memory") { |store| assert_raises(Larder::UnsupportedError) { store.lock("lock", ttl: 1) } }
    with_store("down") { |store| assert_raises(Larder::ConnectionError) { store.lock("lock", ttl: 1, wait: nil) } }
  end

  # Waiting ends at once.
  def test_a_lock_that_is_waited_for_can_be_interrupted
    with_store("redis") do |store|
      store.lock("lock", ttl: 60) do
        assert_raises(Timeout::Error) { Timeout.timeout(0.1) { store.lock("lock", ttl: 60, wait: nil) } }
      end
      refute store.has?("lock")
    end
  end

  def test_moments_and_patterns
    ALIASES.each do |name|
      with_store(name) do |store|
        store.clear(everything: true)
        refute store.expire_at("a", Time.now + 60)
        store.set("a", 1, ttl: nil)
        assert store.expire_at("a", Time.now + 60)
        assert_includes 50..60, store.ttl("a")
        assert store.expire_at("a", Time.now.to_i + 600)
        assert_includes 500..600, store.ttl("a")
        assert_raises(ArgumentError) { store.expire_at("a", "now") }
        assert store.expire_at("a", Time.now - 1)
        refute store.has?("a")
        next assert_raises(Larder::UnsupportedError) { store.delete_pattern("*") } if name == "file"

        10.times { |i| store.set("p#{i}", i) }
        assert_equal 5, store.delete_pattern("p[0-4]", timeout: 10)
        assert_equal 5, store.delete_pattern("*")
        assert_equal 0, store.delete_pattern("*", version: 2)
      end
    end
  end

  def test_sessions
    ALIASES.each do |name|
      with_store(name) do |store|
        store.set("django.contrib.sessions.cache0123456789abcdef", { "_auth_user_id" => "7", "cart" => [1, 2] })
        assert_equal({ "_auth_user_id" => "7", "cart" => [1, 2] }, store.session("0123456789abcdef"))
        [nil, "", "1234567", "0123456789abcdeg", "0123456789abcdef\r\n", "\xFF" * 16, "\xFF".b * 16, "é" * 16].each do |cookie|
          assert_nil store.session(cookie)
        end
      end
    end
    with_store("down") { |store| assert_raises(Larder::ConnectionError) { store.session("0123456789abcdef") } }
  end

  def test_a_table_is_for_databases
    with_store("memory") do |store|
      assert_raises(Larder::UnsupportedError) { store.create_table }
      assert_raises(Larder::UnsupportedError) { store.table_sql }
    end
    Larder::Context.open(database) do |other|
      store = other.store("database")
      assert_match(/\ACREATE TABLE .*;\s*CREATE INDEX .*;\s*\z/m, store.table_sql)
      assert_raises(Larder::Error) { store.set("k", "v") }
      2.times { assert store.create_table } # the second has nothing to do
      assert store.set("k", "v")
      assert_equal "v", store.get("k")
      store.close
    end
  end

  def database
    { "CACHES" => { "database" => { "BACKEND" => "django.core.cache.backends.db.DatabaseCache",
                                    "LOCATION" => "django_cache" } },
      "DATABASES" => { "default" => { "ENGINE" => "django.db.backends.sqlite3",
                                      "NAME" => File.join(@folder, "site.sqlite3") } } }
  end

  def test_what_cannot_be_stored
    with_store("memory") do |store|
      assert_raises(TypeError) { store.set("k", Object.new) }
      assert_raises(TypeError) { store.get(7) }
      assert_raises(EncodingError) { store.set("k", "\xFF") }
      assert_raises(Larder::InvalidError) { store.get("\xFF") }
      assert store.set("latin", "h\xE9".dup.force_encoding("ISO-8859-1"))
      assert_equal "h\u00E9", store.get("latin")
    end
  end

  def test_times_are_numbers
    with_store("memory") do |store|
      ["60", Time.now, [], :forever].each do |ttl|
        assert_raises(ArgumentError) { store.set("k", 1, ttl: ttl) }
        assert_raises(ArgumentError) { store.add("k", 1, ttl: ttl) }
        assert_raises(ArgumentError) { store.expire("k", ttl) }
        assert_raises(ArgumentError) { store.get("k", timeout: ttl) }
      end
      refute store.has?("k")
      assert store.set("k", 1, ttl: 60r, timeout: nil)
      assert_includes 50..60, store.ttl("k", timeout: 2.5)
      with_queue do |queue|
        request = { operation: :get, store: store, key: :k, timeout: nil }
        queue.submit([request])
        assert_equal 1, collect(queue, 1).first.value
        assert_raises(ArgumentError) { queue.submit([{ **request, timeout: "1" }]) }
      end
    end
  end

  # Options of a call leave the version that the alias has.
  def test_options_without_a_version
    with_store("memory") do |store|
      assert store.set("k", "v", timeout: 5)
      assert_equal ["v", "v"], [store.get("k"), store.get("k", timeout: 5)]
      assert_nil store.get("k", version: "")
    end
  end

  def test_symbols_are_names
    with_store(:memory) do |store|
      assert store.set(:k, "v")
      assert_equal "v", store.get("k")
      store.set("hash", { a: :b })
      assert_equal({ "a" => "b" }, store.get(:hash))
    end
  end

  def test_errors
    error = assert_raises(Larder::ConfigError) { Larder::Context.open("CACHES" => { "a" => { "BACKEND" => "no" } }) }
    assert_equal [-1, "LARDER_ECONFIG"], [error.status, error.status_name]
    assert_raises(Larder::Error) { Larder::Context.open("/nonexistent/caches.json") }
    with_store("down") do |store|
      error = assert_raises(Larder::ConnectionError) { store.get("k") }
      assert error.retriable?
      assert_match(/get on alias 'down'/, error.message)
    end
    with_store("memory") do |store|
      store.set("text", "t")
      refute assert_raises(Larder::TypeMismatchError) { store.incr("text") }.retriable?
      store.close
      assert_raises(Larder::ClosedError) { store.get("k") }
      store.close
    end
    context.close
    context.close
    assert_raises(Larder::ClosedError) { context.store("memory") }
  end

  def test_a_file_and_its_warnings
    path = File.join(@folder, "caches.json")
    File.write(path, JSON.generate("CACHES" => { "a" => {
      "BACKEND" => "django.core.cache.backends.locmem.LocMemCache", "MAX_ENTRIES" => 3
    } }))
    Larder::Context.open(path) { |other| assert_match(/MAX_ENTRIES/, other.warnings.join) }
  end

  # A server that accepts and never answers: the call ends by its own deadline, and other threads run meanwhile.
  def test_a_call_that_waits_lets_other_threads_run
    silent = TCPServer.new("127.0.0.1", RedisServer.free_port)
    location = "redis://127.0.0.1:#{silent.addr[1]}/0"
    hung = { "CACHES" => { "a" => { "BACKEND" => "django_redis.cache.RedisCache", "LOCATION" => location } } }
    Larder::Context.open(hung) do |other|
      store = other.store("a")
      waiting = Thread.new { assert_raises(Larder::TimeoutError) { store.get("k", timeout: 0.5) } }
      turns = 0
      turns += 1 until waiting.join(0.01)
      assert_operator turns, :>, 10
      store.close
    end
  ensure
    silent.close
  end

  # Thread#raise in the middle of calls: whatever they handed out is released (teardown counts).
  def test_interrupted_calls_leave_nothing_behind
    with_store("redis") do |store|
      store.set("k", "v" * 10_000)
      100.times do
        Timeout.timeout(0.002) { loop { store.get("k") } }
      rescue Timeout::Error
        nil
      end
      assert_equal 10_000, store.get("k").size
    end
  end

  def test_threads_share_a_store
    with_store("redis") do |store|
      threads = Array.new(8) do |t|
        Thread.new do
          100.times do |i|
            store.set("t#{t}:#{i}", "t#{t}:#{i}")
            raise "another key's value" unless store.get("t#{t}:#{i}") == "t#{t}:#{i}"
          end
        end
      end
      threads.each(&:join)
    end
  end

  # The collector moves objects, strings among them, while calls read them without Ruby's lock.
  def test_while_the_collector_moves_things
    busy = true
    collector = Thread.new { GC.compact while busy }
    with_store("redis") do |store|
      with_queue do |queue|
        threads = Array.new(4) do |t|
          Thread.new do
            100.times do |i|
              key = "m#{t}:#{i}"
              store.set(key, key)
              raise "another key's value" unless store.get(key) == key
            end
          end
        end
        100.times do |i|
          requests = Array.new(10) { |n| { operation: :set, store: store, key: "n#{n}", tag: i, value: "n#{n}" } }
          queue.submit(requests)
          assert collect(queue, 10).all? { |event| event.ok? && event.tag == i }
        end
        threads.each(&:join)
      end
    end
  ensure
    busy = false
    collector.join
  end
end
