# frozen_string_literal: true

require "support"
require "timeout"

class PipelineTest < LarderTest
  MATCH = "lolna1match_v4_match{'id':_1}{}"

  CACHES = { "default" => { "BACKEND" => "django.core.cache.backends.dummy.DummyCache" } }.freeze

  def summoner(name)
    "lolna1summoner_v4_by_name{'name':_'#{name}'}{}"
  end

  def open_pipeline(&loader)
    @pipeline = context.pipeline("LOL", &loader)
    @pipeline.clear(everything: true)
    @pipeline
  end

  def teardown
    @pipeline&.close
    super
  end

  def test_stores_in_order_and_then_the_loader
    calls = []
    pipeline = open_pipeline do |token|
      calls << [token, Thread.current]
      token.include?("nobody") ? nil : { "name" => "Ahri" }
    end
    ahri = { "name" => "Ahri" }
    assert_equal Larder::Pipeline::Found.new(ahri, :loaded, false), pipeline.find(summoner("Ahri"))
    assert_equal Larder::Pipeline::Found.new(ahri, 0, false), pipeline.find(summoner("Ahri"))
    assert_equal :loaded, pipeline.find(MATCH).level
    assert_equal 1, pipeline.find(MATCH).level
    assert_nil pipeline.get(summoner("nobody"))
    assert_equal [Thread.current], calls.map(&:last).uniq
    assert_equal [summoner("Ahri"), MATCH, summoner("nobody")], calls.map(&:first)
    assert_nil pipeline.get(summoner("none"), load: false)
    many = pipeline.get_many([MATCH, summoner("Ahri"), summoner("new"), summoner("nobody")])
    assert_equal({ MATCH => ahri, summoner("Ahri") => ahri, summoner("new") => ahri }, many)
  end

  def test_a_stale_value_is_loaded_anew
    store = { "BACKEND" => "pyot.stores.Omnistone", "EXPIRATIONS" => { "summoner_v4_by_name" => 1 } }
    pipelines = { "LOL" => { "PIPELINE" => [store], "LOAD" => { "GRACE_MS" => 60_000 } } }
    graced = Larder::Context.open("CACHES" => CACHES, "PIPELINES" => pipelines)
    count = 0
    pipeline = graced.pipeline("LOL") { count += 1 }
    assert_equal [1, :loaded, false], pipeline.find(summoner("Ahri")).to_a
    sleep 1.1
    assert_equal [1, 0, true], pipeline.find(summoner("Ahri")).to_a
    assert_equal 2, count
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 5
    sleep 0.01 while pipeline.get(summoner("Ahri")) == 1 && Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline
    assert_equal [2, 0, false], pipeline.find(summoner("Ahri")).to_a
  ensure
    pipeline&.close
    graced&.close
  end

  # Its chance grows with the time that loads take.
  def test_a_value_is_loaded_early
    store = { "BACKEND" => "pyot.stores.Omnistone", "EXPIRATIONS" => { "summoner_v4_by_name" => 60 } }
    pipelines = { "LOL" => { "PIPELINE" => [store], "LOAD" => { "EARLY" => 100 } } }
    eager = Larder::Context.open("CACHES" => CACHES, "PIPELINES" => pipelines)
    count = 0
    slow = lambda do |_token|
      sleep 0.5
      count += 1
    end
    pipeline = eager.pipeline("LOL", &slow)
    stored = -> { pipeline.get(summoner("Ahri"), load: false) }
    assert_equal [1, :loaded, false], pipeline.find(summoner("Ahri")).to_a
    100.times do
      assert_equal [1, 0, false], pipeline.find(summoner("Ahri")).to_a
      break if count > 1
    end
    assert_equal 2, count
    assert_equal 1, pipeline.stats.refreshes
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 5
    sleep 0.01 while stored.call == 1 && Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline
    assert_equal 2, stored.call
  ensure
    pipeline&.close
    eager&.close
  end

  def test_operations_on_the_stores
    pipeline = open_pipeline
    assert pipeline.set(summoner("Azir"), "text")
    refute pipeline.set("lolna1match_v4_timeline{'id':_1}{}", "kept nowhere")
    assert_equal "text", pipeline.get(summoner("Azir"), timeout: 5)
    assert_equal({ summoner("Azir") => "text" }, pipeline.get_many([summoner("Azir"), MATCH]))
    assert_equal({}, pipeline.get_many([]))
    assert pipeline.contains?(summoner("Azir"))
    assert pipeline.delete(summoner("Azir"))
    refute pipeline.delete(summoner("Azir"))
    assert_equal 0, pipeline.expire
    assert_raises(ArgumentError) { pipeline.get(MATCH, version: 2) }
    assert_match(/did you mean "LOL"/, assert_raises(Larder::ConfigError) { context.pipeline("LOI") }.message)
    pipeline.close
    assert_raises(Larder::ClosedError) { pipeline.get(MATCH) }
  end

  def test_one_load_for_many_threads
    calls = 0
    pipeline = open_pipeline do |_token|
      calls += 1
      sleep 0.2
      "loaded"
    end
    assert_equal ["loaded"], Array.new(50) { Thread.new { pipeline.get(summoner("everybody's")) } }.map(&:value).uniq
    assert_equal 1, calls
    with_store("memory") do |store|
      loader = lambda do |_key|
        calls += 1
        sleep 0.2
        [1, 2]
      end
      threads = Array.new(50) { Thread.new { store.get_or_load("everybody's", ttl: 60, &loader) } }
      assert_equal [[1, 2]], threads.map(&:value).uniq
      assert_equal 2, calls
      assert_equal [1, 2], store.get("everybody's")
      assert_nil store.get_or_load("none") { nil }
      assert_raises(ArgumentError) { store.get_or_load("none") }
    end
  end

  def test_a_loader_that_fails
    way = nil
    pipeline = open_pipeline { |_token| way.call }
    way = -> { raise IOError, "the service is down" }
    assert_equal "the service is down", assert_raises(IOError) { pipeline.get(summoner("none")) }.message
    way = -> { Object.new } # which cannot be stored
    assert_raises(TypeError) { pipeline.get(summoner("none")) }
    way = -> { throw :away, 7 }
    assert_equal 7, catch(:away) { pipeline.get(summoner("none")) }
    way = -> { sleep }
    assert_raises(Timeout::Error) { Timeout.timeout(0.2) { pipeline.get(summoner("none")) } }
    thread = Thread.new { pipeline.get(summoner("none")) }
    sleep 0.1
    thread.kill.join
    way = -> { "well" }
    assert_equal "well", pipeline.get(summoner("none"))
  end

  def test_those_who_wait_hear_of_the_failure
    pipeline = open_pipeline do |_token|
      sleep 0.2
      raise IOError, "the service is down"
    end
    errors = Array.new(10) do
      Thread.new do
        pipeline.get(summoner("none"))
      rescue IOError, Larder::ServerError => e
        e
      end
    end.map(&:value)
    assert errors.all? { |error| error.message.include?("the service is down") }, errors.inspect
  end

  def test_a_loader_that_waits_for_itself
    with_store("memory") do |store|
      pipeline = nil
      tried = []
      try = lambda do |&block|
        tried << assert_raises(Larder::DeadlockError, &block)
      end
      pipeline = open_pipeline do |token|
        try.call { pipeline.get(token) }
        store.get_or_load("inner") do |key|
          try.call { store.get_or_load(key) { 1 } }
          try.call { pipeline.get(token) }
          "inner"
        end
      end
      assert_equal "inner", pipeline.get(summoner("itself"))
      assert_equal 3, tried.size
    end
  end

  def test_loads_by_a_queue_of_ones_own
    pipeline = open_pipeline
    with_queue do |queue|
      requests = Array.new(3) { |i| { operation: :pipeline_get, pipeline: pipeline, key: summoner("q#{i}"), tag: i, load: true } }
      queue.submit(requests)
      loads = collect(queue, 3)
      assert_equal [summoner("q0"), summoner("q1"), summoner("q2")], loads.map { |event| event.load.token }.sort
      loads = loads.to_h { |event| [event.tag, event.load] }
      assert loads[0].done([1], ttl: 60)
      refute loads[0].done([2])
      assert loads[1].none
      assert loads[2].fail("down\0")
      events = collect(queue, 3).to_h { |event| [event.tag, event] }
      assert_equal [[1], -1], [events[0].value, events[0].level]
      assert_equal Larder::MISS, events[1].status
      assert_match(/down/, events[2].error.message)
      queue.submit([{ operation: :pipeline_get, pipeline: pipeline, key: summoner("q0"), tag: 7 }])
      assert_equal [[1], 0], collect(queue, 1).map { |event| [event.value, event.level] }.first
      assert_raises(ArgumentError) { queue.submit([{ operation: :pipeline_get, key: "x" }]) }
    end
  end

  def test_a_forked_child_goes_on
    pipeline = open_pipeline { |_token| "loaded" }
    assert_equal "loaded", pipeline.get(summoner("fork"))
    pid = fork do
      fine = pipeline.find(summoner("fork")).level == 1 && pipeline.get(summoner("child")) == "loaded"
      exit!(fine ? 0 : 1)
    end
    assert_predicate Process.wait2(pid).last, :success?
    assert_equal 1, pipeline.find(summoner("child")).level
  end
end
