# frozen_string_literal: true

require "support"

class StatsTest < LarderTest
  ALIASES.each do |name|
    define_method("test_stats_on_#{name}") do
      with_store(name) do |store|
        store.clear(everything: true)
        store.set("a", "x")
        2.times { assert_equal "x", store.get("a") }
        assert_nil store.get("none")
        assert store.delete("a")
        stats = store.stats
        assert_equal [1, 2, 1, 1, 0], [stats.sets, stats.hits, stats.misses, stats.deletes, stats.failures]
        assert_equal 2 * stats.bytes_written, stats.bytes_read
        assert_operator stats.bytes_written, :>, 0
        assert_operator stats.latency_count, :>, 0
        assert_operator stats.latency_p50, :<=, stats.latency_max
        assert_includes 1e-9..60.0, stats.latency_max
        assert_equal({}, stats.errors)
        assert_equal name == "redis" ? 1 : 0, stats.servers
      end
    end
  end

  def test_errors_by_kind
    with_store("down") do |store|
      2.times { assert_raises(Larder::Error) { store.get("a") } }
      assert_equal({ "LARDER_ECONNECTION" => 2 }, store.stats.errors)
      assert_equal 2, store.stats.failures
    end
    with_store("memory") do |store|
      store.close
      assert_raises(Larder::ClosedError) { store.stats }
    end
  end

  def test_a_pipeline
    token = ->(name) { "lolna1summoner_v4_by_name{'name':_'#{name}'}{}" }
    pipeline = context.pipeline("LOL") do |wanted|
      raise IOError, "the service is down" if wanted.include?("down")

      wanted.include?("nobody") ? nil : "loaded"
    end
    pipeline.clear(everything: true)
    2.times { assert_equal "loaded", pipeline.get(token["Ahri"]) }
    assert_nil pipeline.get(token["nobody"])
    assert_raises(IOError) { pipeline.get(token["down"]) }
    with_store("memory") { |store| assert store.delete(token["Ahri"]) }
    assert_equal 1, pipeline.find(token["Ahri"]).level
    assert pipeline.set(token["Azir"], "set")
    assert pipeline.delete(token["Azir"])
    assert_pipeline(pipeline.stats)
    pipeline.close
    assert_raises(Larder::ClosedError) { pipeline.stats }
  ensure
    pipeline&.close
  end

  def assert_pipeline(stats)
    assert_equal [2, 1, 3, 1, 1], [stats.hits, stats.misses, stats.loads, stats.not_found, stats.load_failures]
    assert_equal [1, 1, 1, 1], [stats.written_back, stats.sets, stats.deletes, stats.failures]
    assert_equal({ "LARDER_ESERVER" => 1 }, stats.errors)
    assert_operator stats.latency_count, :>, 0
    assert_includes 1e-9..60.0, stats.latency_max
    assert_equal [[1, 3], [1, 2]], stats.stores.map { |store| [store.hits, store.sets] }
    assert_equal [nil, nil], stats.stores.map(&:errors)
  end

  def test_prometheus
    assert_equal "", context.prometheus
    with_store("memory") do |store|
      store.set("a", 1)
      text = context.prometheus
      assert_equal Encoding::UTF_8, text.encoding
      assert_includes text, %(\n# TYPE larder_sets_total counter\nlarder_sets_total{alias="memory"} 1\n)
    end
    assert_includes context.prometheus, %(\nlarder_sets_total{alias="memory"} 1\n)
  end
end
