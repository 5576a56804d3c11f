package charset

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// texts are the same words in the charsets of real mailboxes, as base64.
var texts = []struct{ charset, base64, want string }{
	{"windows-1251", "z/Do4uXy", "Привет"},
	{"KOI8-R", "8NLJ18XU", "Привет"},
	{"koi8-u", "8NLJ16bU", "Привіт"},
	{"iso-8859-2", "rmx1u2916Gv9", "Žluťoučký"},
	{"iso-8859-15", "MTAgpA==", "10 €"},
	{"windows-1252", "hDEwIICT", "„10 €“"},
	{"cp1252", "hDEwIICT", "„10 €“"},
	{"iso-8859-8", "+ezl7Q==", "שלום"},
	{"windows-1256", "49HNyMc=", "مرحبا"},
	{"tis-620", "ysfRyrTV", "สวัสดี"},
	{"iso-2022-jp", "GyRCRnxLXDhsJE4lYSE8JWsbKEI=", "日本語のメール"},
	{"shift_jis", "k/qWe4zq", "日本語"},
	{"euc-jp", "xvzL3Ljs", "日本語"},
	{"gb2312", "xOO6ww==", "你好"},
	{"gb2312", "5mfE47rD", "鎔你好"}, // which gb2312 lacks: the sender meant gbk
	{"gb18030", "xOO6w5UygjY=", "你好𠀀"},
	{"big5", "sXqmbg==", "您好"},
	{"euc-kr", "vsiz58fPvLy/5A==", "안녕하세요"},
	{"ks_c_5601-1987", "vsiz58fPvLy/5A==", "안녕하세요"},
	{"utf-16be", "AEgAaQAgAPw=", "Hi ü"},
	{"utf-8", "R3LDvMOfZQ==", "Grüße"},
	{"iso-8859-1", "R3L832U=", "Grüße"},
	{"koi8-r*ru", "8NLJ18XU", "Привет"}, // with its language
	{"utf-8*de", "R3LDvMOfZQ==", "Grüße"},
}

func TestCharsets(t *testing.T) {
	for _, tt := range texts {
		if got := Words("=?" + tt.charset + "?B?" + tt.base64 + "?= <a@b>"); got != tt.want+" <a@b>" {
			t.Errorf("%s: %q, want %q", tt.charset, got, tt.want+" <a@b>")
		}
	}
}

// TestWords: what is not a good word of a known charset is shown as well as it can be.
func TestWords(t *testing.T) {
	for _, tt := range []struct{ name, header, want string }{
		{"none", "Hi", "Hi"},
		{"two", "=?koi8-r?q?=D0?= =?windows-1251?q?=F0?= x", "пр x"},
		{"unknown", "=?x-none?q?caf=E9?=", "=?x-none?q?caf=E9?="},
		{"no name", "=?*de?q?a?=", "=?*de?q?a?="},
		{"unknown beside a known one", "=?koi8-r?q?=D0?= =?x-none?q?a?=", "=?koi8-r?q?=D0?= =?x-none?q?a?="},
		{"one that the standard does not decode", "=?iso-2022-kr?q?a?=", "=?iso-2022-kr?q?a?="},
		{"its own name for those", "=?replacement?q?a?=", "=?replacement?q?a?="},
		{"broken base64", "=?koi8-r?b?!?= a", "=?koi8-r?b?!?= a"},
		{"cut off", "=?koi8-r?b?8NLJ", "=?koi8-r?b?8NLJ"},
		{"half a character", "=?shift_jis?q?a=93?=", "a\ufffd"},
		{"half a pair", "=?utf-16le?q?a=00b?=", "a\ufffd"},
		{"bytes that are no text there", "=?euc-kr?q?a=FF=FFb?=", "a\ufffd\ufffdb"},
		{"half a gb18030", "=?gb18030?q?a=81=30=81?=", "a\ufffd0\ufffd"},
		{"in the middle of kanji", "=?iso-2022-jp?b?GyRCRg==?= x", "\ufffd x"},
		{"an escape of a terminal in iso-2022-jp", "=?iso-2022-jp?q?a=1B[31mb?=", "a\ufffd[31mb"},
		{"and among kanji", "=?iso-2022-jp?q?=1B$BF|=1B]0;x=07?=", "日\ufffd欅侍\ufffd"},
	} {
		if got := Words(tt.header); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestReader: the text of a mail comes in any pieces.
func TestReader(t *testing.T) {
	for _, tt := range []struct{ charset, in, want string }{
		{"windows-1251", "\xcf\xf0\xe8\xe2\xe5\xf2\r\n", "Привет\r\n"},
		{"iso-2022-jp", "\x1b$BF|K\\8l\x1b(B\nabc", "日本語\nabc"},
		{"gb18030", "\xc4\xe3\x95\x32\x82\x36", "你𠀀"},
		{"euc-kr", "\xbe\xc8\xb3\xe7", "안녕"},
	} {
		for name, in := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.in))} {
			r, err := Reader(tt.charset, in)
			if err != nil {
				t.Errorf("%s: %v", tt.charset, err)
				continue
			}
			if got, err := io.ReadAll(r); string(got) != tt.want || err != nil {
				t.Errorf("%s, %s: %q, %v; want %q", tt.charset, name, got, err, tt.want)
			}
		}
	}
	for _, name := range []string{"", "x-none", "utf-7", "iso-2022-kr", "hz-gb-2312", strings.Repeat("a", 1<<20), "\x1b[31m"} {
		if r, err := Reader(name, strings.NewReader("a")); r != nil || err == nil {
			t.Errorf("%.20q: %v, %v", name, r, err)
		}
	}
}

// TestBounds: 64 KiB of words, which is what is read of a mail's head, make neither
// much text nor take much memory.
func TestBounds(t *testing.T) {
	const size = 64 << 10
	for _, word := range []string{"=?gbk?q?=ff?= ", "=?iso-2022-jp?q?=1b?= ", "=?big5?q?=88=62?= ", "=?", "=?a?", "=?gbk?q?", "=?gbk?q?=?= ", "=?gbk?q??="} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := Words(strings.Repeat(word, size/len(word)))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; len(got) > size || used > 16<<20 {
			t.Errorf("%q: %d bytes, %d of memory", word, len(got), used)
		}
	}
	if got := Words("=?big5?b?" + strings.Repeat("iGKI", size/4) + "?="); len(got) > 3*size {
		t.Errorf("%d bytes of one word", len(got))
	}
}

// FuzzWords: a mail says what it likes. It is never the end of a sync.
func FuzzWords(f *testing.F) {
	for _, tt := range texts {
		f.Add(tt.charset, "\x1b$B\x1b(I\x81\x30\xff~{\x0e"+tt.want)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		Words("=?" + name + "?q?" + text + "?=")
		if r, err := Reader(name, strings.NewReader(text)); err == nil {
			if n, err := io.Copy(io.Discard, r); n > int64(8*len(text)+8) || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		}
	})
}
