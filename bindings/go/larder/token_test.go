package larder

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	fields := []Field{{"name", "Hide on bush"}, {"page", 7}, {"half", 0.5}, {"whole", 7.0}, {"far", 1e20}, {"no", nil}, {"yes", true}}
	for _, one := range []struct {
		token Token
		text  string
	}{
		{Token{Model: "LOL", Server: "NA1", Method: "summoner_v4_by_name", Params: []Field{{"name", "Hide on bush"}}},
			"lolna1summoner_v4_by_name{'name':_'Hide_on_bush'}{}"},
		{Token{Model: "lol", Server: "na1", Method: "m", Params: fields},
			"lolna1m{'name':_'Hide_on_bush',_'page':_7,_'half':_0.5,_'whole':_7.0,_'far':_1e+20,_'no':_None,_'yes':_True}{}"},
		{Token{Model: "lol", Method: "m", Queries: []Field{{"queue", []int{420, 440}}, {"none", nil}, {"x", json.RawMessage(`{"b": 1.0, "a": 1}`)}}},
			"lolm{}{'queue':_[420,_440],_'x':_{'b':_1.0,_'a':_1}}"},
		{Token{Model: "lol", Method: "m", Params: []Field{{"a", math.NaN()}, {"b", math.Inf(-1)}, {"c", math.Inf(1)}, {"d", float32(0.1)}}},
			"lolm{'a':_nan,_'b':_-inf,_'c':_inf,_'d':_0.1}{}"},
		{Token{Model: "lol", Method: "m", Params: []Field{{"a", "it's <&> \"\u2028"}}}, `lolm{'a':_'it\'s_<&>_"\u2028'}{}`},
		{Token{Model: "lol", Method: "m", Params: []Field{{"a", "\U0001fae8"}}, Unicode: "14.0"}, `lolm{'a':_'\U0001fae8'}{}`},
		{Token{Model: "lol", Method: "m", Params: []Field{{"a", "\U0001fae8"}}, Unicode: "15.0"}, "lolm{'a':_'\U0001fae8'}{}"},
		{Token{Model: "lol", Server: "na1", Method: "m", Params: []Field{{"a", "b c"}}, Queries: []Field{{"q", 1}}, Pyot: 6}, "lol/na1/m/b c?q=1"},
	} {
		want(t, one.text)(one.token.Text())
	}
}

func TestTokensThatAreNone(t *testing.T) {
	for _, token := range []Token{
		{Model: "lol\x00", Method: "m"}, {Model: "lol", Method: "\xff"}, {Model: "lol", Method: "m", Pyot: 5},
		{Model: "lol", Method: "m", Unicode: "1.0"}, {Model: "lol", Method: "m", Params: []Field{{"\xff", 1}}},
		{Model: "lol", Method: "m", Params: []Field{{"a", "\xff"}}}, {Model: "lol", Method: "m", Params: []Field{{"a", []byte("b")}}},
		{Model: "lol", Method: "m", Queries: []Field{{"a", make(chan int)}}},
		{Model: "lol", Method: "m", Queries: []Field{{"a", json.RawMessage("{")}}},
	} {
		if text, err := token.Text(); err == nil {
			t.Errorf("%+v is %s", token, text)
		}
	}
}

func TestTokensOfAPipeline(t *testing.T) {
	six, err := Open(strings.Replace(configuration(t), `"LOL": [`, `"TFT": {"PYOT": 6, "UNICODE": "14.0", "PIPELINE": [{"BACKEND": "pyot.stores.Omnistone"}]}, "LOL": [`, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { six.Close(time.Second) })
	tft, err := six.Pipeline("TFT", nil)
	if err != nil {
		t.Fatal(err)
	}
	lol := openPipeline(t, six, nil)
	token := Token{Model: "lol", Server: "na1", Method: "summoner_v4_by_name", Params: []Field{{"name", "a \U0001fae8"}}}
	want(t, "lol/na1/summoner_v4_by_name/a \U0001fae8")(tft.Token(token))
	token.Pyot = 3
	want(t, `lolna1summoner_v4_by_name{'name':_'a_\U0001fae8'}{}`)(tft.Token(token))
	text, err := lol.Token(token)
	want(t, "lolna1summoner_v4_by_name{'name':_'a_\U0001fae8'}{}")(text, err)
	want(t, true)(lol.Set(background, text, "found"))
	wantFound(t, 0, "found")(lol.Get(background, text))
	if err := six.Close(time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := lol.Token(token); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
