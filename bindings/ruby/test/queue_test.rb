# frozen_string_literal: true

require "support"

class QueueTest < LarderTest
  ALIASES.each do |name|
    define_method("test_a_thousand_requests_on_#{name}") do
      with_store(name) do |store|
        with_queue do |queue|
          sets = Array.new(1000) { |i| { operation: :set, store: store, key: "q#{i}", tag: i, value: "q#{i}" } }
          gets = Array.new(1000) { |i| { operation: :get, store: store, key: "q#{i}", tag: 1000 + i } }
          assert_equal 2000, queue.submit(sets + gets).uniq.size
          events = collect(queue, 2000)
          assert_equal (0...2000).to_a, events.map(&:tag).sort
          assert events.all?(&:ok?)
          got = events.select { |event| event.operation == :get }
          assert got.all? { |event| event.value == "q#{event.tag - 1000}" && event.error.nil? }
          assert_empty queue.poll
        end
      end
    end
  end

  def test_what_events_say
    with_store("memory") do |store|
      with_queue do |queue|
        assert_empty queue.submit([])
        queue.submit([{ operation: :get, store: store, key: "none", tag: 1 },
                      { operation: :set, store: store, key: "bytes", tag: 2, value: "\xFF".b, ttl: 60 },
                      { operation: :get, store: store, key: "bytes", tag: 3 },
                      { operation: :ttl, store: store, key: "bytes", tag: 4 },
                      { operation: :set, store: store, key: "n", tag: 5, value: 40 },
                      { operation: :incr, store: store, key: "n", tag: 6, delta: 2 },
                      { operation: :incr, store: store, key: "bytes", tag: 7 },
                      { operation: :set, store: store, key: "v", tag: 8, value: 1, version: 2 },
                      { operation: :get, store: store, key: "v", tag: 9 }])
        events = collect(queue, 9).to_h { |event| [event.tag, event] }
        assert_equal Larder::MISS, events[1].status
        assert_equal "\xFF".b, events[3].value
        assert_includes 50_000..60_000, events[4].number
        assert_equal 42, events[6].value
        assert_instance_of Larder::TypeMismatchError, events[7].error
        assert_equal Larder::MISS, events[9].status
      end
    end
  end

  def test_refusals
    with_store("memory") do |store|
      with_queue(capacity: 3) do |queue|
        requests = Array.new(5) { |i| { operation: :get, store: store, key: "k", tag: i } }
        assert_equal 3, assert_raises(Larder::BusyError) { queue.submit(requests) }.accepted
        assert_equal [0, 1, 2], collect(queue, 3).map(&:tag)
        requests[1][:key] = "\xFF"
        assert_equal 1, assert_raises(Larder::InvalidError) { queue.submit(requests) }.accepted
        assert_equal [0], collect(queue, 1).map(&:tag)
        assert_raises(ArgumentError) { queue.submit([{ operation: :get, store: store, keys: "k" }]) }
        queue.close
        assert_raises(Larder::ClosedError) { queue.submit(requests) }
        assert_raises(Larder::ClosedError) { queue.take }
        queue.close
      end
    end
  end

  def test_waiting_waking_and_other_threads
    with_queue do |queue|
      began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      assert_empty queue.take(timeout: 0.05)
      assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC) - began, :>=, 0.04
      queue.wake
      assert_empty queue.take(timeout: 20)
      waiting = Thread.new { queue.take(timeout: 20) }
      sleep 0.02
      queue.wake
      assert_empty waiting.value
    end
  end

  def test_cancel
    silent = TCPServer.new("127.0.0.1", RedisServer.free_port)
    location = "redis://127.0.0.1:#{silent.addr[1]}/0"
    hung = { "CACHES" => { "a" => { "BACKEND" => "django_redis.cache.RedisCache", "LOCATION" => location } } }
    Larder::Context.open(hung) do |other|
      store, queue = other.store("a"), other.queue
      ops = queue.submit(Array.new(3) { |i| { operation: :get, store: store, key: "k", tag: i, timeout: 0.3 } })
      assert queue.cancel(ops[1])
      refute queue.cancel(ops[1])
      events = collect(queue, 3).to_h { |event| [event.tag, event.error.class] }
      assert_equal({ 0 => Larder::TimeoutError, 1 => Larder::CancelledError, 2 => Larder::TimeoutError }, events)
      queue.close
      store.close
    end
  ensure
    silent.close
  end

  def test_what_was_accepted_can_be_taken_after_the_shutdown
    with_store("memory") do |store|
      with_queue do |queue|
        queue.submit([{ operation: :ping, store: store, tag: 1 }])
        context.close
        assert_equal [1], collect(queue, 1).map(&:tag)
        assert_raises(Larder::ShutdownError) { queue.take(timeout: 20) }
        assert_raises(Larder::ShutdownError) { queue.submit([{ operation: :ping, store: store, tag: 2 }]) }
      end
    end
  end

  # Events that nobody took, closed with them.
  def test_closing_drops_what_is_left
    with_store("redis") do |store|
      with_queue do |queue|
        queue.submit(Array.new(500) { |i| { operation: :set, store: store, key: "x", tag: i, value: "x" } })
      end
    end
  end
end
