package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShow(t *testing.T) {
	in := strings.Join([]string{
		`{"Action":"start","Package":"p"}`,
		`{"Action":"output","Package":"p","Test":"TestGood","Output":"    a_test.go:1: quiet\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestGood"}`,
		`{"Action":"output","Package":"p","Test":"TestBad","Output":"    a_test.go:2: loud\n"}`,
		`{"Action":"output","Package":"p","Test":"TestSkip","Output":"    a_test.go:3: no time\n"}`,
		`{"Action":"output","Package":"p","Test":"TestCutOff","Output":"panic: oh\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestBad"}`,
		`{"Action":"skip","Package":"p","Test":"TestSkip"}`,
		`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
		`{"Action":"fail","Package":"p"}`,
		`{"Action":"build-output","ImportPath":"q","Output":"q.go:1: undefined: x\n"}`,
		`{"Action":"output","Package":"r","Output":"PASS\n"}`,
		`{"Action":"output","Package":"r","Output":"ok  \tr\t0.2s\n"}`,
		`{"Action":"skip","Package":"s"}`,
		`no JSON`,
	}, "\n") + "\n"
	var out strings.Builder
	skipped, err := show(strings.NewReader(in), &out)
	if err != nil || !slices.Equal(skipped, []string{"p TestSkip"}) {
		t.Errorf("skipped %q, %v", skipped, err)
	}
	want := "    a_test.go:2: loud\n    a_test.go:3: no time\nFAIL\tp\t0.1s\npanic: oh\nq.go:1: undefined: x\nok  \tr\t0.2s\nno JSON\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}
