// Package codec writes values as JSON without harm to names that are no UTF-8.
//
// File names and keywords are bytes, but JSON is UTF-8, and encoding/json
// silently replaces what is not: two names of a mail store could become one.
// So a byte that is no UTF-8, and NUL, are written as NUL and two hexadecimal
// digits: "\xe4" as "\u0000e4". All other strings look as they are. This is done
// for every string in a value, the types of tree and merge included, because
// one field that was forgotten would be found by an attacker first.
package codec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// Encode returns v as one line of JSON, without the newline.
func Encode[T any](v T) ([]byte, error) {
	if plain(reflect.ValueOf(&v).Elem()) {
		return json.Marshal(v)
	}
	if err := eachString(reflect.ValueOf(&v).Elem(), quote); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// Decode reads what Encode wrote. Unknown fields are left out: a later version
// may add some.
func Decode[T any](data []byte, v *T) error {
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if !bytes.Contains(data, []byte(`\u0000`)) {
		return nil // json.Marshal writes every NUL so
	}
	return eachString(reflect.ValueOf(v).Elem(), unquote)
}

// plain reports whether there is nothing in v that eachString would change:
// nearly always, and then v need not be copied.
func plain(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
	case reflect.Pointer:
		return v.IsNil() || plain(v.Elem())
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k >= reflect.Bool && k <= reflect.Complex128 {
			return true
		}
		for i := range v.Len() {
			if !plain(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !plain(it.Key()) || !plain(it.Value()) {
				return false
			}
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return v.Interface().(time.Time).Location() == time.UTC
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !plain(v.Field(i)) {
				return false
			}
		}
	}
	return true
}

var timeType = reflect.TypeFor[time.Time]()

// eachString replaces every string in v, map keys included. What v shares with
// others (slices, maps, pointers) is copied before.
func eachString(v reflect.Value, f func(string) (string, error)) error {
	switch v.Kind() {
	case reflect.String:
		s, err := f(v.String())
		if err != nil {
			return err
		}
		v.SetString(s)
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(v.Elem())
		v.Set(c)
		return eachString(c.Elem(), f)
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		v.Set(c)
		return eachElem(v, f)
	case reflect.Array:
		return eachElem(v, f)
	case reflect.Map:
		return eachKey(v, f)
	case reflect.Struct:
		return eachField(v, f)
	}
	return nil
}

func eachElem(v reflect.Value, f func(string) (string, error)) error {
	for i := range v.Len() {
		if err := eachString(v.Index(i), f); err != nil {
			return err
		}
	}
	return nil
}

func eachKey(v reflect.Value, f func(string) (string, error)) error {
	if v.IsNil() {
		return nil
	}
	c := reflect.MakeMapWithSize(v.Type(), v.Len())
	for it := v.MapRange(); it.Next(); {
		key := reflect.New(v.Type().Key()).Elem()
		key.Set(it.Key())
		elem := reflect.New(v.Type().Elem()).Elem()
		elem.Set(it.Value())
		if err := eachString(key, f); err != nil {
			return err
		}
		if err := eachString(elem, f); err != nil {
			return err
		}
		c.SetMapIndex(key, elem)
	}
	v.Set(c)
	return nil
}

func eachField(v reflect.Value, f func(string) (string, error)) error {
	if v.Type() == timeType {
		// RFC 3339 has no seconds in the zone's offset, but the zones of the 19th
		// century do, and a file may have any mtime: it would come back as another moment.
		v.Set(reflect.ValueOf(v.Interface().(time.Time).UTC()))
		return nil
	}
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if err := eachString(v.Field(i), f); err != nil {
			return err
		}
	}
	return nil
}

func quote(s string) (string, error) {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s, nil
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == 0 || r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "\x00%02x", s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String(), nil
}

func unquote(s string) (string, error) {
	head, rest, found := strings.Cut(s, "\x00")
	if !found {
		return s, nil
	}
	out := []byte(head)
	for found {
		if len(rest) < 2 {
			return "", fmt.Errorf("string %q: cut off after NUL", s)
		}
		c, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", fmt.Errorf("string %q: %w", s, err)
		}
		head, rest, found = strings.Cut(rest[2:], "\x00")
		out = append(append(out, c...), head...)
	}
	return string(out), nil
}
