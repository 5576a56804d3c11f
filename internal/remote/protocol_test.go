package remote

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/host"
	"snapmerge/snapshot"
)

var update = flag.Bool("update", false, "write testdata/protocol.txt")

// The messages of this protocol, with every field that they can have, are those
// of testdata/protocol.txt. They hold types of other packages, and a field that one
// program does not know makes it refuse the message: who adds one raises Protocol,
// and then runs this with -update.
func TestProtocol(t *testing.T) {
	const file = "testdata/protocol.txt"
	var b strings.Builder
	fmt.Fprintf(&b, "protocol %d\n", Protocol)
	for _, m := range []struct {
		kind kind
		v    any
	}{
		{kindHello, &hello{}}, {kindRequest, &request{}}, {kindStep, &host.Step{}}, {kindSnapshot, &snapshot.Entry{}},
		{kindProblem, &host.Problem{}}, {kindResult, &result{}}, {kindEnd, &end{}},
	} {
		fill(reflect.ValueOf(m.v).Elem())
		text, err := encode(m.kind, m.v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%c %s\n", m.kind, text)
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("another protocol, -want +got:\n%s", diff)
	}
}

// fill gives every field a value that is not left out.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1, 2).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	case reflect.Func:
	default:
		panic(v.Type())
	}
}
