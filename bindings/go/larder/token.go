package larder

// #include <stdlib.h>
// #include <larder.h>
import "C"

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Token is a call to a service, whose text names its answer in a pipeline: the same text that Pyot makes of it.
//
//	token := larder.Token{Model: "lol", Server: "na1", Method: "summoner_v4_by_name",
//		Params: []larder.Field{{"name", "Hide on bush"}}}
//	text, err := pipeline.Token(token)
//	found, err := pipeline.Get(ctx, text)
type Token struct {
	Model, Server, Method string  // Server is "" where there is none
	Params, Queries       []Field // as the endpoint has them: their order is part of the name

	Pyot    int    // 3 or 6: as that version of Pyot writes it; 0: as the pipeline says, without one 3
	Unicode string // such as "15.0": that of the Python beside it; "": as the pipeline says, without one the newest common
}

// Field is a name and its value: nil, a bool, a number, a string, or anything that JSON has. 7, 7.0 and "7" make three
// tokens. Inside of lists and maps a whole float64 is an int, and maps are sorted, as encoding/json has them: give a
// json.RawMessage where that matters.
type Field struct {
	Name  string
	Value any
}

// Text is the token's text where no pipeline says how it is written.
func (t Token) Text() (string, error) {
	return t.shown(func(made *C.larder_token, text **C.char, size *C.size_t, failure **C.larder_error) C.larder_status {
		return C.larder_token_text(made, text, size, failure)
	})
}

// Token is the text of a token as the pipeline writes it: by its PYOT and UNICODE, where the token says nothing.
func (p *Pipeline) Token(token Token) (string, error) {
	return token.shown(func(made *C.larder_token, text **C.char, size *C.size_t, failure **C.larder_error) C.larder_status {
		return C.larder_pipeline_token(p.handle, made, text, size, failure)
	})
}

// shown makes the token, and asks for its text.
func (t Token) shown(ask func(*C.larder_token, **C.char, *C.size_t, **C.larder_error) C.larder_status) (string, error) {
	made, err := t.make()
	if err != nil {
		return "", err
	}
	defer C.larder_token_release(made)
	var text *C.char
	var size C.size_t
	var failure *C.larder_error
	if status := ask(made, &text, &size, &failure); status < 0 {
		return "", take(status, failure)
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(text)), int(size))), nil
}

func (t Token) make() (*C.larder_token, error) {
	names := make([]*C.char, 0, 4)
	defer func() {
		for _, name := range names {
			C.free(unsafe.Pointer(name))
		}
	}()
	for _, name := range []string{t.Model, t.Server, t.Method, t.Unicode} {
		if strings.IndexByte(name, 0) >= 0 {
			return nil, fmt.Errorf("larder: a name of the token has a NUL")
		}
		names = append(names, C.CString(name))
	}
	options := (*C.larder_token_options)(C.calloc(1, C.sizeof_larder_token_options)) // it points to C's memory alone
	defer C.free(unsafe.Pointer(options))
	options.struct_size, options.form = C.sizeof_larder_token_options, C.int32_t(t.Pyot)
	if t.Unicode != "" {
		options.unicode = names[3]
	}
	params, err := object(t.Params, false)
	if err != nil {
		return nil, err
	}
	queries, err := object(t.Queries, true)
	if err != nil {
		return nil, err
	}
	var made *C.larder_token
	var failure *C.larder_error
	if status := C.larder_token_new(names[0], names[1], names[2],
		(*C.char)(unsafe.Pointer(&params[0])), C.size_t(len(params)),
		(*C.char)(unsafe.Pointer(&queries[0])), C.size_t(len(queries)), options, &made, &failure); status < 0 {
		return nil, take(status, failure)
	}
	return made, nil
}

// object is the JSON of fields, in their order. Pyot leaves out queries that are None.
func object(fields []Field, isQuery bool) ([]byte, error) {
	out := []byte{'{'}
	for _, field := range fields {
		if isQuery && field.Value == nil {
			continue
		}
		if !utf8.ValidString(field.Name) {
			return nil, fmt.Errorf("larder: a name in the token is not UTF-8")
		}
		name, err := json.Marshal(field.Name)
		if err != nil {
			return nil, fmt.Errorf("larder: %w", err)
		}
		value, err := written(field.Value)
		if err != nil {
			return nil, fmt.Errorf("larder: %s of the token: %w", field.Name, err)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// written is the JSON of a value, in which a float is one.
func written(value any) ([]byte, error) {
	switch value := value.(type) {
	case float64:
		return number(value, 64), nil
	case float32:
		return number(float64(value), 32), nil
	case []byte:
		return nil, fmt.Errorf("bytes are not in JSON")
	case string:
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("the text is not UTF-8")
		}
	}
	return json.Marshal(value)
}

func number(value float64, bits int) []byte {
	switch {
	case math.IsNaN(value):
		return []byte("NaN")
	case math.IsInf(value, 0):
		return []byte(strings.TrimPrefix(strconv.FormatFloat(value, 'f', -1, 64), "+") + "inity")
	}
	return strconv.AppendFloat(nil, value, 'e', -1, bits) // with an exponent, so that it is no int
}
