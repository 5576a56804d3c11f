package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
)

// DecodeStrict is Decode for what must be of this very version: a field that v
// does not have is an error.
func DecodeStrict[T any](data []byte, v *T) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return eachString(reflect.ValueOf(v).Elem(), unquote)
}
