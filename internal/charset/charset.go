// Package charset makes UTF-8 of what a mail says in another charset. What comes
// out is as hostile as the mail: control characters and marks that turn the
// direction of writing are still in it.
package charset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// Words decodes the encoded words (RFC 2047) of a header. A header with a word
// whose charset nobody knows is returned as it is.
func Words(header string) string {
	d := mime.WordDecoder{CharsetReader: word}
	if s, err := d.DecodeHeader(header); err == nil {
		return s
	}
	return header
}

// word is Reader for one word. It is decoded at once: the buffers of a reader are
// 40 KiB, and a hostile header has thousands of words.
func word(charset string, in io.Reader) (io.Reader, error) {
	enc, err := find(charset)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	b, err = enc.NewDecoder().Bytes(b)
	return bytes.NewReader(b), err
}

// Reader reads UTF-8 from in, whose charset has one of the names that the WHATWG
// Encoding Standard lists: there a name that is often wrong in mail (gb2312,
// ks_c_5601-1987) stands for what is meant. Bytes that are no text become U+FFFD.
func Reader(charset string, in io.Reader) (io.Reader, error) {
	enc, err := find(charset)
	if err != nil {
		return nil, err
	}
	return enc.NewDecoder().Reader(in), nil
}

func find(charset string) (encoding.Encoding, error) {
	name, _, _ := strings.Cut(charset, "*") // a language (RFC 2231 section 5)
	enc, err := htmlindex.Get(name)
	if err == nil && enc == encoding.Replacement {
		// The standard's way not to decode iso-2022-kr, hz-gb-2312 and others: all of
		// the text would be one U+FFFD.
		err = errors.New("no decoder")
	}
	if err != nil {
		return nil, fmt.Errorf("charset %q: %w", charset, err)
	}
	return enc, nil
}
