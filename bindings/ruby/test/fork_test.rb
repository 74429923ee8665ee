# frozen_string_literal: true

require "support"

# A forked child uses its parent's stores without doing anything, and opens queues of its own.
class ForkTest < LarderTest
  LIMIT = 30 # seconds that a child may take; a hang is a failure
  FORKS = Integer(ENV.fetch("LARDER_FORKS", "1000"))

  def setup
    super
    @stores = ALIASES.to_h { |name| [name, context.store(name)] }
    @stores.each_value { |store| store.set("k", "parent") }
    @queue = context.queue
  end

  def teardown
    @queue.close
    @stores.each_value(&:close)
    super
  end

  # Forks, and returns the child's id. The child ends without what `exit` would run, which is the parent's.
  def in_child
    Process.fork do
      yield
      Process.exit!(0)
    rescue Exception => e # rubocop:disable Lint/RescueException
      warn "in the child: #{e.full_message(highlight: false)}"
      Process.exit!(1)
    end
  end

  # Waits for a child, at most LIMIT seconds, and fails if it did not end well.
  def finish(pid)
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + LIMIT
    until Process.wait(pid, Process::WNOHANG)
      if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        where = Dir["/proc/#{pid}/task/*"].map { |task| "#{File.read("#{task}/comm").strip} #{File.read("#{task}/wchan")}" }
        Process.kill(:KILL, pid)
        Process.wait(pid)
        flunk "a child hangs: #{where.join(', ')}"
      end
      sleep 0.001
    end
    assert $?.success?, "a child ended with #{$?}"
  end

  def use_all(name)
    assert_raises(Larder::ForkedError) { @queue.poll }
    assert_raises(Larder::ForkedError) { @queue.take(timeout: 5) }
    assert_raises(Larder::ForkedError) { @queue.submit([{ operation: :ping, store: @stores["redis"] }]) }
    @queue.close
    assert_nil @stores["memory"].get("k"), "the memory of a child starts empty"
    assert_equal "parent", @stores["file"].get("k")
    assert_equal "parent", @stores["redis"].get("k")
    @stores.each_value do |store|
      store.set(name, name)
      raise "another key's value" unless store.get(name) == name
    end
    with_queue do |queue|
      requests = @stores.values.each_with_index.map { |store, i| { operation: :get, store: store, key: name, tag: i } }
      queue.submit(requests)
      assert_equal [name] * @stores.size, collect(queue, @stores.size).map(&:value)
    end
    @stores.each_value { |store| store.delete(name) }
  end

  def test_children_and_grandchildren
    ask = lambda do |tag|
      @queue.submit(@stores.values.map { |store| { operation: :get, store: store, key: "k", tag: tag } })
      assert_equal ["parent"] * @stores.size, collect(@queue, @stores.size).map(&:value)
    end
    ask.call(1)
    3.times do |round|
      children = Array.new(20) do |i|
        in_child do
          use_all("c#{round}:#{i}")
          next unless i.zero?

          finish(in_child { use_grandchild("g#{round}") })
        end
      end
      ask.call(2)
      children.each { |pid| finish(pid) }
      ask.call(3)
    end
  end

  # What the child did with its stores is not the grandchild's.
  def use_grandchild(name)
    assert_nil @stores["memory"].get("k")
    assert_equal "parent", @stores["redis"].get("k")
    @stores["file"].set(name, name)
    assert_equal name, @stores["file"].get(name)
    with_queue do |queue|
      queue.submit([{ operation: :get, store: @stores["redis"], key: "k", tag: 1 }])
      assert_equal ["parent"], collect(queue, 1).map(&:value)
    end
  end

  # Events of the parent that wait while it forks stay the parent's: each comes exactly once, to it.
  def test_the_parents_events_stay_the_parents
    20.times do |round|
      @queue.submit(Array.new(200) { |i| { operation: :get, store: @stores["redis"], key: "k", tag: i } })
      child = in_child { assert_raises(Larder::ForkedError) { @queue.take(timeout: 5) } }
      assert_equal (0...200).to_a, collect(@queue, 200).map(&:tag).sort, "round #{round}"
      finish(child)
      assert_empty @queue.poll
    end
  end

  def test_a_child_may_shut_down
    finish(in_child do
      @stores["redis"].get("k")
      context.close
      assert_raises(Larder::Error) { @stores["redis"].get("k") }
    end)
    assert_equal "parent", @stores["redis"].get("k")
    @queue.submit([{ operation: :get, store: @stores["redis"], key: "k", tag: 1 }])
    assert_equal "parent", collect(@queue, 1).first.value
  end

  # A thousand forks of a parent whose threads are in the middle of everything.
  def test_a_busy_parent_forks_a_thousand_times
    busy = true
    counts = Hash.new(0)
    threads = @stores.map { |name, store| Thread.new { counts[name] += keep_busy(store, name) while busy } }
    threads << Thread.new { counts[:queue] += keep_queue_busy while busy }
    FORKS.times do |i|
      finish(in_child { use_quickly("b#{i}") })
      assert threads.all?(&:alive?), "a thread of the parent ended" if (i % 100).zero?
    end
  ensure
    busy = false
    threads.each { |thread| assert thread.join(LIMIT), "a thread of the parent hangs" }
    assert_equal threads.size, counts.size, counts.inspect
    @stores.each_value { |store| assert_equal "parent", store.get("k") }
  end

  def keep_busy(store, name)
    store.set("busy:#{name}", name)
    raise "another key's value" unless store.get("busy:#{name}") == name

    1
  end

  def keep_queue_busy
    stores = @stores.values
    @queue.submit(Array.new(30) { |i| { operation: :set, store: stores[i % 3], key: "t#{i}", tag: i, value: "x" } })
    raise "events are missing" unless collect(@queue, 30).map(&:tag).sort == (0...30).to_a

    1
  end

  def use_quickly(name)
    @stores.each_value do |store|
      store.set(name, name)
      raise "another key's value" unless store.get(name) == name
    end
    with_queue do |queue|
      queue.submit([{ operation: :delete, store: @stores["redis"], key: name, tag: 1 },
                    { operation: :delete, store: @stores["file"], key: name, tag: 2 }])
      raise "not there" unless collect(queue, 2).all?(&:ok?)
    end
    begin
      @queue.poll
    rescue Larder::ForkedError
      return
    end
    raise "the parent's queue answers"
  end
end
