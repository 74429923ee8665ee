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
