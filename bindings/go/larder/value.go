package larder

// #include <larder.h>
import "C"

import (
	"encoding/json"
	"fmt"
)

// Kind is what a value is, in Python's terms.
type Kind int

// The kinds. Other is everything that JSON lacks, such as dates and instances of classes, shown as data.
const (
	Null  Kind = C.LARDER_KIND_NULL
	Bool  Kind = C.LARDER_KIND_BOOL
	Int   Kind = C.LARDER_KIND_INT
	Float Kind = C.LARDER_KIND_FLOAT
	Text  Kind = C.LARDER_KIND_TEXT
	Bytes Kind = C.LARDER_KIND_BYTES
	List  Kind = C.LARDER_KIND_LIST
	Dict  Kind = C.LARDER_KIND_DICT
	Other Kind = C.LARDER_KIND_OTHER
)

// Value is what a cache held: a copy in Go's memory.
type Value struct {
	kind Kind
	data []byte // the bytes, the text as UTF-8, or else JSON
}

// Kind tells what it is.
func (v *Value) Kind() Kind { return v.kind }

// Data is the content of bytes, the UTF-8 of a text, and the JSON of everything else.
func (v *Value) Data() []byte { return v.data }

// String is a text, or the JSON of something else.
func (v *Value) String() string { return string(v.data) }

// Decode fills what target points to: a string with a text, a []byte with bytes, and anything with the JSON of other kinds.
func (v *Value) Decode(target any) error {
	switch target := target.(type) {
	case *string:
		if v.kind == Text {
			*target = string(v.data)
			return nil
		}
	case *[]byte:
		if v.kind == Bytes {
			*target = v.data
			return nil
		}
	}
	if v.kind == Text || v.kind == Bytes {
		return fmt.Errorf("larder: a text or bytes cannot become %T", target)
	}
	return json.Unmarshal(v.data, target)
}
