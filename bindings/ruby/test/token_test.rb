# frozen_string_literal: true

require "support"

class TokenTest < LarderTest
  CACHES = { "default" => { "BACKEND" => "django.core.cache.backends.dummy.DummyCache" } }.freeze

  def token(params: {}, queries: {}, **options)
    Larder::Token.new("LOL", :NA1, "m", params: params, queries: queries, **options)
  end

  def test_texts_are_pyots
    fields = { name: "Hide on bush", "page" => 7, half: 0.5, whole: 7.0, far: 1e20, no: nil, yes: true, sym: :bol }
    assert_equal "lolna1m{'name':_'Hide_on_bush',_'page':_7,_'half':_0.5,_'whole':_7.0,_'far':_1e+20,_'no':_None," \
                 "_'yes':_True,_'sym':_'bol'}{}", token(params: fields).to_s
    assert_equal "lolna1m{}{'queue':_[420,_1.0],_'x':_{'b':_#{2**70}}}",
                 token(queries: { queue: [420, 1.0], none: nil, x: { b: 2**70 } }).to_s
    assert_equal "lolna1m{'a':_nan,_'b':_-inf}{}", token(params: { a: Float::NAN, b: -Float::INFINITY }).to_s
    assert_equal "lolna1m{'a':_'it\\'s_<&>_\"\\u2028'}{}", token(params: { a: "it's <&> \"\u2028" }).to_s
    assert_equal "lolna1m{'a':_'é'}{}", token(params: { a: "\xe9".dup.force_encoding(Encoding::ISO_8859_1) }).to_s
    assert_equal "lolm{}{}", Larder::Token.new("lol", nil, "m").to_s
    assert_equal Encoding::UTF_8, token.to_s.encoding
  end

  def test_forms_and_versions
    face = { a: "\u{1fae8}" }
    assert_equal "lolna1m{'a':_'\\U0001fae8'}{}", token(params: face, unicode: "14.0").to_s
    assert_equal "lolna1m{'a':_'\u{1fae8}'}{}", token(params: face, unicode: "15.0").to_s
    assert_equal "lol/na1/m/b c?q=1", token(params: { a: "b c" }, queries: { q: 1 }, pyot: 6).to_s
  end

  def test_what_is_none
    assert_raises(Larder::InvalidError) { token(pyot: 5).to_s }
    assert_raises(Larder::InvalidError) { token(unicode: "1.0").to_s }
    assert_raises(ArgumentError) { Larder::Token.new("lol\0", "na1", "m").to_s }
    assert_raises(TypeError) { Larder::Token.new("lol", 1, "m") }
    assert_raises(TypeError) { token(params: { a: Object.new }) }
    assert_raises(EncodingError) { token(params: { a: "\xff".b }) }
    assert_raises(EncodingError) { token(params: { a: "\xff" }) }
  end

  def test_a_pipeline_writes_it_in_its_own_way
    store = { "BACKEND" => "pyot.stores.Omnistone", "EXPIRATIONS" => { "summoner_v4_by_name" => 60 } }
    pipelines = { "LOL" => [store], "TFT" => { "PYOT" => 6, "UNICODE" => "14.0", "PIPELINE" => [{ "BACKEND" => "pyot.stores.Omnistone" }] } }
    other = Larder::Context.open("CACHES" => CACHES, "PIPELINES" => pipelines)
    lol = other.pipeline("LOL") { |text| text }
    tft = other.pipeline("TFT")
    token = Larder::Token.new("lol", "na1", "summoner_v4_by_name", params: { name: "a \u{1fae8}" })
    text = "lolna1summoner_v4_by_name{'name':_'a_\u{1fae8}'}{}"
    assert_equal "lol/na1/summoner_v4_by_name/a \u{1fae8}", token.text_in(tft)
    assert_equal [text, :loaded], lol.find(token).to_a.first(2)
    assert_equal [text, 0], lol.find(text).to_a.first(2)
    assert lol.contains?(token)
    assert_equal({ token => text }, lol.get_many([token]))
    with_queue_of(other) do |queue|
      queue.submit([{ operation: :pipeline_delete, pipeline: lol, key: token }])
      assert collect(queue, 1).first.ok?
    end
    assert lol.set(token, "set")
    assert lol.delete(token)
    lol.close
    assert_raises(Larder::ClosedError) { lol.get(token) }
  ensure
    [lol, tft, other].compact.each(&:close)
  end

  def with_queue_of(context)
    queue = context.queue
    yield queue
  ensure
    queue&.close
  end
end
