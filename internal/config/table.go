package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A table is one section while it is read. Every key that is asked for is
// taken out; what is left in the end is unknown.
type table struct {
	doc   *document
	path  string
	keys  map[string]any
	known []string
}

func (d *document) table() *table {
	return &table{doc: d, keys: d.root}
}

func (t *table) fail(key, text string) {
	t.doc.fail(joinKey(t.path, key), text)
}

// take returns the value of a key that the section may have.
func (t *table) take(key string) (v any, ok bool) {
	t.known = append(t.known, key)
	v, ok = t.keys[key]
	delete(t.keys, key)
	return v, ok
}

// sub returns a section inside; an empty one if the file has none.
func (t *table) sub(key string) *table {
	v, ok := t.take(key)
	keys, isTable := v.(map[string]any)
	if ok && !isTable {
		t.fail(key, wants("a table", v).Error())
	}
	return &table{doc: t.doc, path: joinKey(t.path, key), keys: keys}
}

// list returns the elements of an array of tables.
func (t *table) list(key string) []*table {
	v, ok := t.take(key)
	elems, isArray := v.([]any)
	if ok && !isArray {
		t.fail(key, wants("an array of tables", v).Error())
	}
	var list []*table
	for i, elem := range elems {
		path := joinIndex(joinKey(t.path, key), i)
		keys, isTable := elem.(map[string]any)
		if !isTable {
			t.doc.fail(path, wants("a table", elem).Error())
			continue
		}
		list = append(list, &table{doc: t.doc, path: path, keys: keys})
	}
	return list
}

// read sets dst if the section has the key and its value is good.
func read[T any](t *table, key string, dst *T, parse func(any) (T, error)) {
	v, ok := t.take(key)
	if !ok {
		return
	}
	if x, err := parse(v); err != nil {
		t.fail(key, err.Error())
	} else {
		*dst = x
	}
}

// end reports the keys that nobody has asked for.
func (t *table) end() {
	for _, key := range slices.Sorted(maps.Keys(t.keys)) {
		t.fail(key, "unknown key, known here: "+strings.Join(t.known, ", "))
	}
}

// text reads a string.
func text[T any](parse func(string) (T, error)) func(any) (T, error) {
	return func(v any) (T, error) {
		if s, ok := v.(string); ok {
			return parse(s)
		}
		var zero T
		return zero, wants("a string", v)
	}
}

// optional reads what is nil if the file does not have it.
func optional[T any](parse func(any) (T, error)) func(any) (*T, error) {
	return func(v any) (*T, error) {
		x, err := parse(v)
		return &x, err
	}
}

func boolean(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return false, wants("true or false", v)
}

func wants(what string, v any) error {
	return fmt.Errorf("wants %s, not %s", what, kind(v))
}

// kind names the TOML type of a value that go-toml decoded into an any.
func kind(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case []any:
		return "an array"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
